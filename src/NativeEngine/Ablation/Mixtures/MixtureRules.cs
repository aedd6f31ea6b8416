namespace NativeEngine.Ablation.Mixtures;

/// <summary>What a candidate must satisfy. Units and sources are indices.</summary>
public sealed record MixtureRules
{
    /// <summary>Units every candidate contains.</summary>
    public IReadOnlyList<int> Must { get; init; } = [];

    /// <summary>Units no candidate contains.</summary>
    public IReadOnlyList<int> Never { get; init; } = [];

    /// <summary>Largest weight of each unit; empty: 1.</summary>
    public IReadOnlyList<double> Caps { get; init; } = [];

    /// <summary>Fewest units.</summary>
    public int MinUnits { get; init; } = 1;

    /// <summary>Most units.</summary>
    public int MaxUnits { get; init; } = int.MaxValue;

    /// <summary>The first rule a mixture breaks, as a sentence with unit names; null when it satisfies all.</summary>
    public string? Broken(Mixture mixture, IReadOnlyList<string> names)
    {
        if (mixture.Units.Count < MinUnits || mixture.Units.Count > MaxUnits)
        {
            return $"has {mixture.Units.Count} units, {MinUnits} to {(MaxUnits == int.MaxValue ? mixture.PoolSize : MaxUnits)} are allowed";
        }
        foreach (int unit in Must)
        {
            if (mixture.Weights[unit] == 0)
            {
                return $"lacks {names[unit]}, which it must have";
            }
        }
        foreach (int unit in Never)
        {
            if (mixture.Weights[unit] > 0)
            {
                return $"has {names[unit]}, which it must never have";
            }
        }
        for (int u = 0; u < Caps.Count; u++)
        {
            if (mixture.Weights[u] > Caps[u] * (1 + 1e-9))
            {
                return FormattableString.Invariant($"gives {names[u]} the weight {mixture.Weights[u]:0.####}, its cap is {Caps[u]:0.####}");
            }
        }
        return null;
    }

    /// <summary>Refuses rules that no mixture satisfies. Errors: Usage naming the unit or the sum.</summary>
    public MixtureRules Validate(IReadOnlyList<string> names)
    {
        foreach (int unit in Must.Intersect(Never))
        {
            throw new EngineException(ErrorKind.Usage, $"{names[unit]} is both in must and in never", "leave it out of one of them");
        }
        if (Caps.Count > 0)
        {
            double room = Caps.Where((_, u) => !Never.Contains(u)).Sum();
            if (room < 1 - 1e-9)
            {
                throw new EngineException(ErrorKind.Usage, FormattableString.Invariant($"the caps leave room for a total weight of {room:0.####}; weights sum to 1"), "raise a cap");
            }
        }
        return MinUnits > MaxUnits || Must.Count > MaxUnits
            ? throw new EngineException(ErrorKind.Usage, $"no mixture has at least {Math.Max(MinUnits, Must.Count)} and at most {MaxUnits} units", "lower min_units, or raise max_units") : this;
    }

    /// <summary>
    /// The weights nearest to these (in Kullback-Leibler divergence) that keep every cap: those above are cut to their cap and the others share
    /// the rest in proportion, until none is above. Weights must sum to 1 and have room.
    /// </summary>
    public double[] Capped(ReadOnlySpan<double> weights)
    {
        double[] capped = weights.ToArray();
        if (Caps.Count == 0)
        {
            return capped;
        }
        var full = new bool[capped.Length];
        for (int round = 0; round <= capped.Length; round++)
        {
            double taken = 0, free = 0;
            for (int u = 0; u < capped.Length; u++)
            {
                taken += full[u] ? Caps[u] : 0;
                free += full[u] ? 0 : weights[u];
            }
            bool changed = false;
            double factor = free > 0 ? (1 - taken) / free : 0;
            for (int u = 0; u < capped.Length; u++)
            {
                capped[u] = full[u] ? Caps[u] : weights[u] * factor;
                if (!full[u] && capped[u] > Caps[u])
                {
                    full[u] = changed = true;
                }
            }
            if (!changed)
            {
                break;
            }
        }
        return capped;
    }
}
