using System.Diagnostics;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;

namespace NativeEngine.Selection;

/// <summary>
/// Facility location without an n x n matrix, on each row's t nearest neighbours. Greedy maximises the truncated objective
/// G(A) = sum over i of max(0, r_i - min over j in A of D[i,j]), r_i = distance of row i's last neighbour: monotone and submodular like F, so that
/// G of the picks is at least (1 - 1/e) of the best G, and F(A) = sum (C - r_i) + G(A) wherever every row has a pick in its list. The gains it
/// returns are those of G (never increasing for the full greedy). Objective, owners and bound are those of F over the whole problem: a row's nearest pick is the first one in
/// its list; rows without one are compared with all picks. Cost: the pass of <see cref="NeighbourGraph"/>, then about n t log k.
/// </summary>
internal static class SparseFacilityLocation
{
    /// <summary>
    /// Selects k of the rows of x [n,h], by lazy greedy, or with a random generator by stochastic greedy (Mirzasoleiman et al. 2015): each pick is the
    /// best of (n / k) ln(1 / 0.05) rows drawn from those left, which keeps 1 - 1/e - 0.05 of the best G in expectation; its gains may increase.
    /// </summary>
    public static FacilityLocationResult Maximize(
        Tensor<float> x, SelectionOptions options, int k, int neighbours, CounterRandom? stochastic, ref double distanceTime, ref double greedyTime,
        CancellationToken cancellation)
    {
        long start = Stopwatch.GetTimestamp();
        var graph = NeighbourGraph.Build(x, options, neighbours, cancellation);
        distanceTime += Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        start = Stopwatch.GetTimestamp();
        var (picks, gains) = Greedy(graph, k, stochastic, cancellation);
        var result = Evaluate(x, options.Metric, graph, picks, gains, cancellation);
        greedyTime += Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        return result;
    }

    /// <summary>Finds the nearest pick (its position among the picks, and the distance) of the rows that have none in their list.</summary>
    public delegate void FarRows(int[] picks, List<int> open, int[] owners, float[] best);

    /// <summary>The same by lazy greedy on a graph whose rows are elsewhere.</summary>
    public static FacilityLocationResult Maximize(NeighbourGraph graph, int k, FarRows farRows, CancellationToken cancellation)
    {
        var (picks, gains) = Greedy(graph, k, null, cancellation);
        return Evaluate(graph, picks, gains, farRows);
    }

    /// <summary>
    /// The whole problem's objective, owners and upper bound of given picks. The bound is the least of: n C; every row at its nearest neighbour,
    /// k of them at themselves; and F + the k largest gains that remain, where rows without a pick in their list add what they could gain at most.
    /// </summary>
    public static FacilityLocationResult Evaluate(
        Tensor<float> x, DistanceMetric metric, NeighbourGraph graph, int[] picks, double[] gains, CancellationToken cancellation) =>
        Evaluate(graph, picks, gains, (chosen, open, owners, best) => FarPicks(x, metric, chosen, open, owners, best, cancellation));

    private static FacilityLocationResult Evaluate(NeighbourGraph graph, int[] picks, double[] gains, FarRows farRows)
    {
        int n = graph.Count;
        var order = new int[n];
        Array.Fill(order, -1);
        for (int p = 0; p < picks.Length; p++)
        {
            order[picks[p]] = p;
        }
        var owners = new int[n];
        var best = new float[n];
        var open = new List<int>();
        for (int i = 0; i < n; i++)
        {
            (owners[i], best[i]) = order[i] >= 0 ? (order[i], graph.Self[i]) : Nearest(graph, order, i);
            if (owners[i] < 0)
            {
                open.Add(i);
            }
        }
        farRows(picks, open, owners, best);
        double objective = 0, missing = 0;
        for (int i = 0; i < n; i++)
        {
            best[i] = Math.Min(best[i], graph.C);
            objective += (double)graph.C - best[i];
        }
        foreach (int i in open)
        {
            missing += Math.Max(0, (double)best[i] - graph.Radius(i));
        }
        double[] remaining = Remaining(graph, order, best);
        double bound = Math.Min(NeighbourBound(graph, picks.Length), objective + Largest(remaining, picks.Length) + (picks.Length * missing));
        return new FacilityLocationResult(picks, gains, owners, objective, Math.Max(objective, bound), graph.Screening);
    }

