using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using NativeEngine.Formats;

namespace NativeEngine.Merging;

/// <summary>Merged values to stored elements: one rounding from double, to nearest, ties to even.</summary>
internal static class OutputRounding
{
    /// <summary>
    /// Rounds and stores; the target has the bytes of exactly that many elements. Returns the index of the first element that is not finite
    /// in the stored type (NaN, infinity, or too large for it), or -1.
    /// </summary>
    public static int Store(ReadOnlySpan<double> values, DType type, Span<byte> target) => type switch
    {
        DType.F32 => Store32(values, MemoryMarshal.Cast<byte, float>(target)),
        DType.BF16 => Store16(values, MemoryMarshal.Cast<byte, ushort>(target), ToBFloat16, 0x7F80),
        DType.F16 => Store16(values, MemoryMarshal.Cast<byte, ushort>(target), static v => BitConverter.HalfToUInt16Bits((Half)v), 0x7C00),
        DType.F64 => Store64(values, MemoryMarshal.Cast<byte, double>(target)),
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "a merge is stored as F32, BF16, F16 or F64"),
    };

    /// <summary>
    /// bfloat16 nearest to a double: first to float with the sticky lowest bit set when anything was cut off, so that the second rounding
    /// sees on which side of a tie the value lies.
    /// </summary>
    internal static ushort ToBFloat16(double value)
    {
        float near = (float)value;
        uint bits = BitConverter.SingleToUInt32Bits(near);
        if (near != value && float.IsFinite(near))
        {
            bits = (bits - (Math.Abs((double)near) > Math.Abs(value) ? 1u : 0u)) | 1u;
        }
        return HalfPrecision.ToBFloat16(BitConverter.UInt32BitsToSingle(bits));
    }

    private static int Store32(ReadOnlySpan<double> values, Span<float> target)
    {
        var check = Vector256<float>.Zero;
        int i = 0;
        for (; i + 8 <= values.Length; i += 8)
        {
            var eight = Vector256.Narrow(Vector256.Create(values[i..]), Vector256.Create(values[(i + 4)..]));
            // Zero for a finite element, NaN for any other; NaN stays.
            check += eight - eight;
            eight.CopyTo(target[i..]);
        }
        bool finite = Vector256.EqualsAll(check, Vector256<float>.Zero);
        for (; i < values.Length; i++)
        {
            target[i] = (float)values[i];
            finite &= float.IsFinite(target[i]);
        }
        return finite ? -1 : FirstNot(target, float.IsFinite);
    }

    private static int Store16(ReadOnlySpan<double> values, Span<ushort> target, Func<double, ushort> round, ushort infinity)
    {
        int first = -1;
        for (int i = values.Length - 1; i >= 0; i--)
        {
            target[i] = round(values[i]);
            first = (target[i] & infinity) == infinity ? i : first;
        }
        return first;
    }

    private static int Store64(ReadOnlySpan<double> values, Span<double> target)
    {
        values.CopyTo(target);
        return FirstNot(target, double.IsFinite);
    }

    private static int FirstNot<T>(ReadOnlySpan<T> values, Func<T, bool> test)
    {
        for (int i = 0; i < values.Length; i++)
        {
            if (!test(values[i]))
            {
                return i;
            }
        }
        return -1;
    }
}
