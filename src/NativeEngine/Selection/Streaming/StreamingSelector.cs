using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using NativeEngine.Devices;

namespace NativeEngine.Selection;

/// <summary>
/// Coreset selection in one pass over examples that do not fit in memory: merge-and-reduce. At most M rows are stored (<see cref="StreamingOptions.RowsWithin"/>). When M are there, each source's rows
/// are replaced by the medoids that weighted greedy facility location picks among them, M / 2 in all, shared by the number of examples seen (balanced quotas: equally); a medoid's weight is the
/// number of examples it stands for. The result is the weighted greedy's over the stored rows, with the quotas of <see cref="CoresetSelector"/>. It does not depend on how the stream is cut into
/// chunks, and before the first reduction it equals exact greedy. How far it can be from that afterwards is measured, not assumed: <see cref="StreamingResult"/>.
/// <para>Cost: M d terms an example. Source: merge-and-reduce after Bentley and Saxe (1980), k-median in streams after Guha, Mishra, Motwani and O'Callaghan (2000), with the greedy of Nemhauser,
/// Wolsey and Fisher (1978) as the reducer.</para>
/// </summary>
public sealed class StreamingSelector : IDisposable
{
    private readonly StreamingOptions _options;
    private readonly StreamBuffer _buffer;
    private readonly SortedDictionary<int, Source> _sources = [];
    private readonly HashSet<int> _listed;

    /// <summary>A selector for features of a length. Errors: WillNotFit, Usage; see <see cref="StreamingOptions.RowsWithin"/>.</summary>
    public StreamingSelector(Device device, StreamingOptions options, long dimension)
    {
        if (dimension < 1)
        {
            throw new EngineException(ErrorKind.Usage, $"features of {dimension} elements cannot be compared");
        }
        Capacity = options.RowsWithin(dimension);
        (_options, Dimension) = (options, dimension);
        _listed = [.. options.Keep.Sources];
        _buffer = new StreamBuffer(device, options.Metric, options.Quota == QuotaRule.Balanced, Capacity, dimension);
    }

    /// <summary>Elements of a feature.</summary>
    public long Dimension { get; }

    /// <summary>Rows stored at most, M.</summary>
    public int Capacity { get; }

    /// <summary>Examples seen.</summary>
    public long Seen { get; private set; }

    /// <summary>Whether positions must be remembered for sources that may turn out to be small.</summary>
    private bool MayKeep => _options.Keep.Kind != SmallSourceKind.None;

    /// <summary>
    /// Takes the next examples: features [n,d] row by row, and a source id (not negative) for each. When cancelled, the examples before <see cref="Seen"/> have been taken, the others not.
    /// Errors: Usage for lengths that do not fit or a negative id; Numerical when distances overflow; WillNotFit.
    /// </summary>
    public void Add(ReadOnlySpan<float> features, ReadOnlySpan<int> sources, CancellationToken cancellation = default)
    {
        if (features.Length != sources.Length * Dimension)
        {
            throw new EngineException(ErrorKind.Usage, $"{features.Length} elements were given for {sources.Length} examples of {Dimension}");
        }
        if (!sources.IsEmpty && sources.IndexOfAnyInRange(int.MinValue, -1) is >= 0 and int at)
        {
            throw new EngineException(ErrorKind.Usage, $"example {Seen + at} has the source {sources[at]}", "give ids that are not negative");
        }
        for (int i = 0; i < sources.Length; i++)
        {
            if (_buffer.IsFull)
            {
                cancellation.ThrowIfCancellationRequested();
                _buffer.Reduce(cancellation);
            }
            Take(features.Slice((int)(i * Dimension), (int)Dimension), sources[i]);
        }
    }

    /// <summary>
    /// The selection of everything taken so far; the stream can go on afterwards. Fewer than B are selected when fewer are stored. Errors: Usage before the first example.
    /// </summary>
    public StreamingResult Result(CancellationToken cancellation = default)
    {
        if (Seen == 0)
        {
            throw new EngineException(ErrorKind.Usage, "nothing can be selected from a stream that has given no example", "add examples first");
        }
        int[] ids = [.. _sources.Keys];
        int[] sizes = [.. ids.Select(id => checked((int)_sources[id].Examples))];
        var small = _options.Keep.Kind == SmallSourceKind.Listed ? _listed
            : [.. _options.Keep.Apply(sizes, checked((int)Math.Min(Seen, int.MaxValue))).Select(q => ids[q])];
        long[] kept = [.. ids.Where(small.Contains).SelectMany(id => _sources[id].First).Order().Take(_options.Budget)];
        var open = ids.Where(id => !small.Contains(id)).ToArray();
        var result = new Parts(kept);
        if (_options.Quota == QuotaRule.None)
        {
            int stored = _buffer.Of(SelectionPlan.AllSources).Count;
            long finite = open.Sum(id => _sources[id].Finite);
            Choose(result, SelectionPlan.AllSources, finite, Math.Min(stored, _options.Budget - kept.Length), cancellation);
        }
        else
        {
            int[] quotas = Quotas(open, _options.Budget - kept.Length);
            for (int q = 0; q < open.Length; q++)
            {
                Choose(result, open[q], _sources[open[q]].Finite, quotas[q], cancellation);
            }
        }
        bool metric = _options.Metric != DistanceMetric.Cosine;
        return new StreamingResult
        {
            Indices = result.Indices,
            Weights = result.Weights,
            Gains = result.Gains,
            Seen = Seen,
            Kept = kept.Length,
            Dropped = open.Sum(id => _sources[id].Examples - _sources[id].Finite),
            Reductions = _buffer.Reductions,
            Objective = result.Objective,
            UpperBound = result.Bound,
            Cost = metric ? result.Cost : double.NaN,
            Displacement = metric ? _buffer.Displacement : double.NaN,
        };
    }

