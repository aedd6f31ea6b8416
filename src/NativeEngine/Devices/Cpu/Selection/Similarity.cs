using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace NativeEngine.Devices.Cpu;

// S [n,n] of a set of rows, and the distances [m,p] of two sets of rows: both from blocks of packed rows.
internal sealed unsafe partial class CpuKernels<L>
{
    /// <summary>Floats of one packed block of rows: 32 MiB, so that packing costs little against the pairs.</summary>
    private const long PackedFloats = 1 << 23;

    /// <summary>Rows that are packed together at most.</summary>
    private const long PackedRows = 2048;

    /// <summary>Packed rows: slot 0 holds the block's rows, slot 1 its columns.</summary>
    private readonly Scratch _packed = new(2);

    /// <summary>The largest value of every unit of pairs.</summary>
    private readonly Scratch _maxima = new(1);

    public void Similarity(Tensor<float> x, DistanceMetric metric, Tensor<float> similarity, Tensor<float> largest)
    {
        long n = x.Rows, h = x.RowLength;
        Require.That(
            similarity.Rows == n && similarity.RowLength == n && largest.Length == 1,
            $"similarity: x {x.Shape}, result {similarity.Shape} must be [{n} x {n}], largest must be one element, is {largest.Shape}");
        float maximum = 0;
        switch (metric)
        {
            case DistanceMetric.L1: maximum = Measure<Manhattan<L>>(x.Pointer, n, h, similarity.Pointer); break;
            case DistanceMetric.L2: maximum = Measure<Euclidean<L>>(x.Pointer, n, h, similarity.Pointer); break;
            default: Measure<CosineAngle<L>>(x.Pointer, n, h, similarity.Pointer); break;
        }
        if (metric != DistanceMetric.Cosine)
        {
            _team.For(new SubtractFromJob(maximum, similarity.Pointer), n * n, ElementGrain);
        }
        largest.Pointer[0] = metric == DistanceMetric.Cosine && n > 0 ? 1f : maximum;
    }

    public void Distances(Tensor<float> a, Tensor<float> b, DistanceMetric metric, Tensor<float> distances, Tensor<float> largest)
    {
        long m = a.Rows, p = b.Rows, h = a.RowLength;
        Require.That(
            b.RowLength == h && distances.Rows == m && distances.RowLength == p && largest.Length == 1,
            $"distances: a {a.Shape}, b {b.Shape}, result {distances.Shape} must be [{m} x {p}], largest must be one element, is {largest.Shape}");
        largest.Pointer[0] = metric switch
        {
            DistanceMetric.L1 => Rectangle<Manhattan<L>>(a.Pointer, m, b.Pointer, p, h, distances.Pointer),
            DistanceMetric.L2 => Rectangle<Euclidean<L>>(a.Pointer, m, b.Pointer, p, h, distances.Pointer),
            _ => Rectangle<CosineAngle<L>>(a.Pointer, m, b.Pointer, p, h, distances.Pointer),
        };
        if (metric == DistanceMetric.Cosine)
        {
            _team.For(new SubtractFromJob(0f, distances.Pointer), m * p, ElementGrain);
        }
    }

    /// <summary>Rows packed together: a multiple of the panel.</summary>
    private static long BlockRows(long h) => Math.Clamp(PackedFloats / Math.Max(1, h) / PairSums<L>.Panel, 2, PackedRows / PairSums<L>.Panel) * PairSums<L>.Panel;

    private static long Padded(long rows) => (rows + PairSums<L>.Panel - 1) / PairSums<L>.Panel * PairSums<L>.Panel;

    private static long Unit(long rows) => rows switch { <= 256 => 1, <= 512 => 2, _ => 4 } * PairSums<L>.Panel;

    /// <summary>Bytes of scratch for n rows of h columns.</summary>
    public static long SimilarityScratch(long n, long h, int threads)
    {
        long rows = Math.Min(n, BlockRows(h)), unit = Unit(rows);
        return ((n > rows ? 2 : 1) * Padded(rows) * h * sizeof(float)) + (threads * unit * unit * sizeof(double));
    }

    /// <summary>All values of the pairs of n rows, half of them computed; returns the largest.</summary>
    private float Measure<TMetric>(float* x, long n, long h, float* result)
        where TMetric : struct, IRowMetric<L>
    {
        float maximum = 0;
        long block = BlockRows(h);
        for (long i = 0; i < n; i += block)
        {
            var rows = Pack<TMetric>(0, x + (i * h), Math.Min(block, n - i), h);
            for (long j = i; j < n; j += block)
            {
                var columns = i == j ? rows : Pack<TMetric>(1, x + (j * h), Math.Min(block, n - j), h);
                maximum = Math.Max(maximum, Pairs<TMetric>(rows, columns, h, i == j, result + (i * n) + j, n, result + (j * n) + i));
            }
        }
        return maximum;
    }

