using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;

namespace NativeEngine.Selection;

/// <summary>A greedy run over rows that each stand for several examples.</summary>
/// <param name="Run">Picks, gains, owners, objective and bound of the weighted objective.</param>
/// <param name="Costs">For every row, weight * (C - similarity to its pick); 0 for picks.</param>
internal sealed record WeightedRun(FacilityLocationResult Run, double[] Costs);

/// <summary>
/// Greedy maximisation of F(A) = sum over i of w_i max(0, max over j in A of S[i,j]), w_i a whole number of examples that row i stands for. With all weights 1 the
/// picks, the gains and the bound are those of <see cref="FacilityLocation"/>. Entries of S are multiples of C 2^-25 (see
/// <see cref="IKernels.Similarity"/>), so sums are exact for up to 2^27 examples in all, whatever the order. Needs 8 n^2 bytes: S on the device and a copy of it. Cost: n^2 h / 2 terms for
/// the distances, n^2 for the first gains, then a few rows for each pick.
/// </summary>
internal static class WeightedFacilityLocation
{
    /// <summary>Selects k rows of x [n,h]. Errors: WillNotFit for S; Numerical when distances overflow.</summary>
    public static WeightedRun Maximize(Tensor<float> x, ReadOnlySpan<long> weights, DistanceMetric metric, int k, CancellationToken cancellation)
    {
        int n = (int)x.Rows;
        var (s, c) = Similarities(x, metric);
        var w = new double[n];
        double total = 0;
        for (int i = 0; i < n; i++)
        {
            w[i] = weights[i];
            total += w[i];
        }
        float[] best = new float[n], nearest = new float[n];
        Array.Fill(nearest, float.NegativeInfinity);
        int[] owners = new int[n], picks = new int[k];
        double[] gains = new double[k], remaining = new double[n];
        for (int j = 0; j < n; j++)
        {
            remaining[j] = Gain(s.AsSpan(j * n, n), best, w);
        }
        var queue = new GainQueue(remaining);
        for (int t = 0; t < k; t++)
        {
            cancellation.ThrowIfCancellationRequested();
            // Gains only shrink, so an old one bounds the new one.
            while (!queue.TopIsFresh(t))
            {
                queue.RefreshTop(Gain(s.AsSpan(queue.Top * n, n), best, w), t);
            }
            (picks[t], gains[t]) = queue.Pop();
            var row = s.AsSpan(picks[t] * n, n);
            for (int i = 0; i < n; i++)
            {
                if (row[i] > nearest[i])
                {
                    (nearest[i], best[i], owners[i]) = (row[i], Math.Max(0, row[i]), t);
                }
            }
        }
        var costs = new double[n];
        for (int j = 0; j < n; j++)
        {
            remaining[j] = Gain(s.AsSpan(j * n, n), best, w);
            costs[j] = k == 0 ? 0 : w[j] * Math.Max(0, (double)c - nearest[j]);
        }
        for (int t = 0; t < k; t++)
        {
            owners[picks[t]] = t;
            remaining[picks[t]] = costs[picks[t]] = 0;
        }
        double bound = FacilityLocation.UpperBound(gains, remaining, total * c);
        return new WeightedRun(new FacilityLocationResult(picks, gains, owners, gains.Sum(), bound), costs);
    }

    private static (float[] S, float Largest) Similarities(Tensor<float> x, DistanceMetric metric)
    {
        var device = x.Buffer.Device;
        long n = x.Rows;
        using var matrix = device.Allocate<float>((n * n) + 1, MemoryUse.Selection);
        var similarity = new Tensor<float>(matrix, 0, new Shape(n, n));
        var largest = new Tensor<float>(matrix, n * n, new Shape(1));
        NormRange.Require(x, metric, largest);
        device.Kernels.Similarity(x, metric, similarity, largest);
        float c = device.Download(largest)[0];
        return float.IsFinite(c) ? (device.Download(similarity), c) : throw new EngineException(
            ErrorKind.Numerical, $"the largest distance of {n} features is {c}: their sums leave the range of float32", "scale the features down");
    }

    /// <summary>sum over i of w[i] max(row[i] - best[i], 0).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double Gain(ReadOnlySpan<float> row, float[] best, double[] w)
    {
        ref float from = ref MemoryMarshal.GetReference(row), covered = ref best[0];
        ref double weight = ref w[0];
        Vector256<double> a = default, b = default;
        int i = 0;
        for (; i + 8 <= row.Length; i += 8)
        {
            var (s0, s1) = Vector256.Widen(Vector256.LoadUnsafe(ref from, (nuint)i));
            var (t0, t1) = Vector256.Widen(Vector256.LoadUnsafe(ref covered, (nuint)i));
            a += Vector256.Max(s0 - t0, default) * Vector256.LoadUnsafe(ref weight, (nuint)i);
            b += Vector256.Max(s1 - t1, default) * Vector256.LoadUnsafe(ref weight, (nuint)i + 4);
        }
        double sum = Vector256.Sum(a + b);
        for (; i < row.Length; i++)
        {
            sum += w[i] * Math.Max((double)row[i] - best[i], 0);
        }
        return sum;
    }
}
