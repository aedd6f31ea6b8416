using NativeEngine.Devices;

namespace NativeEngine.Selection;

/// <summary>What distances of lower precision did for a selection. The picks are those of float32 in every case.</summary>
/// <param name="Precision">What was asked for.</param>
/// <param name="Screened">Pairs of rows compared in integers.</param>
/// <param name="Rescored">Pairs whose float32 distance was computed because their bounds could not exclude them.</param>
/// <param name="Rows">Rows whose float32 distances to all others were computed because their bounds excluded too little.</param>
/// <param name="Note">A sentence: how it went, or why nothing was screened.</param>
public sealed record SelectionScreening(SelectionPrecision Precision, long Screened, long Rescored, long Rows, string Note)
{
    /// <summary>What it did in all sources of a selection; null with float32.</summary>
    internal static SelectionScreening? Sum(SelectionPrecision precision, IEnumerable<GreedySource> sources)
    {
        if (precision == SelectionPrecision.Fp32)
        {
            return null;
        }
        var all = sources.Select(s => s.Screening
            ?? new SelectionScreening(precision, 0, 0, s.Size, "exact greedy reads every distance, so none can be left out")).ToArray();
        return all.Length == 0
            ? new SelectionScreening(precision, 0, 0, 0, "nothing was to be compared")
            : new SelectionScreening(precision, all.Sum(s => s.Screened), all.Sum(s => s.Rescored), all.Sum(s => s.Rows), all.MaxBy(s => (s.Screened, s.Rows))!.Note);
    }
}

/// <summary>
/// The t nearest rows of every row and the largest distance, by L1, with the bits of float32: all pairs are bounded in integers (<see cref="IScreenKernels"/>), each row keeps the w
/// lowest bounds, and the exact distances of these are computed in the order of their bounds until the next bound exceeds the t-th distance so far. Whatever is not on a row's list has a
/// bound at least as large as the list's last: a row whose t-th distance is below that is proven, the others are compared with all rows in float32. The largest distance is
/// found among the pairs whose upper bound reaches the largest distance known.
/// </summary>
internal sealed class ScreenedNeighbours
{
    /// <summary>Share of the first rows that may fail the proof before screening is given up.</summary>
    private const double MostFailures = 0.25;

    /// <summary>Rows whose candidates are computed together.</summary>
    private const int BatchRows = 1024;

    private readonly Tensor<float> _x;
    private readonly Device _device;
    private readonly IScreenKernels _kernels;
    private readonly int _n, _t, _width;
    private readonly long _rows;
    private readonly CancellationToken _cancellation;
    private long _screened, _rescored, _failed;
    private float _largest;

    private ScreenedNeighbours(Tensor<float> x, int t, ScreenType type, IScreenKernels kernels, CancellationToken cancellation)
    {
        (_x, _device, _kernels, _n, _t, _cancellation) = (x, x.Buffer.Device, kernels, checked((int)x.Rows), t, cancellation);
        (_width, _rows) = (Width(_n, t, type), NeighbourGraph.BlockRows(_n));
        (Nearest, Neighbours) = (new float[(long)_n * t], new int[(long)_n * t]);
    }

    /// <summary>[n,t], ascending in every list.</summary>
    public float[] Nearest { get; }

    /// <summary>[n,t], ties by lowest row.</summary>
    public int[] Neighbours { get; }

    /// <summary>The largest distance of all pairs.</summary>
    public float Largest => _largest;

    /// <summary>Bounds kept of each row: bytes err so much that many rows have bounds below the t-th distance.</summary>
    public static int Width(long n, int t, ScreenType type) => (int)Math.Min(n - 1, type == ScreenType.Int8 ? 4L * t : t + Math.Max(16, t / 4));

