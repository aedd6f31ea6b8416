namespace NativeEngine.Tests.Fuzz;

/// <summary>
/// Protobuf without a schema: what looks like a message is one. Fields with their lengths repaired up the tree, so that damage lies deeper than the framing; doubled, removed
/// and renumbered fields, numbers at the edges.
/// </summary>
internal sealed class ProtoFields(params byte[][] seeds) : IFields
{
    private static readonly long[] _numbers = [0, 1, -1, 2, 7, 127, 128, 255, 65_536, int.MaxValue, 1L << 32, long.MaxValue, long.MinValue, 1L << 40];

    public byte[] Mutate(int seed, FuzzRandom random)
    {
        var tree = ProtoTree.Read(seeds[seed]);
        for (int edits = 1 + random.Below(2); edits > 0; edits--)
        {
            tree.Mutate(random.Below, _numbers);
        }
        return tree.Write();
    }
}

/// <summary>A protobuf message as a tree without a schema: what looks like a message is one.</summary>
internal sealed class ProtoTree
{
    private readonly List<Field> _fields = [];

    private sealed record Field(int Number, int Wire)
    {
        public int Number { get; set; } = Number;

        public ulong Value { get; set; }

        public byte[] Bytes { get; set; } = [];

        public ProtoTree? Message { get; set; }
    }

    public static ProtoTree Read(byte[] bytes) => TryRead(bytes, 0) ?? throw new InvalidOperationException("no protobuf");

    public void Mutate(Func<int, int> below, long[] numbers)
    {
        // Most fields are deep; walk down with a chance to stop.
        var at = this;
        while (below(8) > 0 && at._fields.Where(f => f.Message is { _fields.Count: > 0 }).ToList() is { Count: > 0 } inner)
        {
            at = inner[below(inner.Count)].Message!;
        }
        if (at._fields.Count == 0)
        {
            return;
        }
        int index = below(at._fields.Count);
        var field = at._fields[index];
        switch (below(7))
        {
            case 0:
                at._fields.RemoveAt(index);
                break;
            case 1:
                at._fields.Insert(below(at._fields.Count), field);
                break;
            case 2:
                field.Number = 1 + below(30);
                break;
            case 3:
                at._fields[index] = at._fields[below(at._fields.Count)];
                break;
            default:
                if (field.Wire == 0)
                {
                    field.Value = (ulong)numbers[below(numbers.Length)];
                }
                else if (field.Message is null && field.Bytes.Length > 0)
                {
                    byte[] copy = below(3) == 0 ? field.Bytes[..below(field.Bytes.Length)] : [.. field.Bytes];
                    if (copy.Length > 0)
                    {
                        copy[below(copy.Length)] ^= (byte)(1 << below(8));
                    }
                    field.Bytes = copy;
                }
                break;
        }
    }

    public byte[] Write()
    {
        using var stream = new MemoryStream();
        foreach (var field in _fields)
        {
            Number(stream, ((ulong)field.Number << 3) | (uint)field.Wire);
            switch (field.Wire)
            {
                case 0:
                    Number(stream, field.Value);
                    break;
                case 2:
                    byte[] bytes = field.Message?.Write() ?? field.Bytes;
                    Number(stream, (ulong)bytes.Length);
                    stream.Write(bytes);
                    break;
                default:
                    stream.Write(field.Bytes);
                    break;
            }
        }
        return stream.ToArray();
    }

    private static ProtoTree? TryRead(ReadOnlySpan<byte> bytes, int depth)
    {
        var tree = new ProtoTree();
        int at = 0;
        while (at < bytes.Length)
        {
            if (!TryNumber(bytes, ref at, out ulong tag) || tag >> 3 is 0 or > 100)
            {
                return null;
            }
            var field = new Field((int)(tag >> 3), (int)(tag & 7));
            switch (field.Wire)
            {
                case 0 when TryNumber(bytes, ref at, out ulong value):
                    field.Value = value;
                    break;
                case 2 when TryNumber(bytes, ref at, out ulong length) && length <= (ulong)(bytes.Length - at):
                    field.Bytes = bytes.Slice(at, (int)length).ToArray();
                    at += (int)length;
                    field.Message = depth < 8 && length > 1 ? TryRead(field.Bytes, depth + 1) : null;
                    break;
                case 5 when at + 4 <= bytes.Length:
                    field.Bytes = bytes.Slice(at, 4).ToArray();
                    at += 4;
                    break;
                default:
                    return null;
            }
            tree._fields.Add(field);
        }
        return tree;
    }

    private static bool TryNumber(ReadOnlySpan<byte> bytes, ref int at, out ulong value)
    {
        value = 0;
        for (int shift = 0; shift < 64 && at < bytes.Length; shift += 7)
        {
            byte b = bytes[at++];
            value |= (ulong)(b & 127) << shift;
            if (b < 128)
            {
                return true;
            }
        }
        return false;
    }

    private static void Number(Stream stream, ulong value)
    {
        for (; value > 127; value >>= 7)
        {
            stream.WriteByte((byte)(value | 128));
        }
        stream.WriteByte((byte)value);
    }
}
