namespace NativeEngine.Ablation.Ranking;

/// <summary>Which mixtures another one beats in every domain; what is left is the Pareto front.</summary>
public static class Domination
{
    /// <summary>
    /// For losses [mixtures][domains], whether another mixture has no higher loss in any domain that counts (weight above 0) and a lower one in one of them. Cost: mixtures^2
    /// domains.
    /// </summary>
    public static bool[] Of(IReadOnlyList<double[]> losses, IReadOnlyList<double> domainWeights)
    {
        int[] domains = [.. Enumerable.Range(0, domainWeights.Count).Where(d => domainWeights[d] > 0)];
        return [.. losses.Select(own => losses.Any(other => domains.All(d => other[d] <= own[d]) && domains.Any(d => other[d] < own[d])))];
    }
}
