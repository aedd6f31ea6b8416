namespace NativeEngine.Ablation.Mixtures;

/// <summary>How a chosen set of units is weighted.</summary>
public enum WeightRule
{
    /// <summary>Every chosen unit the same (Na et al.'s own; the same as micro).</summary>
    Uniform,
    /// <summary>w_u = 1/N: a source counts by its chosen units; stands for natural proportions.</summary>
    Micro,
    /// <summary>w_u = 1/(|T| n_s): sources count the same; stands for small sources repeated.</summary>
    Macro,
    /// <summary>w_u = tokens_u / sum of tokens.</summary>
    Token,
}

/// <summary>The weightings of the method (section 1.3): what each unit of a set counts in the average of parameters.</summary>
public static class MixtureWeights
{
    /// <summary>
    /// The mixture of a set of units under a rule. <paramref name="sourceOfUnit"/> and <paramref name="tokensOfUnit"/> are indexed by unit; n_s
    /// counts the chosen units of a source. Errors: Usage for an empty set, or units without tokens under the token rule.
    /// </summary>
    public static Mixture Of(WeightRule rule, IReadOnlyList<int> units, IReadOnlyList<int> sourceOfUnit, IReadOnlyList<long> tokensOfUnit)
    {
        var weights = new double[sourceOfUnit.Count];
        var chosenOfSource = units.GroupBy(u => sourceOfUnit[u]).ToDictionary(g => g.Key, g => g.Count());
        foreach (int unit in units)
        {
            weights[unit] = rule switch
            {
                WeightRule.Macro => 1.0 / chosenOfSource[sourceOfUnit[unit]],
                WeightRule.Token => tokensOfUnit[unit],
                _ => 1,
            };
        }
        return Mixture.Of(weights);
    }

    /// <summary>A mixture over sources spread evenly over the units of each: w_u = alpha_s / n_s. Errors: Usage for a share on a source without units.</summary>
    public static Mixture OfSources(IReadOnlyList<double> shares, IReadOnlyList<int> sourceOfUnit)
    {
        var unitsOfSource = new int[shares.Count];
        foreach (int source in sourceOfUnit)
        {
            unitsOfSource[source]++;
        }
        for (int s = 0; s < shares.Count; s++)
        {
            if (shares[s] > 0 && unitsOfSource[s] == 0)
            {
                throw new EngineException(ErrorKind.Usage, FormattableString.Invariant($"source {s} has the share {shares[s]} but no unit"), "plan units for it, or give it no share");
            }
        }
        return Mixture.Of([.. sourceOfUnit.Select(s => shares[s] / unitsOfSource[s])]);
    }
}
