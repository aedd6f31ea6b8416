using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace NativeEngine.Devices.Cpu;

/// <summary>What one call of <see cref="PairSums{L}.Add"/> may and shall do.</summary>
[Flags]
internal enum PairStep
{
    /// <summary>Adds.</summary>
    None = 0,

    /// <summary>The first columns: nothing is to be added to.</summary>
    Fresh = 1,

    /// <summary>The first panel's next columns are wanted soon.</summary>
    FetchA = 2,

    /// <summary>The second panel's.</summary>
    FetchB = 4,
}

/// <summary>
/// Sums over the columns of pairs of rows: sum[i,j] += sum over k of term(a[i,k], b[j,k]). Rows are packed into panels of 32, step by step, so
/// that sixteen pairs are the lanes of a register and nothing is folded. A pair's terms are added in ascending k, in float32 within chunks of
/// <see cref="Chunk"/> columns and in double over the chunks, whatever tile and register width it falls in.
/// </summary>
internal static unsafe class PairSums<L>
    where L : unmanaged, ILanes<L>
{
    /// <summary>Rows of a panel.</summary>
    public const int Panel = 32;

    /// <summary>Columns summed in float32 before the sum goes to double.</summary>
    public const long Chunk = 128;

    /// <summary>What is summed.</summary>
    internal interface ITerm
    {
        /// <summary>Sum + term; one is 1 in every lane, from a register.</summary>
        static abstract L Add(L a, L b, L sum, L one);

        /// <summary>The same in one register, with the sum as its destination: through <see cref="ILanes{T}"/> the compiler copies every sum once more.</summary>
        static abstract Vector512<float> Add(Vector512<float> a, Vector512<float> b, Vector512<float> sum, Vector512<float> one);
    }

    /// <summary>min(a, b), added by a multiplication with one: adders and minimum share their ports, multipliers would idle.</summary>
    internal readonly struct Minimum : ITerm
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static L Add(L a, L b, L sum, L one) => L.Fma(L.Min(a, b), one, sum);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Add(Vector512<float> a, Vector512<float> b, Vector512<float> sum, Vector512<float> one) => Vector512.FusedMultiplyAdd(Vector512.MinNative(a, b), one, sum);
    }

    internal readonly struct Difference : ITerm
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static L Add(L a, L b, L sum, L one) => sum + L.Abs(a - b);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Add(Vector512<float> a, Vector512<float> b, Vector512<float> sum, Vector512<float> one) => sum + Vector512.Abs(a - b);
    }

    internal readonly struct Magnitude : ITerm
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static L Add(L a, L b, L sum, L one) => sum + L.Abs(a);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Add(Vector512<float> a, Vector512<float> b, Vector512<float> sum, Vector512<float> one) => sum + Vector512.Abs(a);
    }

    internal readonly struct SquaredDifference : ITerm
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static L Add(L a, L b, L sum, L one)
        {
            L difference = a - b;
            return L.Fma(difference, difference, sum);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Add(Vector512<float> a, Vector512<float> b, Vector512<float> sum, Vector512<float> one) => Vector512.FusedMultiplyAdd(a - b, a - b, sum);
    }

    internal readonly struct Product : ITerm
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static L Add(L a, L b, L sum, L one) => L.Fma(a, b, sum);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static Vector512<float> Add(Vector512<float> a, Vector512<float> b, Vector512<float> sum, Vector512<float> one) => Vector512.FusedMultiplyAdd(a, b, sum);
    }

    /// <summary>The sum of one pair of rows of h columns, sixteen lanes wide: for single pairs, in another order than the panels'.</summary>
    public static double One<TTerm>(float* a, float* b, long h)
        where TTerm : struct, ITerm
    {
        double total = 0;
        for (long first = 0; first < h; first += Chunk * ILanes<L>.Count)
        {
            long last = Math.Min(first + (Chunk * ILanes<L>.Count), h);
            L sum = L.Zero, one = L.Create(1f);
            long k = first;
            for (; k + ILanes<L>.Count <= last; k += ILanes<L>.Count)
            {
                sum = TTerm.Add(L.Load(a + k), L.Load(b + k), sum, one);
            }
            if (k < last)
            {
                sum = TTerm.Add(LaneMath<L>.LoadPartial(a + k, last - k), LaneMath<L>.LoadPartial(b + k, last - k), sum, one);
            }
            total += L.Sum(sum);
        }
        return total;
    }

    /// <summary>The panel of the rows from x on: panel[k * 32 + r] = x[r,k]; rows that are missing are zeros.</summary>
    public static void Pack(float* x, long rows, long h, float* panel)
    {
        if (rows < Panel)
        {
            new Span<float>(panel, checked((int)(Panel * h))).Clear();
        }
        // Four rows from end to end: the hardware foresees so many streams, not 32 (in blocks of columns, all rows of each, a whole selection of 128 rows took 0.55 ms instead of 0.40).
        for (long r = 0; r < Math.Min(rows, Panel); r += 4)
        {
            long k = 0;
            if (Sse.IsSupported && r + 4 <= rows)
            {
                float* row = x + (r * h);
                k = Pack4(row, row + h, row + (2 * h), row + (3 * h), h, panel + r);
            }
            for (long i = r; i < Math.Min(rows, r + 4); i++)
            {
                for (long c = k; c < h; c++)
                {
                    panel[(c * Panel) + i] = x[(i * h) + c];
                }
            }
        }
    }

    /// <summary>Columns first .. first + steps - 1 of 32 rows from anywhere, as a panel.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void PackLanes(float** rows, long first, long steps, float* panel)
    {
        for (int r = 0; r < Panel; r += 4)
        {
            float* a = rows[r] + first, b = rows[r + 1] + first, c = rows[r + 2] + first, d = rows[r + 3] + first;
            for (long k = Sse.IsSupported ? Pack4(a, b, c, d, steps, panel + r) : 0; k < steps; k++)
            {
                float* target = panel + (k * Panel) + r;
                (target[0], target[1], target[2], target[3]) = (a[k], b[k], c[k], d[k]);
            }
        }
    }

    private static long Pack4(float* first, float* second, float* third, float* fourth, long h, float* panel)
    {
        long k = 0;
        for (; k + 4 <= h; k += 4)
        {
            Vector128<float> a = Vector128.Load(first + k), b = Vector128.Load(second + k);
            Vector128<float> c = Vector128.Load(third + k), d = Vector128.Load(fourth + k);
            Vector128<float> ab = Sse.UnpackLow(a, b), cd = Sse.UnpackLow(c, d), abHigh = Sse.UnpackHigh(a, b), cdHigh = Sse.UnpackHigh(c, d);
            float* target = panel + (k * Panel);
            Sse.MoveLowToHigh(ab, cd).Store(target);
            Sse.MoveHighToLow(cd, ab).Store(target + Panel);
            Sse.MoveLowToHigh(abHigh, cdHigh).Store(target + (2 * Panel));
            Sse.MoveHighToLow(cdHigh, abHigh).Store(target + (3 * Panel));
        }
        return k;
    }

    /// <summary>The sums of every row of a panel with itself, with the bits that <see cref="Add"/> gives the pair.</summary>
    public static void Own<TTerm>(float* panel, long h, double* sums)
        where TTerm : struct, ITerm
    {
        float* lanes = stackalloc float[Panel];
        L one = L.Create(1f);
        new Span<double>(sums, Panel).Clear();
        for (long first = 0; first < h; first += Chunk)
        {
            L c = L.Zero, d = L.Zero;
            for (long k = first; k < Math.Min(first + Chunk, h); k++)
            {
                L x = L.Load(panel + (k * Panel)), y = L.Load(panel + (k * Panel) + ILanes<L>.Count);
                c = TTerm.Add(x, x, c, one);
                d = TTerm.Add(y, y, d, one);
            }
            L.Store(c, lanes);
            L.Store(d, lanes + ILanes<L>.Count);
            Widen(lanes, 1, Panel, sums, Panel);
        }
    }

    /// <summary>Adds the terms of one row and the 32 of a panel, with the bits that <see cref="Add"/> gives each pair.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AddLanes<TTerm>(float* row, float* panel, long steps, double* sums)
        where TTerm : struct, ITerm
    {
        float* lanes = stackalloc float[Panel];
        L c = L.Zero, d = L.Zero, one = L.Create(1f);
        for (long k = 0; k < steps; k++, panel += Panel)
        {
            L x = L.Create(row[k]);
            c = TTerm.Add(x, L.Load(panel), c, one);
            d = TTerm.Add(x, L.Load(panel + ILanes<L>.Count), d, one);
        }
        L.Store(c, lanes);
        L.Store(d, lanes + ILanes<L>.Count);
        Widen(lanes, 1, Panel, sums, Panel);
    }

    /// <summary>Adds the terms of each lane of one panel and the same lane of another, with the same bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void AddLanesTo<TTerm>(float* a, float* b, long steps, double* sums)
        where TTerm : struct, ITerm
    {
        float* lanes = stackalloc float[Panel];
        L c = L.Zero, d = L.Zero, one = L.Create(1f);
        for (long k = 0; k < steps; k++, a += Panel, b += Panel)
        {
            c = TTerm.Add(L.Load(a), L.Load(b), c, one);
            d = TTerm.Add(L.Load(a + ILanes<L>.Count), L.Load(b + ILanes<L>.Count), d, one);
        }
        L.Store(c, lanes);
        L.Store(d, lanes + ILanes<L>.Count);
        Widen(lanes, 1, Panel, sums, Panel);
    }

    /// <summary>
    /// Adds the terms of steps columns of two panels to sums [32, 32] with row length ld; with fresh, sums hold nothing yet. Of a panel with itself only pairs
    /// on and above the diagonal are sure to be summed. While the processor adds, it fetches what comes after: of each panel's next columns where asked for.
    /// </summary>
    public static void Add<TTerm>(float* a, float* b, long steps, double* sums, long ld, PairStep step)
        where TTerm : struct, ITerm
    {
        if (L.Width == SimdWidth.Bits512)
        {
            // Two of the four tiles fetch for each panel; what is not wanted is a line that is there anyway.
            float* nextA = (step & PairStep.FetchA) != 0 ? a + (steps * Panel) : b, nextB = (step & PairStep.FetchB) != 0 ? b + (steps * Panel) : b;
            bool fresh = (step & PairStep.Fresh) != 0;
            long half = steps * ILanes<L>.Count;
            Tile8x2<TTerm>(a, a, b, nextB, steps, 1f, fresh, sums, ld);
            Tile8x2<TTerm>(a + 8, a + 8, b, nextB + half, steps, 1f, fresh, sums + (8 * ld), ld);
            if (a == b)
            {
                Tile8x1<TTerm>(a + 16, b + 16, nextA, steps, 1f, fresh, sums + (16 * ld) + 16, ld);
                Tile8x1<TTerm>(a + 24, b + 16, nextA + half, steps, 1f, fresh, sums + (24 * ld) + 16, ld);
                return;
            }
            Tile8x2<TTerm>(a + 16, a + 16, b, nextA, steps, 1f, fresh, sums + (16 * ld), ld);
            Tile8x2<TTerm>(a + 24, a + 24, b, nextA + half, steps, 1f, fresh, sums + (24 * ld), ld);
            return;
        }
        if ((step & PairStep.FetchA) != 0)
        {
            Fetch(a + (steps * Panel));
        }
        if ((step & PairStep.FetchB) != 0)
        {
            Fetch(b + (steps * Panel));
        }
        for (long i = 0; i < Panel && (step & PairStep.Fresh) != 0; i++)
        {
            new Span<double>(sums + (i * ld), Panel).Clear();
        }
        for (long j = 0; j < Panel; j += ILanes<L>.Count)
        {
            for (long i = 0; i < Panel; i += 4)
            {
                Tile4x1<TTerm>(a + i, b + j, steps, 1f, sums + (i * ld) + j, ld);
            }
        }
    }

    /// <summary>Asks for the next chunk of a panel: 16 KiB that the hardware would only notice when they are missed.</summary>
    private static void Fetch(float* panel)
    {
        if (Sse.IsSupported)
        {
            for (long line = 0; line < Panel * Chunk; line += 16)
            {
                Sse.Prefetch1(panel + line);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile4x1<TTerm>(float* a, float* b, long steps, float unit, double* sums, long ld)
        where TTerm : struct, ITerm
    {
        float* lanes = stackalloc float[4 * ILanes<L>.Count];
        L one = L.Create(unit);
        L c0 = L.Zero, c1 = L.Zero, c2 = L.Zero, c3 = L.Zero;
        for (long k = 0; k < steps; k++)
        {
            L y = L.Load(b);
            c0 = TTerm.Add(L.Create(a[0]), y, c0, one);
            c1 = TTerm.Add(L.Create(a[1]), y, c1, one);
            c2 = TTerm.Add(L.Create(a[2]), y, c2, one);
            c3 = TTerm.Add(L.Create(a[3]), y, c3, one);
            a += Panel;
            b += Panel;
        }
        // Stored before anything is called: a call would send the accumulators to the stack at every step.
        L.Store(c0, lanes);
        L.Store(c1, lanes + 16);
        L.Store(c2, lanes + 32);
        L.Store(c3, lanes + 48);
        Widen(lanes, 4, ILanes<L>.Count, sums, ld);
    }

    /// <summary>
    /// 8 rows by 32 columns in 16 accumulators, with two loads. A value of a row is the instruction's own operand in memory, spread as it is loaded: in a register of its own it would cost a
    /// place in the pipes that minimum and addition fill, a third of the speed. For that each half has its pointer, or the compiler would share the load. Asks for a line from next on at every step.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Tile8x2<TTerm>(float* a, float* again, float* b, float* next, long steps, float unit, bool fresh, double* sums, long ld)
        where TTerm : struct, ITerm
    {
        Vector512<float> one = Vector512.Create(unit);
        Vector512<float> c0 = Vector512<float>.Zero, c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0, c7 = c0;
        Vector512<float> d0 = c0, d1 = c0, d2 = c0, d3 = c0, d4 = c0, d5 = c0, d6 = c0, d7 = c0;
        for (long k = 0; k < steps; k++)
        {
            Sse.Prefetch1(next);
            Vector512<float> y = Vector512.Load(b), z = Vector512.Load(b + ILanes<L>.Count);
            c0 = TTerm.Add(y, Vector512.Create(a[0]), c0, one);
            d0 = TTerm.Add(z, Vector512.Create(again[0]), d0, one);
            c1 = TTerm.Add(y, Vector512.Create(a[1]), c1, one);
            d1 = TTerm.Add(z, Vector512.Create(again[1]), d1, one);
            c2 = TTerm.Add(y, Vector512.Create(a[2]), c2, one);
            d2 = TTerm.Add(z, Vector512.Create(again[2]), d2, one);
            c3 = TTerm.Add(y, Vector512.Create(a[3]), c3, one);
            d3 = TTerm.Add(z, Vector512.Create(again[3]), d3, one);
            c4 = TTerm.Add(y, Vector512.Create(a[4]), c4, one);
            d4 = TTerm.Add(z, Vector512.Create(again[4]), d4, one);
            c5 = TTerm.Add(y, Vector512.Create(a[5]), c5, one);
            d5 = TTerm.Add(z, Vector512.Create(again[5]), d5, one);
            c6 = TTerm.Add(y, Vector512.Create(a[6]), c6, one);
            d6 = TTerm.Add(z, Vector512.Create(again[6]), d6, one);
            c7 = TTerm.Add(y, Vector512.Create(a[7]), c7, one);
            d7 = TTerm.Add(z, Vector512.Create(again[7]), d7, one);
            a += Panel;
            again += Panel;
            b += Panel;
            next += ILanes<L>.Count;
        }
        Widen(c0, fresh, sums);
        Widen(d0, fresh, sums + 16);
        Widen(c1, fresh, sums + ld);
        Widen(d1, fresh, sums + ld + 16);
        Widen(c2, fresh, sums + (2 * ld));
        Widen(d2, fresh, sums + (2 * ld) + 16);
        Widen(c3, fresh, sums + (3 * ld));
        Widen(d3, fresh, sums + (3 * ld) + 16);
        Widen(c4, fresh, sums + (4 * ld));
        Widen(d4, fresh, sums + (4 * ld) + 16);
        Widen(c5, fresh, sums + (5 * ld));
        Widen(d5, fresh, sums + (5 * ld) + 16);
        Widen(c6, fresh, sums + (6 * ld));
        Widen(d6, fresh, sums + (6 * ld) + 16);
        Widen(c7, fresh, sums + (7 * ld));
        Widen(d7, fresh, sums + (7 * ld) + 16);
    }

    /// <summary>The same for 16 columns.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Tile8x1<TTerm>(float* a, float* b, float* next, long steps, float unit, bool fresh, double* sums, long ld)
        where TTerm : struct, ITerm
    {
        Vector512<float> one = Vector512.Create(unit);
        Vector512<float> c0 = Vector512<float>.Zero, c1 = c0, c2 = c0, c3 = c0, c4 = c0, c5 = c0, c6 = c0, c7 = c0;
        for (long k = 0; k < steps; k++)
        {
            Sse.Prefetch1(next);
            Vector512<float> y = Vector512.Load(b);
            c0 = TTerm.Add(y, Vector512.Create(a[0]), c0, one);
            c1 = TTerm.Add(y, Vector512.Create(a[1]), c1, one);
            c2 = TTerm.Add(y, Vector512.Create(a[2]), c2, one);
            c3 = TTerm.Add(y, Vector512.Create(a[3]), c3, one);
            c4 = TTerm.Add(y, Vector512.Create(a[4]), c4, one);
            c5 = TTerm.Add(y, Vector512.Create(a[5]), c5, one);
            c6 = TTerm.Add(y, Vector512.Create(a[6]), c6, one);
            c7 = TTerm.Add(y, Vector512.Create(a[7]), c7, one);
            a += Panel;
            b += Panel;
            next += ILanes<L>.Count;
        }
        Widen(c0, fresh, sums);
        Widen(c1, fresh, sums + ld);
        Widen(c2, fresh, sums + (2 * ld));
        Widen(c3, fresh, sums + (3 * ld));
        Widen(c4, fresh, sums + (4 * ld));
        Widen(c5, fresh, sums + (5 * ld));
        Widen(c6, fresh, sums + (6 * ld));
        Widen(c7, fresh, sums + (7 * ld));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Widen(Vector512<float> c, bool fresh, double* sums)
    {
        var (low, high) = Vector512.Widen(c);
        (fresh ? low : Vector512.Load(sums) + low).Store(sums);
        (fresh ? high : Vector512.Load(sums + 8) + high).Store(sums + 8);
    }

    private static void Widen(float* values, int rows, int columns, double* sums, long ld)
    {
        for (int r = 0; r < rows; r++, values += columns, sums += ld)
        {
            for (int i = 0; i < columns; i += 8)
            {
                var (low, high) = Vector256.Widen(Vector256.Load(values + i));
                (Vector256.Load(sums + i) + low).Store(sums + i);
                (Vector256.Load(sums + i + 4) + high).Store(sums + i + 4);
            }
        }
    }
}
