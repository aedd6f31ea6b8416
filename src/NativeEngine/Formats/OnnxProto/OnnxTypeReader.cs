namespace NativeEngine.Formats;

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
                    name = reader.TextOnce();
                    break;
                case 2:
                    value = Type(reader.MessageOnce(), limits, 1);
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
                    value = Tensor(reader.MessageOnce(), limits);
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
                    type = reader.IntOnce() is >= 0 and < 1000 and var number ? (int)number : throw reader.Bad("a value has an impossible element type");
                    break;
                case 2:
                    shape = Shape(reader.MessageOnce(), limits);
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
                        // A negative extent is how some programs write that they do not know it.
                        dimension = inner.IntOnce() is >= 0 and var extent ? extent : default;
                        break;
                    case 2:
                        dimension = inner.TextOnce();
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
