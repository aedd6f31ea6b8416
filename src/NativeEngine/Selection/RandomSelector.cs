namespace NativeEngine.Selection;

/// <summary>
/// The arms a coreset is compared with. Both are pure functions of (seed, step) and need no features.
/// </summary>
public static class RandomSelector
{
    /// <summary>
    /// "Composition only": kept sources and quotas as in the plan, random members within each source (ascending). Weights are 1.
    /// </summary>
    public static SelectionResult Composition(SelectionPlan plan)
    {
        var random = new SelectionRandom(plan.Options.Seed, plan.Step);
        var result = new ResultBuilder(plan);
        foreach (var group in plan.Groups.Where(g => !g.Kept && g.Budget > 0))
        {
            int[] picks = random.Sample(SelectionRandom.Use.Composition, group.Source, group.Members.Count, group.Budget);
            result.AddWhole(picks.Select(i => group.Members[i]));
        }
        return result.Build(new SelectionTiming(0, 0, 0, 0, 0), certified: false);
    }

    /// <summary>Budget examples of the pool, every subset equally likely: nothing kept, no quotas; ascending. Weights are 1.</summary>
    public static SelectionResult Uniform(SelectionOptions options, ReadOnlySpan<int> sources, long step) =>
        Composition(SelectionPlan.Create(options with { KeptSources = [], Quota = QuotaRule.None }, sources, step));
}
