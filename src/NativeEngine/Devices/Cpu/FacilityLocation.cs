using System.Runtime.Intrinsics;

namespace NativeEngine.Devices.Cpu;

internal sealed unsafe partial class CpuKernels<L>
{
    /// <summary>Elements of S a thread takes at a time when all gains are computed.</summary>
    private const long GainGrain = 1 << 16;

    private readonly GainQueue _queue = new();

    /// <summary>Of every row the similarity to its nearest pick, at least 0 and as it is.</summary>
    private readonly Scratch _nearest = new(1);

    public void FacilityLocation(
        Tensor<float> similarity, Tensor<int> picks, Tensor<double> gains, Tensor<int> owners, Tensor<double> remaining)
    {
        long n = similarity.Rows, k = picks.Length;
        Require.That(
            similarity.RowLength == n && k <= n && gains.Length == k && owners.Length == n && remaining.Length == n && n <= int.MaxValue,
            $"facility location: S {similarity.Shape}, {k} picks, {gains.Length} gains, {owners.Length} owners, {remaining.Length} remaining gains");
        if (n == 0)
        {
            return;
        }
        float* best = _nearest.Get(0, 2 * n), nearest = best + n;
        new Span<float>(best, (int)n).Clear();
        new Span<float>(nearest, (int)n).Fill(float.NegativeInfinity);
        new Span<int>(owners.Pointer, (int)n).Fill(-1);
        var job = new GainsJob(similarity.Pointer, n, best, remaining.Pointer);
        long grain = Math.Max(1, GainGrain / n);
        _team.For(job, n, grain);
        _queue.Reset(new ReadOnlySpan<double>(remaining.Pointer, (int)n));
        for (int t = 0; t < k; t++)
        {
            // Marginal gains only shrink (submodularity), so an old gain bounds the new one: only the top of the queue needs computing again.
            while (!_queue.TopIsFresh(t))
            {
                _queue.RefreshTop(job.Gain(_queue.Top), t);
            }
            (int pick, double gain) = _queue.Pop();
            picks.Pointer[t] = pick;
            gains.Pointer[t] = t == 0 ? gain : Math.Min(gain, gains.Pointer[t - 1]);
            Represent(similarity.Pointer + (pick * n), n, t, best, nearest, owners.Pointer);
        }
        _team.For(job, n, grain);
        for (int t = 0; t < k; t++)
        {
            owners.Pointer[picks.Pointer[t]] = t;
            remaining.Pointer[picks.Pointer[t]] = 0;
        }
    }

    /// <summary>Rows for which the new pick is nearer than every earlier one.</summary>
    private static void Represent(float* row, long n, int pick, float* best, float* nearest, int* owners)
    {
        long i = 0;
        for (; i + 8 <= n; i += 8)
        {
            var value = Vector256.Load(row + i);
            if (Vector256.GreaterThanAny(value, Vector256.Load(nearest + i)))
            {
                Scalar(i, i + 8);
            }
        }
        Scalar(i, n);

        void Scalar(long first, long last)
        {
            for (long r = first; r < last; r++)
            {
                if (row[r] > nearest[r])
                {
                    nearest[r] = row[r];
                    best[r] = Math.Max(0, row[r]);
                    owners[r] = pick;
                }
            }
        }
    }

    /// <summary>gains[j] = sum over i of max(S[j,i] - best[i], 0) in double. S is symmetric, so its rows serve as columns.</summary>
    private readonly struct GainsJob(float* similarity, long n, float* best, double* gains) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            for (long j = first; j < last; j++)
            {
                gains[j] = Gain(j);
            }
        }

        public double Gain(long j)
        {
            float* row = similarity + (j * n);
            Vector256<double> a = default, b = default, c = default, d = default;
            long i = 0;
            for (; i + 16 <= n; i += 16)
            {
                var (s0, s1) = Vector256.Widen(Vector256.Load(row + i));
                var (s2, s3) = Vector256.Widen(Vector256.Load(row + i + 8));
                var (t0, t1) = Vector256.Widen(Vector256.Load(best + i));
                var (t2, t3) = Vector256.Widen(Vector256.Load(best + i + 8));
                a += Vector256.MaxNative(s0 - t0, default);
                b += Vector256.MaxNative(s1 - t1, default);
                c += Vector256.MaxNative(s2 - t2, default);
                d += Vector256.MaxNative(s3 - t3, default);
            }
            double sum = Vector256.Sum(a + b + (c + d));
            for (; i < n; i++)
            {
                sum += Math.Max((double)row[i] - best[i], 0);
            }
            return sum;
        }
    }
}
