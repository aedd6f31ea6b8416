using System.Runtime.Intrinsics;

namespace NativeEngine.Devices.Cpu;

internal sealed unsafe partial class CpuKernels<L>
{
    /// <summary>Elements of S a thread takes at a time when all gains are computed.</summary>
    private const long GainGrain = 1 << 16;

    private readonly GainQueue _queue = new();

    /// <summary>Of every row the similarity to its nearest pick, at least 0 and as it is.</summary>
    private readonly Scratch _nearest = new(1);

    /// <summary>Of every row what its gain still consists of.</summary>
    private readonly Scratch _terms = new(1);

    /// <summary>Bytes that the greedy on n rows takes beside its tensors: similarities of the nearest, the queue, and the terms of gains.</summary>
    public static long FacilityLocationScratch(long n) => n * ((2 * sizeof(float)) + 16 + GainTerms.RowBytes);

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
        var terms = new GainTerms(similarity.Pointer, n, best, _terms.Get(0, n * GainTerms.RowBytes / sizeof(float)));
        terms.Clear();
        long grain = Math.Max(1, GainGrain / n);
        _team.For(new GainsJob(terms, remaining.Pointer, listed: false), n, grain);
        _queue.Reset(new ReadOnlySpan<double>(remaining.Pointer, (int)n));
        bool near = false;
        for (int t = 0; t < k; t++)
        {
            // Marginal gains only shrink (submodularity), so an old gain bounds the new one: only the top of the queue needs computing again.
            while (!_queue.TopIsFresh(t))
            {
                _queue.RefreshTop(terms.Gain(_queue.Top, _queue.Next), t);
            }
            (int pick, double gain) = _queue.Pop();
            picks.Pointer[t] = pick;
            gains.Pointer[t] = t == 0 ? gain : Math.Min(gain, gains.Pointer[t - 1]);
            if (!near || !terms.Represent(pick, t, nearest, owners.Pointer))
            {
                Represent(similarity.Pointer + (pick * n), n, t, best, nearest, owners.Pointer);
                near = near || !new ReadOnlySpan<float>(nearest, (int)n).ContainsAnyInRange(float.NegativeInfinity, -float.Epsilon);
            }
        }
        _team.For(new GainsJob(terms, remaining.Pointer, listed: true), n, grain);
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

    /// <summary>The gains of all rows: from S, or from what is known of each.</summary>
    private readonly struct GainsJob(GainTerms terms, double* gains, bool listed) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            for (long j = first; j < last; j++)
            {
                gains[j] = listed ? terms.Gain(j, j) : terms.Whole(j);
            }
        }
    }
}
