namespace NativeEngine.Ablation.Mixtures;

/// <summary>How the losses of several domains make one number; lower is better.</summary>
public enum ScoreKind
{
    /// <summary>The mean of the domains' mean losses: the logarithm of the geometric mean of perplexities.</summary>
    Mean,
    /// <summary>The largest of the domains' mean losses.</summary>
    Worst,
}

/// <summary>The number mixtures are ranked by, from mean losses of domains. A domain's weight of 0 leaves it out.</summary>
public sealed class MixtureScore
{
    private readonly double[] _weights;
    private readonly ScoreKind _kind;

    /// <summary>A score over domains with these weights (not negative, not all 0; only their ratios count, and for the worst whether they are 0).</summary>
    public MixtureScore(ScoreKind kind, IReadOnlyList<double> domainWeights)
    {
        double sum = domainWeights.Sum();
        if (!(sum > 0) || domainWeights.Any(w => !(w >= 0)))
        {
            throw new EngineException(ErrorKind.Usage, $"domain weights are {string.Join(", ", domainWeights)}", "give numbers of at least 0, not all 0");
        }
        _kind = kind;
        _weights = [.. domainWeights.Select(w => w / sum)];
    }

    /// <summary>The weights, which sum to 1.</summary>
    public IReadOnlyList<double> DomainWeights => _weights;

    /// <summary>Mean or worst.</summary>
    public ScoreKind Kind => _kind;

    /// <summary>Every domain counts the same.</summary>
    public static MixtureScore Uniform(int domains) => new(ScoreKind.Mean, [.. Enumerable.Repeat(1.0, domains)]);

    /// <summary>One domain alone.</summary>
    public static MixtureScore Only(int domain, int domains) => new(ScoreKind.Mean, [.. Enumerable.Range(0, domains).Select(d => d == domain ? 1.0 : 0)]);

    /// <summary>The score of mean losses.</summary>
    public double Of(ReadOnlySpan<double> domainLosses)
    {
        double mean = 0, worst = double.NegativeInfinity;
        for (int d = 0; d < _weights.Length; d++)
        {
            if (_weights[d] > 0)
            {
                mean += _weights[d] * domainLosses[d];
                worst = Math.Max(worst, domainLosses[d]);
            }
        }
        return _kind == ScoreKind.Mean ? mean : worst;
    }
}
