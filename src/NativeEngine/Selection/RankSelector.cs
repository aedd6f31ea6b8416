using System.Diagnostics;
using System.Runtime.InteropServices;
using NativeEngine.Devices;
using NativeEngine.Native;

namespace NativeEngine.Selection;

/// <summary>
/// Selection from features that lie on several ranks, each with the rows of its own file; the pool is their concatenation in the order of the ranks.
/// Every rank compares its rows with blocks that travel from rank to rank and keeps its rows' nearest neighbours; the lists, not the features, are
/// put together, and every rank makes the same greedy choice on them. Picks, weights, gains, objective and bound are those of
/// <see cref="SelectionAlgorithm.Sparse"/> on one rank with all rows, to the bit. Per rank: n^2 h / W terms; its rows, two blocks, and 16 bytes
/// for each neighbour of all n examples; every row travels once to every rank.
/// </summary>
public sealed class RankSelector(Device device, SelectionOptions options, RankGroup ranks)
{
    private int _own;
    private int _first;
    private int[] _counts = [];

    /// <summary>
    /// Selects. <paramref name="features"/> are this rank's rows, <paramref name="sources"/> the source ids of all examples. Errors: Usage for options that need all
    /// features in one place (other algorithms, the most important columns), WillNotFit, Numerical as <see cref="CoresetSelector"/>.
    /// </summary>
    public (SelectionResult Result, SelectionPlan Plan) Select(ReadOnlySpan<int> sources, Tensor<float> features, long step, CancellationToken cancellation = default)
    {
        long start = Stopwatch.GetTimestamp();
        if (options.Algorithm is not (SelectionAlgorithm.Auto or SelectionAlgorithm.Sparse) || options.Top > 0)
        {
            throw new EngineException(ErrorKind.Usage,
                $"on several ranks selection is sparse on all columns; {(options.Top > 0 ? $"the {options.Top} most important columns" : options.Algorithm.ToString().ToLowerInvariant())} was asked for",
                "use --algorithm auto or sparse without --top");
        }
        _counts = ranks.GatherOne((int)features.Rows);
        (_own, _first) = ((int)features.Rows, _counts.Take(ranks.Rank).Sum());
        if (_counts.Sum() != sources.Length)
        {
            throw new EngineException(ErrorKind.BadInput, $"the ranks hold {_counts.Sum()} rows of features for {sources.Length} examples");
        }
        var plan = SelectionPlan.Create(options with { Algorithm = SelectionAlgorithm.Sparse }, sources, step, NonFinite(features));
        var picked = new PickedExamples();
        picked.Begin(plan.PoolSize);
        foreach (int position in plan.Kept)
        {
            picked.AddWhole(position);
        }
        double distance = 0, greedy = 0;
        foreach (var group in plan.Groups.Where(g => !g.Kept && g.Budget > 0))
        {
            if (group.Budget == group.Members.Count)
            {
                foreach (int position in group.Members)
                {
                    picked.AddWhole(position);
                }
                continue;
            }
            var choice = SelectionChoice.Decide(plan.Options, group.Members.Count, group.Budget);
            picked.Add(group.Source, group.Members, group.Budget, Sparse(features, group, choice, ref distance, ref greedy, cancellation), choice.Algorithm);
        }
        var result = SelectionResult.Of(plan, picked, new SelectionTiming(0, 0, distance, greedy, Stopwatch.GetElapsedTime(start).TotalMilliseconds));
        return (result with { Choice = result.Choice is { } largest ? largest with { Reason = $"features lie on {ranks.Count} ranks" } : null, Screening = null }, plan);
    }

