namespace NativeEngine.Formats;

/// <summary>Element types of ONNX tensors, by their number in the file; those that are named here are the ones this engine feeds or reads.</summary>
public static class OnnxElement
{
    /// <summary>IEEE single.</summary>
    public const int Float = 1;

    /// <summary>Signed, 32 bits.</summary>
    public const int Int32 = 6;

    /// <summary>Signed, 64 bits.</summary>
    public const int Int64 = 7;

    /// <summary>Text.</summary>
    public const int String = 8;

    /// <summary>One byte, 0 or 1.</summary>
    public const int Bool = 9;

    /// <summary>IEEE half.</summary>
    public const int Float16 = 10;

    private static readonly (string Name, int Bits)[] _types =
    [
        ("undefined", 0), ("float", 32), ("uint8", 8), ("int8", 8), ("uint16", 16), ("int16", 16), ("int32", 32), ("int64", 64), ("string", 0), ("bool", 8),
        ("float16", 16), ("double", 64), ("uint32", 32), ("uint64", 64), ("complex64", 64), ("complex128", 128), ("bfloat16", 16), ("float8e4m3fn", 8),
        ("float8e4m3fnuz", 8), ("float8e5m2", 8), ("float8e5m2fnuz", 8), ("uint4", 4), ("int4", 4), ("float4e2m1", 4), ("float8e8m0", 8), ("uint2", 2), ("int2", 2),
    ];

    /// <summary>The name of a type: "float", "int64".</summary>
    public static string Name(int type) => IsKnown(type) ? _types[type].Name : $"type {type}";

    /// <summary>True for the types of ONNX 1.20 and before.</summary>
    public static bool IsKnown(int type) => type > 0 && type < _types.Length;

    /// <summary>Bits of one element; 0 for strings.</summary>
    public static int Bits(int type) => _types[type].Bits;

    // The field of TensorProto that holds elements of a type when raw_data does not, and how many numbers of it a count of elements takes.
    internal static int TypedField(int type) => type switch
    {
        Float or 14 => 4,
        String => 6,
        Int64 => 7,
        11 or 15 => 10,
        12 or 13 => 11,
        _ => 5,
    };

    internal static long TypedCount(int type, long elements) => type switch
    {
        14 or 15 => elements * 2,
        _ when IsKnown(type) && Bits(type) is > 0 and < 8 => ((elements * Bits(type)) + 7) / 8,
        _ => elements,
    };
}

/// <summary>One extent of a tensor: a number, a name ("batch"), or neither when the file does not say.</summary>
public readonly record struct OnnxDimension(long? Value, string? Name)
{
    /// <summary>A fixed extent.</summary>
    public static implicit operator OnnxDimension(long value) => new(value, null);

    /// <summary>A named extent that may be anything.</summary>
    public static implicit operator OnnxDimension(string name) => new(null, name);

    /// <inheritdoc/>
    public override string ToString() => Value is { } value ? FormattableString.Invariant($"{value}") : Name ?? "?";
}

/// <summary>An input or output of a model.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Its element type (<see cref="OnnxElement"/>); 0 when it is no tensor.</param>
/// <param name="Shape">Its extents, or null when the file does not give the rank.</param>
public sealed record OnnxValue(string Name, int Type, IReadOnlyList<OnnxDimension>? Shape)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Name} {OnnxElement.Name(Type)}[{(Shape is null ? "…" : string.Join(", ", Shape))}]";
}

/// <summary>Where the data of a tensor lies outside the model file.</summary>
/// <param name="Location">Path relative to the folder of the model.</param>
/// <param name="Offset">First byte.</param>
/// <param name="Length">Bytes, or null when the file does not say.</param>
public sealed record OnnxExternalData(string Location, long Offset, long? Length);

/// <summary>A tensor stored with a model.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Type">Its element type.</param>
/// <param name="Dimensions">Its extents.</param>
/// <param name="Bytes">Stored bytes; 0 for strings.</param>
/// <param name="RawOffset">First byte of its data within the model file, or -1 when it lies elsewhere or in typed fields.</param>
/// <param name="External">Where its data lies outside the file, or null.</param>
public sealed record OnnxTensor(string Name, int Type, long[] Dimensions, long Bytes, long RawOffset, OnnxExternalData? External);
