using System.Runtime.CompilerServices;

namespace NativeEngine.Devices.Cpu;

/// <summary>
/// Sums over the columns of pairs of rows: sum[i,j] += sum over k of term(a[i,k], b[j,k]). The order of one pair's terms (16 lanes within a
/// chunk of columns, folded, then double over the chunks) does not depend on the tile it was computed in. Row lengths are multiples of 16.
/// </summary>
internal static unsafe class PairSums<L>
    where L : unmanaged, ILanes<L>
{
    /// <summary>Columns summed in float32 before the sum goes to double: 128 terms a lane.</summary>
    public const long Chunk = 2048;

    /// <summary>What is summed.</summary>
    internal interface ITerm
    {
        static abstract L Add(L a, L b, L sum);
    }

    internal readonly struct Minimum : ITerm
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static L Add(L a, L b, L sum) => sum + L.Min(a, b);
    }

    internal readonly struct Difference : ITerm
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static L Add(L a, L b, L sum) => sum + L.Abs(a - b);
    }

    internal readonly struct Magnitude : ITerm
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static L Add(L a, L b, L sum) => sum + L.Abs(a);
    }

    internal readonly struct SquaredDifference : ITerm
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static L Add(L a, L b, L sum)
        {
            L difference = a - b;
            return L.Fma(difference, difference, sum);
        }
    }

    internal readonly struct Product : ITerm
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static L Add(L a, L b, L sum) => L.Fma(a, b, sum);
    }

    /// <summary>The sum of one pair.</summary>
    public static double One<TTerm>(float* a, float* b, long steps)
        where TTerm : struct, ITerm
    {
        double total = 0;
        for (long first = 0; first < steps; first += Chunk)
        {
            long last = Math.Min(first + Chunk, steps);
            L sum = L.Zero;
            for (long k = first; k < last; k += ILanes<L>.Count)
            {
                sum = TTerm.Add(L.Load(a + k), L.Load(b + k), sum);
            }
            total += L.Sum(sum);
        }
        return total;
    }

    /// <summary>All pairs of rows of a with columns rows of b, chunk by chunk, tile by tile; sums is row-major with row length ld.</summary>
    public static void Add<TTerm>(float* a, long rows, float* b, long columns, long stride, long steps, double* sums, long ld)
        where TTerm : struct, ITerm
    {
        long tile = L.Width == SimdWidth.Bits512 ? 4 : 2;
        for (long first = 0; first < steps; first += Chunk)
        {
            long count = Math.Min(Chunk, steps - first);
            for (long j = 0; j < columns; j += tile)
            {
                for (long i = 0; i < rows; i += tile)
                {
                    float* x = a + (i * stride) + first, y = b + (j * stride) + first;
                    double* target = sums + (i * ld) + j;
                    if (i + tile > rows || j + tile > columns)
                    {
                        Edge<TTerm>(x, Math.Min(tile, rows - i), y, Math.Min(tile, columns - j), stride, count, target, ld);
                    }
                    else if (tile == 4)
                    {
                        Tile4<TTerm>(x, y, stride, count, target, ld);
                    }
                    else
                    {
                        Tile2<TTerm>(x, y, stride, count, target, ld);
                    }
                }
            }
        }
    }

    private static void Edge<TTerm>(float* a, long rows, float* b, long columns, long stride, long count, double* sums, long ld)
        where TTerm : struct, ITerm
    {
        for (long i = 0; i < rows; i++)
        {
            for (long j = 0; j < columns; j++)
            {
                sums[(i * ld) + j] += One<TTerm>(a + (i * stride), b + (j * stride), count);
            }
        }
    }

    private static void Tile2<TTerm>(float* a, float* b, long stride, long count, double* sums, long ld)
        where TTerm : struct, ITerm
    {
        L c00 = L.Zero, c01 = L.Zero, c10 = L.Zero, c11 = L.Zero;
        for (long k = 0; k < count; k += ILanes<L>.Count)
        {
            L a0 = L.Load(a + k), a1 = L.Load(a + stride + k);
            L b0 = L.Load(b + k), b1 = L.Load(b + stride + k);
            c00 = TTerm.Add(a0, b0, c00);
            c01 = TTerm.Add(a0, b1, c01);
            c10 = TTerm.Add(a1, b0, c10);
            c11 = TTerm.Add(a1, b1, c11);
        }
        sums[0] += L.Sum(c00);
        sums[1] += L.Sum(c01);
        sums[ld] += L.Sum(c10);
        sums[ld + 1] += L.Sum(c11);
    }

    /// <summary>Sixteen sums in registers: 8 loads for 16 terms.</summary>
    private static void Tile4<TTerm>(float* a, float* b, long stride, long count, double* sums, long ld)
        where TTerm : struct, ITerm
    {
        L c00 = L.Zero, c01 = L.Zero, c02 = L.Zero, c03 = L.Zero;
        L c10 = L.Zero, c11 = L.Zero, c12 = L.Zero, c13 = L.Zero;
        L c20 = L.Zero, c21 = L.Zero, c22 = L.Zero, c23 = L.Zero;
        L c30 = L.Zero, c31 = L.Zero, c32 = L.Zero, c33 = L.Zero;
        float* a1 = a + stride, a2 = a1 + stride, a3 = a2 + stride;
        float* b1 = b + stride, b2 = b1 + stride, b3 = b2 + stride;
        for (long k = 0; k < count; k += ILanes<L>.Count)
        {
            L x0 = L.Load(a + k), x1 = L.Load(a1 + k), x2 = L.Load(a2 + k), x3 = L.Load(a3 + k);
            L y = L.Load(b + k);
            c00 = TTerm.Add(x0, y, c00);
            c10 = TTerm.Add(x1, y, c10);
            c20 = TTerm.Add(x2, y, c20);
            c30 = TTerm.Add(x3, y, c30);
            y = L.Load(b1 + k);
            c01 = TTerm.Add(x0, y, c01);
            c11 = TTerm.Add(x1, y, c11);
            c21 = TTerm.Add(x2, y, c21);
            c31 = TTerm.Add(x3, y, c31);
            y = L.Load(b2 + k);
            c02 = TTerm.Add(x0, y, c02);
            c12 = TTerm.Add(x1, y, c12);
            c22 = TTerm.Add(x2, y, c22);
            c32 = TTerm.Add(x3, y, c32);
            y = L.Load(b3 + k);
            c03 = TTerm.Add(x0, y, c03);
            c13 = TTerm.Add(x1, y, c13);
            c23 = TTerm.Add(x2, y, c23);
            c33 = TTerm.Add(x3, y, c33);
        }
        Fold(sums, c00, c01, c02, c03);
        Fold(sums + ld, c10, c11, c12, c13);
        Fold(sums + (2 * ld), c20, c21, c22, c23);
        Fold(sums + (3 * ld), c30, c31, c32, c33);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Fold(double* sums, L c0, L c1, L c2, L c3)
    {
        sums[0] += L.Sum(c0);
        sums[1] += L.Sum(c1);
        sums[2] += L.Sum(c2);
        sums[3] += L.Sum(c3);
    }
}
