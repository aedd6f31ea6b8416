using System.Diagnostics;
using NativeEngine.Devices;

namespace NativeEngine.Selection;

/// <summary>
/// CoLM's selection (arXiv 2407.19580, steps D to J): keeps small sources whole, normalises the candidates' features like the optimiser, keeps
/// the most important columns of each source, and picks each source's quota by greedy facility location. The picks are the same for any
/// number of threads. First <see cref="Plan"/>, then features of the plan's candidates only, then <see cref="Select"/>.
/// </summary>
public sealed class CoresetSelector
{
    private readonly Device _device;
    private readonly TopKSparsifier _sparsifier;
    private readonly IGradientNormalizer _normalizer;

    /// <summary>A selector on a device. The normaliser stays the caller's to dispose.</summary>
    public CoresetSelector(Device device, SelectionOptions options, IGradientNormalizer normalizer)
    {
        options.Validate();
        if (options.Precision != SelectionPrecision.Fp32 && device.Screen is null)
        {
            throw new EngineException(
                ErrorKind.Usage, $"{device.Name} has no distances of lower precision than float32", "use --precision fp32, or --device cpu");
        }
        (_device, Options, _normalizer) = (device, options, normalizer);
        _sparsifier = new TopKSparsifier(device, options.Top, options.TopMode, options.Seed);
    }

    /// <summary>The options.</summary>
    public SelectionOptions Options { get; }

    /// <summary>Decides what can be decided without features; see <see cref="SelectionPlan.Create"/>.</summary>
    public SelectionPlan Plan(ReadOnlySpan<int> sources, long step, params IReadOnlyCollection<int> nonFinite) =>
        SelectionPlan.Create(Options, sources, step, nonFinite);

    /// <summary>
    /// Selects. Row r of features [plan.Candidates.Count, d] belongs to pool position plan.Candidates[r]; rows with NaN or infinity are dropped
    /// before any statistic and the quotas shared anew. Unless nothing was picked, the normaliser's history then takes in the mean of the picks.
    /// Features are not changed. Memory: as much as the features for their normalised copy (none without a normaliser), and for
    /// the largest source 4 n^2 bytes, or 24 bytes for each neighbour kept where <see cref="SelectionChoice"/> avoids the matrix. Errors: Usage for a row count that differs, WillNotFit, Numerical when distances overflow.
    /// </summary>
    public SelectionResult Select(SelectionPlan plan, Tensor<float> features, CancellationToken cancellation = default)
    {
        long start = Stopwatch.GetTimestamp();
        if (features.Rows != plan.Candidates.Count)
        {
            throw new EngineException(ErrorKind.Usage, $"{features.Rows} feature rows were given for {plan.Candidates.Count} candidates");
        }
        var result = new Run(this, plan, features).Execute(cancellation);
        return result with { Timing = result.Timing with { Total = Stopwatch.GetElapsedTime(start).TotalMilliseconds } };
    }

    /// <summary>One selection: the rows of the candidates, and the clock.</summary>
    private sealed class Run
    {
        private readonly CoresetSelector _selector;
        private readonly Device _device;
        private readonly Tensor<float> _features;
        private readonly Dictionary<int, int> _rowOf = [];
        private readonly SelectionPlan _plan;
        private double _normalize, _topK, _distance, _greedy;

        public Run(CoresetSelector selector, SelectionPlan plan, Tensor<float> features)
        {
            (_selector, _device, _features) = (selector, selector._device, features);
            for (int r = 0; r < plan.Candidates.Count; r++)
            {
                _rowOf[plan.Candidates[r]] = r;
            }
            int[] bad = NonFinite(plan);
            _plan = bad.Length == 0 ? plan : plan.Without(bad);
        }

        public SelectionResult Execute(CancellationToken cancellation)
        {
            var result = new ResultBuilder(_plan);
            var groups = _plan.Groups.Where(g => !g.Kept && g.Budget > 0).ToArray();
            var pickedRows = new List<int>();
            bool needed = groups.Any(g => g.Budget < g.Members.Count);
            using var normalized = needed && !_selector._normalizer.IsIdentity ? _device.Allocate<float>(_features.Length, MemoryUse.Selection) : null;
            var u = normalized is null ? _features : new Tensor<float>(normalized, 0, _features.Shape);
            if (normalized is not null)
            {
                Timed(ref _normalize, () => _selector._normalizer.Normalize(_features, _plan.Step, u));
            }
            foreach (var parts in groups.GroupBy(g => g.Source))
            {
                cancellation.ThrowIfCancellationRequested();
                var group = parts.First() with { Members = [.. parts.SelectMany(g => g.Members).Order()], Budget = parts.Sum(g => g.Budget), Part = 0 };
                if (group.Budget == group.Members.Count)
                {
                    result.AddWhole(group.Members);
                    pickedRows.AddRange(group.Members.Select(i => _rowOf[i]));
                    continue;
                }
                var choice = SelectionChoice.For(_selector.Options, group.Members.Count, group.Budget);
                var run = Greedy(u, group, [.. parts], choice, cancellation);
                result.AddPicks(group, run, choice);
                pickedRows.AddRange(run.Picks.Select(p => _rowOf[group.Members[p]]));
            }
            if (pickedRows.Count > 0)
            {
                using var picked = _device.Allocate<int>(pickedRows.ToArray(), MemoryUse.Selection);
                Timed(ref _normalize, () => _selector._normalizer.Update(_features, picked.View));
            }
            return result.Build(new SelectionTiming(_normalize, _topK, _distance, _greedy, 0), certified: true);
        }