    private static (int[] Picks, double[] Gains) Greedy(NeighbourGraph graph, int k, CounterRandom? stochastic, CancellationToken cancellation)
    {
        int n = graph.Count;
        var reverse = ReverseLists.Of(graph);
        var current = new float[n];
        for (int i = 0; i < n; i++)
        {
            current[i] = graph.Radius(i);
        }
        var picks = new int[k];
        var gains = new double[k];
        var sampler = stochastic is { } random ? new Sampler(random, n, k) : null;
        GainQueue? queue = null;
        if (sampler is null)
        {
            var all = new double[n];
            for (int j = 0; j < n; j++)
            {
                all[j] = reverse.Gain(j, current, graph.Self);
            }
            queue = new GainQueue(all);
        }
        for (int p = 0; p < k; p++)
        {
            if (p % 1024 == 0)
            {
                cancellation.ThrowIfCancellationRequested();
            }
            if (queue is null)
            {
                (picks[p], gains[p]) = sampler!.Best(p, j => reverse.Gain(j, current, graph.Self));
            }
            else
            {
                while (!queue.TopIsFresh(p))
                {
                    queue.RefreshTop(reverse.Gain(queue.Top, current, graph.Self), p);
                }
                (picks[p], gains[p]) = queue.Pop();
                gains[p] = p == 0 ? gains[p] : Math.Min(gains[p], gains[p - 1]);
            }
            reverse.Lower(picks[p], current, graph.Self);
        }
        return (picks, gains);
    }

    private static (int Owner, float Distance) Nearest(NeighbourGraph graph, int[] order, int i)
    {
        int owner = -1;
        float distance = float.PositiveInfinity;
        long first = (long)i * graph.Width;
        for (long e = first; e < first + graph.Width && graph.Distances[e] <= distance; e++)
        {
            int pick = order[graph.Neighbours[e]];
            if (pick >= 0 && (owner < 0 || pick < owner))
            {
                (owner, distance) = (pick, graph.Distances[e]);
            }
        }
        return (owner, distance);
    }

    /// <summary>Compares rows without a pick in their list with all picks.</summary>
    private static void FarPicks(
        Tensor<float> x, DistanceMetric metric, int[] picks, List<int> open, int[] owners, float[] best, CancellationToken cancellation)
    {
        if (open.Count == 0)
        {
            return;
        }
        var device = x.Buffer.Device;
        using var all = device.Allocate<float>(picks.Length * x.RowLength, MemoryUse.Selection);
        var rows = new Tensor<float>(all, 0, new Shape(picks.Length, x.RowLength));
        Gather(x, picks, rows);
        var (found, which) = NearestPicks(x, [.. open], rows, metric, cancellation);
        for (int r = 0; r < open.Count; r++)
        {
            (best[open[r]], owners[open[r]]) = (found[r], which[r]);
        }
    }