    private float Rectangle<TMetric>(float* a, long m, float* b, long p, long h, float* result)
        where TMetric : struct, IRowMetric<L>
    {
        float maximum = 0;
        long block = BlockRows(h);
        bool same = a == b && m == p;
        for (long i = 0; i < m; i += block)
        {
            var rows = Pack<TMetric>(0, a + (i * h), Math.Min(block, m - i), h);
            for (long j = same ? i : 0; j < p; j += block)
            {
                bool diagonal = same && i == j;
                var columns = diagonal ? rows : Pack<TMetric>(1, b + (j * h), Math.Min(block, p - j), h);
                maximum = Math.Max(maximum, Pairs<TMetric>(rows, columns, h, diagonal, result + (i * p) + j, p, same ? result + (j * p) + i : null));
            }
        }
        return maximum;
    }

    private float Pairs<TMetric>(PackedBlock a, PackedBlock b, long h, bool triangle, float* result, long ld, float* mirror)
        where TMetric : struct, IRowMetric<L>
    {
        // Few rows are cut finer, so that every thread gets a unit; the bits do not depend on it.
        long unit = Unit(Math.Max(a.Rows, b.Rows));
        long down = (a.Rows + unit - 1) / unit, across = (b.Rows + unit - 1) / unit;
        long units = triangle ? across * (across + 1) / 2 : down * across;
        float* most = _maxima.Get(0, units);
        _team.For(new PairsJob<TMetric>(_scratch, a, b, h, unit, across, triangle, result, ld, mirror, most), units, 1);
        float maximum = 0;
        for (long u = 0; u < units; u++)
        {
            maximum = Math.Max(maximum, most[u]);
        }
        return maximum;
    }

    /// <summary>Packs rows into panels, with the sums of each that the metric wants.</summary>
    private PackedBlock Pack<TMetric>(int slot, float* x, long rows, long h)
        where TMetric : struct, IRowMetric<L>
    {
        long padded = Padded(rows), panels = padded * h;
        float* memory = _packed.Get(slot, panels + (4 * padded));
        var block = new PackedBlock(x, rows, memory, (double*)(memory + panels), (double*)(memory + panels) + padded);
        _team.For(new PackJob<TMetric>(block, h), padded / PairSums<L>.Panel, 1);
        return block;
    }

    /// <summary>Rows as they lie, their panels, and two sums of each.</summary>
    [StructLayout(LayoutKind.Auto)]
    private readonly struct PackedBlock(float* x, long rows, float* panels, double* firsts, double* seconds)
    {
        public readonly float* X = x, Panels = panels;
        public readonly long Rows = rows;
        public readonly double* Firsts = firsts, Seconds = seconds;
    }

    private readonly struct PackJob<TMetric>(PackedBlock block, long h) : IRangeJob
        where TMetric : struct, IRowMetric<L>
    {
        public void Run(long first, long last, int worker)
        {
            for (long panel = first; panel < last; panel++)
            {
                long row = panel * PairSums<L>.Panel;
                PairSums<L>.Pack(block.X + (row * h), block.Rows - row, h, block.Panels + (row * h));
                TMetric.Own(block.Panels + (row * h), h, block.Firsts + row, block.Seconds + row);
            }
        }
    }

