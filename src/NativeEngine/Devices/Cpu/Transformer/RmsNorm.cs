namespace NativeEngine.Devices.Cpu;

internal sealed unsafe partial class CpuKernels<L>
{
    public void RmsNorm(Tensor<float> x, Tensor<float> weight, float epsilon, Tensor<float> y, Tensor<float> inverseRms)
    {
        long columns = x.RowLength;
        Require.That(y.Rows == x.Rows && y.RowLength == columns && weight.Length == columns && inverseRms.Length == x.Rows,
            $"rms norm: x {x.Shape}, weight {weight.Shape}, y {y.Shape}, inverse rms {inverseRms.Shape}");
        _team.For(new RmsNormJob(x.Pointer, weight.Pointer, epsilon, y.Pointer, inverseRms.Pointer, columns), x.Rows, RowGrain(columns));
    }

    public void RmsNormBackward(
        Tensor<float> dy, Tensor<float> x, Tensor<float> weight, Tensor<float> inverseRms, Tensor<float> dx, Tensor<float> dweight)
    {
        long rows = x.Rows, columns = x.RowLength;
        Require.That(dy.Rows == rows && dy.RowLength == columns && weight.Length == columns && inverseRms.Length == rows,
            $"rms norm backward: dy {dy.Shape}, x {x.Shape}, weight {weight.Shape}, inverse rms {inverseRms.Shape}");
        if (!dx.IsNone)
        {
            Require.That(dx.Rows == rows && dx.RowLength == columns, $"rms norm backward: dx {dx.Shape} must be like x {x.Shape}");
            _team.For(new RmsNormInputJob(dy.Pointer, x.Pointer, weight.Pointer, inverseRms.Pointer, dx.Pointer, columns), rows, RowGrain(columns));
        }
        if (!dweight.IsNone)
        {
            Require.That(dweight.Length == columns, $"rms norm backward: dweight {dweight.Shape} must be like weight {weight.Shape}");
            var job = new RmsNormWeightJob(dy.Pointer, x.Pointer, inverseRms.Pointer, dweight.Pointer, rows, columns);
            _team.For(job, columns, ColumnGrain(rows, columns));
        }
    }

    private readonly struct RmsNormJob(float* x, float* weight, float epsilon, float* y, float* inverseRms, long columns) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            for (long r = first; r < last; r++)
            {
                float* row = x + (r * columns);
                float s = 1f / MathF.Sqrt((LaneMath<L>.Dot(row, row, columns) / columns) + epsilon);
                inverseRms[r] = s;
                Normalize(row, weight, s, y + (r * columns), columns);
            }
        }

        private static void Normalize(float* x, float* weight, float s, float* y, long columns)
        {
            L scale = L.Create(s);
            long j = 0;
            for (; j + 16 <= columns; j += 16)
            {
                L.Store(L.Load(x + j) * scale * L.Load(weight + j), y + j);
            }
            for (; j < columns; j++)
            {
                y[j] = x[j] * s * weight[j];
            }
        }
    }

    private readonly struct RmsNormInputJob(float* dy, float* x, float* weight, float* inverseRms, float* dx, long columns) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            for (long r = first; r < last; r++)
            {
                Row(dy + (r * columns), x + (r * columns), weight, inverseRms[r], dx + (r * columns), columns);
            }
        }

        private static void Row(float* dy, float* x, float* weight, float s, float* dx, long columns)
        {
            L even = L.Zero, odd = L.Zero;
            long j = 0;
            for (; j + 32 <= columns; j += 32)
            {
                even = L.Fma(L.Load(dy + j) * L.Load(weight + j), L.Load(x + j), even);
                odd = L.Fma(L.Load(dy + j + 16) * L.Load(weight + j + 16), L.Load(x + j + 16), odd);
            }
            float sum = L.Sum(even + odd);
            for (; j < columns; j++)
            {
                sum = MathF.FusedMultiplyAdd(dy[j] * weight[j], x[j], sum);
            }
            float pull = -(s * s * (sum / columns));
            L along = L.Create(pull), scale = L.Create(s);
            j = 0;
            for (; j + 16 <= columns; j += 16)
            {
                L g = L.Load(dy + j) * L.Load(weight + j);
                L.Store(L.Fma(scale, L.Fma(along, L.Load(x + j), g), L.Load(dx + j)), dx + j);
            }
            for (; j < columns; j++)
            {
                dx[j] = MathF.FusedMultiplyAdd(s, MathF.FusedMultiplyAdd(pull, x[j], dy[j] * weight[j]), dx[j]);
            }
        }
    }

    /// <summary>A band of columns of all rows; the sums stay in the first-level cache.</summary>
    private readonly struct RmsNormWeightJob(float* dy, float* x, float* inverseRms, float* dweight, long rows, long columns) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            for (long r = 0; r < rows; r++)
            {
                long at = (r * columns) + first;
                Add(dy + at, x + at, inverseRms[r], dweight + first, last - first);
            }
        }

        private static void Add(float* dy, float* x, float s, float* dweight, long count)
        {
            L scale = L.Create(s);
            long j = 0;
            for (; j + 16 <= count; j += 16)
            {
                L.Store(L.Fma(L.Load(dy + j), L.Load(x + j) * scale, L.Load(dweight + j)), dweight + j);
            }
            for (; j < count; j++)
            {
                dweight[j] = MathF.FusedMultiplyAdd(dy[j], x[j] * s, dweight[j]);
            }
        }
    }
}
