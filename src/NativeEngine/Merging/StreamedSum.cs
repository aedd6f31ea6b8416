using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace NativeEngine.Merging;

/// <summary>Elements of an input as they are stored, F32 or BF16, in memory that does not move.</summary>
internal readonly record struct StoredElements(nint Address, bool IsBFloat16);

/// <summary>
/// sum over k of weights[k] x[k] straight from stored elements: sixteen elements of all inputs before the next sixteen, so that sums stay in
/// registers. The same order and the same roundings as adding one input after the other in double.
/// </summary>
internal static unsafe class StreamedSum
{
    /// <summary>Overwrites the output with the sums of elements [first, first + output.Length) of every input.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Compute(ReadOnlySpan<StoredElements> inputs, int first, ReadOnlySpan<double> weights, Span<double> output)
    {
        fixed (double* from = output)
        {
            double* sum = from - first;
            int i = first, end = first + output.Length;
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

    /// <summary>values[i] /= divisor.</summary>
    public static void Divide(Span<double> values, double divisor)
    {
        if (divisor == 1)
        {
            return;
        }
        // A power of two's reciprocal is exact, so a product rounds as the quotient does, at a tenth of the time.
        if (double.IsPow2(divisor) && double.IsNormal(1 / divisor))
        {
            Multiply(values, 1 / divisor);
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
