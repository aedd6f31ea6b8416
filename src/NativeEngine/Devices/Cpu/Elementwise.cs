using System.Runtime.Intrinsics;

namespace NativeEngine.Devices.Cpu;

internal sealed unsafe partial class CpuKernels<L>
{
    /// <summary>Elements whose squares are added in one double.</summary>
    private const long SquaresBlock = 4096;

    public void Fill(float value, Tensor<float> x) => _team.For(new FillJob(value, x.Pointer), x.Length, ElementGrain);

    public void Copy(Tensor<float> x, Tensor<float> y)
    {
        Require.That(x.Length == y.Length, $"copy: x {x.Shape} and y {y.Shape} differ in length");
        _team.For(new CopyJob(x.Pointer, y.Pointer), x.Length, ElementGrain);
    }

    public void Axpy(float alpha, Tensor<float> x, Tensor<float> y)
    {
        Require.That(x.Length == y.Length, $"axpy: x {x.Shape} and y {y.Shape} differ in length");
        _team.For(new AxpyJob(alpha, x.Pointer, y.Pointer), x.Length, ElementGrain);
    }

    public void Scale(float alpha, Tensor<float> x) => _team.For(new ScaleJob(alpha, x.Pointer), x.Length, ElementGrain);

    public void SumOfSquares(Tensor<float> x, Tensor<float> result)
    {
        Require.That(result.Length == 1, $"sum of squares: the result is {result.Shape}; it must have one element");
        long blocks = (x.Length + SquaresBlock - 1) / SquaresBlock;
        double* sums = (double*)_scratch.Get(0, 2 * blocks);
        _team.For(new SquaresJob(x.Pointer, x.Length, sums), blocks, ElementGrain / SquaresBlock);
        double total = 0;
        for (long b = 0; b < blocks; b++)
        {
            total += sums[b];
        }
        *result.Pointer = (float)total;
    }

    private readonly struct FillJob(float value, float* x) : IRangeJob
    {
        public void Run(long first, long last, int worker) => new Span<float>(x + first, (int)(last - first)).Fill(value);
    }

    private readonly struct CopyJob(float* x, float* y) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            long bytes = (last - first) * sizeof(float);
            Buffer.MemoryCopy(x + first, y + first, bytes, bytes);
        }
    }

    private readonly struct AxpyJob(float alpha, float* x, float* y) : IRangeJob
    {
        public void Run(long first, long last, int worker) => Run(alpha, x + first, y + first, last - first);

        private static void Run(float alpha, float* x, float* y, long count)
        {
            L a = L.Create(alpha);
            long i = 0;
            for (; i + 16 <= count; i += 16)
            {
                L.Store(L.Fma(a, L.Load(x + i), L.Load(y + i)), y + i);
            }
            for (; i < count; i++)
            {
                y[i] = MathF.FusedMultiplyAdd(alpha, x[i], y[i]);
            }
        }
    }

    private readonly struct ScaleJob(float alpha, float* x) : IRangeJob
    {
        public void Run(long first, long last, int worker) => Run(alpha, x + first, last - first);

        private static void Run(float alpha, float* x, long count)
        {
            L a = L.Create(alpha);
            long i = 0;
            for (; i + 16 <= count; i += 16)
            {
                L.Store(L.Load(x + i) * a, x + i);
            }
            for (; i < count; i++)
            {
                x[i] *= alpha;
            }
        }
    }

    /// <summary>Sums of blocks. The square of a float is exact in double, so fused or not gives the same bits.</summary>
    private readonly struct SquaresJob(float* x, long count, double* sums) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            for (long b = first; b < last; b++)
            {
                sums[b] = Block(x + (b * SquaresBlock), Math.Min(SquaresBlock, count - (b * SquaresBlock)));
            }
        }

        private static double Block(float* x, long count)
        {
            Vector256<double> a = default, b = default, c = default, d = default;
            long i = 0;
            for (; i + 16 <= count; i += 16)
            {
                Vector256<float> low = Vector256.Load(x + i), high = Vector256.Load(x + i + 8);
                Vector256<double> e = Vector256.WidenLower(low), f = Vector256.WidenUpper(low);
                Vector256<double> g = Vector256.WidenLower(high), h = Vector256.WidenUpper(high);
                a += e * e;
                b += f * f;
                c += g * g;
                d += h * h;
            }
            Vector256<double> four = (a + c) + (b + d);
            double rest = 0;
            for (; i < count; i++)
            {
                rest += (double)x[i] * x[i];
            }
            return (four[0] + four[2]) + (four[1] + four[3]) + rest;
        }
    }
}
