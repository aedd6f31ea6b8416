using System.Runtime.CompilerServices;

namespace NativeEngine.Devices.Cpu;

/// <summary>Sixteen lanes without vector registers: the plain meaning of every lane operation, and the slowest width.</summary>
internal unsafe struct LanesScalar : ILanes<LanesScalar>
{
    private Sixteen _v;

    public static SimdWidth Width => SimdWidth.Scalar;

    public static LanesScalar Zero => default;

    public static LanesScalar Create(float value)
    {
        LanesScalar r = default;
        for (int i = 0; i < 16; i++)
        {
            r._v[i] = value;
        }
        return r;
    }

    public static LanesScalar Load(float* source)
    {
        LanesScalar r = default;
        for (int i = 0; i < 16; i++)
        {
            r._v[i] = source[i];
        }
        return r;
    }

    public static void Store(LanesScalar value, float* destination)
    {
        for (int i = 0; i < 16; i++)
        {
            destination[i] = value._v[i];
        }
    }

    public static LanesScalar operator +(LanesScalar a, LanesScalar b)
    {
        for (int i = 0; i < 16; i++)
        {
            a._v[i] += b._v[i];
        }
        return a;
    }

    public static LanesScalar operator -(LanesScalar a, LanesScalar b)
    {
        for (int i = 0; i < 16; i++)
        {
            a._v[i] -= b._v[i];
        }
        return a;
    }

    public static LanesScalar operator *(LanesScalar a, LanesScalar b)
    {
        for (int i = 0; i < 16; i++)
        {
            a._v[i] *= b._v[i];
        }
        return a;
    }

    public static LanesScalar operator /(LanesScalar a, LanesScalar b)
    {
        for (int i = 0; i < 16; i++)
        {
            a._v[i] /= b._v[i];
        }
        return a;
    }

    public static LanesScalar Fma(LanesScalar a, LanesScalar b, LanesScalar c)
    {
        for (int i = 0; i < 16; i++)
        {
            c._v[i] = MathF.FusedMultiplyAdd(a._v[i], b._v[i], c._v[i]);
        }
        return c;
    }

    // The hardware rule: the second operand when the comparison is false (equal, or either is NaN).
    public static LanesScalar Min(LanesScalar a, LanesScalar b)
    {
        for (int i = 0; i < 16; i++)
        {
            a._v[i] = a._v[i] < b._v[i] ? a._v[i] : b._v[i];
        }
        return a;
    }

    public static LanesScalar Max(LanesScalar a, LanesScalar b)
    {
        for (int i = 0; i < 16; i++)
        {
            a._v[i] = a._v[i] > b._v[i] ? a._v[i] : b._v[i];
        }
        return a;
    }

    public static LanesScalar Abs(LanesScalar a)
    {
        for (int i = 0; i < 16; i++)
        {
            a._v[i] = MathF.Abs(a._v[i]);
        }
        return a;
    }

    public static LanesScalar Sqrt(LanesScalar a)
    {
        for (int i = 0; i < 16; i++)
        {
            a._v[i] = MathF.Sqrt(a._v[i]);
        }
        return a;
    }

    public static LanesScalar Round(LanesScalar a)
    {
        for (int i = 0; i < 16; i++)
        {
            a._v[i] = MathF.Round(a._v[i], MidpointRounding.ToEven);
        }
        return a;
    }

    public static LanesScalar Scale(LanesScalar a, LanesScalar n)
    {
        for (int i = 0; i < 16; i++)
        {
            a._v[i] = BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(a._v[i]) + ((int)n._v[i] << 23));
        }
        return a;
    }

    public static LanesScalar Exponent(LanesScalar a)
    {
        for (int i = 0; i < 16; i++)
        {
            a._v[i] = (BitConverter.SingleToInt32Bits(a._v[i]) >>> 23) - 127;
        }
        return a;
    }

    public static LanesScalar Mantissa(LanesScalar a)
    {
        for (int i = 0; i < 16; i++)
        {
            a._v[i] = BitConverter.Int32BitsToSingle((BitConverter.SingleToInt32Bits(a._v[i]) & 0x007FFFFF) | 0x3F800000);
        }
        return a;
    }

    public static LanesScalar SelectGreater(LanesScalar a, LanesScalar b, LanesScalar x, LanesScalar y)
    {
        for (int i = 0; i < 16; i++)
        {
            x._v[i] = a._v[i] > b._v[i] ? x._v[i] : y._v[i];
        }
        return x;
    }

    public static float Sum(LanesScalar a)
    {
        for (int half = 8; half > 0; half >>= 1)
        {
            for (int i = 0; i < half; i++)
            {
                a._v[i] += a._v[i + half];
            }
        }
        return a._v[0];
    }

    [InlineArray(16)]
    private struct Sixteen
    {
        private float _element;
    }
}
