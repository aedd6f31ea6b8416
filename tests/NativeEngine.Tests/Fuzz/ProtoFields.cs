namespace NativeEngine.Tests.Fuzz;

/// <summary>
/// Protobuf without a schema: what looks like a message is one. Fields with their lengths repaired up the tree, so that damage lies deeper than the framing; doubled, removed
/// and renumbered fields, numbers at the edges.
/// </summary>
internal sealed class ProtoFields(params byte[][] seeds) : IFields
{
    private static readonly long[] _numbers = [0, 1, -1, 2, 7, 127, 128, 255, 65_536, int.MaxValue, 1L << 32, long.MaxValue, long.MinValue, 1L << 40];

    private readonly ProtoTree[] _trees = [.. seeds.Select(ProtoTree.Read)];

    public byte[] Mutate(int seed, FuzzRandom random)
    {
        var tree = _trees[seed];
        for (int edits = 1 + random.Below(2); edits > 0; edits--)
        {
            tree = tree.Mutated(random.Below, _numbers);
        }
        return tree.Write();
    }
}

/// <summary>A protobuf message as a tree without a schema: what looks like a message is one. Trees do not change; a changed one shares what is the same.</summary>
internal sealed class ProtoTree
{
    private readonly List<Field> _fields;

    private ProtoTree(List<Field> fields) => _fields = fields;

    private sealed record Field(int Number, int Wire)
    {
        public ulong Value { get; init; }

        public byte[] Bytes { get; init; } = [];

        public ProtoTree? Message { get; init; }
    }

    public static ProtoTree Read(byte[] bytes) => TryRead(bytes, 0) ?? throw new InvalidOperationException("no protobuf");

    public ProtoTree Mutated(Func<int, int> below, long[] numbers)
    {
        var fields = new List<Field>(_fields);
        // Most fields are deep; walk down with a chance to stop.
        if (below(8) > 0 && fields.Count(HasFields) is > 0 and var inner)
        {
            int chosen = below(inner), at = fields.FindIndex(f => HasFields(f) && chosen-- == 0);
            var message = fields[at].Message!.Mutated(below, numbers);
            fields[at] = fields[at] with { Message = message, Bytes = message.Write() };
            return new ProtoTree(fields);
        }
        if (fields.Count == 0)
        {
            return this;
        }
        int index = below(fields.Count);
        var field = fields[index];
        switch (below(7))
        {
            case 0:
                fields.RemoveAt(index);
                break;
            case 1:
                fields.Insert(below(fields.Count), field);
                break;
            case 2:
                fields[index] = field with { Number = 1 + below(30) };
                break;
            case 3:
                fields[index] = fields[below(fields.Count)];
                break;
            default:
                if (field.Wire == 0)
                {
                    fields[index] = field with { Value = (ulong)numbers[below(numbers.Length)] };
                }
                else if (field.Message is null && field.Bytes.Length > 0)
                {
                    byte[] copy = below(3) == 0 ? field.Bytes[..below(field.Bytes.Length)] : [.. field.Bytes];
                    if (copy.Length > 0)
                    {
                        copy[below(copy.Length)] ^= (byte)(1 << below(8));
                    }
                    fields[index] = field with { Bytes = copy };
                }
                break;
        }
        return new ProtoTree(fields);
    }

    public byte[] Write()
    {
        using var stream = new MemoryStream(_fields.Sum(f => f.Bytes.Length + 12));
        foreach (var field in _fields)
        {
            Number(stream, ((ulong)field.Number << 3) | (uint)field.Wire);
            switch (field.Wire)
            {
                case 0:
                    Number(stream, field.Value);
                    break;
                case 2:
                    Number(stream, (ulong)field.Bytes.Length);
                    stream.Write(field.Bytes);
                    break;
                default:
                    stream.Write(field.Bytes);
                    break;
            }
        }
        return stream.ToArray();
    }

    private static bool HasFields(Field field) => field.Message is { _fields.Count: > 0 };

    private static ProtoTree? TryRead(ReadOnlySpan<byte> bytes, int depth)
    {
        var fields = new List<Field>();
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
                    fields.Add(field with { Value = value });
                    break;
                case 2 when TryNumber(bytes, ref at, out ulong length) && length <= (ulong)(bytes.Length - at):
                    byte[] inner = bytes.Slice(at, (int)length).ToArray();
                    at += (int)length;
                    fields.Add(field with { Bytes = inner, Message = depth < 8 && length > 1 ? TryRead(inner, depth + 1) : null });
                    break;
                case 5 when at + 4 <= bytes.Length:
                    fields.Add(field with { Bytes = bytes.Slice(at, 4).ToArray() });
                    at += 4;
                    break;
                default:
                    return null;
            }
        }
        return new ProtoTree(fields);
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
