using System.Runtime.Intrinsics;

namespace NativeEngine.Devices.Cpu;

internal sealed unsafe partial class CpuKernels<L>
{
    public void WeightedSum(Tensor<float> x, Tensor<double> weights, Tensor<float> y)
    {
        Require.That(x.Rows == weights.Length && x.Rows * y.Length == x.Length,
            $"weighted sum: x {x.Shape}, weights {weights.Shape}, y {y.Shape}; x must be [weights, y]");
        _team.For(new WeightedSumJob(x.Pointer, weights.Pointer, weights.Length, y.Pointer, y.Length), y.Length, ElementGrain);
    }

    /// <summary>All K inputs of sixteen elements before the next sixteen: the sums stay in registers, every input is read once.</summary>
    private readonly struct WeightedSumJob(float* x, double* weights, long vectors, float* y, long count) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            long i = first;
            for (; i + 16 <= last; i += 16)
            {
                Sixteen(i);
            }
            for (; i < last; i++)
            {
                double sum = 0;
                for (long k = 0; k < vectors; k++)
                {
                    sum += weights[k] * x[(k * count) + i];
                }
                y[i] = (float)sum;
            }
        }

        private void Sixteen(long i)
        {
            Vector256<double> a = default, b = default, c = default, d = default;
            for (long k = 0; k < vectors; k++)
            {
                float* from = x + (k * count) + i;
                Vector256<double> w = Vector256.Create(weights[k]);
                Vector256<float> low = Vector256.Load(from), high = Vector256.Load(from + 8);
                a += w * Vector256.WidenLower(low);
                b += w * Vector256.WidenUpper(low);
                c += w * Vector256.WidenLower(high);
                d += w * Vector256.WidenUpper(high);
            }
            Vector256.Narrow(a, b).Store(y + i);
            Vector256.Narrow(c, d).Store(y + i + 8);
        }
    }
}