    /// <summary>Finds the neighbours, or gives up and says why: nothing is known then.</summary>
    public static ScreenedNeighbours? Find(
        Tensor<float> x, int t, SelectionPrecision precision, CancellationToken cancellation, out SelectionScreening report)
    {
        var kernels = x.Buffer.Device.Screen ?? throw new EngineException(
            ErrorKind.Usage, $"{x.Buffer.Device.Name} has no {precision.ToString().ToLowerInvariant()} distances", "use --precision fp32");
        var type = precision == SelectionPrecision.Int8 ? ScreenType.Int8 : ScreenType.Int16;
        var search = new ScreenedNeighbours(x, t, type, kernels, cancellation);
        bool done = search.Run(type);
        string note = done
            ? FormattableString.Invariant($"neighbours found by {(int)type * 8}-bit bounds, all distances used are float32's")
            : FormattableString.Invariant($"given up after {search._rows} of {search._n} rows: {(int)type * 8} bits cannot tell enough neighbours apart, so everything was computed in float32");
        report = new SelectionScreening(precision, search._screened, search._rescored, done ? search._failed : search._n, note);
        return done ? search : null;
    }

    private bool Run(ScreenType type)
    {
        using var screen = _kernels.Round(_x, type);
        double[] errors = _device.Download(screen.Errors);
        using var block = _device.Allocate<float>(_rows * _rows, MemoryUse.Selection);
        using var bounds = _device.Allocate<float>((long)_n * _width, MemoryUse.Selection);
        using var candidates = _device.Allocate<int>((long)_n * _width, MemoryUse.Selection);
        var (lists, ids) = (bounds.View.Reshape(_n, _width), candidates.View.Reshape(_n, _width));
        _device.Kernels.Fill(float.PositiveInfinity, bounds.View);
        int side = (int)((_rows + _kernels.ScreenSquare - 1) / _kernels.ScreenSquare);
        var squares = new float[side * side];
        var failed = new List<int>();
        for (long i = 0; i < _n; i += _rows)
        {
            long a = Math.Min(_rows, _n - i);
            for (long j = i; j < _n; j += _rows)
            {
                _cancellation.ThrowIfCancellationRequested();
                long b = Math.Min(_rows, _n - j);
                var part = new Tensor<float>(block, 0, new Shape(a, b));
                if (j == 0)
                {
                    // The first square in float32 sets the mark that later upper bounds must reach.
                    Exact(i, j, part);
                }
                var marks = squares.AsSpan(0, Squares(a) * Squares(b));
                _kernels.LowerBounds(screen, i, j, part, marks);
                _screened += i == j ? a * (a + 1) / 2 : a * b;
                _device.Kernels.MergeNearest(part, i, j, columns: false, lists.Slice(i, a), ids.Slice(i, a));
                if (i < j)
                {
                    _device.Kernels.MergeNearest(part, i, j, columns: true, lists.Slice(j, b), ids.Slice(j, b));
                }
                Contenders(screen, errors, i, j, part, marks);
            }
            // The rows of this band have met all others.
            Rescore(screen, i, a, lists, ids, failed);
            if (i == 0 && a < _n && failed.Count > MostFailures * a)
            {
                return false;
            }
        }
        _failed = failed.Count;
        Recompute(failed, block);
        return true;
    }

    private int Squares(long rows) => (int)((rows + _kernels.ScreenSquare - 1) / _kernels.ScreenSquare);

