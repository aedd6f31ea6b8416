namespace NativeEngine.Ablation.Statistics;

/// <summary>
/// How well one list of numbers follows another: Pearson, Spearman (Pearson of average ranks) and Kendall (tau-b and tau-a). NaN means
/// undefined: a list without spread has no correlation, and it is not 0.
/// </summary>
public sealed record Correlation
{
    /// <summary>Number of pairs of numbers.</summary>
    public required int Count { get; init; }

    /// <summary>Linear correlation, from deviations of the means in double.</summary>
    public required double Pearson { get; init; }

    /// <summary>Rank correlation: Pearson of the average ranks.</summary>
    public required double Spearman { get; init; }

    /// <summary>(C - D) / sqrt((P - ties in x)(P - ties in y)) with P = n(n-1)/2.</summary>
    public required double KendallTauB { get; init; }

    /// <summary>(C - D) / P; NaN below two pairs of numbers.</summary>
    public required double KendallTauA { get; init; }

    /// <summary>Pairs ordered the same way in both lists.</summary>
    public required long Concordant { get; init; }

    /// <summary>Pairs ordered in opposite ways.</summary>
    public required long Discordant { get; init; }

    /// <summary>Pairs equal in x (whatever they are in y).</summary>
    public required long TiesX { get; init; }

    /// <summary>Pairs equal in y.</summary>
    public required long TiesY { get; init; }

    /// <summary>r sqrt((n-2) / (1-r^2)); NaN below 3 numbers or for a perfect r.</summary>
    public double TStatistic => Count >= 3 && Math.Abs(Pearson) < 1 ? Pearson * Math.Sqrt((Count - 2) / (1 - (Pearson * Pearson))) : double.NaN;

    /// <summary>Probability of a |t| at least as large when there is no linear relation (Student, n-2 degrees of freedom).</summary>
    public double PValue => double.IsNaN(TStatistic) ? double.NaN : Distributions.StudentTwoSided(TStatistic, Count - 2);

    /// <summary>atanh of Pearson.</summary>
    public double FisherZ => Math.Atanh(Pearson);

    /// <summary>Fisher: tanh(z +- q / sqrt(n-3)). Undefined below 4 numbers or for a perfect r.</summary>
    public Interval PearsonInterval(double confidence = 0.95) => Fisher(Pearson, 1 / Math.Sqrt(Count - 3.0), confidence);

    /// <summary>Bonett and Wright (2000): Fisher's form with the standard error sqrt((1 + r^2/2) / (n-3)).</summary>
    public Interval SpearmanInterval(double confidence = 0.95) =>
        Fisher(Spearman, Math.Sqrt((1 + (Spearman * Spearman / 2)) / (Count - 3.0)), confidence);

    /// <summary>Fieller, Hartley and Pearson (1957): Fisher's form with the standard error sqrt(0.437 / (n-4)).</summary>
    public Interval KendallInterval(double confidence = 0.95) => Fisher(KendallTauB, Math.Sqrt(0.437 / (Count - 4.0)), confidence);

    /// <summary>Correlates two lists of equal length. Cost: n^2/2 comparisons.</summary>
    public static Correlation Of(ReadOnlySpan<double> x, ReadOnlySpan<double> y)
    {
        RequireEqual(x, y);
        long concordant = 0, discordant = 0, tiesX = 0, tiesY = 0;
        for (int i = 0; i < x.Length; i++)
        {
            for (int j = i + 1; j < x.Length; j++)
            {
                int a = x[i].CompareTo(x[j]), b = y[i].CompareTo(y[j]);
                tiesX += a == 0 ? 1 : 0;
                tiesY += b == 0 ? 1 : 0;
                concordant += a * b > 0 ? 1 : 0;
                discordant += a * b < 0 ? 1 : 0;
            }
        }
        double pairs = x.Length * (x.Length - 1.0) / 2, spread = (pairs - tiesX) * (pairs - tiesY);
        return new Correlation
        {
            Count = x.Length,
            Pearson = PearsonOf(x, y),
            Spearman = PearsonOf(Ranks(x), Ranks(y)),
            KendallTauB = spread > 0 ? (concordant - discordant) / Math.Sqrt(spread) : double.NaN,
            KendallTauA = pairs > 0 ? (concordant - discordant) / pairs : double.NaN,
            Concordant = concordant,
            Discordant = discordant,
            TiesX = tiesX,
            TiesY = tiesY,
        };
    }

    /// <summary>Pearson's r alone; NaN when a list has no spread or there are fewer than two numbers.</summary>
    public static double PearsonOf(ReadOnlySpan<double> x, ReadOnlySpan<double> y)
    {
        RequireEqual(x, y);
        double meanX = Mean(x), meanY = Mean(y), xx = 0, yy = 0, xy = 0;
        for (int i = 0; i < x.Length; i++)
        {
            double a = x[i] - meanX, b = y[i] - meanY;
            xx += a * a;
            yy += b * b;
            xy += a * b;
        }
        double r = xy / Math.Sqrt(xx) / Math.Sqrt(yy);
        return xx > 0 && yy > 0 && HasSpread(x) && HasSpread(y) ? Math.Clamp(r, -1, 1) : double.NaN;
    }

    /// <summary>Whether any value differs from the first. Squared deviations do not tell: the mean of equal values is rounded.</summary>
    internal static bool HasSpread(ReadOnlySpan<double> values) => !values.IsEmpty && values.IndexOfAnyExcept(values[0]) >= 0;

    /// <summary>Ranks from 1, ascending; equal values share the mean of their ranks.</summary>
    public static double[] Ranks(ReadOnlySpan<double> values)
    {
        double[] sorted = values.ToArray(), ranks = new double[values.Length];
        int[] order = [.. Enumerable.Range(0, values.Length)];
        Array.Sort(sorted, order);
        for (int first = 0; first < sorted.Length;)
        {
            int last = first;
            while (last + 1 < sorted.Length && sorted[last + 1] == sorted[first])
            {
                last++;
            }
            for (int i = first; i <= last; i++)
            {
                ranks[order[i]] = 1 + (0.5 * (first + last));
            }
            first = last + 1;
        }
        return ranks;
    }

    internal static double Mean(ReadOnlySpan<double> values)
    {
        double sum = 0;
        foreach (double value in values)
        {
            sum += value;
        }
        return sum / values.Length;
    }

    private static Interval Fisher(double r, double error, double confidence)
    {
        if (!double.IsFinite(error) || double.IsNaN(r) || Math.Abs(r) >= 1)
        {
            return Interval.Undefined(confidence);
        }
        double reach = Distributions.NormalQuantile((1 + confidence) / 2) * error, z = Math.Atanh(r);
        return new Interval(Math.Tanh(z - reach), Math.Tanh(z + reach), confidence);
    }

    private static void RequireEqual(ReadOnlySpan<double> x, ReadOnlySpan<double> y)
    {
        if (x.Length != y.Length)
        {
            throw new ArgumentException($"correlation: {x.Length} numbers against {y.Length}");
        }
    }
}
