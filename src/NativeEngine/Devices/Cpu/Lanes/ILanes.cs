namespace NativeEngine.Devices.Cpu;

/// <summary>
/// Sixteen float32 lanes, whatever registers the machine has. Every CPU kernel is written once over this type and compiled for each
/// width (one 512-bit, two 256-bit or four 128-bit registers, or sixteen scalars); since lane count, operation order and the folding
/// tree of <see cref="Sum"/> are the same in all four, so are the bits of every result.
/// </summary>
internal unsafe interface ILanes<T>
    where T : unmanaged, ILanes<T>
{
    /// <summary>Number of lanes, the same for every width.</summary>
    const int Count = 16;

    static abstract SimdWidth Width { get; }
    static abstract T Zero { get; }
    static abstract T Create(float value);
    static abstract T Load(float* source);
    static abstract void Store(T value, float* destination);
    static abstract T operator +(T a, T b);
    static abstract T operator -(T a, T b);
    static abstract T operator *(T a, T b);
    static abstract T operator /(T a, T b);

    /// <summary>a * b + c, rounded once.</summary>
    static abstract T Fma(T a, T b, T c);

    /// <summary>IEEE minimum; kernels that use it define NaN handling themselves.</summary>
    static abstract T Min(T a, T b);
    static abstract T Max(T a, T b);
    static abstract T Abs(T a);
    static abstract T Sqrt(T a);

    /// <summary>Rounds to the nearest integer, ties to even.</summary>
    static abstract T Round(T a);

    /// <summary>a * 2^n for integer-valued n with a normal result.</summary>
    static abstract T Scale(T a, T n);

    /// <summary>The unbiased exponent of a positive normal number, as a float.</summary>
    static abstract T Exponent(T a);

    /// <summary>The mantissa of a positive normal number, in [1, 2).</summary>
    static abstract T Mantissa(T a);

    /// <summary>Per lane: a > b ? x : y.</summary>
    static abstract T SelectGreater(T a, T b, T x, T y);

    /// <summary>Folds the lanes: l with l + 8, then 4, 2, 1.</summary>
    static abstract float Sum(T a);
}

/// <summary>Register widths a kernel can be compiled for.</summary>
public enum SimdWidth
{
    /// <summary>No vector registers: sixteen scalars a step.</summary>
    Scalar = 1,
    /// <summary>128-bit registers (SSE4.1, NEON).</summary>
    Bits128 = 128,
    /// <summary>256-bit registers (AVX2).</summary>
    Bits256 = 256,
    /// <summary>512-bit registers (AVX-512).</summary>
    Bits512 = 512,
}