    /// <summary>Pairs that may be the farthest: their distances, or the whole block's where they are many.</summary>
    private void Contenders(ScreenedRows screen, double[] errors, long i, long j, Tensor<float> part, ReadOnlySpan<float> marks)
    {
        int square = _kernels.ScreenSquare, across = Squares(part.RowLength);
        long most = part.Length / 64;
        var (left, right) = (new List<int>(), new List<int>());
        float[] row = new float[part.RowLength];
        for (int s = 0; s < marks.Length; s++)
        {
            if (marks[s] < _largest)
            {
                continue;
            }
            long first = (long)(s / across) * square, column = (long)(s % across) * square;
            for (long r = first; r < Math.Min(part.Rows, first + square); r++)
            {
                _device.Download(part.Slice(r, 1).Reshape(part.RowLength), row);
                for (long c = column; c < Math.Min(part.RowLength, column + square); c++)
                {
                    // The bound was rounded to float32 once.
                    double upper = row[c] + (2 * (errors[i + r] + errors[j + c])) + (Math.Abs(row[c]) * 1e-7);
                    if (upper >= _largest && i + r < j + c)
                    {
                        left.Add((int)(i + r));
                        right.Add((int)(j + c));
                    }
                }
            }
            if (left.Count > most)
            {
                Exact(i, j, part);
                return;
            }
        }
        var distances = new float[left.Count];
        _kernels.PairDistances(_x, screen, [.. left], [.. right], distances);
        _rescored += left.Count;
        foreach (float distance in distances)
        {
            _largest = Math.Max(_largest, distance);
        }
    }

    private void Exact(long i, long j, Tensor<float> part)
    {
        using var largest = _device.Allocate<float>(1, MemoryUse.Selection);
        _device.Kernels.Distances(_x.Slice(i, part.Rows), _x.Slice(j, part.RowLength), DistanceMetric.L1, part, largest.View);
        _largest = Math.Max(_largest, _device.Download(largest.View)[0]);
        _rescored += i == j ? part.Rows * (part.Rows + 1) / 2 : part.Length;
    }

    /// <summary>The exact lists of rows first .. first + count - 1, batch by batch; rows that cannot be proven are added to failed.</summary>
    private void Rescore(ScreenedRows screen, long first, long count, Tensor<float> lists, Tensor<int> ids, List<int> failed)
    {
        for (long i = first; i < first + count; i += BatchRows)
        {
            int rows = (int)Math.Min(BatchRows, first + count - i);
            float[] bounds = _device.Download(lists.Slice(i, rows).Reshape((long)rows * _width));
            int[] candidates = _device.Download(ids.Slice(i, rows).Reshape((long)rows * _width));
            var known = new Candidates(this, screen, (int)i, rows, bounds, candidates);
            known.Run(failed);
        }
    }

    /// <summary>Rows whose bounds prove too little, against all rows in float32.</summary>
    private void Recompute(List<int> failed, DeviceBuffer<float> block)
    {
        if (failed.Count == 0)
        {
            return;
        }
        using var members = _device.Allocate<int>(Math.Min(failed.Count, _rows), MemoryUse.Selection);
        using var gathered = _device.Allocate<float>(Math.Min(failed.Count, _rows) * _x.RowLength, MemoryUse.Selection);
        using var largest = _device.Allocate<float>(1, MemoryUse.Selection);
        using var nearest = _device.Allocate<float>((long)Math.Min(failed.Count, _rows) * _t, MemoryUse.Selection);
        using var neighbours = _device.Allocate<int>((long)Math.Min(failed.Count, _rows) * _t, MemoryUse.Selection);
        for (int i = 0; i < failed.Count; i += (int)_rows)
        {
            int[] batch = [.. failed.Skip(i).Take((int)_rows)];
            var indices = members.View.Slice(0, batch.Length);
            var rows = new Tensor<float>(gathered, 0, new Shape(batch.Length, _x.RowLength));
            var (lists, ids) = (new Tensor<float>(nearest, 0, new Shape(batch.Length, _t)), new Tensor<int>(neighbours, 0, new Shape(batch.Length, _t)));
            _device.Upload(batch, indices);
            _device.Kernels.GatherRows(_x, indices, rows);
            _device.Kernels.Fill(float.PositiveInfinity, lists.Reshape((long)batch.Length * _t));
            for (long j = 0; j < _n; j += _rows)
            {
                _cancellation.ThrowIfCancellationRequested();
                var others = _x.Slice(j, Math.Min(_rows, _n - j));
                var part = new Tensor<float>(block, 0, new Shape(batch.Length, others.Rows));
                _device.Kernels.Distances(rows, others, DistanceMetric.L1, part, largest.View);
                for (int r = 0; r < batch.Length; r++)
                {
                    // Each row is numbered as itself, so that it is not its own neighbour.
                    _device.Kernels.MergeNearest(part.Slice(r, 1), batch[r], j, columns: false, lists.Slice(r, 1), ids.Slice(r, 1));
                }
            }
            float[] distances = _device.Download(lists.Reshape((long)batch.Length * _t));
            int[] found = _device.Download(ids.Reshape((long)batch.Length * _t));
            for (int r = 0; r < batch.Length; r++)
            {
                distances.AsSpan(r * _t, _t).CopyTo(Nearest.AsSpan(batch[r] * _t, _t));
                found.AsSpan(r * _t, _t).CopyTo(Neighbours.AsSpan(batch[r] * _t, _t));
            }
        }
    }

