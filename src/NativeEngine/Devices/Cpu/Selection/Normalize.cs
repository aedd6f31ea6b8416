using System.Runtime.CompilerServices;

namespace NativeEngine.Devices.Cpu;

// What happens to a feature [n,d] before rows are compared: finiteness, the optimiser's transform, and the history [d] it leaves.
internal sealed unsafe partial class CpuKernels<L>
{
    /// <summary>Columns a thread takes at a time: history and sums of one block stay in the first-level cache.</summary>
    private const long HistoryColumns = 2048;

    /// <summary>Rows a thread takes at a time, so that few columns and many rows are shared out too.</summary>
    private const long HistoryRows = 16;

    public void RowsFinite(Tensor<float> x, Tensor<int> finite)
    {
        Require.That(finite.Length == x.Rows, $"rows finite: x is {x.Shape}, finite has {finite.Length} elements");
        _team.For(new RowsFiniteJob(x.Pointer, x.RowLength, finite.Pointer), x.Rows, Math.Max(1, ElementGrain / Math.Max(1, x.RowLength)));
    }

    public void AdamNormalize(
        Tensor<float> features, Tensor<float> m, Tensor<float> v, double beta1, double beta2, double epsilon, long step, Tensor<float> normalized)
    {
        Require.That(step >= 0, $"adam normalize: step is {step}, the number of steps already done");
        var factors = new AdamTransformFactors(beta1, beta2, step);
        Transform(
            "adam normalize", features, m, v, normalized,
            new AdamTransform(factors.Decay1, factors.Weight1, factors.Decay2, factors.Weight2, (float)epsilon));
    }

    public void MomentumNormalize(Tensor<float> features, Tensor<float> velocity, double mu, Tensor<float> normalized) =>
        Transform("momentum normalize", features, velocity, default, normalized, new MomentumTransform((float)mu));

    public void LionNormalize(Tensor<float> features, Tensor<float> m, double beta1, Tensor<float> normalized) =>
        Transform("lion normalize", features, m, default, normalized, new LionTransform((float)beta1, (float)(1 - beta1)));

    public void UpdateMoment(Tensor<float> features, Tensor<int> rows, bool squared, double decay, double weight, Tensor<float> moment)
    {
        long d = features.RowLength;
        Require.That(rows.Length > 0 && moment.Length == d, $"update moment: features {features.Shape}, {rows.Length} rows, moment {moment.Shape}");
        var job = new RowMeanJob<MomentFinish>(
            _scratch, features.Pointer, d, rows.Pointer, rows.Length, squared, new MomentFinish((float)decay, (float)weight), moment.Pointer);
        _team.For(job, d, HistoryColumns);
    }

    public void ColumnImportance(Tensor<float> u, Tensor<int> rows, Tensor<float> importance)
    {
        long d = u.RowLength;
        Require.That(rows.Length > 0 && importance.Length == d, $"column importance: u {u.Shape}, {rows.Length} rows, importance {importance.Shape}");
        var job = new RowMeanJob<MagnitudeFinish>(_scratch, u.Pointer, d, rows.Pointer, rows.Length, false, default, importance.Pointer);
        _team.For(job, d, HistoryColumns);
    }

    private void Transform<TTransform>(
        string operation, Tensor<float> features, Tensor<float> m, Tensor<float> v, Tensor<float> normalized, TTransform transform)
        where TTransform : struct, ITransform
    {
        long n = features.Rows, d = features.RowLength;
        Require.That(
            (m.IsNone || m.Length == d) && (v.IsNone || v.Length == d) && normalized.Rows == n && normalized.RowLength == d,
            $"{operation}: features {features.Shape}, history {m} and {v} of {d} elements, result {normalized.Shape}");
        var job = new TransformJob<TTransform>(features.Pointer, n, d, m.Pointer, v.Pointer, transform, normalized.Pointer);
        _team.For(job, job.Blocks, 1);
    }

    /// <summary>One element of the update an optimiser would make from feature f and history m, v.</summary>
    private interface ITransform
    {
        L Apply(L f, L m, L v);
    }

    /// <summary>How the mean over rows becomes the new value of a column.</summary>
    private interface IFinish
    {
        L Apply(L mean, L previous);
    }