        /// <summary>Steps F and H of one source.</summary>
        private FacilityLocationResult Greedy(
            Tensor<float> u, SelectionGroup group, SelectionGroup[] parts, SelectionChoice choice, CancellationToken cancellation)
        {
            int[] rows = [.. group.Members.Select(i => _rowOf[i])];
            int h = _selector._sparsifier.Count(u.RowLength);
            bool allColumns = h == u.RowLength, allRows = rows.Length == u.Rows;
            using var rowBuffer = _device.Allocate<int>(rows, MemoryUse.Selection);
            using var columns = allColumns ? null : _device.Allocate<int>(h, MemoryUse.Selection);
            using var gathered = allColumns && allRows ? null : _device.Allocate<float>((long)rows.Length * h, MemoryUse.Selection);
            var x = gathered is null ? u : new Tensor<float>(gathered, 0, new Shape(rows.Length, h));
            Timed(ref _topK, () =>
            {
                if (columns is not null)
                {
                    _selector._sparsifier.Columns(u, rowBuffer.View, group.Source, _plan.Step, columns.View);
                    _device.Kernels.Gather(u, rowBuffer.View, columns.View, x);
                }
                else if (gathered is not null)
                {
                    _device.Kernels.GatherRows(u, rowBuffer.View, x);
                }
            });
            var options = _selector.Options;
            switch (choice.Algorithm)
            {
                case SelectionAlgorithm.Sparse:
                    return SparseFacilityLocation.Maximize(x, options, group.Budget, choice.Neighbours, null, ref _distance, ref _greedy, cancellation);
                case SelectionAlgorithm.Stochastic:
                    var random = new SelectionRandom(options.Seed, _plan.Step).Derived(SelectionRandom.Use.Stochastic, group.Source);
                    return SparseFacilityLocation.Maximize(x, options, group.Budget, choice.Neighbours, random, ref _distance, ref _greedy, cancellation);
                case SelectionAlgorithm.Partitioned:
                    return Partitioned(x, group, parts, choice, cancellation);
                default:
                    return FacilityLocation.Maximize(x, options.Metric, group.Budget, ref _distance, ref _greedy);
            }
        }

        /// <summary>Every part by itself, then the whole source's objective and bound.</summary>
        private FacilityLocationResult Partitioned(
            Tensor<float> x, SelectionGroup group, SelectionGroup[] parts, SelectionChoice choice, CancellationToken cancellation)
        {
            int[] members = [.. group.Members];
            var (picks, gains) = (new List<int>(), new List<double>());
            foreach (var part in parts.Where(p => p.Budget > 0))
            {
                cancellation.ThrowIfCancellationRequested();
                int[] rows = [.. part.Members.Select(i => Array.BinarySearch(members, i))];
                if (part.Budget == rows.Length)
                {
                    picks.AddRange(rows);
                    gains.AddRange(new double[rows.Length]);
                    continue;
                }
                using var indices = _device.Allocate<int>(rows, MemoryUse.Selection);
                using var own = _device.Allocate<float>(rows.Length * x.RowLength, MemoryUse.Selection);
                var ownRows = own.View.Reshape(rows.Length, x.RowLength);
                _device.Kernels.GatherRows(x, indices.View, ownRows);
                var run = FacilityLocation.Maximize(ownRows, _selector.Options.Metric, part.Budget, ref _distance, ref _greedy);
                picks.AddRange(run.Picks.Select(p => rows[p]));
                gains.AddRange(run.Gains);
            }
            long start = Stopwatch.GetTimestamp();
            var graph = NeighbourGraph.Build(x, _selector.Options, choice.Neighbours, cancellation);
            var result = SparseFacilityLocation.Evaluate(x, _selector.Options.Metric, graph, [.. picks], [.. gains], cancellation);
            _distance += Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            return result;
        }

        private int[] NonFinite(SelectionPlan plan)
        {
            if (plan.Candidates.Count == 0)
            {
                return [];
            }
            using var flags = _device.Allocate<int>(plan.Candidates.Count, MemoryUse.Selection);
            _device.Kernels.RowsFinite(_features, flags.View);
            int[] finite = _device.Download(flags.View);
            return [.. plan.Candidates.Where((_, r) => finite[r] == 0)];
        }

        private void Timed(ref double milliseconds, Action work)
        {
            long start = Stopwatch.GetTimestamp();
            work();
            _device.Synchronize();
            milliseconds += Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        }
    }
}
