using System.Buffers.Binary;
using System.Globalization;

namespace NativeEngine.Formats;

/// <summary>Reads stored tensors without their data and compares dimensions times type with the bytes that are there.</summary>
internal sealed class OnnxTensorReader(OnnxLimits limits)
{
    // Shapes are short; longer integer tensors are not looked into.
    private const int LongestShape = 32;

    /// <summary>Tensors that lie in other files.</summary>
    public List<OnnxTensor> External { get; } = [];

    /// <summary>
    /// One tensor. <paramref name="shape"/> receives the values of a short one-dimensional int64 tensor stored as raw bytes or numbers, which may
    /// serve as a shape, else null.
    /// </summary>
    public OnnxTensor Read(ProtoReader reader, out long[]? shape)
    {
        var dimensions = new List<long>();
        var typed = new Dictionary<int, long>();
        var integers = new List<long>();
        var pairs = new Dictionary<string, string>(StringComparer.Ordinal);
        string name = "";
        int type = 0;
        long raw = -1, rawOffset = -1;
        bool external = false;
        ReadOnlySpan<byte> data = default;
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1:
                    reader.Ints(dimensions, limits.MaxRank);
                    break;
                case 2:
                    type = reader.IntOnce() is > 0 and < 1000 and var number ? (int)number : throw reader.Bad("a tensor has no element type");
                    break;
                case 3:
                    throw reader.Bad("a tensor is stored in segments, which is not read");
                case 7 when integers.Count <= LongestShape:
                    var copy = reader;
                    Add(typed, 7, copy.CountNumbers(0));
                    if (typed[7] <= LongestShape)
                    {
                        reader.Ints(integers, LongestShape);
                    }
                    else
                    {
                        reader.Skip();
                    }
                    break;
                case 4 or 5 or 7 or 10 or 11:
                    Add(typed, reader.Field, reader.CountNumbers(reader.Field switch { 4 => 4, 10 => 8, _ => 0 }));
                    break;
                case 6:
                    Add(typed, 6, 1);
                    reader.Bytes();
                    break;
                case 8:
                    name = reader.TextOnce();
                    break;
                case 9:
                    data = reader.BytesOnce();
                    raw = data.Length;
                    rawOffset = reader.Offset - raw;
                    break;
                case 13:
                    var (key, value) = Pair(reader.Message());
                    if (!pairs.TryAdd(key, value))
                    {
                        throw reader.Bad($"external data of a tensor has the key {FormatErrors.Quote(key)} twice");
                    }
                    break;
                case 14:
                    external = reader.IntOnce() switch
                    {
                        0 => false,
                        1 => true,
                        var other => throw reader.Bad($"a tensor lies in the place {other}, which is unknown"),
                    };
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }
        string quoted = FormatErrors.Quote(name);
        long[] extents = [.. dimensions];
        if (!OnnxElement.IsKnown(type))
        {
            throw reader.Bad($"tensor {quoted} has elements of {OnnxElement.Name(type)}, which is unknown");
        }
        if (extents.Any(d => d < 0) || FormatErrors.ElementCount(extents) is not { } count || count > long.MaxValue / 128)
        {
            throw reader.Bad($"tensor {quoted} has the shape {FormatErrors.Shape(extents)}");
        }
        long bytes = ((count * OnnxElement.Bits(type)) + 7) / 8;
        var place = external ? Place(reader, quoted, type, bytes, pairs) : null;
        RequireData(reader, quoted, type, count, bytes, extents, raw, typed, external);
        var tensor = new OnnxTensor(name, type, extents, bytes, rawOffset, place);
        if (external)
        {
            External.Add(tensor);
        }
        shape = type != OnnxElement.Int64 || extents.Length != 1 || count > LongestShape || external ? null : raw < 0 ? [.. integers] : Integers(data);
        return tensor;
    }

    /// <summary>A key with its value.</summary>
    public static (string Key, string Value) Pair(ProtoReader reader)
    {
        string key = "", value = "";
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1:
                    key = reader.TextOnce();
                    break;
                case 2:
                    value = reader.TextOnce();
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }
        return (key, value);
    }

    private static void RequireData(
        ProtoReader reader, string name, int type, long count, long bytes, long[] extents, long raw, Dictionary<int, long> typed, bool external)
    {
        int places = (raw > 0 ? 1 : 0) + typed.Values.Count(n => n > 0) + (external ? 1 : 0);
        if (places > 1)
        {
            throw reader.Bad($"the data of tensor {name} is in {places} places");
        }
        if (external)
        {
            return;
        }
        int field = OnnxElement.TypedField(type);
        long need = OnnxElement.TypedCount(type, count), have = typed.GetValueOrDefault(field), others = typed.Where(t => t.Key != field).Sum(t => t.Value);
        bool right = raw > 0 ? type != OnnxElement.String && raw == bytes : have == need && others == 0;
        if (!right)
        {
            string what = raw > 0 ? $"{FormatErrors.Count(raw)} bytes" : $"{FormatErrors.Count(have + others)} numbers{(others > 0 ? " of another type" : "")}";
            throw reader.Bad($"tensor {name} of {OnnxElement.Name(type)} {FormatErrors.Shape(extents)} takes {FormatErrors.Count(bytes)} bytes, the file has {what}");
        }
    }

    private static OnnxExternalData Place(ProtoReader reader, string name, int type, long bytes, Dictionary<string, string> pairs)
    {
        string location = pairs.GetValueOrDefault("location", "");
        if (OnnxExternalFiles.Problem(location) is { } problem)
        {
            throw reader.Bad($"the weights of tensor {name} lie in another file, whose path {FormatErrors.Quote(location)} {problem}");
        }
        long offset = Number(reader, name, pairs, "offset") ?? 0;
        long? length = Number(reader, name, pairs, "length");
        if (type == OnnxElement.String || (length is { } given && given != bytes))
        {
            throw reader.Bad($"tensor {name} takes {FormatErrors.Count(bytes)} bytes, its entry says {FormatErrors.Count(length ?? 0)} in {FormatErrors.Quote(location)}");
        }
        return new OnnxExternalData(location, offset, length);
    }

    private static long? Number(ProtoReader reader, string name, Dictionary<string, string> pairs, string key) =>
        !pairs.TryGetValue(key, out string? text) ? null
        : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out long value) ? value
        : throw reader.Bad($"tensor {name}: the {key} {FormatErrors.Quote(text)} is no number");

    private static void Add(Dictionary<int, long> counts, int field, long count) => counts[field] = counts.GetValueOrDefault(field) + count;

    private static long[] Integers(ReadOnlySpan<byte> raw)
    {
        var values = new long[raw.Length / 8];
        for (int i = 0; i < values.Length; i++)
        {
            values[i] = BinaryPrimitives.ReadInt64LittleEndian(raw[(i * 8)..]);
        }
        return values;
    }
}
