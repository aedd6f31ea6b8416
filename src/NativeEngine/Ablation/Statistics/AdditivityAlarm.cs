namespace NativeEngine.Ablation.Statistics;

/// <summary>One pair of units whose joint presence the average of parameters does not predict.</summary>
/// <param name="First">Index of a unit.</param>
/// <param name="Second">Index of another.</param>
/// <param name="Effect">How much higher (worse) the truth is than predicted when both are present.</param>
/// <param name="PValue">Probability of such an effect without an interaction, times the number of distinct pairs tested.</param>
public sealed record InteractingPair(int First, int Second, double Effect, double PValue);

/// <summary>
/// Says where additivity fails. For every pair of units that some but not all truly trained mixtures contain, the model
/// true = a + b proxy + d ln k + c [both present] is fitted by least squares (d only where mixtures have different numbers k of units, since an
/// average is biased in level by k) and c is tested (Student, n - 3 or n - 4 degrees of freedom); the p-value is multiplied by the number of
/// distinct patterns tested (Bonferroni), so that independent units raise a false alarm in less than the stated share of studies. Pairs that
/// are present in the same mixtures cannot be told apart and are all named. Needs 5 mixtures, 6 of different sizes.
/// </summary>
/// <param name="Pairs">The pairs below the level, strongest first; empty when all is quiet.</param>
/// <param name="Tested">Distinct patterns of presence that could be tested.</param>
/// <param name="WorstMiss">Largest |true - (a + b proxy)| of the plain line, NaN when there is no line.</param>
/// <param name="WorstMixture">The mixture it belongs to; -1 without one.</param>
public sealed record AdditivityAlarm(IReadOnlyList<InteractingPair> Pairs, int Tested, double WorstMiss, int WorstMixture)
{
    /// <summary>Tests the mixtures: which units each contains, its stand-in value and its truth.</summary>
    public static AdditivityAlarm Test(
        IReadOnlyList<IReadOnlyList<int>> units, ReadOnlySpan<double> proxy, ReadOnlySpan<double> truth, double level = 0.025)
    {
        int n = truth.Length;
        if (units.Count != n || proxy.Length != n)
        {
            throw new ArgumentException($"additivity: {units.Count} mixtures, {proxy.Length} stand-in values, {n} true values");
        }
        var line = new Calibration(proxy, truth);
        double worst = double.NaN;
        int worstAt = -1;
        for (int i = 0; i < n && !double.IsNaN(line.Slope); i++)
        {
            double miss = Math.Abs(truth[i] - line.Predict(proxy[i]));
            (worst, worstAt) = worstAt < 0 || miss > worst ? (miss, i) : (worst, worstAt);
        }
        bool sizes = units.Select(u => u.Count).Distinct().Count() > 1;
        if (n < (sizes ? 6 : 5) || double.IsNaN(line.Slope))
        {
            return new AdditivityAlarm([], 0, worst, worstAt);
        }
        var patterns = new Dictionary<string, List<(int First, int Second)>>(StringComparer.Ordinal);
        int most = units.SelectMany(u => u).DefaultIfEmpty(-1).Max() + 1;
        var sets = units.Select(u => u.ToHashSet()).ToList();
        for (int a = 0; a < most; a++)
        {
            for (int b = a + 1; b < most; b++)
            {
                string pattern = string.Concat(sets.Select(s => s.Contains(a) && s.Contains(b) ? '1' : '0'));
                if (pattern.Contains('1') && pattern.Contains('0'))
                {
                    (patterns.TryGetValue(pattern, out var pairs) ? pairs : patterns[pattern] = []).Add((a, b));
                }
            }
        }
        var known = new double[n, sizes ? 3 : 2];
        for (int i = 0; i < n; i++)
        {
            (known[i, 0], known[i, 1]) = (1, proxy[i]);
            if (sizes)
            {
                known[i, 2] = Math.Log(units[i].Count);
            }
        }
        double[]? unexplained = Residual(known, truth.ToArray());
        var found = new List<InteractingPair>();
        foreach (var (pattern, pairs) in patterns)
        {
            var (effect, p) = Effect(Residual(known, [.. pattern.Select(c => c == '1' ? 1.0 : 0)]), unexplained, n - known.GetLength(1) - 1);
            double corrected = Math.Min(1, p * patterns.Count);
            if (corrected < level)
            {
                found.AddRange(pairs.Select(pair => new InteractingPair(pair.First, pair.Second, effect, corrected)));
            }
        }
        return new AdditivityAlarm([.. found.OrderBy(f => f.PValue).ThenBy(f => f.First).ThenBy(f => f.Second)], patterns.Count, worst, worstAt);
    }

    // Frisch-Waugh: what is left of the truth and of the indicator after what is known is taken out of both.
    private static (double Effect, double P) Effect(double[]? present, double[]? truth, int degrees)
    {
        if (present is null || truth is null)
        {
            return (double.NaN, 1);
        }
        double xx = 0, xy = 0, yy = 0;
        for (int i = 0; i < truth.Length; i++)
        {
            xx += present[i] * present[i];
            xy += present[i] * truth[i];
            yy += truth[i] * truth[i];
        }
        if (xx < 1e-9)
        {
            return (double.NaN, 1);
        }
        double effect = xy / xx, left = Math.Max(0, yy - (effect * xy));
        double error = Math.Sqrt(left / degrees / xx);
        return (effect, error > 0 ? Distributions.StudentTwoSided(effect / error, degrees) : effect == 0 ? 1 : 0);
    }

    /// <summary>y minus its least-squares fit by the columns; null when they are not independent.</summary>
    private static double[]? Residual(double[,] columns, double[] y)
    {
        double[]? b = LeastSquares.Solve((double[,])columns.Clone(), (double[])y.Clone());
        return b is null ? null : [.. y.Select((value, i) => value - Enumerable.Range(0, b.Length).Sum(c => b[c] * columns[i, c]))];
    }
}
