namespace NativeEngine.Devices.Gpu;

/// <summary>What a matrix product multiplies; it always adds in float32.</summary>
internal enum MatMulPrecision
{
    /// <summary>Float32, with the bits of the CPU.</summary>
    Float32,
    /// <summary>Operands rounded to bfloat16, on tensor cores (CUDA only).</summary>
    BFloat16,
}

/// <summary>How a user asks for a precision: the environment variable NENGINE_MATMUL.</summary>
internal static class MatMulPrecisions
{
    public const string Variable = "NENGINE_MATMUL";

    /// <summary>The precision of a setting on a device: nothing or float32, or bf16 on CUDA. Errors: Usage.</summary>
    public static MatMulPrecision Parse(string? setting, string device) => setting?.Trim().ToLowerInvariant() switch
    {
        null or "" or "float32" => MatMulPrecision.Float32,
        "bf16" when device.StartsWith("cuda", StringComparison.Ordinal) => MatMulPrecision.BFloat16,
        "bf16" => throw new EngineException(ErrorKind.Usage, $"{Variable} is bf16, which needs tensor cores; {device} computes in float32", $"unset {Variable}"),
        var other => throw new EngineException(ErrorKind.Usage, $"{Variable} is \"{other}\"; it may be float32 or bf16"),
    };
}