    /// <summary>Units of pairs, row by row of units; with a triangle only those on and above the diagonal. A mirror takes every value transposed.</summary>
    private readonly struct PairsJob<TMetric>(
        Scratch scratch, PackedBlock a, PackedBlock b, long h, long unit, long across, bool triangle, float* result, long ld, float* mirror, float* most)
        : IRangeJob
        where TMetric : struct, IRowMetric<L>
    {
        public void Run(long first, long last, int worker)
        {
            for (long u = first; u < last; u++)
            {
                (long i, long j) = triangle ? Triangle(u) : (u / across, u % across);
                most[u] = Unit(i * unit, j * unit, worker);
            }
        }

        /// <summary>The place of a unit of the triangle: first those above the diagonal, row by row, then the smaller ones on it, which let threads end together.</summary>
        private (long Row, long Column) Triangle(long u)
        {
            for (long i = 0; i < across - 1; i++)
            {
                if (u < across - 1 - i)
                {
                    return (i, i + 1 + u);
                }
                u -= across - 1 - i;
            }
            return (u, u);
        }

        private float Unit(long i0, long j0, int worker)
        {
            long rows = Math.Min(unit, a.Rows - i0), columns = Math.Min(unit, b.Rows - j0);
            double* sums = (double*)scratch.Get(worker, 2 * unit * unit);
            bool diagonal = triangle && i0 == j0;
            for (long k = 0; k < h; k += PairSums<L>.Chunk)
            {
                long steps = Math.Min(PairSums<L>.Chunk, h - k);
                PairStep fresh = k == 0 ? PairStep.Fresh : PairStep.None;
                for (long j = 0; j < columns; j += PairSums<L>.Panel)
                {
                    float* panel = b.Panels + ((j0 + j) * h) + (k * PairSums<L>.Panel);
                    for (long i = 0; i < rows && !(diagonal && i > j); i += PairSums<L>.Panel)
                    {
                        float* other = a.Panels + ((i0 + i) * h) + (k * PairSums<L>.Panel);
                        PairStep step = fresh | (i == 0 ? PairStep.FetchB : PairStep.None) | (j == 0 ? PairStep.FetchA : PairStep.None);
                        TMetric.Add(other, panel, steps, sums + (i * unit) + j, unit, step);
                    }
                }
            }
            float maximum = 0;
            for (long i = 0; i < rows; i++)
            {
                maximum = Math.Max(maximum, Row(i0, j0, i, columns, diagonal, sums + (i * unit), result + ((i0 + i) * ld) + j0));
            }
            if (mirror != null)
            {
                Mirror(rows, columns, diagonal, result + (i0 * ld) + j0, mirror + (j0 * ld) + i0);
            }
            return maximum;
        }

        /// <summary>The values of row i of a unit; on the diagonal also some before it, which the mirror overwrites.</summary>
        private float Row(long i0, long j0, long i, long columns, bool diagonal, double* sums, float* values)
        {
            var most = Vector256<float>.Zero;
            float maximum = 0;
            for (long j = diagonal ? i / 8 * 8 : 0; j < columns; j += 8)
            {
                var eight = TMetric.Finish(sums + j, a.Firsts[i0 + i], a.Seconds[i0 + i], b.Firsts + j0 + j, b.Seconds + j0 + j);
                if (j + 8 <= columns)
                {
                    eight.Store(values + j);
                    if (!(diagonal && j <= i) && Vector256.EqualsAll(eight, eight))
                    {
                        most = Vector256.Max(most, eight);
                        continue;
                    }
                }
                // The diagonal, the last columns, and pairs that want more care.
                for (long c = j; c < Math.Min(columns, j + 8); c++)
                {
                    float value = eight[(int)(c - j)];
                    if (float.IsNaN(value))
                    {
                        value = diagonal && i == c ? 0 : (float)TMetric.Careful(a.X + ((i0 + i) * h), b.X + ((j0 + c) * h), h);
                    }
                    values[c] = value;
                    maximum = diagonal && c < i ? maximum : Math.Max(maximum, value);
                }
            }
            for (int l = 0; l < 8; l++)
            {
                maximum = Math.Max(maximum, most[l]);
            }
            return maximum;
        }

        /// <summary>The values of a unit turned around; on the diagonal, those above it.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)] // compiled on this processor, also when published
        private void Mirror(long rows, long columns, bool diagonal, float* values, float* target)
        {
            for (long j = 0; j < columns; j += 4)
            {
                long i = 0;
                for (; Sse.IsSupported && j + 4 <= columns && i + 4 <= (diagonal ? j + 1 : rows); i += 4)
                {
                    Turn4(values + (i * ld) + j, ld, target + i, ld);
                }
                for (long c = j; c < Math.Min(columns, j + 4); c++, target += ld)
                {
                    for (long r = i; r < (diagonal ? c : rows); r++)
                    {
                        target[r] = values[(r * ld) + c];
                    }
                }
            }
        }

        /// <summary>Four rows of four, transposed.</summary>
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Turn4(float* source, long stride, float* target, long ld)
        {
            Vector128<float> w = Vector128.Load(source), x = Vector128.Load(source + stride);
            Vector128<float> y = Vector128.Load(source + (2 * stride)), z = Vector128.Load(source + (3 * stride));
            Vector128<float> wx = Sse.UnpackLow(w, x), yz = Sse.UnpackLow(y, z), wxHigh = Sse.UnpackHigh(w, x), yzHigh = Sse.UnpackHigh(y, z);
            Sse.MoveLowToHigh(wx, yz).Store(target);
            Sse.MoveHighToLow(yz, wx).Store(target + ld);
            Sse.MoveLowToHigh(wxHigh, yzHigh).Store(target + (2 * ld));
            Sse.MoveHighToLow(yzHigh, wxHigh).Store(target + (3 * ld));
        }
    }

    private readonly struct SubtractFromJob(float value, float* x) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            long i = first;
            L from = L.Create(value);
            for (; i + ILanes<L>.Count <= last; i += ILanes<L>.Count)
            {
                L.Store(from - L.Load(x + i), x + i);
            }
            for (; i < last; i++)
            {
                x[i] = value - x[i];
            }
        }
    }
}
