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
        DType.BF16 => StoreBFloat16(values, MemoryMarshal.Cast<byte, ushort>(target)),
        DType.F16 => StoreHalf(values, MemoryMarshal.Cast<byte, ushort>(target)),
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
        return finite ? -1 : FirstNotFinite(target);
    }

    /// <summary>The index of the first element that is not finite, or -1.</summary>
    public static int FirstNotFinite(ReadOnlySpan<float> values) => FirstNot(values, float.IsFinite);

    private static int StoreBFloat16(ReadOnlySpan<double> values, Span<ushort> target)
    {
        const int Part = 512;
        Span<float> floats = stackalloc float[Part];
        var ends = Vector256.Create((ushort)0x7F80);
        var bad = Vector256<ushort>.Zero;
        int done = 0;
        for (; done + 16 <= values.Length;)
        {
            int count = Math.Min(Part, (values.Length - done) / 16 * 16);
            ToOdd(values.Slice(done, count), floats);
            HalfPrecision.NarrowToBFloat16(floats[..count], target.Slice(done, count));
            for (int last = done + count; done < last; done += 16)
            {
                bad |= Vector256.Equals(Vector256.Create(target[done..]) & ends, ends);
            }
        }
        bool finite = bad == Vector256<ushort>.Zero;
        for (; done < values.Length; done++)
        {
            target[done] = ToBFloat16(values[done]);
            finite &= IsFinite(target[done]);
        }
        return finite ? -1 : FirstNot<ushort>(target, IsFinite);

        static bool IsFinite(ushort bits) => (bits & 0x7F80) != 0x7F80;
    }

    /// <summary>Doubles to floats, toward zero with the lowest bit set when anything was cut off; lengths are multiples of 8.</summary>
    private static void ToOdd(ReadOnlySpan<double> values, Span<float> target)
    {
        for (int i = 0; i < values.Length; i += 8)
        {
            Vector256<double> low = Vector256.Create(values[i..]), high = Vector256.Create(values[(i + 4)..]);
            var near = Vector256.Narrow(low, high);
            Vector256<double> nearLow = Vector256.WidenLower(near), nearHigh = Vector256.WidenUpper(near);
            var equal = Vector256.Narrow(Vector256.Equals(low, nearLow).AsInt64(), Vector256.Equals(high, nearHigh).AsInt64());
            // All ones is minus one: the next float toward zero.
            var above = Vector256.Narrow(
                Vector256.GreaterThan(Vector256.Abs(nearLow), Vector256.Abs(low)).AsInt64(), Vector256.GreaterThan(Vector256.Abs(nearHigh), Vector256.Abs(high)).AsInt64());
            ((near.AsInt32() + above) | Vector256.AndNot(Vector256<int>.One, equal)).AsSingle().CopyTo(target[i..]);
        }
    }

    private static int StoreHalf(ReadOnlySpan<double> values, Span<ushort> target)
    {
        int first = -1;
        for (int i = values.Length - 1; i >= 0; i--)
        {
            var half = (Half)values[i];
            target[i] = BitConverter.HalfToUInt16Bits(half);
            first = Half.IsFinite(half) ? first : i;
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
