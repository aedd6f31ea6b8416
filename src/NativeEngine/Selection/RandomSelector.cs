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
        var indices = new List<int>();
        int[] order = [];
        Composition(plan, indices, ref order);
        int[] owners = new int[plan.PoolSize];
        Array.Fill(owners, -1);
        foreach (int i in indices)
        {
            owners[i] = i;
        }
        return SelectionResult.Of(plan, indices, Enumerable.Repeat(1, indices.Count), Enumerable.Repeat<double?>(null, indices.Count), owners);
    }

    /// <summary>Budget examples of the pool, every subset equally likely: nothing kept, no quotas; ascending. Weights are 1.</summary>
    public static SelectionResult Uniform(SelectionOptions options, ReadOnlySpan<int> sources, long step) =>
        Composition(SelectionPlan.Create(Alike(options), sources, step));

    /// <summary>The options of a plan whose <see cref="Composition(SelectionPlan)"/> is uniform over all examples.</summary>
    internal static SelectionOptions Alike(SelectionOptions options) => options with { KeptSources = [], Quota = QuotaRule.None };

    /// <summary>The positions alone, in memory of the caller's.</summary>
    internal static void Composition(SelectionPlan plan, List<int> indices, ref int[] order)
    {
        var random = new SelectionRandom(plan.Options.Seed, plan.Step);
        indices.Clear();
        indices.AddRange(plan.KeptList);
        foreach (var group in plan.GroupList)
        {
            if (group.Kept || group.Budget == 0)
            {
                continue;
            }
            var picks = GrownArray.Of(ref order, group.Members.Count);
            random.Order(SelectionRandom.Use.Composition, group.Source, picks, group.Budget);
            picks = picks[..group.Budget];
            picks.Sort();
            foreach (int i in picks)
            {
                indices.Add(group.Members[i]);
            }
        }
    }
}
