namespace NativeEngine.Evaluation;

/// <summary>How many of a number of trials succeeded, with 95 % confidence intervals.</summary>
/// <param name="Successes">Successes k.</param>
/// <param name="Trials">Trials n.</param>
public readonly record struct Proportion(int Successes, int Trials)
{
    private const double Z = 1.959963984540054;

    /// <summary>k / n; NaN without trials.</summary>
    public double Value => Trials > 0 ? (double)Successes / Trials : double.NaN;

    /// <summary>Wilson's score interval: sensible also for few trials and for 0 and 1. NaN without trials.</summary>
    public (double Low, double High) Interval()
    {
        if (Trials == 0)
        {
            return (double.NaN, double.NaN);
        }
        double n = Trials, p = Value, z2 = Z * Z;
        double middle = (p + (z2 / (2 * n))) / (1 + (z2 / n));
        double half = Z / (1 + (z2 / n)) * Math.Sqrt((p * (1 - p) / n) + (z2 / (4 * n * n)));
        // At the ends rounding must not exclude what was seen.
        return (Successes == 0 ? 0 : middle - half, Successes == Trials ? 1 : middle + half);
    }

    /// <summary>
    /// The mean of several independent proportions, each counting the same, with an interval from theirs (square-and-add, Zou and Donner 2008):
    /// low = mean - sqrt(sum (p - l)^2) / S.
    /// </summary>
    public static (double Value, double Low, double High) Mean(IReadOnlyCollection<Proportion> proportions)
    {
        double sum = 0, below = 0, above = 0;
        int count = 0;
        foreach (var proportion in proportions.Where(p => p.Trials > 0))
        {
            var (low, high) = proportion.Interval();
            double value = proportion.Value;
            sum += value;
            below += (value - low) * (value - low);
            above += (high - value) * (high - value);
            count++;
        }
        return count == 0 ? (double.NaN, double.NaN, double.NaN) : (sum / count, (sum - Math.Sqrt(below)) / count, (sum + Math.Sqrt(above)) / count);
    }
}
