using NativeEngine.Devices;

namespace NativeEngine.Selection;

/// <summary>A stored row: which example it is, how many it stands for, and where its feature lies in the buffer.</summary>
internal record struct StoredRow(long Position, long Weight, int Slot);

/// <summary>
/// The rows that a streaming selection has in memory, at most M of them, by source. When it is full, <see cref="Reduce"/> keeps M / 2: in every source the medoids that greedy facility location
/// picks, each with the weight of the rows it stands for.
/// </summary>
internal sealed class StreamBuffer : IDisposable
{
    private readonly Device _device;
    private readonly DistanceMetric _metric;
    private readonly bool _equalShares;
    private readonly DeviceBuffer<float> _rows;
    private readonly Stack<int> _free = new();
    private readonly SortedDictionary<int, List<StoredRow>> _stored = [];
    private readonly int _capacity;
    private readonly long _dimension;

    public StreamBuffer(Device device, DistanceMetric metric, bool equalShares, int capacity, long dimension)
    {
        (_device, _metric, _equalShares, _capacity, _dimension) = (device, metric, equalShares, capacity, dimension);
        _rows = device.Allocate<float>(capacity * dimension, MemoryUse.Selection);
        for (int slot = capacity - 1; slot >= 0; slot--)
        {
            _free.Push(slot);
        }
    }

    public bool IsFull => _free.Count == 0;

    public long Reductions { get; private set; }

    /// <summary>Sum over the reductions of weight times distance to the row that took it over.</summary>
    public double Displacement { get; private set; }

    /// <summary>Rows of a source in the order of the stream.</summary>
    public IReadOnlyList<StoredRow> Of(int group) => _stored.TryGetValue(group, out var rows) ? rows : [];

    public void Add(int group, long position, ReadOnlySpan<float> feature)
    {
        int slot = _free.Pop();
        _device.Upload(feature, new Tensor<float>(_rows, slot * _dimension, new Shape(_dimension)));
        if (!_stored.TryGetValue(group, out var rows))
        {
            _stored[group] = rows = [];
        }
        rows.Add(new StoredRow(position, 1, slot));
    }

    /// <summary>Greedy over a source's rows.</summary>
    public WeightedRun Select(int group, int k, CancellationToken cancellation)
    {
        var rows = _stored[group];
        using var indices = _device.Allocate<int>(rows.Select(r => r.Slot).ToArray(), MemoryUse.Selection);
        using var gathered = _device.Allocate<float>(rows.Count * _dimension, MemoryUse.Selection);
        var x = gathered.View.Reshape(rows.Count, _dimension);
        _device.Kernels.GatherRows(_rows.View.Reshape(_capacity, _dimension), indices.View, x);
        return WeightedFacilityLocation.Maximize(x, rows.Select(r => r.Weight).ToArray(), _metric, k, cancellation);
    }

    /// <summary>Halves the rows. A cancelled reduction leaves the buffer as it was.</summary>
    public void Reduce(CancellationToken cancellation)
    {
        int[] groups = [.. _stored.Keys];
        int[] counts = [.. groups.Select(g => _stored[g].Count)];
        long[] weights = [.. groups.Select(g => _equalShares ? 1 : _stored[g].Sum(r => r.Weight))];
        int[] targets = Shares(counts, weights, _capacity / 2);
        var reduced = new List<StoredRow>[groups.Length];
        double displacement = 0;
        for (int g = 0; g < groups.Length; g++)
        {
            var rows = _stored[groups[g]];
            reduced[g] = rows;
            if (targets[g] < rows.Count && targets[g] > 0)
            {
                var run = Select(groups[g], targets[g], cancellation);
                displacement += run.Costs.Sum();
                reduced[g] = Kept(rows, run.Run);
            }
            else if (targets[g] == 0)
            {
                // More sources than rows that stay: this one is lost, no row stands for its examples, and no bound holds any more.
                reduced[g] = [];
                displacement = double.NaN;
            }
        }
        Displacement += displacement;
        Reductions++;
        for (int g = 0; g < groups.Length; g++)
        {
            var stay = reduced[g].Select(r => r.Slot).ToHashSet();
            foreach (var row in _stored[groups[g]].Where(r => !stay.Contains(r.Slot)))
            {
                _free.Push(row.Slot);
            }
            _stored[groups[g]] = reduced[g];
        }
    }

    /// <summary>
    /// How many rows each source keeps: as near to its share of the weights as its rows allow, at least one where there is room, in sum exactly the target (or all rows when they are fewer).
    /// </summary>
    internal static int[] Shares(ReadOnlySpan<int> counts, ReadOnlySpan<long> weights, int target)
    {
        int groups = counts.Length;
        var shares = new int[groups];
        Int128 total = 0;
        long rows = 0;
        for (int g = 0; g < groups; g++)
        {
            total += weights[g];
            rows += counts[g];
        }
        long left = Math.Min(target, rows);
        for (int g = 0; g < groups; g++)
        {
            shares[g] = (int)Int128.Min(counts[g], (((Int128)target * weights[g]) + total - 1) / total);
            left -= shares[g];
        }
        // Rounding up gave out at most one too many a source: the largest give them back, the last of equals first.
        for (; left < 0; left++)
        {
            int largest = 0;
            for (int g = 1; g < groups; g++)
            {
                largest = shares[g] >= shares[largest] ? g : largest;
            }
            shares[largest]--;
        }
        // What sources with too few rows could not take goes to the others, again by weight.
        while (left > 0)
        {
            Int128 open = 0;
            for (int g = 0; g < groups; g++)
            {
                open += shares[g] < counts[g] ? weights[g] : 0;
            }
            long before = left;
            for (int g = 0; g < groups && left > 0; g++)
            {
                if (shares[g] < counts[g])
                {
                    int more = (int)Int128.Min(Int128.Max(1, before * (Int128)weights[g] / open), Math.Min(counts[g] - shares[g], left));
                    shares[g] += more;
                    left -= more;
                }
            }
        }
        return shares;
    }

    public void Dispose() => _rows.Dispose();

    /// <summary>The picked rows in the order of the stream, with the weights of what they stand for.</summary>
    private static List<StoredRow> Kept(List<StoredRow> rows, FacilityLocationResult run)
    {
        var weights = new long[run.Picks.Count];
        for (int i = 0; i < rows.Count; i++)
        {
            weights[run.Owners[i]] += rows[i].Weight;
        }
        return [.. run.Picks.Select((row, t) => rows[row] with { Weight = weights[t] }).OrderBy(r => r.Position)];
    }
}