    private FacilityLocationResult Sparse(
        Tensor<float> features, SelectionGroup group, SelectionDecision choice, ref double distanceTime, ref double greedyTime, CancellationToken cancellation)
    {
        long start = Stopwatch.GetTimestamp();
        int[] own = [.. group.Members.Where(i => i >= _first && i < _first + _own).Select(i => i - _first)];
        using var rows = device.Allocate<int>(own, MemoryUse.Selection);
        using var gathered = device.Allocate<float>(Math.Max(1, own.Length * features.RowLength), MemoryUse.Selection);
        var x = new Tensor<float>(gathered, 0, new Shape(own.Length, features.RowLength));
        if (own.Length > 0)
        {
            device.Kernels.GatherRows(features, rows.View, x);
            device.Synchronize();
        }
        int[] counts = ranks.GatherOne(own.Length);
        var graph = Graph(x, counts, choice.Neighbours, cancellation);
        distanceTime += Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        start = Stopwatch.GetTimestamp();
        int at = counts.Take(ranks.Rank).Sum();
        var run = SparseFacilityLocation.Maximize(graph, group.Budget, (picks, open, owners, best) => FarPicks(x, at, counts, picks, open, owners, best, cancellation), cancellation);
        greedyTime += Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        return run;
    }

    /// <summary>The graph of all rows, the same on every rank. The order of merging does not matter to a list, so neither does the number of ranks.</summary>
    private NeighbourGraph Graph(Tensor<float> x, int[] counts, int width, CancellationToken cancellation)
    {
        int n = counts.Sum(), t = Math.Clamp(width, 1, n - 1), mine = counts[ranks.Rank], offset = counts.Take(ranks.Rank).Sum();
        long block = NeighbourGraph.BlockRows(n);
        using var visiting = device.Allocate<float>(block * x.RowLength, MemoryUse.Selection);
        using var pairs = device.Allocate<float>(block * block, MemoryUse.Selection);
        using var largest = device.Allocate<float>(1, MemoryUse.Selection);
        using var nearest = device.Allocate<float>(Math.Max(1, (long)mine * t), MemoryUse.Selection);
        using var neighbours = device.Allocate<int>(Math.Max(1, (long)mine * t), MemoryUse.Selection);
        var (lists, ids) = (new Tensor<float>(nearest, 0, new Shape(mine, t)), new Tensor<int>(neighbours, 0, new Shape(mine, t)));
        device.Kernels.Fill(float.PositiveInfinity, nearest.View);
        NormRange.Require(x, options.Metric, largest.View);
        var self = new float[mine];
        float c = 0;
        for (int owner = 0, theirs = 0; owner < ranks.Count; theirs += counts[owner++])
        {
            for (long j = 0; j < counts[owner]; j += block)
            {
                var b = Visit(x, owner, j, Math.Min(block, counts[owner] - j), visiting);
                for (long i = 0; i < mine; i += block)
                {
                    cancellation.ThrowIfCancellationRequested();
                    var a = x.Slice(i, Math.Min(block, mine - i));
                    var distances = new Tensor<float>(pairs, 0, new Shape(a.Rows, b.Rows));
                    device.Kernels.Distances(a, b, options.Metric, distances, largest.View);
                    c = Math.Max(c, device.Download(largest.View)[0]);
                    device.Kernels.MergeNearest(distances, offset + i, theirs + j, columns: false, lists.Slice(i, a.Rows), ids.Slice(i, a.Rows));
                    if (options.Metric == DistanceMetric.Cosine && owner == ranks.Rank && i == j)
                    {
                        float[] values = device.Download(distances.Reshape(a.Rows * b.Rows));
                        for (long r = 0; r < a.Rows; r++)
                        {
                            self[i + r] = values[r * (b.Rows + 1)];
                        }
                    }
                }
                device.Synchronize();
            }
        }
        c = ranks.GatherOne(c).Max();
        if (!float.IsFinite(c))
        {
            throw new EngineException(
                ErrorKind.Numerical, $"the largest distance of {n} features is {c}: their sums leave the range of float32", "scale the features down");
        }
        int[] entries = Array.ConvertAll(counts, k => checked(k * t));
        return NeighbourGraph.Of(
            n, t, GatherAll(mine == 0 ? [] : device.Download(lists.Reshape(entries[ranks.Rank])), entries),
            GatherAll(mine == 0 ? [] : device.Download(ids.Reshape(entries[ranks.Rank])), entries), GatherAll(self, counts), options.Metric == DistanceMetric.Cosine ? 0 : c);
    }

