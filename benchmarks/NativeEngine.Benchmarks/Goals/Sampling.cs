using System.Diagnostics;
using NativeEngine.Benchmarks.Works;

namespace NativeEngine.Benchmarks.Goals;

/// <summary>The measuring loop, the same as the peers' (benchmarks/peers/common.py).</summary>
internal static class Sampling
{
    public const int FewestSamples = 3;

    /// <summary>A work that takes as many times the least time is measured by one run.</summary>
    public const int LongRun = 10;

    /// <summary>
    /// Seconds of each run after one that warms up: at least three and at least the given time in all. What takes very long has run itself
    /// warm when it ends: its first run counts, alone.
    /// </summary>
    public static double[] Measure(IWork work, double seconds)
    {
        double first = Time(work);
        if (first > LongRun * Math.Max(seconds, 1))
        {
            return [first];
        }
        var samples = new List<double>();
        while (samples.Count < FewestSamples || samples.Sum() < seconds)
        {
            samples.Add(Time(work));
        }
        return [.. samples];
    }

    private static double Time(IWork work)
    {
        work.Prepare();
        long start = Stopwatch.GetTimestamp();
        work.Run();
        double all = Stopwatch.GetElapsedTime(start).TotalSeconds;
        return work.Seconds ?? all;
    }

    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        int half = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
    }
}

/// <summary>What one side showed: the samples of every round.</summary>
internal sealed record Measurement(IReadOnlyList<double[]> Rounds)
{
    public double Median => Sampling.Median(Rounds.SelectMany(r => r));

    public double Smallest => Rounds.Min(r => r.Min());

    public double Largest => Rounds.Max(r => r.Max());

    public int Count => Rounds.Sum(r => r.Length);
}
