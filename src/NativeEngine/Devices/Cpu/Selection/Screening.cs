using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace NativeEngine.Devices.Cpu;

// Bounds of L1 distances from rows of integers. See IScreenKernels.
internal sealed unsafe partial class CpuKernels<L> : IScreenKernels
{
    /// <summary>Rows and columns whose pairs are one piece of work, and bytes of a row that are passed at a time so that four rows stay in the first cache.</summary>
    private const int Square = 64, SquareBytes = 4096;

    /// <summary>
    /// Rounding of float32 sums, as a share of a row's sum of magnitudes N: three sums of chunks of 128 terms each err by 128 units of 2^-24 of N_i + N_j, narrowing
    /// adds one more, and so does the arithmetic of the bounds themselves.
    /// </summary>
    private const double SumRounding = 3.1 * PairSums<L>.Chunk / (1 << 24);

    /// <summary>Left rows of pairs that are computed together.</summary>
    private const int PairGroup = PairSums<L>.Panel;

    public int ScreenSquare => Square;

    public ScreenedRows Round(Tensor<float> x, ScreenType type)
    {
        long n = x.Rows, h = x.RowLength;
        var (middle, step) = Grid(x.Pointer, n, h, type);
        var rows = new ScreenedRows(x.Buffer.Device, n, h, type, middle, step);
        _team.For(new RoundJob(_scratch, x.Pointer, new Screen(rows), n), n, PairSums<L>.Panel);
        return rows;
    }

    public void LowerBounds(ScreenedRows rows, long first, long other, Tensor<float> bounds, Span<float> largest)
    {
        long m = bounds.Rows, p = bounds.RowLength, down = (m + Square - 1) / Square, across = (p + Square - 1) / Square;
        Require.That(
            first % 4 == 0 && other % 4 == 0 && first + m <= rows.Rows && other + p <= rows.Rows && largest.Length == down * across,
            $"lower bounds: rows {first} and {other} of {rows.Rows}, result {bounds.Shape}, {largest.Length} squares");
        fixed (float* maxima = largest)
        {
            var screen = new Screen(rows);
            bool bytes = rows.Type == ScreenType.Int8, square = first == other && m == p;
            if (L.Width == SimdWidth.Bits512 && Avx512BW.IsSupported)
            {
                Launch<Vector512<int>, ByteDifferences512, ShortMinima512>(maxima);
            }
            else if (L.Width >= SimdWidth.Bits256 && Avx2.IsSupported)
            {
                Launch<Vector256<int>, ByteDifferences256, ShortMinima256>(maxima);
            }
            else
            {
                Launch<Vector128<int>, ByteDifferences128, ShortMinima128>(maxima);
            }

            void Launch<TVector, TByte, TShort>(float* most)
                where TVector : struct
                where TByte : struct, IScreenTerm<TVector>
                where TShort : struct, IScreenTerm<TVector>
            {
                if (bytes)
                {
                    _team.For(new BoundsJob<TVector, TByte>(_scratch, screen, first, m, other, p, square, bounds.Pointer, most), down * across, 1);
                }
                else
                {
                    _team.For(new BoundsJob<TVector, TShort>(_scratch, screen, first, m, other, p, square, bounds.Pointer, most), down * across, 1);
                }
            }
        }
    }

    public void PairDistances(Tensor<float> x, ScreenedRows rows, ReadOnlySpan<int> left, ReadOnlySpan<int> right, Span<float> distances)
    {
        Require.That(left.Length == right.Length && left.Length == distances.Length, $"pair distances: {left.Length}, {right.Length} and {distances.Length} pairs");
        fixed (int* a = left, b = right)
        {
            fixed (float* d = distances)
            {
                _team.For(new PairJob(_scratch, x.Pointer, x.RowLength, new Screen(rows), a, b, d, left.Length), left.Length, 8 * PairGroup);
            }
        }
    }

