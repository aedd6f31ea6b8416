using System.Runtime.CompilerServices;

namespace NativeEngine.Devices.Cpu;

/// <summary>
/// Elementary functions on lanes, from FMA polynomials only, so that their bits do not depend on the platform's C library.
/// Errors are the largest measured against double over the stated range.
/// </summary>
internal static unsafe class LaneMath<L>
    where L : unmanaged, ILanes<L>
{
    /// <summary>e^x for x in [-87.3, 88.3], clamped outside (so e^-inf is 1.3e-38, not 0). NaN gives NaN. Error below 1.5 ulp.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static L Exp(L x)
    {
        // Minimum and maximum take their second operand where the comparison is false: NaN stays NaN.
        x = L.Min(L.Create(88.3f), L.Max(L.Create(-87.3f), x));
        L n = L.Round(x * L.Create(1.44269504088896341f));
        L r = L.Fma(n, L.Create(-0.693359375f), x);
        r = L.Fma(n, L.Create(2.12194440e-4f), r);
        L p = L.Create(1.9875691500e-4f);
        p = L.Fma(p, r, L.Create(1.3981999507e-3f));
        p = L.Fma(p, r, L.Create(8.3334519073e-3f));
        p = L.Fma(p, r, L.Create(4.1665795894e-2f));
        p = L.Fma(p, r, L.Create(1.6666665459e-1f));
        p = L.Fma(p, r, L.Create(5.0000001201e-1f));
        p = L.Fma(p, r * r, r + L.Create(1f));
        return L.Scale(p, n);
    }

    /// <summary>1 / (1 + e^-x).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static L Sigmoid(L x) => L.Create(1f) / (L.Create(1f) + Exp(L.Zero - x));

    /// <summary>Natural logarithm of a positive normal number. Error below 2 ulp away from 1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static L Log(L x)
    {
        // x = 2^e * m with m in [sqrt(1/2), sqrt(2)).
        L e = L.Exponent(x), m = L.Mantissa(x);
        L root = L.Create(1.41421356237f);
        e = L.SelectGreater(m, root, e + L.Create(1f), e);
        m = L.SelectGreater(m, root, m * L.Create(0.5f), m) - L.Create(1f);
        L z = m * m;
        L p = L.Create(7.0376836292e-2f);
        p = L.Fma(p, m, L.Create(-1.1514610310e-1f));
        p = L.Fma(p, m, L.Create(1.1676998740e-1f));
        p = L.Fma(p, m, L.Create(-1.2420140846e-1f));
        p = L.Fma(p, m, L.Create(1.4249322787e-1f));
        p = L.Fma(p, m, L.Create(-1.6668057665e-1f));
        p = L.Fma(p, m, L.Create(2.0000714765e-1f));
        p = L.Fma(p, m, L.Create(-2.4999993993e-1f));
        p = L.Fma(p, m, L.Create(3.3333331174e-1f));
        L y = L.Fma(p * m, z, e * L.Create(-2.12194440e-4f));
        y = L.Fma(L.Create(-0.5f), z, y);
        return L.Fma(e, L.Create(0.693359375f), m + y);
    }

    /// <summary>Sine and cosine of 2 pi t for t in [0, 1]. Error below 2e-7.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SinCosTurns(L t, out L sin, out L cos)
    {
        // t = quarter / 4 + rest with rest in [-1/8, 1/8], exactly; the quarter swaps the two and sets their signs.
        L quarter = L.Round(t * L.Create(4f));
        L x = L.Fma(quarter, L.Create(-0.25f), t) * L.Create(6.28318530718f), z = x * x;
        L s = L.Fma(z, L.Create(-1.9515295891e-4f), L.Create(8.3321608736e-3f));
        s = L.Fma(L.Fma(s, z, L.Create(-1.6666654611e-1f)), z * x, x);
        L c = L.Fma(z, L.Create(2.443315711809948e-5f), L.Create(-1.388731625493765e-3f));
        c = L.Fma(L.Fma(c, z, L.Create(4.166664568298827e-2f)), z * z, L.Fma(L.Create(-0.5f), z, L.Create(1f)));
        L half = L.Create(0.5f), fromTwo = L.Abs(quarter - L.Create(2f));
        L fromOdd = L.Abs(fromTwo - L.Create(1f));
        L one = L.Create(1f), minus = L.Create(-1f);
        sin = L.SelectGreater(half, fromOdd, c, s) * L.SelectGreater(L.Abs(quarter - L.Create(2.5f)), L.Create(0.75f), one, minus);
        cos = L.SelectGreater(half, fromOdd, s, c) * L.SelectGreater(L.Abs(quarter - L.Create(1.5f)), L.Create(0.75f), one, minus);
    }

    /// <summary>e^x of one number, with the bits of the vector version.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Exp(float x)
    {
        float* lanes = stackalloc float[ILanes<L>.Count];
        L.Store(Exp(L.Create(x)), lanes);
        return lanes[0];
    }

    /// <summary>Natural logarithm of one number that is positive and normal, NaN or infinite, with the bits of the vector version.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Log(float x)
    {
        float* lanes = stackalloc float[ILanes<L>.Count];
        L.Store(Log(L.Create(x)), lanes);
        return float.IsFinite(x) ? lanes[0] : x;
    }

    /// <summary>Sum of a[i] b[i]: four chains of sixteen lanes whose layout depends on the length alone.</summary>
    public static float Dot(float* a, float* b, long count)
    {
        L s0 = L.Zero, s1 = L.Zero, s2 = L.Zero, s3 = L.Zero;
        long i = 0;
        for (; i + 64 <= count; i += 64)
        {
            s0 = L.Fma(L.Load(a + i), L.Load(b + i), s0);
            s1 = L.Fma(L.Load(a + i + 16), L.Load(b + i + 16), s1);
            s2 = L.Fma(L.Load(a + i + 32), L.Load(b + i + 32), s2);
            s3 = L.Fma(L.Load(a + i + 48), L.Load(b + i + 48), s3);
        }
        for (; i + 16 <= count; i += 16)
        {
            s0 = L.Fma(L.Load(a + i), L.Load(b + i), s0);
        }
        if (i < count)
        {
            s1 = L.Fma(LoadPartial(a + i, count - i), LoadPartial(b + i, count - i), s1);
        }
        return L.Sum((s0 + s1) + (s2 + s3));
    }

    /// <summary>Loads count (1 to 15) elements, and the filling after them.</summary>
    public static L LoadPartial(float* source, long count, float filling = 0f)
    {
        float* lanes = stackalloc float[ILanes<L>.Count];
        for (int i = 0; i < ILanes<L>.Count; i++)
        {
            lanes[i] = i < count ? source[i] : filling;
        }
        return L.Load(lanes);
    }

    /// <summary>Stores the first count (1 to 15) lanes.</summary>
    public static void StorePartial(L value, float* destination, long count)
    {
        float* lanes = stackalloc float[ILanes<L>.Count];
        L.Store(value, lanes);
        for (int i = 0; i < count; i++)
        {
            destination[i] = lanes[i];
        }
    }
}
