using System.Buffers.Binary;
using System.Text;
using NativeEngine.Formats;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Formats;

/// <summary>
/// Seeded mutants of valid files: bytes, tokens of the format, numbers at the edges, cuts and copies, length fields. A reader may accept one
/// or refuse it with BadInput; any other exception fails with the seed. The accepted, and every
/// 200th of all, go through a real mapped file and have all data read.
/// </summary>
public class FormatFuzzTests
{
    private const int Mutants = 20_000;
    private const int EveryThroughAFile = 200;

    private static readonly string[] _tokens =
    [
        "{", "}", "[", "]", "(", ")", ",", ":", "\"", "'", "\\", "\\ud800", "\\u0061", "null", "true", "-1", "0", "1", "1.0", "1e9", "18446744073709551615",
        "9223372036854775807", "4294967296", "2147483648", "\"F4\"", "\"F64\"", "\"BOOL\"", "\"a\":", "\"dtype\":", "\"shape\":[]", "\"data_offsets\":[0,0]",
        "\"__metadata__\":{}", "'<f8'", "'>f4'", "'|O'", "True", "False", "'shape':", "(0,)", "3L", " ", "\n", "\0", "\u00fc", "[[[[[[[[[[",
    ];

    [Fact]
    public void Safetensors_Mutants_OnlyBadInputOrAccepted()
    {
        byte[] seed = SafetensorsTests.Bytes(
            """{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"BF16","shape":[3],"data_offsets":[16,22]},"c":{"dtype":"U8","shape":[0,4],"data_offsets":[22,22]},"d":{"dtype":"F64","shape":[],"data_offsets":[22,30]}} """,
            [.. Enumerable.Range(0, 30).Select(i => (byte)(i * 37))]);
        Run(seed, 8, bytes => BinaryPrimitives.WriteInt64LittleEndian(bytes, bytes.Length - 8 - 30),
            bytes => SafetensorsHeader.Parse("mutant", bytes.Length, bytes),
            path =>
            {
                using var file = SafetensorsFile.Open(path);
                foreach (SafetensorsTensor tensor in file.Tensors)
                {
                    Assert.Equal(tensor.ByteLength, tensor.Bytes(0, (int)tensor.ByteLength).Length);
                    _ = tensor.DType.IsFloat() ? tensor.ToFloat32().Length : 0;
                }
            });
    }

    [Fact]
    public void Npy_Mutants_OnlyBadInputOrAccepted()
    {
        byte[] seed = NpyTests.Bytes("{'descr': '<f4', 'fortran_order': True, 'shape': (3, 2), }         \n", [.. Enumerable.Range(0, 24).Select(i => (byte)i)]);
        Run(seed, 10, bytes => BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(8), (ushort)(bytes.Length - 10 - 24)),
            bytes => NpyHeader.Parse("mutant", bytes.Length, bytes),
            path =>
            {
                using var file = NpyFile.Open(path);
                Assert.Equal(file.ElementCount, file.ToFloat32().Length);
            });
    }

    [Fact]
    public void StrictJson_Mutants_OnlyBadInputOrAccepted()
    {
        byte[] seed = Encoding.UTF8.GetBytes("""{"a":1,"shape":[1,2.5,"\u00e9x",null,true],"dtype":{"x":{"y":-1e-3},"z":[[],{}]},"data_offsets":"0"}""");
        Run(seed, 0, _ => { }, bytes => Walk(StrictJson.Parse("mutant", bytes)), path => Walk(StrictJson.Load(path)));

        static void Walk(StrictJson value)
        {
            Assert.NotEmpty(value.Where);
            switch (value.Kind)
            {
                case System.Text.Json.JsonValueKind.Object:
                    value.Members().ToList().ForEach(member => Walk(member.Value));
                    break;
                case System.Text.Json.JsonValueKind.Array:
                    value.Items().ToList().ForEach(Walk);
                    break;
                case System.Text.Json.JsonValueKind.String:
                    value.AsString();
                    break;
                case System.Text.Json.JsonValueKind.Number:
                    value.AsDouble();
                    break;
            }
        }
    }

    private static void Run(byte[] seed, int textStart, Action<byte[]> repairLength, Action<byte[]> parse, Action<string> readFile)
    {
        using var folder = new TemporaryFolder();
        int accepted = 0, refused = 0;
        for (uint mutant = 0; mutant < Mutants; mutant++)
        {
            byte[] bytes = Mutate(seed, textStart, mutant);
            var random = new CounterRandom(mutant, RandomPurpose.Test, 1);
            if (bytes.Length > textStart + 40 && random.Below(0, 4) > 0)
            {
                repairLength(bytes);
            }
            try
            {
                if (mutant % EveryThroughAFile != 0)
                {
                    parse(bytes);
                }
                readFile(folder.Put("mutant", bytes));
                accepted++;
            }
            catch (EngineException e) when (e.Kind == ErrorKind.BadInput)
            {
                refused++;
            }
            catch (Exception e)
            {
                Assert.Fail($"mutant {mutant} ({Convert.ToHexString(bytes)}): {e}");
            }
        }
        Assert.True(refused > Mutants / 2 && accepted > Mutants / 200, $"{accepted} accepted, {refused} refused");
    }

    private static byte[] Mutate(byte[] seed, int textStart, uint mutant)
    {
        var random = new CounterRandom(mutant, RandomPurpose.Test);
        ulong next = 0;
        int Below(int bound) => (int)random.Below(next++, bound);
        var bytes = new List<byte>(seed);
        for (int edits = 1 + Below(3); edits > 0; edits--)
        {
            int at = Below(bytes.Count), length = Math.Min(1 + Below(12), bytes.Count - at);
            byte[] token = Encoding.UTF8.GetBytes(_tokens[Below(_tokens.Length)]);
            int inText = Math.Min(bytes.Count, textStart) + Below(Math.Max(1, bytes.Count - textStart));
            switch (Below(7))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << Below(8));
                    break;
                case 1:
                    bytes[at] = (byte)Below(256);
                    break;
                case 2:
                    bytes.RemoveRange(at, length);
                    break;
                case 3:
                    bytes.InsertRange(inText, token);
                    break;
                case 4:
                    ReplaceNumber(bytes, inText, token);
                    break;
                case 5:
                    bytes.InsertRange(inText, bytes.GetRange(at, length));
                    break;
                default:
                    bytes.RemoveRange(bytes.Count - length, length);
                    break;
            }
            if (bytes.Count == 0)
            {
                break;
            }
        }
        return [.. bytes];
    }

    private static void ReplaceNumber(List<byte> bytes, int from, byte[] token)
    {
        int start = bytes.FindIndex(from, b => b is >= (byte)'0' and <= (byte)'9');
        if (start >= 0)
        {
            int end = bytes.FindIndex(start, b => b is < (byte)'0' or > (byte)'9');
            bytes.RemoveRange(start, (end < 0 ? bytes.Count : end) - start);
            bytes.InsertRange(start, token);
        }
    }
}
