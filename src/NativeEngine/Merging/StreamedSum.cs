using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using NativeEngine.Formats;

namespace NativeEngine.Merging;

/// <summary>Elements of an input as they are stored, F32 or BF16, in memory that does not move.</summary>
internal readonly record struct StoredElements(nint Address, bool IsBFloat16);

/// <summary>
/// (sum over k of weights[k] x[k]) / divisor straight from stored elements to stored elements: some elements of all inputs before the next, so
/// that sums stay in registers. The same order and the same roundings as adding one input after the other in double, for any register width.
/// </summary>
internal static unsafe class StreamedSum
{
    /// <summary>
    /// Merges elements [first, first + n) of every input into a target of exactly n elements of a type, rounded once; <paramref name="sums"/>
    /// has room for n. Returns the place of the first that is not finite, counted from 0, or -1.
    /// </summary>
    public static int Store(
        ReadOnlySpan<StoredElements> inputs, int first, ReadOnlySpan<double> weights, double divisor, DType type, Span<byte> target, Span<double> sums)
    {
        int done = 0;
        if (type == DType.F32 && Avx512F.IsSupported && Reciprocal(divisor) is { } factor)
        {
            var floats = MemoryMarshal.Cast<byte, float>(target);
            if (!ToFloat32(inputs, first, weights, factor, floats, out done))
            {
                return OutputRounding.FirstNotFinite(floats[..done]);
            }
        }
        int size = type.Bits() / 8, count = (target.Length / size) - done;
        Compute(inputs, first + done, weights, sums[..count]);
        Divide(sums[..count], divisor);
        int bad = OutputRounding.Store(sums[..count], type, target[(done * size)..]);
        return bad < 0 ? -1 : done + bad;
    }

    /// <summary>values[i] /= divisor.</summary>
    public static void Divide(Span<double> values, double divisor)
    {
        if (divisor == 1)
        {
            return;
        }
        if (Reciprocal(divisor) is { } factor)
        {
            Multiply(values, factor);
            return;
        }
        var by = Vector256.Create(divisor);
        int i = 0;
        for (; i + 4 <= values.Length; i += 4)
        {
            (Vector256.Create(values[i..]) / by).CopyTo(values[i..]);
        }
        for (; i < values.Length; i++)
        {
            values[i] /= divisor;
        }
    }

    // A power of two's reciprocal is exact, so a product rounds as the quotient does, at a tenth of the time.
    private static double? Reciprocal(double divisor) => double.IsPow2(divisor) && double.IsNormal(1 / divisor) ? 1 / divisor : null;

    private static void Multiply(Span<double> values, double factor)
    {
        var by = Vector256.Create(factor);
        int i = 0;
        for (; i + 4 <= values.Length; i += 4)
        {
            (Vector256.Create(values[i..]) * by).CopyTo(values[i..]);
        }
        for (; i < values.Length; i++)
        {
            values[i] *= factor;
        }
    }

    /// <summary>Overwrites the output with the sums of elements [first, first + output.Length) of every input.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Compute(ReadOnlySpan<StoredElements> inputs, int first, ReadOnlySpan<double> weights, Span<double> output)
    {
        fixed (double* from = output)
        {
            double* sum = from - first;
            int i = first, end = first + output.Length;
            if (Avx512F.IsSupported)
            {
                for (; i + 32 <= end; i += 32)
                {
                    ThirtyTwo(inputs, weights, i, out var a, out var b, out var c, out var d);
                    a.Store(sum + i);
                    b.Store(sum + i + 8);
                    c.Store(sum + i + 16);
                    d.Store(sum + i + 24);
                }
            }
            for (; i + 16 <= end; i += 16)
            {
                Sixteen(inputs, weights, sum + i, i);
            }
            for (; i < end; i++)
            {
                double total = 0;
                for (int k = 0; k < inputs.Length; k++)
                {
                    total += weights[k] * (inputs[k].IsBFloat16
                        ? BitConverter.UInt32BitsToSingle((uint)((ushort*)inputs[k].Address)[i] << 16) : ((float*)inputs[k].Address)[i]);
                }
                sum[i] = total;
            }
        }
    }