    /// <summary>
    /// The middle of all values, and the step: the whole range, or a half, a quarter ... of it, whichever leaves least error in a sample of rows. What lies outside
    /// is cut off, and counts as that row's error.
    /// </summary>
    private (double Middle, double Step) Grid(float* x, long n, long h, ScreenType type)
    {
        const int SampleRows = 32, Trials = 6;
        float* ends = stackalloc float[2 * _team.Size];
        for (int i = 0; i < _team.Size; i++)
        {
            (ends[2 * i], ends[(2 * i) + 1]) = (float.PositiveInfinity, float.NegativeInfinity);
        }
        _team.For(new EndsJob(x, ends), n * h, ElementGrain);
        double smallest = double.PositiveInfinity, most = double.NegativeInfinity, best = double.PositiveInfinity, step = 1;
        for (int i = 0; i < _team.Size; i++)
        {
            (smallest, most) = (Math.Min(smallest, ends[2 * i]), Math.Max(most, ends[(2 * i) + 1]));
        }
        double middle = (float)((smallest + most) / 2), half = (most - smallest) / 2;
        int levels = type == ScreenType.Int8 ? 127 : short.MaxValue;
        // The smallest step whose inverse is a float32.
        const double SmallestStep = 1e-37;
        for (int trial = 0; trial < Trials && half > 0; trial++)
        {
            double candidate = Math.Max(SmallestStep, half / (1 << trial) / levels), error = 0;
            for (long r = 0; r < Math.Min(n, SampleRows); r++)
            {
                float* row = x + (r * n / Math.Min(n, SampleRows) * h);
                for (long k = 0; k < h; k++)
                {
                    double value = row[k] - middle;
                    error += Math.Abs(value - (candidate * Math.Clamp(Math.Round(value / candidate), -levels, levels)));
                }
            }
            if (error < best)
            {
                (best, step) = (error, candidate);
            }
        }
        return (middle, step);
    }

    /// <summary>The addresses of screened rows.</summary>
    [StructLayout(LayoutKind.Auto)]
    private readonly struct Screen(ScreenedRows rows)
    {
        public readonly byte* Values = rows.Values.Pointer;
        public readonly double* Errors = rows.Errors.Pointer, Sums = rows.Sums.Pointer, Firsts = rows.Firsts.Pointer, Seconds = rows.Seconds.Pointer;
        public readonly long Columns = rows.Columns, Stride = rows.Stride;
        public readonly double Middle = rows.Middle, Step = rows.Step;
        public readonly bool IsBytes = rows.Type == ScreenType.Int8;
    }