    /// <summary>Rows [first, first + count) of a rank, on every rank.</summary>
    private Tensor<float> Visit(Tensor<float> x, int owner, long first, long count, DeviceBuffer<float> into)
    {
        if (owner == ranks.Rank && ranks.Count == 1)
        {
            return x.Slice(first, count);
        }
        const int MostFloats = 1 << 26;
        long width = x.RowLength, piece = Math.Max(1, MostFloats / width);
        var counts = new int[ranks.Count];
        for (long at = 0; at < count; at += piece)
        {
            var part = new Tensor<float>(into, at * width, new Shape(Math.Min(piece, count - at), width));
            counts[owner] = checked((int)(part.Length * sizeof(float)));
            var values = new float[part.Length];
            float[] mine = owner == ranks.Rank ? device.Download(x.Slice(first + at, part.Rows)) : [];
            ranks.Gather(MemoryMarshal.AsBytes(mine.AsSpan()), counts, MemoryMarshal.AsBytes(values.AsSpan()));
            device.Upload<float>(values, part);
        }
        return new Tensor<float>(into, 0, new Shape(count, width));
    }

    // Rows without a pick in their list are compared with all picks by the rank that has them.
    private void FarPicks(Tensor<float> x, int offset, int[] counts, int[] picks, List<int> open, int[] owners, float[] best, CancellationToken cancellation)
    {
        if (open.Count == 0)
        {
            return;
        }
        int mine = counts[ranks.Rank];
        using var all = device.Allocate<float>(picks.Length * x.RowLength, MemoryUse.Selection);
        var rows = new Tensor<float>(all, 0, new Shape(picks.Length, x.RowLength));
        for (int p = 0; p < picks.Length; p++)
        {
            int owner = 0, first = 0;
            while (picks[p] >= first + counts[owner])
            {
                first += counts[owner++];
            }
            using var one = device.Allocate<float>(x.RowLength, MemoryUse.Selection);
            var row = Visit(x, owner, picks[p] - first, 1, one);
            device.Kernels.Copy(row, rows.Slice(p, 1));
            device.Synchronize();
        }
        int[] left = [.. open.Where(i => i >= offset && i < offset + mine).Select(i => i - offset)];
        var (found, which) = SparseFacilityLocation.NearestPicks(x, left, rows, options.Metric, cancellation);
        int[] sizes = ranks.GatherOne(left.Length);
        float[] distances = GatherAll(found, sizes);
        int[] nearest = GatherAll(which, sizes);
        // Open rows are ascending, and so are the ranks' shares of them.
        for (int r = 0; r < open.Count; r++)
        {
            (best[open[r]], owners[open[r]]) = (distances[r], nearest[r]);
        }
    }

    private T[] GatherAll<T>(T[] mine, int[] counts)
        where T : unmanaged
    {
        var all = new T[counts.Sum()];
        int[] bytes = Array.ConvertAll(counts, n => checked(n * Marshal.SizeOf<T>()));
        ranks.Gather(MemoryMarshal.AsBytes(mine.AsSpan()), bytes, MemoryMarshal.AsBytes(all.AsSpan()));
        return all;
    }

    private int[] NonFinite(Tensor<float> features)
    {
        using var flags = device.Allocate<int>(_own, MemoryUse.Selection);
        device.Kernels.RowsFinite(features, flags.View);
        int[] all = GatherAll(device.Download(flags.View), _counts);
        return [.. Enumerable.Range(0, all.Length).Where(i => all[i] == 0)];
    }
}
