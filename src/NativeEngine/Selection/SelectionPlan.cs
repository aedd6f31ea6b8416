namespace NativeEngine.Selection;

/// <summary>An example of the pool that takes no part, and why.</summary>
/// <param name="Index">Position in the pool.</param>
/// <param name="Reason">A few words.</param>
public sealed record DroppedExample(int Index, string Reason);

/// <summary>Candidates that compete with each other, and how many of them are to be selected.</summary>
/// <param name="Source">Their source id, <see cref="SelectionPlan.AllSources"/> when sources compete together.</param>
/// <param name="Members">Pool positions, ascending.</param>
/// <param name="Budget">How many are selected; at most the number of members.</param>
/// <param name="Kept">Whether the source is kept: its members are taken in pool order as far as the budget goes.</param>
/// <param name="Part">Number of the part, where a source is partitioned; else 0.</param>
public sealed record SelectionGroup(int Source, IReadOnlyList<int> Members, int Budget, bool Kept, int Part = 0);

/// <summary>
/// What is known of a selection before any feature is: which examples are kept, which compete, and each source's quota (steps D and G). Only
/// the examples in <see cref="Candidates"/> need features, so kept sources and sources with quota 0 need not be forwarded at all.
/// </summary>
public sealed class SelectionPlan
{
    /// <summary>The source id of a group in which all sources compete together.</summary>
    public const int AllSources = -1;

    /// <summary>The reason given for a feature with NaN or infinity.</summary>
    public const string NonFinite = "non-finite feature";

    private SelectionPlan(
        SelectionOptions options, int poolSize, long step, IReadOnlyList<int> kept, IReadOnlyList<SelectionGroup> groups,
        IReadOnlyList<DroppedExample> dropped)
    {
        (Options, PoolSize, Step, Kept, Groups, Dropped) = (options, poolSize, step, kept, groups, dropped);
        Candidates = [.. groups.Where(g => !g.Kept && g.Budget > 0).SelectMany(g => g.Members).Order()];
    }

    /// <summary>The options it was made with.</summary>
    public SelectionOptions Options { get; }

    /// <summary>Examples in the pool.</summary>
    public int PoolSize { get; }

    /// <summary>Optimizer steps already done; it keys the random choices and the bias corrections.</summary>
    public long Step { get; }

    /// <summary>Pool positions of kept examples that are trained, ascending; at most the budget.</summary>
    public IReadOnlyList<int> Kept { get; }

    /// <summary>
    /// Every source of the pool, ascending; with <see cref="QuotaRule.None"/> the kept ones and one group of the others. A partitioned source is
    /// several groups in a row.
    /// </summary>
    public IReadOnlyList<SelectionGroup> Groups { get; }

    /// <summary>Examples that were excluded.</summary>
    public IReadOnlyList<DroppedExample> Dropped { get; }

    /// <summary>Pool positions that need features, ascending: row r of the features given to a selector is example Candidates[r].</summary>
    public IReadOnlyList<int> Candidates { get; }