    /// <inheritdoc/>
    public void Dispose() => _buffer.Dispose();

    private void Take(ReadOnlySpan<float> feature, int id)
    {
        if (!_sources.TryGetValue(id, out var source))
        {
            _sources[id] = source = new Source();
        }
        source.Examples++;
        bool listed = _listed.Contains(id);
        if (MayKeep && (listed || _options.Keep.Kind != SmallSourceKind.Listed) && source.First.Count < _options.Budget)
        {
            source.First.Add(Seen);
        }
        if (!listed && IsFinite(feature))
        {
            source.Finite++;
            _buffer.Add(_options.Quota == QuotaRule.None ? SelectionPlan.AllSources : id, Seen, feature);
        }
        Seen++;
    }

    /// <summary>The quotas by the sources' true sizes; what a source has too few stored rows for goes to the next that have room.</summary>
    private int[] Quotas(int[] open, int budget)
    {
        int[] sizes = [.. open.Select(id => (int)_sources[id].Finite)];
        int[] stored = [.. open.Select(id => _buffer.Of(id).Count)];
        int all = (int)Math.Min(budget, sizes.Sum(s => (long)s));
        var random = new SelectionRandom(_options.Seed, 0).Derived(SelectionRandom.Use.Quota);
        int[] quotas = SourceBudget.Share(sizes, all, _options.Quota, _options.Rounding, random);
        int left = 0;
        for (int q = 0; q < quotas.Length; q++)
        {
            left += Math.Max(0, quotas[q] - stored[q]);
            quotas[q] = Math.Min(quotas[q], stored[q]);
        }
        for (int q = 0; q < quotas.Length && left > 0; q++)
        {
            int more = Math.Min(left, stored[q] - quotas[q]);
            quotas[q] += more;
            left -= more;
        }
        return quotas;
    }

    private void Choose(Parts result, int group, long finite, int quota, CancellationToken cancellation)
    {
        var rows = _buffer.Of(group);
        if (quota == finite)
        {
            foreach (var row in rows)
            {
                result.Add(row.Position, 1, null);
            }
            return;
        }
        if (quota == 0)
        {
            return;
        }
        var run = _buffer.Select(group, quota, cancellation);
        var weights = new long[quota];
        for (int i = 0; i < rows.Count; i++)
        {
            weights[run.Run.Owners[i]] += rows[i].Weight;
        }
        for (int t = 0; t < quota; t++)
        {
            result.Add(rows[run.Run.Picks[t]].Position, weights[t], run.Run.Gains[t]);
        }
        result.Objective += run.Run.Objective;
        result.Bound += run.Run.UpperBound;
        result.Cost += run.Costs.Sum();
    }

    /// <summary>Infinity minus itself, and NaN minus anything, is NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static bool IsFinite(ReadOnlySpan<float> values)
    {
        var sum = Vector256<float>.Zero;
        float rest = 0;
        int i = 0;
        for (; i + 8 <= values.Length; i += 8)
        {
            var eight = Vector256.Create(values[i..]);
            sum += eight - eight;
        }
        for (; i < values.Length; i++)
        {
            rest += values[i] - values[i];
        }
        return Vector256.Sum(sum) + rest == 0;
    }

    /// <summary>What is known of a source.</summary>
    private sealed class Source
    {
        /// <summary>Positions of its first examples, at most the budget, where it may be kept whole.</summary>
        public List<long> First { get; } = [];

        public long Examples { get; set; }

        public long Finite { get; set; }
    }

    /// <summary>The result as it grows.</summary>
    private sealed class Parts
    {
        public Parts(IEnumerable<long> kept)
        {
            foreach (long position in kept)
            {
                Add(position, 1, null);
            }
        }

        public List<long> Indices { get; } = [];

        public List<long> Weights { get; } = [];

        public List<double?> Gains { get; } = [];

        public double Objective { get; set; }

        public double Bound { get; set; }

        public double Cost { get; set; }

        public void Add(long position, long weight, double? gain)
        {
            Indices.Add(position);
            Weights.Add(weight);
            Gains.Add(gain);
        }
    }
}
