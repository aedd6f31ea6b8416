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
                    reader.Once();
                    type = reader.Int() is > 0 and < 1000 and var number ? (int)number : throw reader.Bad("a tensor has no element type");
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
                    reader.Once();
                    name = reader.Text();
                    break;
                case 9:
                    reader.Once();
                    data = reader.Bytes();
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
                    reader.Once();
                    external = reader.Int() switch
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
                    reader.Once();
                    key = reader.Text();
                    break;
                case 2:
                    reader.Once();
                    value = reader.Text();
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

/// <summary>Reads the names and types of values.</summary>
internal static class OnnxTypeReader
{
    /// <summary>A ValueInfoProto.</summary>
    public static OnnxValue Value(ProtoReader reader, OnnxLimits limits)
    {
        string name = "";
        var value = new OnnxValue("", 0, null);
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1:
                    reader.Once();
                    name = reader.Text();
                    break;
                case 2:
                    reader.Once();
                    value = Type(reader.Message(), limits, 1);
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }
        return name.Length > 0 ? value with { Name = name } : throw reader.Bad("an input or output has no name");
    }

    /// <summary>A TypeProto; a value without a name.</summary>
    public static OnnxValue Type(ProtoReader reader, OnnxLimits limits, int depth)
    {
        if (depth > limits.MaxDepth)
        {
            throw reader.Bad($"types are nested deeper than {limits.MaxDepth}");
        }
        var value = new OnnxValue("", 0, null);
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1:
                    reader.Once();
                    value = Tensor(reader.Message(), limits);
                    break;
                // A sequence, an optional or a map: its element type (field 1 of the first two, 2 of a map) is a type again.
                case 4 or 5 or 9:
                    int element = reader.Field == 5 ? 2 : 1;
                    var inner = reader.Message();
                    while (inner.Next())
                    {
                        if (inner.Field == element)
                        {
                            Type(inner.Message(), limits, depth + 1);
                        }
                        else
                        {
                            inner.Skip();
                        }
                    }
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }
        return value;
    }

    private static OnnxValue Tensor(ProtoReader reader, OnnxLimits limits)
    {
        int type = 0;
        List<OnnxDimension>? shape = null;
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 1:
                    reader.Once();
                    type = reader.Int() is >= 0 and < 1000 and var number ? (int)number : throw reader.Bad("a value has an impossible element type");
                    break;
                case 2:
                    reader.Once();
                    shape = Shape(reader.Message(), limits);
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }
        return new OnnxValue("", type, shape);
    }

    private static List<OnnxDimension> Shape(ProtoReader reader, OnnxLimits limits)
    {
        var shape = new List<OnnxDimension>();
        while (reader.Next())
        {
            if (reader.Field != 1)
            {
                reader.Skip();
                continue;
            }
            if (shape.Count == limits.MaxRank)
            {
                throw reader.Bad($"a value has more than {limits.MaxRank} dimensions");
            }
            var dimension = new OnnxDimension(null, null);
            var inner = reader.Message();
            while (inner.Next())
            {
                switch (inner.Field)
                {
                    case 1:
                        inner.Once();
                        // A negative extent is how some programs write that they do not know it.
                        dimension = inner.Int() is >= 0 and var extent ? extent : default;
                        break;
                    case 2:
                        inner.Once();
                        dimension = inner.Text();
                        break;
                    default:
                        inner.Skip();
                        break;
                }
            }
            shape.Add(dimension);
        }
        return shape;
    }
}
