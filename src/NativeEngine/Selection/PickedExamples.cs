namespace NativeEngine.Selection;

/// <summary>One source that was chosen by the objective.</summary>
internal readonly record struct GreedySource(int Source, int Size, int Budget, double Objective, SelectionAlgorithm Algorithm, SelectionScreening? Screening);

/// <summary>What has been selected, source by source in training order. One object serves one selection after another and then allocates nothing.</summary>
internal sealed class PickedExamples
{
    private int[] _owners = [];
    private int _poolSize;

    /// <summary>Selected positions in training order.</summary>
    public List<int> Indices { get; } = [];

    /// <summary>Cluster sizes.</summary>
    public List<int> Weights { get; } = [];

    /// <summary>Gains, null for examples taken whole.</summary>
    public List<double?> Gains { get; } = [];

    /// <summary>Sources that ran the greedy.</summary>
    public List<GreedySource> Greedy { get; } = [];

    /// <summary>Representative of every position, or -1.</summary>
    public ReadOnlySpan<int> Owners => _owners.AsSpan(0, _poolSize);

    /// <summary>Sum of the objectives.</summary>
    public double Objective { get; private set; }

    /// <summary>Sum of the upper bounds.</summary>
    public double UpperBound { get; private set; }

    /// <summary>Nothing of a pool.</summary>
    public void Begin(int poolSize)
    {
        Indices.Clear();
        Weights.Clear();
        Gains.Clear();
        Greedy.Clear();
        (Objective, UpperBound, _poolSize) = (0, 0, poolSize);
        GrownArray.Of(ref _owners, poolSize).Fill(-1);
    }

    /// <summary>An example that stands for itself.</summary>
    public void AddWhole(int position)
    {
        Indices.Add(position);
        Weights.Add(1);
        Gains.Add(null);
        _owners[position] = position;
    }

    /// <summary>The picks of a greedy run over a source, whose rows are these positions.</summary>
    public void Add(int source, IReadOnlyList<int> members, int budget, FacilityLocationResult run, SelectionAlgorithm algorithm)
    {
        int first = Indices.Count;
        for (int t = 0; t < run.Picks.Count; t++)
        {
            Indices.Add(members[run.Picks[t]]);
            Weights.Add(0);
            Gains.Add(run.Gains[t]);
        }
        for (int i = 0; i < members.Count; i++)
        {
            int pick = first + run.Owners[i];
            Weights[pick]++;
            _owners[members[i]] = Indices[pick];
        }
        Greedy.Add(new GreedySource(source, members.Count, budget, run.Objective, algorithm, run.Screening));
        Objective += run.Objective;
        UpperBound += run.UpperBound;
    }
}
