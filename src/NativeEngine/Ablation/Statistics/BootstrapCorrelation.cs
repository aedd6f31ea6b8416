namespace NativeEngine.Ablation.Statistics;

/// <summary>What resampling the pairs says about Pearson's r.</summary>
/// <param name="Interval">Percentile interval of the defined resamples.</param>
/// <param name="Median">Their median.</param>
/// <param name="Mean">Their mean.</param>
/// <param name="Kept">Resamples in which r was defined; the others are dropped, never counted as 0.</param>
public sealed record BootstrapCorrelation(Interval Interval, double Median, double Mean, int Kept)
{
    /// <summary>
    /// Draws n pairs with replacement, n indices in order from <see cref="SplitMix64"/>, and takes r, as often as asked. Cost: n times resamples.
    /// </summary>
    public static BootstrapCorrelation Of(ReadOnlySpan<double> x, ReadOnlySpan<double> y, ulong seed, int resamples = 1000, double confidence = 0.95)
    {
        var random = new SplitMix64(seed);
        var kept = new List<double>(resamples);
        double[] a = new double[x.Length], b = new double[x.Length];
        for (int r = 0; r < resamples; r++)
        {
            for (int i = 0; i < a.Length; i++)
            {
                int from = random.NextBelow(a.Length);
                (a[i], b[i]) = (x[from], y[from]);
            }
            double value = Correlation.PearsonOf(a, b);
            if (!double.IsNaN(value))
            {
                kept.Add(value);
            }
        }
        double[] sorted = [.. kept];
        var interval = Quantiles.Central(sorted, confidence);
        return new BootstrapCorrelation(interval, Quantiles.OfSorted(sorted, 0.5), sorted.Length > 0 ? Correlation.Mean(sorted) : double.NaN, sorted.Length);
    }
}
