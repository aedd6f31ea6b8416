namespace NativeEngine.Selection;

/// <summary>Puts a <see cref="SelectionResult"/> together, group by group in training order.</summary>
internal sealed class ResultBuilder
{
    private readonly SelectionPlan _plan;
    private readonly List<int> _indices = [];
    private readonly List<int> _weights = [];
    private readonly List<double?> _gains = [];
    private readonly Dictionary<int, double> _objectives = [];
    private readonly int[] _owners;
    private readonly List<SelectionChoice> _choices = [];
    private readonly Dictionary<int, SelectionAlgorithm> _algorithms = [];
    private double _upperBound;

    public ResultBuilder(SelectionPlan plan)
    {
        _plan = plan;
        _owners = new int[plan.PoolSize];
        Array.Fill(_owners, -1);
        AddWhole(plan.Kept);
    }

    /// <summary>Examples that stand for themselves.</summary>
    public void AddWhole(IEnumerable<int> positions)
    {
        foreach (int position in positions)
        {
            _indices.Add(position);
            _weights.Add(1);
            _gains.Add(null);
            _owners[position] = position;
        }
    }

    /// <summary>The picks of a greedy run over a group.</summary>
    public void AddPicks(SelectionGroup group, FacilityLocationResult run, SelectionChoice choice)
    {
        int first = _indices.Count;
        for (int t = 0; t < run.Picks.Count; t++)
        {
            _indices.Add(group.Members[run.Picks[t]]);
            _weights.Add(0);
            _gains.Add(run.Gains[t]);
        }
        for (int i = 0; i < group.Members.Count; i++)
        {
            int pick = first + run.Owners[i];
            _weights[pick]++;
            _owners[group.Members[i]] = _indices[pick];
        }
        _choices.Add(choice);
        _algorithms[group.Source] = choice.Algorithm;
        _objectives[group.Source] = _objectives.GetValueOrDefault(group.Source) + run.Objective;
        _upperBound += run.UpperBound;
    }

    public SelectionResult Build(SelectionTiming timing, bool certified)
    {
        double objective = _objectives.Values.Sum();
        return new SelectionResult
        {
            Indices = _indices,
            Weights = _weights,
            Gains = _gains,
            Objective = objective,
            Kept = _plan.Kept,
            Dropped = _plan.Dropped,
            Sources =
            [
                .. _plan.Groups.GroupBy(g => g.Source).Select(parts => new SourceShare(
                    parts.Key, parts.Sum(g => g.Members.Count), parts.Sum(g => g.Budget), parts.Sum(g => g.Budget), parts.First().Kept,
                    _objectives.GetValueOrDefault(parts.Key), _algorithms.TryGetValue(parts.Key, out var algorithm) ? algorithm : null)),
            ],
            Owners = _owners,
            Certificate = certified ? new SelectionCertificate(_upperBound, _upperBound == 0 ? 1 : objective / _upperBound) : null,
            Timing = timing,
            Choice = _choices.MaxBy(c => (c.Algorithm != SelectionAlgorithm.Exact, c.Neighbours, c.Parts)),
        };
    }
}
