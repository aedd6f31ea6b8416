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
public readonly record struct SelectionGroup(int Source, IReadOnlyList<int> Members, int Budget, bool Kept, int Part = 0);

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

    private readonly List<int> _ids = [], _kept = [], _candidates = [];
    private readonly List<bool> _idKept = [];
    private readonly List<SelectionGroup> _groups = [], _open = [];
    private readonly List<DroppedExample> _dropped = [];
    private readonly Stack<List<int>> _spare = [];
    private readonly List<List<int>> _members = [];
    private int[] _sizes = [], _counts = [];

    /// <summary>An empty plan, for <see cref="Fill"/>.</summary>
    internal SelectionPlan()
    {
    }

    /// <summary>The options it was made with.</summary>
    public SelectionOptions Options { get; private set; } = null!;

    /// <summary>Examples in the pool.</summary>
    public int PoolSize { get; private set; }

    /// <summary>Optimizer steps already done; it keys the random choices and the bias corrections.</summary>
    public long Step { get; private set; }

    /// <summary>Pool positions of kept examples that are trained, ascending; at most the budget.</summary>
    public IReadOnlyList<int> Kept => _kept;

    /// <summary>
    /// Every source of the pool, ascending; with <see cref="QuotaRule.None"/> the kept ones and one group of the others. A partitioned source is
    /// several groups in a row.
    /// </summary>
    public IReadOnlyList<SelectionGroup> Groups => _groups;

    /// <summary>Examples that were excluded.</summary>
    public IReadOnlyList<DroppedExample> Dropped => _dropped;

    /// <summary>Pool positions that need features, ascending: row r of the features given to a selector is example Candidates[r].</summary>
    public IReadOnlyList<int> Candidates => _candidates;

    internal List<int> KeptList => _kept;

    internal List<int> CandidateList => _candidates;

    internal List<SelectionGroup> GroupList => _groups;

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
        var plan = new SelectionPlan();
        plan.Fill(options, sources, step, nonFinite);
        return plan;
    }

    /// <summary>Makes this the plan of another step, in the memory it has.</summary>
    internal void Fill(SelectionOptions options, ReadOnlySpan<int> sources, long step, IReadOnlyCollection<int>? nonFinite = null)
    {
        (Options, PoolSize, Step) = (options, sources.Length, step);
        Clear();
        var bad = nonFinite is { Count: > 0 } ? nonFinite.ToHashSet() : null;
        for (int i = 0; i < sources.Length; i++)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(sources[i], nameof(sources));
            int at = _ids.BinarySearch(sources[i]);
            bool kept = at >= 0 ? _idKept[at] : options.KeptSources.Contains(sources[i]);
            if (!kept && bad is not null && bad.Contains(i))
            {
                _dropped.Add(new DroppedExample(i, NonFinite));
                continue;
            }
            if (at < 0)
            {
                at = ~at;
                _ids.Insert(at, sources[i]);
                _idKept.Insert(at, kept);
                _members.Insert(at, Members());
            }
            _members[at].Add(i);
            if (kept)
            {
                _kept.Add(i);
            }
        }
        if (_kept.Count > options.Budget)
        {
            Overflow();
        }
        for (int s = 0; s < _ids.Count; s++)
        {
            if (!_idKept[s])
            {
                _open.Add(new SelectionGroup(_ids[s], _members[s], 0, false));
            }
        }
        Share(options.Budget - _kept.Count);
        for (int s = 0; s < _ids.Count; s++)
        {
            if (_idKept[s])
            {
                int taken = 0;
                foreach (int position in _members[s])
                {
                    taken += _kept.BinarySearch(position) >= 0 ? 1 : 0;
                }
                _groups.Add(new SelectionGroup(_ids[s], _members[s], taken, true));
            }
        }
        // Sorted once: there may be as many sources as examples.
        _groups.Sort(static (a, b) => a.Source != b.Source ? a.Source.CompareTo(b.Source) : a.Part.CompareTo(b.Part));
        FindCandidates();
    }

    /// <summary>
    /// The same plan without some candidates whose features turned out not to be finite. Quotas are shared anew among the sources that have
    /// features; a source that had quota 0 keeps it.
    /// </summary>
    public SelectionPlan Without(IReadOnlyCollection<int> positions)
    {
        var bad = positions.ToHashSet();
        var plan = new SelectionPlan { Options = Options, PoolSize = PoolSize, Step = Step };
        plan._kept.AddRange(_kept);
        plan._open.AddRange(Groups.Where(g => !g.Kept && g.Budget > 0).GroupBy(g => g.Source)
            .Select(parts => parts.First() with { Members = [.. parts.SelectMany(g => g.Members).Where(i => !bad.Contains(i)).Order()], Part = 0 })
            .Where(g => g.Members.Count > 0));
        plan._dropped.AddRange(Dropped.Concat(bad.Select(i => new DroppedExample(i, NonFinite))).OrderBy(d => d.Index));
        plan.Share(Options.Budget - _kept.Count);
        foreach (var group in Groups.Where(g => g.Kept || g.Budget == 0))
        {
            plan.Insert(group);
        }
        plan.FindCandidates();
        return plan;
    }

    private void Clear()
    {
        foreach (var members in _members)
        {
            members.Clear();
            _spare.Push(members);
        }
        _members.Clear();
        _ids.Clear();
        _idKept.Clear();
        _kept.Clear();
        _candidates.Clear();
        _groups.Clear();
        _open.Clear();
        _dropped.Clear();
    }

    private List<int> Members() => _spare.TryPop(out var members) ? members : [];

    /// <summary>Kept examples beyond the budget are left out.</summary>
    private void Overflow()
    {
        if (Options.Overflow == OverflowPolicy.Random)
        {
            int[] sample = new SelectionRandom(Options.Seed, Step).Sample(SelectionRandom.Use.Overflow, 0, _kept.Count, Options.Budget);
            for (int i = 0; i < sample.Length; i++)
            {
                _kept[i] = _kept[sample[i]];
            }
        }
        _kept.RemoveRange(Options.Budget, _kept.Count - Options.Budget);
    }

    /// <summary>Shares a budget among the open groups and adds them, in order.</summary>
    private void Share(int budget)
    {
        var sizes = GrownArray.Of(ref _sizes, _open.Count);
        int total = 0;
        for (int q = 0; q < sizes.Length; q++)
        {
            total += sizes[q] = _open[q].Members.Count;
        }
        budget = Math.Min(budget, total);
        if (Options.Quota == QuotaRule.None)
        {
            if (_open.Count > 0)
            {
                var all = Members();
                _members.Add(all);
                foreach (var group in _open)
                {
                    for (int i = 0; i < group.Members.Count; i++)
                    {
                        all.Add(group.Members[i]);
                    }
                }
                all.Sort();
                AddParts(new SelectionGroup(AllSources, all, budget, false));
            }
            return;
        }
        var counts = GrownArray.Of(ref _counts, _open.Count);
        SourceBudget.Share(sizes, budget, Options.Quota, Options.Rounding, new SelectionRandom(Options.Seed, Step).Derived(SelectionRandom.Use.Quota), counts);
        for (int q = 0; q < counts.Length; q++)
        {
            AddParts(_open[q] with { Budget = counts[q] });
        }
    }

    /// <summary>A source, cut into random parts of nearly equal size that share its quota where the options ask for it.</summary>
    private void AddParts(SelectionGroup group)
    {
        int n = group.Members.Count;
        int parts = SelectionChoice.Decide(Options, n, group.Budget).Parts;
        if (parts == 1 || group.Budget == 0 || group.Budget == n)
        {
            _groups.Add(group);
        }
        else
        {
            Cut(group, parts);
        }
    }

    private void Cut(SelectionGroup group, int parts)
    {
        int n = group.Members.Count;
        int[] order = new SelectionRandom(Options.Seed, Step).Order(SelectionRandom.Use.Parts, group.Source, n);
        int[][] members = [.. Enumerable.Range(0, parts).Select(p => order[(int)((long)n * p / parts)..(int)((long)n * (p + 1) / parts)])];
        int[] counts = SourceBudget.Share(Array.ConvertAll(members, m => m.Length), group.Budget);
        _groups.AddRange(members.Select((m, p) => group with { Members = [.. m.Order().Select(i => group.Members[i])], Budget = counts[p], Part = p }));
    }

    /// <summary>Adds a group where its source's id belongs.</summary>
    private void Insert(SelectionGroup group)
    {
        int at = _groups.Count;
        while (at > 0 && _groups[at - 1].Source > group.Source)
        {
            at--;
        }
        _groups.Insert(at, group);
    }

    private void FindCandidates()
    {
        foreach (var group in _groups)
        {
            for (int i = 0; !group.Kept && group.Budget > 0 && i < group.Members.Count; i++)
            {
                _candidates.Add(group.Members[i]);
            }
        }
        _candidates.Sort();
    }
}
