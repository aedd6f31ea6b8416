namespace NativeEngine.Ablation.Mixtures;

/// <summary>How random mixtures are drawn.</summary>
public sealed record DirichletOptions
{
    /// <summary>How many different mixtures.</summary>
    public required int Count { get; init; }

    /// <summary>Sum of the Dirichlet parameters divided by the number of parts: 1 is uniform on the simplex, small is sparse, large is near the prior.</summary>
    public double Concentration { get; init; } = 1;

    /// <summary>Expected share of each part, not negative; empty: equal.</summary>
    public IReadOnlyList<double> Prior { get; init; } = [];

    /// <summary>The prior is raised to 1/temperature: above 1 flattens it.</summary>
    public double Temperature { get; init; } = 1;

    /// <summary>Weights are whole multiples of this, rounded by largest remainders so that they sum to 1; 0 keeps them as drawn.</summary>
    public double Step { get; init; }
}

/// <summary>
/// Dirichlet samples: gamma variates (Marsaglia and Tsang 2000) divided by their sum, rounded to the step, refused where they break a rule,
/// each kept once. Mixture s is a function of the seed and of how many were refused before it, nothing else.
/// </summary>
public static class DirichletSampler
{
    private const int TriesEach = 1000;

    /// <summary>Draws over the parts that may have weight. Errors: Usage when too few different mixtures satisfy the rules.</summary>
    public static List<Mixture> Draw(int parts, DirichletOptions options, MixtureRules rules, IReadOnlyList<string> names, ulong seed)
    {
        if (!(options.Concentration > 0) || !(options.Temperature > 0) || !(options.Step >= 0 && options.Step <= 1) || options.Count < 1)
        {
            throw new EngineException(ErrorKind.Usage, FormattableString.Invariant(
                $"a Dirichlet sample of {options.Count} with concentration {options.Concentration}, temperature {options.Temperature} and step {options.Step} cannot be drawn"),
                "the first three must be positive, the step from 0 to 1");
        }
        double[] prior = options.Prior.Count > 0 ? [.. options.Prior] : [.. Enumerable.Repeat(1.0, parts)];
        if (prior.Length != parts || prior.Any(p => !(p >= 0)) || !(prior.Sum() > 0))
        {
            throw new EngineException(ErrorKind.Usage, $"the prior has {prior.Length} numbers for {parts} units", "give one number of at least 0 for each");
        }
        double[] tempered = [.. prior.Select((p, u) => rules.Never.Contains(u) || p == 0 ? 0 : Math.Pow(p, 1 / options.Temperature))];
        double scale = options.Concentration * tempered.Count(p => p > 0) / tempered.Sum();
        var found = new List<Mixture>();
        var seen = new HashSet<Mixture>();
        string? refusal = null;
        for (long attempt = 0; found.Count < options.Count; attempt++)
        {
            if (attempt >= (long)TriesEach * options.Count)
            {
                throw new EngineException(ErrorKind.Usage,
                    $"only {found.Count} of {options.Count} different mixtures were found in {attempt:N0} draws{(refusal is null ? "" : $"; the last refused one {refusal}")}",
                    "ask for fewer, take a finer step, or loosen the rules");
            }
            var random = new CounterRandom(seed, RandomPurpose.Candidates, checked((uint)attempt));
            double[] weights = Sample(random, tempered, scale);
            if (weights.Sum() is not (> 0 and < double.PositiveInfinity))
            {
                continue;
            }
            double sum = weights.Sum();
            var shares = weights.Select(w => w / sum).ToArray();
            var mixture = Mixture.Of(options.Step > 0 ? Round(shares, options.Step) : rules.Capped(shares));
            refusal = rules.Broken(mixture, names) ?? refusal;
            if (rules.Broken(mixture, names) is null && seen.Add(mixture))
            {
                found.Add(mixture);
            }
        }
        return found;
    }

    private static double[] Sample(CounterRandom random, double[] prior, double scale)
    {
        ulong at = 0;
        var weights = new double[prior.Length];
        for (int u = 0; u < prior.Length; u++)
        {
            weights[u] = prior[u] > 0 ? Gamma(random, ref at, prior[u] * scale) : 0;
        }
        return weights;
    }

    private static double Gamma(CounterRandom random, ref ulong at, double shape)
    {
        if (shape < 1)
        {
            double uniform = 1 - random.Uniform(at++);
            return Gamma(random, ref at, shape + 1) * Math.Pow(uniform, 1 / shape);
        }
        double d = shape - (1.0 / 3), c = 1 / Math.Sqrt(9 * d);
        while (true)
        {
            double x = random.Normal(at++), v = 1 + (c * x), u = 1 - random.Uniform(at++);
            v = v * v * v;
            if (v > 0 && Math.Log(u) < (0.5 * x * x) + d - (d * v) + (d * Math.Log(v)))
            {
                return d * v;
            }
        }
    }

    // Whole steps below each share, the rest to the largest remainders, ties to the lowest index. 1/step is rounded to a whole number.
    private static double[] Round(double[] shares, double step)
    {
        int parts = Math.Max(1, (int)Math.Round(1 / step));
        var counts = shares.Select(s => Math.Floor((s * parts) + 1e-9)).ToArray();
        int left = parts - (int)counts.Sum();
        foreach (int u in Enumerable.Range(0, shares.Length).OrderByDescending(u => (shares[u] * parts) - counts[u]).ThenBy(u => u).Take(Math.Max(0, left)))
        {
            counts[u]++;
        }
        return counts;
    }
}