    /// <summary>The nearest of the picks [k,h] to each of some rows of x, and its distance.</summary>
    public static (float[] Distances, int[] Picks) NearestPicks(Tensor<float> x, int[] left, Tensor<float> picks, DistanceMetric metric, CancellationToken cancellation)
    {
        var device = x.Buffer.Device;
        var (found, which) = (new float[left.Length], new int[left.Length]);
        if (left.Length == 0)
        {
            return (found, which);
        }
        int rows = (int)Math.Min(2048, Math.Max(left.Length, picks.Rows));
        using var block = device.Allocate<float>((long)rows * rows, MemoryUse.Selection);
        using var a = device.Allocate<float>(rows * x.RowLength, MemoryUse.Selection);
        using var largest = device.Allocate<float>(1, MemoryUse.Selection);
        using var nearest = device.Allocate<float>(rows, MemoryUse.Selection);
        using var ids = device.Allocate<int>(rows, MemoryUse.Selection);
        for (int i = 0; i < left.Length; i += rows)
        {
            int[] part = left[i..Math.Min(left.Length, i + rows)];
            var leftRows = new Tensor<float>(a, 0, new Shape(part.Length, x.RowLength));
            Gather(x, part, leftRows);
            var (lists, owner) = (new Tensor<float>(nearest, 0, new Shape(part.Length, 1)), new Tensor<int>(ids, 0, new Shape(part.Length, 1)));
            device.Kernels.Fill(float.PositiveInfinity, nearest.View);
            for (int j = 0; j < picks.Rows; j += rows)
            {
                cancellation.ThrowIfCancellationRequested();
                var rightRows = picks.Slice(j, Math.Min(rows, picks.Rows - j));
                var distances = new Tensor<float>(block, 0, new Shape(leftRows.Rows, rightRows.Rows));
                device.Kernels.Distances(leftRows, rightRows, metric, distances, largest.View);
                // Rows are numbered past the picks, so that none is taken for its own neighbour.
                device.Kernels.MergeNearest(distances, picks.Rows, j, columns: false, lists, owner);
            }
            device.Download(lists.Reshape(part.Length), found.AsSpan(i, part.Length));
            device.Download(owner.Reshape(part.Length), which.AsSpan(i, part.Length));
        }
        return (found, which);
    }

    private static void Gather(Tensor<float> x, int[] members, Tensor<float> target)
    {
        using var indices = x.Buffer.Device.Allocate<int>(members, MemoryUse.Selection);
        x.Buffer.Device.Kernels.GatherRows(x, indices.View, target);
        x.Buffer.Device.Synchronize();
    }

    private static double[] Remaining(NeighbourGraph graph, int[] order, float[] best)
    {
        var remaining = new double[graph.Count];
        for (int i = 0; i < graph.Count; i++)
        {
            remaining[i] += Math.Max(0, (double)best[i] - graph.Self[i]);
            long first = (long)i * graph.Width;
            for (long e = first; e < first + graph.Width && graph.Distances[e] < best[i]; e++)
            {
                remaining[graph.Neighbours[e]] += (double)best[i] - graph.Distances[e];
            }
        }
        for (int i = 0; i < graph.Count; i++)
        {
            remaining[i] = order[i] >= 0 ? 0 : remaining[i];
        }
        return remaining;
    }

    /// <summary>No row can do better than by itself when it is picked and by its nearest neighbour when it is not.</summary>
    private static double NeighbourBound(NeighbourGraph graph, int k)
    {
        double all = 0;
        var byItself = new double[graph.Count];
        for (int i = 0; i < graph.Count; i++)
        {
            double other = Math.Max(0, (double)graph.C - graph.Distances[(long)i * graph.Width]);
            all += other;
            byItself[i] = Math.Max(0, (double)graph.C - graph.Self[i] - other);
        }
        return all + Largest(byItself, k);
    }

    private static double Largest(double[] values, int k)
    {
        double[] sorted = [.. values];
        Array.Sort(sorted);
        double sum = 0;
        for (int i = 0; i < k; i++)
        {
            sum += sorted[sorted.Length - 1 - i];
        }
        return sum;
    }

    /// <summary>Draws each pick's candidates from the rows that are left.</summary>
    private sealed class Sampler(CounterRandom random, int n, int k)
    {
        private const double Epsilon = 0.05;
        private readonly int[] _left = [.. Enumerable.Range(0, n)];
        private readonly int _size = (int)Math.Ceiling((double)n / k * Math.Log(1 / Epsilon));
        private ulong _at;

        public (int Index, double Gain) Best(int pick, Func<int, double> gain)
        {
            int count = n - pick, drawn = Math.Min(_size, count), best = -1;
            double most = double.NegativeInfinity;
            for (int s = 0; s < drawn; s++)
            {
                // A partial shuffle: the candidates of this pick come to the front.
                int other = s + (int)random.Below(_at++, count - s);
                (_left[s], _left[other]) = (_left[other], _left[s]);
                double value = gain(_left[s]);
                if (best < 0 || value > most || (value == most && _left[s] < _left[best]))
                {
                    (best, most) = (s, value);
                }
            }
            int index = _left[best];
            _left[best] = _left[count - 1];
            return (index, most);
        }
    }
}
