using System.Numerics;
using System.Runtime.InteropServices;

namespace NativeEngine.Formats;

/// <summary>Looks for values that are not finite.</summary>
internal static class FiniteCheck
{
    private const int Exponent = 0x7F800000;

    /// <summary>The first element that is NaN or infinite, or -1. Cost: one pass, as fast as memory.</summary>
    public static int FirstNotFinite(ReadOnlySpan<float> values)
    {
        var bits = MemoryMarshal.Cast<float, int>(values);
        int i = 0;
        var exponent = new Vector<int>(Exponent);
        for (; i <= bits.Length - Vector<int>.Count && !Vector.EqualsAny(new Vector<int>(bits[i..]) & exponent, exponent); i += Vector<int>.Count)
        {
        }
        for (; i < bits.Length; i++)
        {
            if ((bits[i] & Exponent) == Exponent)
            {
                return i;
            }
        }
        return -1;
    }
}
