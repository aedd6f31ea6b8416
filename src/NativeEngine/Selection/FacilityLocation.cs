using System.Diagnostics;
using NativeEngine.Devices;

namespace NativeEngine.Selection;

/// <summary>One source's greedy run, in rows of its features.</summary>
/// <param name="Picks">Rows in greedy order.</param>
/// <param name="Gains">Gain of each pick; never increasing.</param>
/// <param name="Owners">For every row the position in picks that represents it.</param>
/// <param name="Objective">Sum of the gains = F(picks).</param>
/// <param name="UpperBound">No set of this size has a larger F.</param>
/// <param name="Screening">What a lower precision did, if one was asked for and had anything to do.</param>
internal sealed record FacilityLocationResult(
    int[] Picks, double[] Gains, int[] Owners, double Objective, double UpperBound, SelectionScreening? Screening = null);

/// <summary>
/// Step H: exact greedy maximisation of F(A) = sum over i of max(0, max over j in A of S[i,j]). Needs 4 n^2 bytes for S. Cost: n^2 h / 2 terms for
/// the distances and a few n^2 for the greedy.
/// </summary>
internal static class FacilityLocation
{
    /// <summary>Selects k rows of x [n,h]. Adds milliseconds to distance and greedy. Errors: WillNotFit for S; Numerical when distances overflow.</summary>
    public static FacilityLocationResult Maximize(Tensor<float> x, DistanceMetric metric, int k, ref double distanceTime, ref double greedyTime)
    {
        var device = x.Buffer.Device;
        long n = x.Rows;
        using var matrix = device.Allocate<float>((n * n) + 1, MemoryUse.Selection);
        using var ints = device.Allocate<int>(n + k, MemoryUse.Selection);
        using var doubles = device.Allocate<double>(n + k, MemoryUse.Selection);
        var similarity = new Tensor<float>(matrix, 0, new Shape(n, n));
        var largest = new Tensor<float>(matrix, n * n, new Shape(1));
        var (picks, owners) = (ints.View.Slice(0, k), ints.View.Slice(k, n));
        var (gains, remaining) = (doubles.View.Slice(0, k), doubles.View.Slice(k, n));

        long start = Stopwatch.GetTimestamp();
        device.Kernels.Similarity(x, metric, similarity, largest);
        float c = device.Download(largest)[0];
        distanceTime += Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        if (!float.IsFinite(c))
        {
            throw new EngineException(
                ErrorKind.Numerical, $"the largest distance of {n} features is {c}: their sums leave the range of float32", "scale the features down");
        }

        start = Stopwatch.GetTimestamp();
        device.Kernels.FacilityLocation(similarity, picks, gains, owners, remaining);
        double[] gain = device.Download(gains), rest = device.Download(remaining);
        var result = new FacilityLocationResult(device.Download(picks), gain, device.Download(owners), gain.Sum(), UpperBound(gain, rest, n * (double)c));
        greedyTime += Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        return result;
    }

    /// <summary>
    /// The least of: F(A) + the k largest gains that remain (submodularity); F(A_t) + k times the next gain for every prefix A_t of the greedy
    /// (which makes the ratio at least 1 - 1/e, Nemhauser et al. 1978); and n C, every row at its most similar.
    /// </summary>
    public static double UpperBound(ReadOnlySpan<double> gains, ReadOnlySpan<double> remaining, double trivial)
    {
        double objective = 0, bound = trivial;
        foreach (double gain in gains)
        {
            bound = Math.Min(bound, objective + (gains.Length * gain));
            objective += gain;
        }
        double[] largest = remaining.ToArray();
        Array.Sort(largest, (a, b) => b.CompareTo(a));
        return Math.Max(objective, Math.Min(bound, objective + largest.AsSpan(0, gains.Length).ToArray().Sum()));
    }
}
