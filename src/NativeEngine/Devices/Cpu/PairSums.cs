using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace NativeEngine.Devices.Cpu;

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

    /// <summary>Steps by which the tile asks for its operands beforehand: the second-level cache needs about 15 cycles, a step takes 8.</summary>
    private const int Ahead = 12;

    /// <summary>What is summed.</summary>
    internal interface ITerm
    {
        /// <summary>Sum + term; one is 1 in every lane, from a register.</summary>
        static abstract L Add(L a, L b, L sum, L one);
    }

    /// <summary>min(a, b), added by a multiplication with one: adders and minimum share their ports, multipliers would idle.</summary>
    internal readonly struct Minimum : ITerm
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static L Add(L a, L b, L sum, L one) => L.Fma(L.Min(a, b), one, sum);
    }

    internal readonly struct Difference : ITerm
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static L Add(L a, L b, L sum, L one) => sum + L.Abs(a - b);
    }

    internal readonly struct Magnitude : ITerm
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static L Add(L a, L b, L sum, L one) => sum + L.Abs(a);
    }

    internal readonly struct SquaredDifference : ITerm
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static L Add(L a, L b, L sum, L one)
        {
            L difference = a - b;
            return L.Fma(difference, difference, sum);
        }
    }

    internal readonly struct Product : ITerm
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static L Add(L a, L b, L sum, L one) => L.Fma(a, b, sum);
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
        for (long r = 0; r < Math.Min(rows, Panel); r += 4)
        {
            long k = 0;
            if (Sse.IsSupported && r + 4 <= rows)
            {
                k = Pack4(x + (r * h), h, panel + r);
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

    private static long Pack4(float* x, long h, float* panel)
    {
        long k = 0;
        for (; k + 4 <= h; k += 4)
        {
            Vector128<float> a = Vector128.Load(x + k), b = Vector128.Load(x + h + k);
            Vector128<float> c = Vector128.Load(x + (2 * h) + k), d = Vector128.Load(x + (3 * h) + k);
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

    /// <summary>Adds the terms of steps columns of two panels to sums [32, 32] with row length ld.</summary>
    public static void Add<TTerm>(float* a, float* b, long steps, double* sums, long ld)
        where TTerm : struct, ITerm
    {
        if (L.Width == SimdWidth.Bits512)
        {
            for (long i = 0; i < Panel; i += 8)
            {
                Tile8x2<TTerm>(a + i, b, steps, 1f, sums + (i * ld), ld);
            }
            return;
        }
        for (long j = 0; j < Panel; j += ILanes<L>.Count)
        {
            for (long i = 0; i < Panel; i += 4)
            {
                Tile4x1<TTerm>(a + i, b + j, steps, 1f, sums + (i * ld) + j, ld);
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

    /// <summary>8 rows by 32 in 16 accumulators: 10 loads for 16 terms.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile8x2<TTerm>(float* a, float* b, long steps, float unit, double* sums, long ld)
        where TTerm : struct, ITerm
    {
        float* lanes = stackalloc float[8 * Panel];
        L one = L.Create(unit);
        L c0 = L.Zero, c1 = L.Zero, c2 = L.Zero, c3 = L.Zero, c4 = L.Zero, c5 = L.Zero, c6 = L.Zero, c7 = L.Zero;
        L d0 = L.Zero, d1 = L.Zero, d2 = L.Zero, d3 = L.Zero, d4 = L.Zero, d5 = L.Zero, d6 = L.Zero, d7 = L.Zero;
        for (long k = 0; k < steps; k++)
        {
            if (Sse.IsSupported)
            {
                Sse.Prefetch0(a + (Ahead * Panel));
                Sse.Prefetch0(b + (Ahead * Panel));
                Sse.Prefetch0(b + (Ahead * Panel) + ILanes<L>.Count);
            }
            L y = L.Load(b), z = L.Load(b + ILanes<L>.Count);
            L x = L.Create(a[0]);
            c0 = TTerm.Add(x, y, c0, one);
            d0 = TTerm.Add(x, z, d0, one);
            x = L.Create(a[1]);
            c1 = TTerm.Add(x, y, c1, one);
            d1 = TTerm.Add(x, z, d1, one);
            x = L.Create(a[2]);
            c2 = TTerm.Add(x, y, c2, one);
            d2 = TTerm.Add(x, z, d2, one);
            x = L.Create(a[3]);
            c3 = TTerm.Add(x, y, c3, one);
            d3 = TTerm.Add(x, z, d3, one);
            x = L.Create(a[4]);
            c4 = TTerm.Add(x, y, c4, one);
            d4 = TTerm.Add(x, z, d4, one);
            x = L.Create(a[5]);
            c5 = TTerm.Add(x, y, c5, one);
            d5 = TTerm.Add(x, z, d5, one);
            x = L.Create(a[6]);
            c6 = TTerm.Add(x, y, c6, one);
            d6 = TTerm.Add(x, z, d6, one);
            x = L.Create(a[7]);
            c7 = TTerm.Add(x, y, c7, one);
            d7 = TTerm.Add(x, z, d7, one);
            a += Panel;
            b += Panel;
        }
        L.Store(c0, lanes);
        L.Store(d0, lanes + 16);
        L.Store(c1, lanes + 32);
        L.Store(d1, lanes + 48);
        L.Store(c2, lanes + 64);
        L.Store(d2, lanes + 80);
        L.Store(c3, lanes + 96);
        L.Store(d3, lanes + 112);
        L.Store(c4, lanes + 128);
        L.Store(d4, lanes + 144);
        L.Store(c5, lanes + 160);
        L.Store(d5, lanes + 176);
        L.Store(c6, lanes + 192);
        L.Store(d6, lanes + 208);
        L.Store(c7, lanes + 224);
        L.Store(d7, lanes + 240);
        Widen(lanes, 8, Panel, sums, ld);
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