    /// <summary>A batch of rows on their way from bounds to distances.</summary>
    private sealed class Candidates(ScreenedNeighbours search, ScreenedRows screen, int first, int rows, float[] bounds, int[] candidates)
    {
        private const int Stretch = 32;
        private readonly int _width = search._width, _t = search._t;
        private readonly int[] _known = new int[rows];
        private readonly (float Distance, int Row)[] _lists = new (float, int)[rows * search._t];
        private readonly int[] _kept = new int[rows];
        private readonly List<int> _left = [], _right = [];

        public void Run(List<int> failed)
        {
            search._cancellation.ThrowIfCancellationRequested();
            for (int wanted = (_t + Stretch - 1) / Stretch * Stretch; Gather(wanted); wanted = Stretch)
            {
                var distances = new float[_left.Count];
                search._kernels.PairDistances(search._x, screen, [.. _left], [.. _right], distances);
                search._rescored += distances.Length;
                for (int p = 0; p < distances.Length; p++)
                {
                    Offer(_left[p] - first, distances[p], _right[p]);
                }
            }
            for (int r = 0; r < rows; r++)
            {
                if (!Proven(r))
                {
                    failed.Add(first + r);
                    continue;
                }
                for (int e = 0; e < _t; e++)
                {
                    long at = ((long)(first + r) * _t) + e;
                    (search.Nearest[at], search.Neighbours[at]) = _lists[(r * _t) + e];
                }
            }
        }

        /// <summary>The next candidates of every row that needs more; false when none does.</summary>
        private bool Gather(int wanted)
        {
            _left.Clear();
            _right.Clear();
            for (int r = 0; r < rows; r++)
            {
                int from = _known[r], to = Math.Min(_width, from + wanted);
                for (int e = from; e < to && !Closed(r, e); e++, _known[r]++)
                {
                    _left.Add(first + r);
                    _right.Add(candidates[(r * _width) + e]);
                }
            }
            return _left.Count > 0;
        }

        /// <summary>Whether nothing from entry e on can be among the t nearest.</summary>
        private bool Closed(int r, int e) => _kept[r] == _t && bounds[(r * _width) + e] > _lists[(r * _t) + _t - 1].Distance;

        private bool Proven(int r) => _kept[r] == _t
            && (_width == search._n - 1 || bounds[((r + 1) * _width) - 1] > _lists[(r * _t) + _t - 1].Distance);

        private void Offer(int r, float distance, int row)
        {
            var list = _lists.AsSpan(r * _t, _t);
            int at = _kept[r];
            if (at == _t)
            {
                if (!Before(distance, row, list[_t - 1]))
                {
                    return;
                }
                at--;
            }
            else
            {
                _kept[r]++;
            }
            for (; at > 0 && Before(distance, row, list[at - 1]); at--)
            {
                list[at] = list[at - 1];
            }
            list[at] = (distance, row);
        }

        private static bool Before(float distance, int row, (float Distance, int Row) other) =>
            distance < other.Distance || (distance == other.Distance && row < other.Row);
    }
}