    /// <summary>
    /// Plans one step. Examples of kept sources are taken up to the budget B (beyond it by <see cref="SelectionOptions.Overflow"/>); the rest,
    /// b = min(B - K, candidates), is shared among the other sources.
    /// </summary>
    /// <param name="options">The options; validated.</param>
    /// <param name="sources">Source id (not negative) of every example of the pool.</param>
    /// <param name="step">Optimizer steps already done.</param>
    /// <param name="nonFinite">Pool positions known to have non-finite features; ignored where the source is kept, whose features are never read.</param>
    public static SelectionPlan Create(SelectionOptions options, ReadOnlySpan<int> sources, long step, params IReadOnlyCollection<int> nonFinite)
    {
        options.Validate();
        var keptSources = options.KeptSources.ToHashSet();
        var bad = nonFinite.ToHashSet();
        var members = new SortedDictionary<int, List<int>>();
        var dropped = new List<DroppedExample>();
        for (int i = 0; i < sources.Length; i++)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(sources[i], nameof(sources));
            if (bad.Contains(i) && !keptSources.Contains(sources[i]))
            {
                dropped.Add(new DroppedExample(i, NonFinite));
                continue;
            }
            if (!members.TryGetValue(sources[i], out var list))
            {
                members[sources[i]] = list = [];
            }
            list.Add(i);
        }
        int[] kept = [.. members.Where(m => keptSources.Contains(m.Key)).SelectMany(m => m.Value).Order()];
        if (kept.Length > options.Budget)
        {
            var random = new SelectionRandom(options.Seed, step);
            kept = options.Overflow == OverflowPolicy.First
                ? kept[..options.Budget]
                : Array.ConvertAll(random.Sample(SelectionRandom.Use.Overflow, 0, kept.Length, options.Budget), i => kept[i]);
        }
        var taken = kept.ToHashSet();
        var groups = new List<SelectionGroup>();
        var open = new List<SelectionGroup>();
        foreach (var (source, list) in members)
        {
            bool isKept = keptSources.Contains(source);
            (isKept ? groups : open).Add(new SelectionGroup(source, list, isKept ? list.Count(taken.Contains) : 0, isKept));
        }
        groups.AddRange(Share(options, step, open, options.Budget - kept.Length));
        return new SelectionPlan(options, sources.Length, step, kept, [.. groups.OrderBy(g => g.Source)], dropped);
    }

    /// <summary>
    /// The same plan without some candidates whose features turned out not to be finite. Quotas are shared anew among the sources that have
    /// features; a source that had quota 0 keeps it.
    /// </summary>
    public SelectionPlan Without(IReadOnlyCollection<int> positions)
    {
        var bad = positions.ToHashSet();
        var open = Groups.Where(g => !g.Kept && g.Budget > 0).GroupBy(g => g.Source)
            .Select(parts => parts.First() with { Members = [.. parts.SelectMany(g => g.Members).Where(i => !bad.Contains(i)).Order()], Part = 0 })
            .Where(g => g.Members.Count > 0);
        var others = Groups.Where(g => g.Kept || g.Budget == 0);
        var groups = others.Concat(Share(Options, Step, [.. open], Options.Budget - Kept.Count)).OrderBy(g => g.Source);
        var dropped = Dropped.Concat(bad.Select(i => new DroppedExample(i, NonFinite))).OrderBy(d => d.Index);
        return new SelectionPlan(Options, PoolSize, Step, Kept, [.. groups], [.. dropped]);
    }

    private static IEnumerable<SelectionGroup> Share(SelectionOptions options, long step, IReadOnlyList<SelectionGroup> open, int budget)
    {
        int[] sizes = [.. open.Select(g => g.Members.Count)];
        budget = Math.Min(budget, sizes.Sum());
        if (options.Quota == QuotaRule.None)
        {
            return open.Count == 0 ? [] : Parts(options, step, new SelectionGroup(AllSources, [.. open.SelectMany(g => g.Members).Order()], budget, false));
        }
        var random = new SelectionRandom(options.Seed, step).Derived(SelectionRandom.Use.Quota);
        int[] counts = SourceBudget.Share(sizes, budget, options.Quota, options.Rounding, random);
        return open.SelectMany((g, q) => Parts(options, step, g with { Budget = counts[q] }));
    }

    /// <summary>A source cut into random parts of nearly equal size that share its quota, where the options ask for it.</summary>
    private static IEnumerable<SelectionGroup> Parts(SelectionOptions options, long step, SelectionGroup group)
    {
        int n = group.Members.Count;
        int parts = SelectionChoice.For(options, n, group.Budget).Parts;
        if (parts == 1 || group.Budget == 0 || group.Budget == n)
        {
            return [group];
        }
        int[] order = new SelectionRandom(options.Seed, step).Order(SelectionRandom.Use.Parts, group.Source, n);
        int[][] members = [.. Enumerable.Range(0, parts).Select(p => order[(int)((long)n * p / parts)..(int)((long)n * (p + 1) / parts)])];
        int[] counts = SourceBudget.Share(Array.ConvertAll(members, m => m.Length), group.Budget);
        return members.Select((m, p) => group with { Members = [.. m.Order().Select(i => group.Members[i])], Budget = counts[p], Part = p });
    }
}
