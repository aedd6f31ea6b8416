using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace NativeEngine.Devices.Cpu;

/// <summary>Sixteen lanes in four 128-bit registers.</summary>
internal readonly unsafe struct Lanes128 : ILanes<Lanes128>
{
    private readonly Vector128<float> _a;
    private readonly Vector128<float> _b;
    private readonly Vector128<float> _c;
    private readonly Vector128<float> _d;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private Lanes128(Vector128<float> a, Vector128<float> b, Vector128<float> c, Vector128<float> d)
    {
        _a = a;
        _b = b;
        _c = c;
        _d = d;
    }

    public static SimdWidth Width => SimdWidth.Bits128;

    public static Lanes128 Zero => default;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Create(float value) => new(
        Vector128.Create(value),
        Vector128.Create(value),
        Vector128.Create(value),
        Vector128.Create(value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Load(float* source) => new(
        Vector128.Load(source),
        Vector128.Load(source + 4),
        Vector128.Load(source + 8),
        Vector128.Load(source + 12));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Lanes128 value, float* destination)
    {
        value._a.Store(destination);
        value._b.Store(destination + 4);
        value._c.Store(destination + 8);
        value._d.Store(destination + 12);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 operator +(Lanes128 a, Lanes128 b) => new(a._a + b._a, a._b + b._b, a._c + b._c, a._d + b._d);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 operator -(Lanes128 a, Lanes128 b) => new(a._a - b._a, a._b - b._b, a._c - b._c, a._d - b._d);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 operator *(Lanes128 a, Lanes128 b) => new(a._a * b._a, a._b * b._b, a._c * b._c, a._d * b._d);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 operator /(Lanes128 a, Lanes128 b) => new(a._a / b._a, a._b / b._b, a._c / b._c, a._d / b._d);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Fma(Lanes128 a, Lanes128 b, Lanes128 c) => new(
        Vector128.FusedMultiplyAdd(a._a, b._a, c._a),
        Vector128.FusedMultiplyAdd(a._b, b._b, c._b),
        Vector128.FusedMultiplyAdd(a._c, b._c, c._c),
        Vector128.FusedMultiplyAdd(a._d, b._d, c._d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Min(Lanes128 a, Lanes128 b) => new(
        Vector128.MinNative(a._a, b._a),
        Vector128.MinNative(a._b, b._b),
        Vector128.MinNative(a._c, b._c),
        Vector128.MinNative(a._d, b._d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Max(Lanes128 a, Lanes128 b) => new(
        Vector128.MaxNative(a._a, b._a),
        Vector128.MaxNative(a._b, b._b),
        Vector128.MaxNative(a._c, b._c),
        Vector128.MaxNative(a._d, b._d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Abs(Lanes128 a) => new(Vector128.Abs(a._a), Vector128.Abs(a._b), Vector128.Abs(a._c), Vector128.Abs(a._d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Sqrt(Lanes128 a) => new(
        Vector128.Sqrt(a._a),
        Vector128.Sqrt(a._b),
        Vector128.Sqrt(a._c),
        Vector128.Sqrt(a._d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Round(Lanes128 a) => new(
        Vector128.Round(a._a),
        Vector128.Round(a._b),
        Vector128.Round(a._c),
        Vector128.Round(a._d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Scale(Lanes128 a, Lanes128 n) => new(
        (a._a.AsInt32() + (Vector128.ConvertToInt32Native(n._a) << 23)).AsSingle(),
        (a._b.AsInt32() + (Vector128.ConvertToInt32Native(n._b) << 23)).AsSingle(),
        (a._c.AsInt32() + (Vector128.ConvertToInt32Native(n._c) << 23)).AsSingle(),
        (a._d.AsInt32() + (Vector128.ConvertToInt32Native(n._d) << 23)).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Exponent(Lanes128 a) => new(
        Vector128.ConvertToSingle((a._a.AsInt32() >>> 23) - Vector128.Create(127)),
        Vector128.ConvertToSingle((a._b.AsInt32() >>> 23) - Vector128.Create(127)),
        Vector128.ConvertToSingle((a._c.AsInt32() >>> 23) - Vector128.Create(127)),
        Vector128.ConvertToSingle((a._d.AsInt32() >>> 23) - Vector128.Create(127)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 Mantissa(Lanes128 a) => new(
        ((a._a.AsInt32() & Vector128.Create(0x007FFFFF)) | Vector128.Create(0x3F800000)).AsSingle(),
        ((a._b.AsInt32() & Vector128.Create(0x007FFFFF)) | Vector128.Create(0x3F800000)).AsSingle(),
        ((a._c.AsInt32() & Vector128.Create(0x007FFFFF)) | Vector128.Create(0x3F800000)).AsSingle(),
        ((a._d.AsInt32() & Vector128.Create(0x007FFFFF)) | Vector128.Create(0x3F800000)).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes128 SelectGreater(Lanes128 a, Lanes128 b, Lanes128 x, Lanes128 y) => new(
        Vector128.ConditionalSelect(Vector128.GreaterThan(a._a, b._a), x._a, y._a),
        Vector128.ConditionalSelect(Vector128.GreaterThan(a._b, b._b), x._b, y._b),
        Vector128.ConditionalSelect(Vector128.GreaterThan(a._c, b._c), x._c, y._c),
        Vector128.ConditionalSelect(Vector128.GreaterThan(a._d, b._d), x._d, y._d));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Sum(Lanes128 a)
    {
        Vector128<float> four = (a._a + a._c) + (a._b + a._d);
        float low = four[0] + four[2], high = four[1] + four[3];
        return low + high;
    }
}
