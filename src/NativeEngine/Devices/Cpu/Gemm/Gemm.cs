using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace NativeEngine.Devices.Cpu;

/// <summary>
/// The serial matrix product on strided operands: C[m,n] (+)= A B with A(i,p) = a[i*aRow + p*aStep], B(p,j) = b[p*bStep + j*bColumn], C row-major
/// with row length ldc. Every transpose is a choice of strides.
/// <para>A block of B is packed into panels of a tile's width and stays in the second-level cache while the rows of A pass. A is read in place by
/// broadcasts, or from a compact copy where its strides make a tile's lines fall into few sets of the cache (interleaving it as B was
/// measured 5 to 15 % slower at 96 to 1024 columns).</para>
/// </summary>
internal static unsafe partial class Gemm<L>
    where L : unmanaged, ILanes<L>
{
    /// <summary>Most steps of k per block; C is read and written again once a block.</summary>
    private const long StepBlock = 512;

    /// <summary>Columns of B per block: 384 columns of 512 steps are three quarters of a second-level cache of 1 MiB, which A and C share.</summary>
    private const long ColumnBlock = 384;

    /// <summary>Rows of A that meet all panels of a block of B in turn: eight tiles, six cache lines of a transposed A.</summary>
    private const long RowBlock = 96;

    /// <summary>Floats after which rows meet in the same sets of the first-level cache: a quarter of 4 KiB.</summary>
    private const long AliasingStride = 256;

    /// <summary>Floats after a copied row, so that copied rows do not meet there.</summary>
    private const long RowPadding = 16;

    /// <summary>Columns, and steps, that pay for a copy of A.</summary>
    private const long ColumnsToCopyA = 64, StepsToCopyA = 32;

    private const long MaximumTile = 12 * 32;

    /// <summary>Rows of a register tile.</summary>
    public static long TileRows => L.Width == SimdWidth.Bits512 ? 12 : 6;

    /// <summary>Columns of a register tile.</summary>
    public static long TileColumns => L.Width == SimdWidth.Bits512 ? 32 : 16;

    /// <summary>Floats of scratch that <see cref="Multiply"/> needs for products of at most n columns and k steps.</summary>
    public static long ScratchFloats(long n, long k)
    {
        // Not Steps(k, StepBlock): a k just above one block is cut in halves, and a smaller k would need more.
        long steps = RoundUp(Math.Min(k, StepBlock), 4), columns = RoundUp(Math.Min(n, ColumnBlock), 32);
        return Math.Max((steps * columns) + (RowBlock * (steps + RowPadding)), ExchangedFloats(n, k)) + MaximumTile;
    }

    public static void Multiply(
        long m, long n, long k, float* a, long aRow, long aStep, float* b, long bStep, long bColumn, float* c, long ldc, bool accumulate,
        float* scratch)
    {
        if (k == 0 && !accumulate)
        {
            for (long i = 0; i < m; i++)
            {
                new Span<float>(c + (i * ldc), checked((int)n)).Clear();
            }
            return;
        }
        if (Exchanges(m, n, k, bStep))
        {
            MultiplyExchanged(m, n, k, a, aRow, aStep, b, bColumn, c, ldc, accumulate, scratch);
            return;
        }
        long stepBlock = Steps(k, StepBlock);
        float* packedB = scratch;
        float* copyA = packedB + (stepBlock * RoundUp(Math.Min(n, ColumnBlock), 32));
        float* edgeC = copyA + (RowBlock * (stepBlock + RowPadding));
        for (long firstColumn = 0; firstColumn < n; firstColumn += ColumnBlock)
        {
            long columns = Math.Min(ColumnBlock, n - firstColumn);
            for (long firstStep = 0; firstStep < k; firstStep += stepBlock)
            {
                long steps = Math.Min(stepBlock, k - firstStep);
                bool add = accumulate || firstStep > 0;
                PackB(steps, columns, b + (firstStep * bStep) + (firstColumn * bColumn), bStep, bColumn, packedB);
                bool lastSteps = firstStep + stepBlock >= k;
                long nextStep = lastSteps ? 0 : firstStep + stepBlock, nextColumn = lastSteps ? firstColumn + ColumnBlock : firstColumn;
                bool last = nextColumn >= n;
                var nextB = last ? default : new NextBlock(
                    b + (nextStep * bStep) + (nextColumn * bColumn), Math.Min(ColumnBlock, n - nextColumn), Math.Min(stepBlock, k - nextStep), bColumn, bStep);
                for (long row = 0; row < m; row += RowBlock)
                {
                    float* rows = a + (row * aRow) + (firstStep * aStep);
                    float* corner = c + (row * ldc) + firstColumn;
                    var nextA = row + RowBlock < m
                        ? new NextBlock(rows + (RowBlock * aRow), Math.Min(RowBlock, m - row - RowBlock), steps, aRow, aStep)
                        : last ? default : new NextBlock(a + (nextStep * aStep), Math.Min(RowBlock, m), Math.Min(stepBlock, k - nextStep), aRow, aStep);
                    MultiplyRows(Math.Min(RowBlock, m - row), columns, steps, rows, aRow, aStep, packedB, corner, ldc, add, copyA, edgeC, nextA, ref nextB);
                }
            }
        }
    }

    /// <summary>At most <see cref="RowBlock"/> rows against a block of B.</summary>
    private static void MultiplyRows(
        long rows, long columns, long steps, float* a, long aRow, long aStep, float* packedB, float* c, long ldc, bool accumulate,
        float* copyA, float* edgeC, NextBlock nextA, ref NextBlock nextB)
    {
        bool aliased = aStep == 1 && aRow % AliasingStride == 0 && columns >= ColumnsToCopyA && steps >= StepsToCopyA;
        if (aliased || rows % TileRows != 0)
        {
            CopyA(rows, RoundUp(rows, TileRows), steps, a, aRow, aStep, copyA);
            a = copyA;
            (aRow, aStep) = aRow == 1 ? (1L, RowBlock) : (steps + RowPadding, 1L);
        }
        for (long column = 0; column < columns; column += TileColumns)
        {
            float* panel = packedB + (column * steps);
            long width = Math.Min(TileColumns, columns - column);
            for (long row = 0; row < rows; row += TileRows)
            {
                long height = Math.Min(TileRows, rows - row);
                float* tile = a + (row * aRow);
                float* corner = c + (row * ldc) + column;
                if (accumulate)
                {
                    AskCorner(row + TileRows < rows ? corner + (TileRows * ldc) : c + column + TileColumns, ldc);
                }
                if (height == TileRows && (width == TileColumns || width == 16))
                {
                    Tile(height, steps, tile, aRow, aStep, panel, corner, ldc, accumulate, width > 16, nextA.IsDone ? nextB.Take(steps) : nextA.Take(steps));
                }
                else
                {
                    EdgeTile(height, width, steps, tile, aRow, aStep, panel, corner, ldc, accumulate, edgeC);
                }
            }
        }
    }

    /// <summary>k cut into equal blocks of at most so many steps, so that no short block remains.</summary>
    private static long Steps(long k, long most)
    {
        long blocks = Math.Max((k + most - 1) / most, 1);
        return RoundUp((k + blocks - 1) / blocks, 4);
    }

    /// <summary>A tile that sticks out of C: done in a full-size copy of its corner.</summary>
    private static void EdgeTile(
        long height, long width, long steps, float* a, long aRow, long aStep, float* panel, float* c, long ldc, bool accumulate, float* edgeC)
    {
        bool wide = width > 16;
        long edgeColumns = wide ? 32 : 16;
        if (accumulate)
        {
            CopyCorner(height, width, c, ldc, edgeC, edgeColumns);
        }
        Tile(height, steps, a, aRow, aStep, panel, edgeC, edgeColumns, accumulate, wide, default);
        CopyCorner(height, width, edgeC, edgeColumns, c, ldc);
    }

    /// <summary>At least <paramref name="height"/> rows of one panel; the register tile is the lowest that has them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)] // without a loop it would start unoptimised
    private static void Tile(
        long height, long steps, float* a, long aRow, long aStep, float* panel, float* c, long ldc, bool accumulate, bool wide, in Ahead ahead)
    {
        if (L.Width != SimdWidth.Bits512)
        {
            Tile6x1(steps, a, aRow, aStep, panel, c, ldc, accumulate, ahead);
        }
        else if (!wide)
        {
            Tile12x1(steps, a, aRow, aStep, panel, c, ldc, accumulate, ahead);
        }
        else if (height > 8)
        {
            Tile12x2(steps, a, aRow, aStep, panel, c, ldc, accumulate, ahead);
        }
        else
        {
            Tile4x2(steps, a, aRow, aStep, panel, c, ldc, accumulate);
            if (height > 4)
            {
                Tile4x2(steps, a + (4 * aRow), aRow, aStep, panel, c + (4 * ldc), ldc, accumulate);
            }
        }
    }

    /// <summary>The corner that the next tile adds to.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void AskCorner(float* c, long ldc)
    {
        if (Sse.IsSupported)
        {
            for (long i = 0; i < TileRows; i++, c += ldc)
            {
                Sse.Prefetch0(c);
                Sse.Prefetch0(c + 16);
            }
        }
    }

    /// <summary>A block of an operand that is read after this one: tiles ask for it line by line while they multiply, so that it is found in a cache.</summary>
    private struct NextBlock
    {
        private readonly float* _source;
        private readonly long _lines, _stride, _width;
        private long _line, _at;

        /// <summary>Outer x inner elements; one of the strides is 1.</summary>
        public NextBlock(float* source, long outer, long inner, long outerStride, long innerStride)
        {
            (_lines, _stride, _width) = innerStride == 1 ? (outer, outerStride, inner) : (inner, innerStride, outer);
            _source = source;
        }

        public readonly bool IsDone => _at >= _width;

        /// <summary>What a tile of so many steps asks for.</summary>
        public Ahead Take(long steps)
        {
            if (IsDone)
            {
                return default;
            }
            var ahead = new Ahead(_source + (_line * _stride) + _at, Line, _stride);
            _line += (steps + Line - 1) / Line;
            if (_line >= _lines)
            {
                _line = 0;
                _at += GroupLines * Line;
            }
            return ahead;
        }
    }

    private static void CopyCorner(long height, long width, float* source, long sourceRow, float* target, long targetRow)
    {
        for (long i = 0; i < height; i++)
        {
            for (long j = 0; j < width; j++)
            {
                target[(i * targetRow) + j] = source[(i * sourceRow) + j];
            }
        }
    }

    private static long RoundUp(long value, long multiple) => (value + multiple - 1) / multiple * multiple;
}
