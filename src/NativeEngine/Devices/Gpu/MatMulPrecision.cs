namespace NativeEngine.Devices.Gpu;

/// <summary>What a matrix product multiplies; it always adds in float32.</summary>
public enum MatMulPrecision
{
    /// <summary>Float32, with the bits of the CPU.</summary>
    Float32,
    /// <summary>Operands rounded to bfloat16, on the tensor cores of a CUDA device.</summary>
    BFloat16,
}
