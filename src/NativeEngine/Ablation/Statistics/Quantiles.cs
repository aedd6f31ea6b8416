namespace NativeEngine.Ablation.Statistics;

/// <summary>Quantiles of a list by linear interpolation between order statistics (type 7, as in numpy).</summary>
public static class Quantiles
{
    /// <summary>The quantile of an ascending list; NaN for an empty one.</summary>
    public static double OfSorted(ReadOnlySpan<double> sorted, double probability)
    {
        if (sorted.IsEmpty)
        {
            return double.NaN;
        }
        double at = probability * (sorted.Length - 1);
        int low = (int)Math.Floor(at);
        return low + 1 < sorted.Length ? sorted[low] + ((at - low) * (sorted[low + 1] - sorted[low])) : sorted[low];
    }

    /// <summary>The central interval of a list (sorted in place).</summary>
    public static Interval Central(Span<double> values, double confidence)
    {
        values.Sort();
        return new Interval(OfSorted(values, (1 - confidence) / 2), OfSorted(values, (1 + confidence) / 2), confidence);
    }
}
