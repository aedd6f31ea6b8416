using System.Runtime.Intrinsics;

namespace NativeEngine.Merging;

/// <summary>The stored elements of an input where they lie in a mapped file, F32 or BF16.</summary>
internal readonly unsafe record struct MappedElements(nint Address, bool IsBFloat16);

/// <summary>
/// sum over k of weights[k] x[k] straight from mapped files: sixteen elements of all inputs before the next sixteen, so that sums stay in
/// registers. The same order and the same roundings as adding one input after the other in double.
/// </summary>
internal static unsafe class StreamedSum
{
    /// <summary>Overwrites the output; every input has as many elements.</summary>
    public static void Compute(ReadOnlySpan<MappedElements> inputs, ReadOnlySpan<double> weights, Span<double> output)
    {
        fixed (double* sum = output)
        {
            int i = 0;
            for (; i + 16 <= output.Length; i += 16)
            {
                Sixteen(inputs, weights, sum + i, i);
            }
            for (; i < output.Length; i++)
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

    private static void Sixteen(ReadOnlySpan<MappedElements> inputs, ReadOnlySpan<double> weights, double* sum, int i)
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
