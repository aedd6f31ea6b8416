using System.Diagnostics;
using NativeEngine.Devices;

namespace NativeEngine.Selection;

/// <summary>
/// A selection as it runs, and what came of it. One object serves one selection after another; with exact greedy the later ones allocate nothing. What it tells is valid until the next one.
/// </summary>
internal sealed class SelectionRun(Device device, SelectionOptions options, IGradientNormalizer normalizer, SelectionScratch scratch)
{
    private readonly TopKSparsifier _sparsifier = new(device, options.Top, options.TopMode, options.Seed);
    private readonly List<int> _members = [], _pickedRows = [];
    private int[] _rowOf = [], _host = [];
    private double _normalize, _topK, _distance, _selecting;

    /// <summary>The plan as it was carried out: without rows that are not finite.</summary>
    public SelectionPlan Plan { get; private set; } = null!;

    /// <summary>What was selected.</summary>
    public PickedExamples Picked { get; } = new();

    /// <summary>Where the time went.</summary>
    public SelectionTiming Timing => new(_normalize, _topK, _distance, _selecting, 0);

    /// <summary>Selects. See <see cref="CoresetSelector.Select"/>.</summary>
    public void Execute(SelectionPlan plan, Tensor<float> features, CancellationToken cancellation)
    {
        Begin(plan, features);
        using var scope = scratch.Floats.Open();
        bool needed = false;
        foreach (var group in Plan.GroupList)
        {
            needed |= Competes(group) && group.Budget < group.Members.Count;
        }
        var u = features;
        if (needed && !normalizer.IsIdentity)
        {
            long start = Stopwatch.GetTimestamp();
            u = scratch.Floats.Floats(features.Length).Reshape(features.Rows, features.RowLength);
            normalizer.Normalize(features, Plan.Step, u);
            Add(ref _normalize, start);
        }
        var groups = Plan.GroupList;
        for (int first = 0, end; first < groups.Count; first = end)
        {
            end = first + 1;
            while (end < groups.Count && groups[end].Source == groups[first].Source)
            {
                end++;
            }
            cancellation.ThrowIfCancellationRequested();
            One(u, first, end, cancellation);
        }
        if (_pickedRows.Count > 0)
        {
            long start = Stopwatch.GetTimestamp();
            var picked = scratch.Ints(SelectionScratch.Use.Flags, _pickedRows.Count);
            device.Upload<int>(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_pickedRows), picked);
            normalizer.Update(features, picked);
            Add(ref _normalize, start);
        }
        scratch.Release();
    }

    private static bool Competes(in SelectionGroup group) => !group.Kept && group.Budget > 0;

    private void Begin(SelectionPlan plan, Tensor<float> features)
    {
        Picked.Begin(plan.PoolSize);
        _pickedRows.Clear();
        (_normalize, _topK, _distance, _selecting) = (0, 0, 0, 0);
        var rowOf = GrownArray.Of(ref _rowOf, plan.PoolSize);
        var candidates = plan.CandidateList;
        for (int r = 0; r < candidates.Count; r++)
        {
            rowOf[candidates[r]] = r;
        }
        Plan = plan;
        if (candidates.Count > 0)
        {
            var flags = scratch.Ints(SelectionScratch.Use.Flags, candidates.Count);
            device.Kernels.RowsFinite(features, flags);
            var finite = GrownArray.Of(ref _host, candidates.Count);
            device.Download(flags, finite);
            if (finite.Contains(0))
            {
                var bad = new List<int>();
                for (int r = 0; r < candidates.Count; r++)
                {
                    if (finite[r] == 0)
                    {
                        bad.Add(candidates[r]);
                    }
                }
                Plan = plan.Without(bad);
            }
        }
        foreach (int position in Plan.KeptList)
        {
            Picked.AddWhole(position);
        }
    }

    /// <summary>Steps F to H of one source, which is groups first to end - 1 of the plan.</summary>
    private void One(Tensor<float> u, int first, int end, CancellationToken cancellation)
    {
        var groups = Plan.GroupList;
        int budget = 0;
        _members.Clear();
        for (int g = first; g < end; g++)
        {
            budget += Competes(groups[g]) ? groups[g].Budget : 0;
            for (int i = 0; Competes(groups[g]) && i < groups[g].Members.Count; i++)
            {
                _members.Add(groups[g].Members[i]);
            }
        }
        if (end > first + 1)
        {
            _members.Sort();
        }
        if (budget == _members.Count)
        {
            foreach (int position in _members)
            {
                Picked.AddWhole(position);
                _pickedRows.Add(_rowOf[position]);
            }
            return;
        }
        int source = groups[first].Source;
        var choice = SelectionChoice.Decide(options, _members.Count, budget);
        using var scope = scratch.Floats.Open();
        var x = Compared(u, source);
        var run = Maximize(x, source, budget, first, end, choice, cancellation);
        for (int t = 0; t < run.Picks.Count; t++)
        {
            _pickedRows.Add(_rowOf[_members[run.Picks[t]]]);
        }
        Picked.Add(source, _members, budget, run, choice.Algorithm);
    }

    /// <summary>The members' rows, in the columns the source is compared by. Lives in the caller's scope.</summary>
    private Tensor<float> Compared(Tensor<float> u, int source)
    {
        long start = Stopwatch.GetTimestamp();
        int h = _sparsifier.Count(u.RowLength), n = _members.Count;
        bool allColumns = h == u.RowLength;
        if (allColumns && n == u.Rows)
        {
            return u;
        }
        var rows = scratch.Ints(SelectionScratch.Use.Rows, n);
        var host = GrownArray.Of(ref _host, n);
        for (int i = 0; i < n; i++)
        {
            host[i] = _rowOf[_members[i]];
        }
        device.Upload<int>(host, rows);
        var x = scratch.Floats.Floats((long)n * h).Reshape(n, h);
        if (allColumns)
        {
            device.Kernels.GatherRows(u, rows, x);
        }
        else
        {
            var columns = scratch.Ints(SelectionScratch.Use.Columns, h);
            _sparsifier.Columns(u, rows, source, Plan.Step, columns, scratch.Floats);
            device.Kernels.Gather(u, rows, columns, x);
        }
        Add(ref _topK, start);
        return x;
    }

    private FacilityLocationResult Maximize(
        Tensor<float> x, int source, int budget, int first, int end, SelectionDecision choice, CancellationToken cancellation)
    {
        switch (choice.Algorithm)
        {
            case SelectionAlgorithm.Sparse:
                return SparseFacilityLocation.Maximize(x, options, budget, choice.Neighbours, null, ref _distance, ref _selecting, cancellation);
            case SelectionAlgorithm.Stochastic:
                var random = new SelectionRandom(options.Seed, Plan.Step).Derived(SelectionRandom.Use.Stochastic, source);
                return SparseFacilityLocation.Maximize(x, options, budget, choice.Neighbours, random, ref _distance, ref _selecting, cancellation);
            case SelectionAlgorithm.Partitioned:
                return Partitioned(x, first, end, choice, cancellation);
            default:
                return FacilityLocation.Maximize(x, options.Metric, budget, ref _distance, ref _selecting, scratch);
        }
    }

    /// <summary>Every part by itself, then the whole source's objective and bound.</summary>
    private FacilityLocationResult Partitioned(Tensor<float> x, int first, int end, SelectionDecision choice, CancellationToken cancellation)
    {
        int[] members = [.. _members];
        var (picks, gains) = (new List<int>(), new List<double>());
        foreach (var part in Plan.GroupList.Take(first..end).Where(p => p.Budget > 0))
        {
            cancellation.ThrowIfCancellationRequested();
            int[] rows = [.. part.Members.Select(i => Array.BinarySearch(members, i))];
            if (part.Budget == rows.Length)
            {
                picks.AddRange(rows);
                gains.AddRange(new double[rows.Length]);
                continue;
            }
            using var indices = device.Allocate<int>(rows, MemoryUse.Selection);
            using var own = device.Allocate<float>(rows.Length * x.RowLength, MemoryUse.Selection);
            var ownRows = own.View.Reshape(rows.Length, x.RowLength);
            device.Kernels.GatherRows(x, indices.View, ownRows);
            var run = FacilityLocation.Maximize(ownRows, options.Metric, part.Budget, ref _distance, ref _selecting);
            picks.AddRange(run.Picks.Select(p => rows[p]));
            gains.AddRange(run.Gains);
        }
        long start = Stopwatch.GetTimestamp();
        var graph = NeighbourGraph.Build(x, options, choice.Neighbours, cancellation);
        var result = SparseFacilityLocation.Evaluate(x, options.Metric, graph, [.. picks], [.. gains], cancellation);
        Add(ref _distance, start);
        return result;
    }

    private void Add(ref double milliseconds, long start)
    {
        device.Synchronize();
        milliseconds += Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }
}