    private readonly struct AdamTransform(float decay1, float weight1, float decay2, float weight2, float epsilon) : ITransform
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public L Apply(L f, L m, L v) =>
            L.Fma(L.Create(decay1), m, L.Create(weight1) * f)
            / (L.Sqrt(L.Fma(L.Create(decay2), v, L.Create(weight2) * (f * f))) + L.Create(epsilon));
    }

    private readonly struct MomentumTransform(float mu) : ITransform
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public L Apply(L f, L m, L v) => L.Fma(L.Create(mu), m, f);
    }

    private readonly struct LionTransform(float decay, float weight) : ITransform
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public L Apply(L f, L m, L v)
        {
            L update = L.Fma(L.Create(decay), m, L.Create(weight) * f);
            return L.SelectGreater(update, L.Zero, L.Create(1f), L.SelectGreater(L.Zero, update, L.Create(-1f), L.Zero));
        }
    }

    private readonly struct MomentFinish(float decay, float weight) : IFinish
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public L Apply(L mean, L previous) => L.Fma(L.Create(decay), previous, L.Create(weight) * mean);
    }

    private readonly struct MagnitudeFinish : IFinish
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public L Apply(L mean, L previous) => L.Abs(mean);
    }

    /// <summary>Blocks of columns by rows; block index = column block * row blocks + row block.</summary>
    private readonly struct TransformJob<TTransform>(
        float* features, long n, long d, float* m, float* v, TTransform transform, float* normalized) : IRangeJob
        where TTransform : struct, ITransform
    {
        private long RowGroups => (n + HistoryRows - 1) / HistoryRows;

        public long Blocks => (d + HistoryColumns - 1) / HistoryColumns * RowGroups;

        public void Run(long first, long last, int worker)
        {
            for (long block = first; block < last; block++)
            {
                long begin = block / RowGroups * HistoryColumns, columns = Math.Min(HistoryColumns, d - begin);
                long row = block % RowGroups * HistoryRows, lastRow = Math.Min(n, row + HistoryRows);
                for (; row < lastRow; row++)
                {
                    Row(features + (row * d) + begin, m == null ? null : m + begin, v == null ? null : v + begin, normalized + (row * d) + begin, columns);
                }
            }
        }

        private void Row(float* f, float* m, float* v, float* u, long count)
        {
            long i = 0;
            for (; i + ILanes<L>.Count <= count; i += ILanes<L>.Count)
            {
                L.Store(transform.Apply(L.Load(f + i), m == null ? L.Zero : L.Load(m + i), v == null ? L.Zero : L.Load(v + i)), u + i);
            }
            long rest = count - i;
            if (rest > 0)
            {
                L value = transform.Apply(
                    LaneMath<L>.LoadPartial(f + i, rest), m == null ? L.Zero : LaneMath<L>.LoadPartial(m + i, rest),
                    v == null ? L.Zero : LaneMath<L>.LoadPartial(v + i, rest));
                LaneMath<L>.StorePartial(value, u + i, rest);
            }
        }
    }

    /// <summary>Columns first .. last - 1: sum of the listed rows in order, mean, finish. Rows are read whole, the sums stay in scratch.</summary>
    private readonly struct RowMeanJob<TFinish>(
        Scratch scratch, float* x, long d, int* rows, long count, bool squared, TFinish finish, float* result) : IRangeJob
        where TFinish : struct, IFinish
    {
        public void Run(long first, long last, int worker)
        {
            long width = last - first, lanes = ILanes<L>.Count;
            float* sums = scratch.Get(worker, width + lanes);
            new Span<float>(sums, (int)(width + lanes)).Clear();
            for (long r = 0; r < count; r++)
            {
                float* row = x + (rows[r] * d) + first;
                long c = 0;
                for (; c + lanes <= width; c += lanes)
                {
                    Add(L.Load(row + c), sums + c);
                }
                if (c < width)
                {
                    Add(LaneMath<L>.LoadPartial(row + c, width - c), sums + c);
                }
            }
            L divisor = L.Create(count);
            float* target = result + first;
            long i = 0;
            for (; i + lanes <= width; i += lanes)
            {
                L.Store(finish.Apply(L.Load(sums + i) / divisor, L.Load(target + i)), target + i);
            }
            if (i < width)
            {
                LaneMath<L>.StorePartial(finish.Apply(L.Load(sums + i) / divisor, LaneMath<L>.LoadPartial(target + i, width - i)), target + i, width - i);
            }
        }

        private void Add(L value, float* sum) => L.Store(squared ? L.Fma(value, value, L.Load(sum)) : L.Load(sum) + value, sum);
    }

    private readonly struct RowsFiniteJob(float* x, long d, int* finite) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            long lanes = ILanes<L>.Count;
            for (long r = first; r < last; r++)
            {
                // 0 * x is 0 for a finite x and NaN otherwise, and NaN stays.
                float* row = x + (r * d);
                L poison = L.Zero;
                long c = 0;
                for (; c + lanes <= d; c += lanes)
                {
                    poison = L.Fma(L.Load(row + c), L.Zero, poison);
                }
                if (c < d)
                {
                    poison = L.Fma(LaneMath<L>.LoadPartial(row + c, d - c), L.Zero, poison);
                }
                finite[r] = L.Sum(poison) == 0 ? 1 : 0;
            }
        }
    }
}
