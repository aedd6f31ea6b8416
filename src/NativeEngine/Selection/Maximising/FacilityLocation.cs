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
internal readonly record struct FacilityLocationResult(
    ArraySegment<int> Picks, ArraySegment<double> Gains, ArraySegment<int> Owners, double Objective, double UpperBound, SelectionScreening? Screening = null);

/// <summary>
/// Step H: exact greedy maximisation of F(A) = sum over i of max(0, max over j in A of S[i,j]). Needs 4 n^2 bytes for S. Cost: n^2 h / 2 terms for
/// the distances and a few n^2 for the greedy.
/// </summary>
internal static class FacilityLocation
{
    /// <summary>
    /// Selects k rows of x [n,h]. Adds milliseconds to distance and greedy. With scratch of the caller's the result lies in its arrays, valid until they are used again.
    /// Errors: WillNotFit for S; Numerical when distances overflow.
    /// </summary>
    public static FacilityLocationResult Maximize(
        Tensor<float> x, DistanceMetric metric, int k, ref double distanceTime, ref double greedyTime, SelectionScratch? scratch = null)
    {
        var device = x.Buffer.Device;
        using var own = scratch is null ? new SelectionScratch(device) : null;
        scratch ??= own!;
        using var scope = scratch.Floats.Open();
        int n = checked((int)x.Rows);
        var matrix = scratch.Floats.Floats(((long)n * n) + 1);
        var similarity = matrix.Slice(0, (long)n * n).Reshape(n, n);
        var largest = matrix.Slice((long)n * n, 1);
        var ints = scratch.Ints(SelectionScratch.Use.Greedy, n + k);
        var doubles = scratch.Doubles(n + k);
        var (picks, owners) = (ints.Slice(0, k), ints.Slice(k, n));
        var (gains, remaining) = (doubles.Slice(0, k), doubles.Slice(k, n));

        long start = Stopwatch.GetTimestamp();
        NormRange.Require(x, metric, largest);
        device.Kernels.Similarity(x, metric, similarity, largest);
        float c = 0;
        device.Download(largest, new Span<float>(ref c));
        distanceTime += Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        if (!float.IsFinite(c))
        {
            throw new EngineException(
                ErrorKind.Numerical, $"the largest distance of {n} features is {c}: their sums leave the range of float32", "scale the features down");
        }

        start = Stopwatch.GetTimestamp();
        device.Kernels.FacilityLocation(similarity, picks, gains, owners, remaining);
        device.Download(picks, GrownArray.Of(ref scratch.Picks, k));
        device.Download(owners, GrownArray.Of(ref scratch.Owners, n));
        var gain = GrownArray.Of(ref scratch.Gains, k);
        var rest = GrownArray.Of(ref scratch.Remaining, n);
        device.Download(gains, gain);
        device.Download(remaining, rest);
        double objective = 0;
        foreach (double value in gain)
        {
            objective += value;
        }
        var result = new FacilityLocationResult(
            new(scratch.Picks, 0, k), new(scratch.Gains, 0, k), new(scratch.Owners, 0, n), objective, UpperBound(gain, rest, n * (double)c));
        greedyTime += Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        return result;
    }

    /// <summary>
    /// The least of: F(A) + the k largest gains that remain (submodularity); F(A_t) + k times the next gain for every prefix A_t of the greedy
    /// (which makes the ratio at least 1 - 1/e, Nemhauser et al. 1978); and n C, every row at its most similar.
    /// </summary>
    /// <remarks>Sorts remaining.</remarks>
    public static double UpperBound(ReadOnlySpan<double> gains, Span<double> remaining, double trivial)
    {
        double objective = 0, bound = trivial;
        foreach (double gain in gains)
        {
            bound = Math.Min(bound, objective + (gains.Length * gain));
            objective += gain;
        }
        remaining.Sort();
        double most = 0;
        for (int i = 1; i <= gains.Length; i++)
        {
            most += remaining[^i];
        }
        return Math.Max(objective, Math.Min(bound, objective + most));
    }
}