    /// <summary>Each worker's smallest and largest value.</summary>
    private readonly struct EndsJob(float* x, float* ends) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            L low = L.Create(ends[2 * worker]), high = L.Create(ends[(2 * worker) + 1]);
            long i = first;
            for (; i + ILanes<L>.Count <= last; i += ILanes<L>.Count)
            {
                L value = L.Load(x + i);
                (low, high) = (L.Min(low, value), L.Max(high, value));
            }
            float* lanes = stackalloc float[2 * ILanes<L>.Count];
            L.Store(low, lanes);
            L.Store(high, lanes + ILanes<L>.Count);
            for (int l = 0; l < ILanes<L>.Count; l++)
            {
                ends[2 * worker] = Math.Min(ends[2 * worker], lanes[l]);
                ends[(2 * worker) + 1] = Math.Max(ends[(2 * worker) + 1], lanes[ILanes<L>.Count + l]);
            }
            for (; i < last; i++)
            {
                ends[2 * worker] = Math.Min(ends[2 * worker], x[i]);
                ends[(2 * worker) + 1] = Math.Max(ends[(2 * worker) + 1], x[i]);
            }
        }
    }

    private readonly struct RoundJob(Scratch scratch, float* x, Screen screen, long n) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            long h = screen.Columns;
            double* firsts = stackalloc double[PairSums<L>.Panel], seconds = stackalloc double[PairSums<L>.Panel];
            float* panel = scratch.Get(worker, PairSums<L>.Panel * h);
            for (long i = first; i < last; i += PairSums<L>.Panel)
            {
                long rows = Math.Min(PairSums<L>.Panel, n - i);
                PairSums<L>.Pack(x + (i * h), rows, h, panel);
                Manhattan<L>.Own(panel, h, firsts, seconds);
                for (long r = 0; r < rows; r++)
                {
                    screen.Firsts[i + r] = firsts[r];
                    screen.Seconds[i + r] = seconds[r];
                    Row(i + r, seconds[r]);
                }
            }
        }

        /// <summary>Any integer would do, so they are found in float32; what each one costs is told in double.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Row(long i, double magnitudes)
        {
            float* row = x + (i * screen.Columns);
            byte* bytes = screen.Values + (i * screen.Stride);
            float middle = (float)screen.Middle, inverse = (float)(1 / screen.Step), levels = screen.IsBytes ? sbyte.MaxValue : short.MaxValue;
            int* integers = stackalloc int[16];
            Vector256<double> error = default;
            long k = 0, sum = 0;
            for (; k + 16 <= screen.Columns; k += 16)
            {
                Vector256<int> low = Eight(row + k, middle, inverse, levels, ref error), high = Eight(row + k + 8, middle, inverse, levels, ref error);
                low.Store(integers);
                high.Store(integers + 8);
                sum += Put(bytes, k, integers, 16);
            }
            if (k < screen.Columns)
            {
                float* rest = stackalloc float[16];
                for (int l = 0; l < 16; l++)
                {
                    rest[l] = k + l < screen.Columns ? row[k + l] : middle;
                }
                Eight(rest, middle, inverse, levels, ref error).Store(integers);
                Eight(rest + 8, middle, inverse, levels, ref error).Store(integers + 8);
                sum += Put(bytes, k, integers, (int)(screen.Columns - k));
            }
            // The sums of magnitudes are float32 sums themselves, the errors sums in double: both err far less than the last factor allows.
            screen.Errors[i] = (Vector256.Sum(error) + (SumRounding * magnitudes) + (screen.Step * 1e-6)) * 1.0001;
            screen.Sums[i] = screen.IsBytes ? 0 : sum;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private Vector256<int> Eight(float* values, float middle, float inverse, float levels, ref Vector256<double> error)
        {
            var value = Vector256.Load(values);
            var rounded = Vector256.Round(Vector256.Min(Vector256.Max((value - Vector256.Create(middle)) * Vector256.Create(inverse), Vector256.Create(-levels)), Vector256.Create(levels)));
            var (low, high) = Vector256.Widen(value);
            var (lowRounded, highRounded) = Vector256.Widen(rounded);
            var (from, step) = (Vector256.Create(screen.Middle), Vector256.Create(screen.Step));
            error += Vector256.Abs(low - from - (step * lowRounded)) + Vector256.Abs(high - from - (step * highRounded));
            return Vector256.ConvertToInt32(rounded);
        }

        private long Put(byte* bytes, long k, int* integers, int count)
        {
            long sum = 0;
            short* shorts = (short*)bytes;
            for (int l = 0; l < count; l++)
            {
                sum += integers[l];
                if (screen.IsBytes)
                {
                    bytes[k + l] = (byte)(integers[l] + 128);
                }
                else
                {
                    shorts[k + l] = (short)integers[l];
                }
            }
            return sum;
        }
    }

    /// <summary>Squares of pairs; where rows and columns are the same ones, those on and above the diagonal, written twice.</summary>
    private readonly struct BoundsJob<TVector, TTerm>(
        Scratch scratch, Screen screen, long first, long m, long other, long p, bool same, float* bounds, float* most) : IRangeJob
        where TVector : struct
        where TTerm : struct, IScreenTerm<TVector>
    {
        public void Run(long from, long to, int worker)
        {
            long across = (p + Square - 1) / Square;
            for (long u = from; u < to; u++)
            {
                long i = u / across, j = u % across;
                most[u] = same && i > j ? float.NegativeInfinity : One(i * Square, j * Square, worker);
            }
        }

        private float One(long i0, long j0, int worker)
        {
            long rows = Math.Min(Square, m - i0), columns = Math.Min(Square, p - j0);
            double* sums = (double*)scratch.Get(worker, 2 * Square * Square);
            NativeMemory.Clear(sums, Square * Square * sizeof(double));
            byte* a = screen.Values + ((first + i0) * screen.Stride), b = screen.Values + ((other + j0) * screen.Stride);
            // Rows end with zeros up to a whole line, for which the sums are zero.
            long used = ((screen.Columns * (screen.IsBytes ? 1 : 2)) + 63) / 64 * 64;
            for (long k = 0; k < used; k += SquareBytes)
            {
                long bytes = Math.Min(SquareBytes, used - k);
                for (long j = 0; j < columns; j += 4)
                {
                    for (long i = 0; i < rows; i += 4)
                    {
                        byte* x = a + (i * screen.Stride) + k, y = b + (j * screen.Stride) + k;
                        double* target = sums + (i * Square) + j;
                        if (TTerm.Bytes == 64)
                        {
                            ScreenSums<TVector, TTerm>.Tile4x4(x, y, screen.Stride, bytes, target, Square);
                        }
                        else
                        {
                            ScreenSums<TVector, TTerm>.Tile2x4(x, y, screen.Stride, bytes, target, Square);
                            ScreenSums<TVector, TTerm>.Tile2x4(x + (2 * screen.Stride), y, screen.Stride, bytes, target + (2 * Square), Square);
                        }
                    }
                }
            }
            return Finish(i0, j0, rows, columns, sums);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private float Finish(long i0, long j0, long rows, long columns, double* sums)
        {
            // |a - b| = a + b - 2 min(a, b) for shorts; bytes have the sum already.
            double factor = screen.IsBytes ? screen.Step : -2 * screen.Step;
            double* errors = screen.Errors + other + j0, own = screen.Sums + other + j0;
            float* line = stackalloc float[Square];
            double highest = double.NegativeInfinity;
            var most4 = Vector256.Create(highest);
            for (long i = 0; i < rows; i++)
            {
                double error = screen.Errors[first + i0 + i], sum = screen.Step * screen.Sums[first + i0 + i];
                double* row = sums + (i * Square);
                long j = 0;
                for (; j + 8 <= columns; j += 8)
                {
                    var low = Distances(row + j, own + j, factor, sum);
                    var high = Distances(row + j + 4, own + j + 4, factor, sum);
                    var lowWidth = Vector256.Create(error) + Vector256.Load(errors + j);
                    var highWidth = Vector256.Create(error) + Vector256.Load(errors + j + 4);
                    most4 = Vector256.Max(most4, Vector256.Max(low + lowWidth, high + highWidth));
                    Vector256.Narrow(low - lowWidth, high - highWidth).Store(line + j);
                }
                for (; j < columns; j++)
                {
                    double distance = (factor * row[j]) + (sum + (screen.Step * own[j])), width = error + errors[j];
                    line[j] = (float)(distance - width);
                    highest = Math.Max(highest, distance + width);
                }
                new ReadOnlySpan<float>(line, (int)columns).CopyTo(new Span<float>(bounds + ((i0 + i) * p) + j0, (int)columns));
                for (long c = 0; same && i0 != j0 && c < columns; c++)
                {
                    bounds[((j0 + c) * p) + i0 + i] = line[c];
                }
            }
            for (int l = 0; l < 4; l++)
            {
                highest = Math.Max(highest, most4[l]);
            }
            return (float)highest;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private Vector256<double> Distances(double* sums, double* own, double factor, double sum) =>
            (Vector256.Create(factor) * Vector256.Load(sums)) + (Vector256.Create(sum) + (Vector256.Create(screen.Step) * Vector256.Load(own)));
    }

    /// <summary>Single pairs, 32 at a time as lanes: chunk by chunk the rows are turned into columns, then added as the panels' tiles do.</summary>
    private readonly struct PairJob(Scratch scratch, float* x, long h, Screen screen, int* left, int* right, float* distances, long count) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            for (long at = first; at < last; at += PairGroup)
            {
                Group(at, (int)Math.Min(PairGroup, Math.Min(last, count) - at), worker);
            }
        }

        private void Group(long at, int pairs, int worker)
        {
            const int PanelFloats = (int)(PairGroup * PairSums<L>.Chunk);
            float* a = scratch.Get(worker, 2 * PanelFloats), b = a + PanelFloats;
            double* sums = stackalloc double[PairGroup], firsts = stackalloc double[PairGroup], seconds = stackalloc double[PairGroup];
            float** lefts = stackalloc float*[PairGroup], rights = stackalloc float*[PairGroup];
            bool shared = true;
            for (int r = 0; r < PairGroup; r++)
            {
                // Missing pairs repeat the last one.
                long pair = at + Math.Min(r, pairs - 1);
                int i = left[pair], j = right[pair];
                shared &= i == left[at];
                lefts[r] = x + (i * h);
                rights[r] = x + (j * h);
                firsts[r] = screen.Firsts[i] + screen.Firsts[j];
                seconds[r] = screen.Seconds[i] + screen.Seconds[j];
                sums[r] = 0;
            }
            for (long k = 0; k < h; k += PairSums<L>.Chunk)
            {
                long steps = Math.Min(PairSums<L>.Chunk, h - k), ahead = Math.Min(k + PairSums<L>.Chunk, h - 1);
                Prefetch(rights, ahead, h);
                if (!shared)
                {
                    Prefetch(lefts, ahead, h);
                }
                PairSums<L>.PackLanes(rights, k, steps, b);
                if (shared)
                {
                    PairSums<L>.AddLanes<PairSums<L>.Minimum>(lefts[0] + k, b, steps, sums);
                    continue;
                }
                PairSums<L>.PackLanes(lefts, k, steps, a);
                PairSums<L>.AddLanesTo<PairSums<L>.Minimum>(a, b, steps, sums);
            }
            float* values = stackalloc float[PairGroup];
            for (int r = 0; r < PairGroup; r += 8)
            {
                Manhattan<L>.Finish(sums + r, 0, 0, firsts + r, seconds + r).Store(values + r);
            }
            for (int r = 0; r < pairs; r++)
            {
                distances[at + r] = left[at + r] == right[at + r] ? 0
                    : float.IsNaN(values[r]) ? (float)Manhattan<L>.Careful(lefts[r], rights[r], h)
                    : values[r];
            }
        }

        /// <summary>Asks for the next chunk of 32 rows from anywhere, which nothing but this foresees.</summary>
        private static void Prefetch(float** rows, long from, long h)
        {
            if (Sse.IsSupported)
            {
                for (int r = 0; r < PairGroup; r++)
                {
                    for (long k = from; k < Math.Min(h, from + PairSums<L>.Chunk); k += 16)
                    {
                        Sse.Prefetch0(rows[r] + k);
                    }
                }
            }
        }
    }
}
