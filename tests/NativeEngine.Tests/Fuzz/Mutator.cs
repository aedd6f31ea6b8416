using System.Buffers.Binary;
using System.Text;

namespace NativeEngine.Tests.Fuzz;

/// <summary>
/// Makes mutants with three engines: bits and bytes; tokens (spliced, doubled, deleted, replaced by words of the format); fields. One mutant in 200 has a part
/// repeated until it takes up to 64 KiB, to find what does not take time in proportion.
/// </summary>
internal sealed class Mutator(FuzzFormat format, ulong seed)
{
    /// <summary>The longest mutant: goals for time and memory are stated up to here.</summary>
    public const int MaxBytes = 64 << 10;

    private static readonly long[] _numbers = [0, 1, -1, 127, 128, 255, 256, 65_535, int.MaxValue, 1L << 31, uint.MaxValue, 1L << 32, long.MaxValue, long.MinValue];

    private static readonly string[] _words =
    [
        "{", "}", "[", "]", "(", ")", ",", ":", "\"", "'", "\\", "\n", " ", "\t", "\0", "-", "null", "true", "0", "1", "-1", "1.0", "1e9", "1e400", "4294967296",
        "9223372036854775807", "18446744073709551615", "99999999999999999999999999", "\\ud800", "\\udc00\\ud800", "\\u0000", "\u00fc", "\U0001F600", "\uFEFF", "[[[[[[[[[[[[", "{\"a\":{\"a\":{\"a\":", "~", "NaN",
    ];

    private readonly uint _stream = FuzzRandom.Stream(format.Name);
    private readonly List<(int Start, int Length)>[] _tokens = [.. format.Seeds.Select(Tokens)];

    /// <summary>The mutant of this number.</summary>
    public byte[] Make(long index)
    {
        var random = new FuzzRandom(seed, _stream, index);
        int which = random.Below(format.Seeds.Length);
        byte[] mutant;
        switch (random.Below(4))
        {
            case 0:
                mutant = Repaired(Bytes(format.Seeds[which], random), random);
                break;
            case 1:
                mutant = Repaired(Spliced(which, random), random);
                break;
            default:
                mutant = format.Fields.Mutate(which, random);
                mutant = random.Once(16) ? Bytes(mutant, random) : mutant;
                break;
        }
        return mutant.Length <= MaxBytes ? mutant : mutant[..MaxBytes];
    }

    private byte[] Repaired(byte[] mutant, FuzzRandom random) => format.Repair is null || random.Once(4) ? mutant : format.Repair(mutant);

    private static byte[] Bytes(byte[] from, FuzzRandom random)
    {
        var bytes = new List<byte>(from);
        for (int edits = 1 + random.Below(3); edits > 0 && bytes.Count > 0; edits--)
        {
            int at = random.Below(bytes.Count), length = Math.Min(1 + random.Below(12), bytes.Count - at);
            switch (random.Below(8))
            {
                case 0 or 1:
                    bytes[at] ^= (byte)(1 << random.Below(8));
                    break;
                case 2:
                    bytes[at] = (byte)random.Below(256);
                    break;
                case 3:
                    bytes.RemoveRange(at, length);
                    break;
                case 4:
                    bytes.InsertRange(random.Below(bytes.Count), bytes.GetRange(at, length));
                    break;
                case 5:
                    bytes.Insert(at, (byte)random.Below(256));
                    break;
                case 6:
                    Number(bytes, at, random);
                    break;
                default:
                    bytes.RemoveRange(at, random.Once(3) ? bytes.Count - at : length);
                    break;
            }
        }
        return [.. bytes];
    }

    private static void Number(List<byte> bytes, int at, FuzzRandom random)
    {
        Span<byte> number = stackalloc byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(number, random.Of(_numbers));
        int size = 1 << random.Below(4);
        for (int i = 0; i < size && at + i < bytes.Count; i++)
        {
            bytes[at + i] = number[i];
        }
    }

    private byte[] Spliced(int which, FuzzRandom random)
    {
        var tokens = _tokens[which].ConvertAll(t => format.Seeds[which].AsMemory(t.Start, t.Length));
        for (int edits = 1 + random.Below(2); edits > 0 && tokens.Count > 0; edits--)
        {
            int at = random.Below(tokens.Count), count = Math.Min(1 + random.Below(6), tokens.Count - at);
            switch (random.Below(7))
            {
                case 0:
                    tokens.RemoveRange(at, count);
                    break;
                case 1:
                    tokens.InsertRange(at, tokens.GetRange(at, count));
                    break;
                case 2:
                    tokens.InsertRange(random.Below(tokens.Count), tokens.GetRange(at, count));
                    break;
                case 3:
                    int other = random.Below(format.Seeds.Length), from = random.Below(_tokens[other].Count);
                    tokens.InsertRange(at, _tokens[other].GetRange(from, Math.Min(count, _tokens[other].Count - from)).Select(t => format.Seeds[other].AsMemory(t.Start, t.Length)));
                    break;
                case 4:
                    tokens[at] = Word(random);
                    break;
                case 5:
                    tokens.Insert(at, Word(random));
                    break;
                default:
                    int second = random.Below(tokens.Count);
                    (tokens[at], tokens[second]) = (tokens[second], tokens[at]);
                    break;
            }
        }
        int again = tokens.Count > 0 && random.Once(50) ? random.Below(tokens.Count) : -1;
        using var bytes = new MemoryStream();
        for (int t = 0; t < tokens.Count; t++)
        {
            bytes.Write(tokens[t].Span);
            if (t == again)
            {
                var part = tokens.GetRange(t, Math.Min(1 + random.Below(8), tokens.Count - t));
                int length = part.Sum(p => p.Length), room = 1 + random.Below(MaxBytes - 1);
                for (int times = (room - (int)bytes.Length) / Math.Max(1, length); times > 0; times--)
                {
                    part.ForEach(p => bytes.Write(p.Span));
                }
            }
        }
        return bytes.ToArray();
    }

    private Memory<byte> Word(FuzzRandom random) =>
        Encoding.UTF8.GetBytes(format.Words.Count > 0 && random.Below(2) == 0 ? random.Of(format.Words) : random.Of(_words));

    // Words and numbers, runs of blanks, and every other byte by itself.
    private static List<(int Start, int Length)> Tokens(byte[] bytes)
    {
        var tokens = new List<(int, int)>();
        for (int at = 0; at < bytes.Length;)
        {
            int start = at, kind = Kind(bytes[at++]);
            while (kind > 0 && at < bytes.Length && Kind(bytes[at]) == kind)
            {
                at++;
            }
            tokens.Add((start, at - start));
        }
        return tokens;
    }

    private static int Kind(byte b) => b is (byte)' ' or (byte)'\t' ? 1 : b is (byte)'_' or (byte)'.' or (byte)'-' or >= 128 || char.IsAsciiLetterOrDigit((char)b) ? 2 : 0;
}
