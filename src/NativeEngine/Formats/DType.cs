namespace NativeEngine.Formats;

/// <summary>The element types of stored tensors, by the names safetensors gives them.</summary>
public enum DType
{
    /// <summary>IEEE double.</summary>
    F64,
    /// <summary>IEEE single.</summary>
    F32,
    /// <summary>IEEE half.</summary>
    F16,
    /// <summary>The upper half of an IEEE single (8 exponent bits, 7 stored fraction bits).</summary>
    BF16,
    /// <summary>Signed, 64 bits.</summary>
    I64,
    /// <summary>Signed, 32 bits.</summary>
    I32,
    /// <summary>Signed, 16 bits.</summary>
    I16,
    /// <summary>Signed, 8 bits.</summary>
    I8,
    /// <summary>Unsigned, 64 bits.</summary>
    U64,
    /// <summary>Unsigned, 32 bits.</summary>
    U32,
    /// <summary>Unsigned, 16 bits.</summary>
    U16,
    /// <summary>Unsigned, 8 bits.</summary>
    U8,
    /// <summary>One byte, 0 or 1.</summary>
    Bool,
    /// <summary>Listed, not computed with.</summary>
    C64,
    /// <summary>Listed, not computed with.</summary>
    F8E4M3,
    /// <summary>Listed, not computed with.</summary>
    F8E5M2,
    /// <summary>Listed, not computed with.</summary>
    F8E8M0,
    /// <summary>Listed, not computed with.</summary>
    F8E4M3Fnuz,
    /// <summary>Listed, not computed with.</summary>
    F8E5M2Fnuz,
    /// <summary>Listed, not computed with.</summary>
    F6E2M3,
    /// <summary>Listed, not computed with.</summary>
    F6E3M2,
    /// <summary>Listed, not computed with.</summary>
    F4,
}

/// <summary>Sizes and file names of the element types.</summary>
public static class DTypes
{
    /// <summary>Bits of one element.</summary>
    public static int Bits(this DType type) => type switch
    {
        DType.F64 or DType.I64 or DType.U64 or DType.C64 => 64,
        DType.F32 or DType.I32 or DType.U32 => 32,
        DType.F16 or DType.BF16 or DType.I16 or DType.U16 => 16,
        DType.F6E2M3 or DType.F6E3M2 => 6,
        DType.F4 => 4,
        _ => 8,
    };

    /// <summary>True for F64, F32, F16 and BF16.</summary>
    public static bool IsFloat(this DType type) => type <= DType.BF16;

    /// <summary>True for the integer types and Bool.</summary>
    public static bool IsInteger(this DType type) => type is >= DType.I64 and <= DType.Bool;

    /// <summary>The name used in safetensors headers.</summary>
    public static string FileName(this DType type) => type switch
    {
        DType.Bool => "BOOL",
        DType.F8E4M3 => "F8_E4M3",
        DType.F8E5M2 => "F8_E5M2",
        DType.F8E8M0 => "F8_E8M0",
        DType.F8E4M3Fnuz => "F8_E4M3FNUZ",
        DType.F8E5M2Fnuz => "F8_E5M2FNUZ",
        DType.F6E2M3 => "F6_E2M3",
        DType.F6E3M2 => "F6_E3M2",
        _ => type.ToString(),
    };

    private static readonly Dictionary<string, DType> _byName = Enum.GetValues<DType>().ToDictionary(FileName, StringComparer.Ordinal);

    /// <summary>The type of a safetensors name, or null for an unknown one. Case matters.</summary>
    internal static DType? Parse(string name) => _byName.TryGetValue(name, out var type) ? type : null;
}