    /// <summary>
    /// The sums times a factor as float32, as many whole groups of 32 as there are (<paramref name="done"/>): from registers to the result.
    /// False when one of them is not finite.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static bool ToFloat32(ReadOnlySpan<StoredElements> inputs, int first, ReadOnlySpan<double> weights, double factor, Span<float> output, out int done)
    {
        var check = Vector256<float>.Zero;
        var by = Vector512.Create(factor);
        int i = 0;
        fixed (float* to = output)
        {
            for (; i + 32 <= output.Length; i += 32)
            {
                ThirtyTwo(inputs, weights, first + i, out var a, out var b, out var c, out var d);
                var r = Avx512F.ConvertToVector256Single(a * by);
                var s = Avx512F.ConvertToVector256Single(b * by);
                var t = Avx512F.ConvertToVector256Single(c * by);
                var u = Avx512F.ConvertToVector256Single(d * by);
                // Zero for a finite element, NaN for any other; NaN stays.
                check += ((r - r) + (s - s)) + ((t - t) + (u - u));
                r.Store(to + i);
                s.Store(to + i + 8);
                t.Store(to + i + 16);
                u.Store(to + i + 24);
            }
        }
        done = i;
        return Vector256.EqualsAll(check, Vector256<float>.Zero);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void ThirtyTwo(ReadOnlySpan<StoredElements> inputs, ReadOnlySpan<double> weights, int i,
        out Vector512<double> a, out Vector512<double> b, out Vector512<double> c, out Vector512<double> d)
    {
        Vector512<double> s = default, t = default, u = default, v = default;
        for (int k = 0; k < inputs.Length; k++)
        {
            Vector256<float> first, second, third, fourth;
            if (inputs[k].IsBFloat16)
            {
                ushort* from = (ushort*)inputs[k].Address + i;
                (first, second) = (Widen(from), Widen(from + 8));
                (third, fourth) = (Widen(from + 16), Widen(from + 24));
            }
            else
            {
                float* from = (float*)inputs[k].Address + i;
                (first, second) = (Vector256.Load(from), Vector256.Load(from + 8));
                (third, fourth) = (Vector256.Load(from + 16), Vector256.Load(from + 24));
            }
            var w = Vector512.Create(weights[k]);
            s += w * Avx512F.ConvertToVector512Double(first);
            t += w * Avx512F.ConvertToVector512Double(second);
            u += w * Avx512F.ConvertToVector512Double(third);
            v += w * Avx512F.ConvertToVector512Double(fourth);
        }
        (a, b, c, d) = (s, t, u, v);

        static Vector256<float> Widen(ushort* from) => (Avx2.ConvertToVector256Int32(from) << 16).AsSingle();
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Sixteen(ReadOnlySpan<StoredElements> inputs, ReadOnlySpan<double> weights, double* sum, int i)
    {
        Vector256<double> a = default, b = default, c = default, d = default;
        for (int k = 0; k < inputs.Length; k++)
        {
            Vector256<float> low, high;
            if (inputs[k].IsBFloat16)
            {
                var (first, second) = Vector256.Widen(Vector256.Load((ushort*)inputs[k].Address + i));
                (low, high) = ((first << 16).AsSingle(), (second << 16).AsSingle());
            }
            else
            {
                float* from = (float*)inputs[k].Address + i;
                (low, high) = (Vector256.Load(from), Vector256.Load(from + 8));
            }
            var w = Vector256.Create(weights[k]);
            a += w * Vector256.WidenLower(low);
            b += w * Vector256.WidenUpper(low);
            c += w * Vector256.WidenLower(high);
            d += w * Vector256.WidenUpper(high);
        }
        a.Store(sum);
        b.Store(sum + 4);
        c.Store(sum + 8);
        d.Store(sum + 12);
    }
}
