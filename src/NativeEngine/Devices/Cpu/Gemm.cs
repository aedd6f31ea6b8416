namespace NativeEngine.Devices.Cpu;

/// <summary>
/// The serial matrix product on strided operands: C[m,n] (+)= A B with A(i,p) = a[i*aRow + p*aStep], B(p,j) = b[p*bStep + j*bColumn], C row-major
/// with row length ldc. Every transpose is a choice of strides. B is packed into panels of a tile's width; A is read in
/// place by broadcasts (packing it too was measured 5 to 25 % slower at 96 to 1024 columns).
/// </summary>
internal static unsafe partial class Gemm<L>
    where L : unmanaged, ILanes<L>
{
    /// <summary>
    /// Steps of k per packed panel. Every further block reads and writes C once more; at 1024 that cost is below the panel's (128 KiB, from the
    /// second-level cache).
    /// </summary>
    private const long StepBlock = 1024;

    /// <summary>Columns packed at a time: at most 4 MiB of B.</summary>
    private const long ColumnBlock = 1024;

    /// <summary>Rows of A that stay in the second-level cache while all panels pass: at most 480 KiB.</summary>
    private const long RowBlock = 120;

    private const long MaximumTile = 12 * 32;

    /// <summary>Rows of a register tile.</summary>
    public static long TileRows => L.Width == SimdWidth.Bits512 ? 12 : 6;

    /// <summary>Columns of a register tile.</summary>
    public static long TileColumns => L.Width == SimdWidth.Bits512 ? 32 : 16;

    /// <summary>Floats of scratch that <see cref="Multiply"/> needs.</summary>
    public static long ScratchFloats(long n, long k)
    {
        long steps = Math.Min(k, StepBlock), columns = RoundUp(Math.Min(n, ColumnBlock), 32);
        return (steps * columns) + (12 * steps) + MaximumTile;
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
        long maximumSteps = Math.Min(k, StepBlock);
        float* packedB = scratch;
        float* edgeA = packedB + (maximumSteps * RoundUp(Math.Min(n, ColumnBlock), 32));
        float* edgeC = edgeA + (12 * maximumSteps);
        for (long firstColumn = 0; firstColumn < n; firstColumn += ColumnBlock)
        {
            long columns = Math.Min(ColumnBlock, n - firstColumn);
            for (long firstStep = 0; firstStep < k; firstStep += StepBlock)
            {
                long steps = Math.Min(StepBlock, k - firstStep);
                bool add = accumulate || firstStep > 0;
                PackB(steps, columns, b + (firstStep * bStep) + (firstColumn * bColumn), bStep, bColumn, packedB);
                for (long firstRow = 0; firstRow < m; firstRow += RowBlock)
                {
                    long rows = Math.Min(RowBlock, m - firstRow);
                    float* block = a + (firstRow * aRow) + (firstStep * aStep);
                    float* corner = c + (firstRow * ldc) + firstColumn;
                    MultiplyBlock(rows, columns, steps, block, aRow, aStep, packedB, corner, ldc, add, edgeA, edgeC);
                }
            }
        }
    }

    /// <summary>All tiles of a row block.</summary>
    private static void MultiplyBlock(
        long rows, long columns, long steps, float* a, long aRow, long aStep, float* packedB, float* c, long ldc, bool accumulate,
        float* edgeA, float* edgeC)
    {
        long tileRows = TileRows, tileColumns = TileColumns;
        for (long column = 0; column < columns; column += tileColumns)
        {
            float* panel = packedB + (column * steps);
            long width = Math.Min(tileColumns, columns - column);
            for (long row = 0; row < rows; row += tileRows)
            {
                float* tile = a + (row * aRow);
                float* corner = c + (row * ldc) + column;
                long height = Math.Min(tileRows, rows - row);
                if (height == tileRows && (width == tileColumns || width == 16))
                {
                    Tile(steps, tile, aRow, aStep, panel, corner, ldc, accumulate, wide: width > 16);
                }
                else
                {
                    EdgeTile(height, width, steps, tile, aRow, aStep, panel, corner, ldc, accumulate, edgeA, edgeC);
                }
            }
        }
    }

    private static void Tile(long steps, float* a, long aRow, long aStep, float* panel, float* c, long ldc, bool accumulate, bool wide)
    {
        if (L.Width != SimdWidth.Bits512)
        {
            Tile6x1(steps, a, aRow, aStep, panel, c, ldc, accumulate);
        }
        else if (wide)
        {
            Tile12x2(steps, a, aRow, aStep, panel, c, ldc, accumulate);
        }
        else
        {
            Tile12x1(steps, a, aRow, aStep, panel, c, ldc, accumulate);
        }
    }

    /// <summary>A tile that sticks out of C: done in a full-size copy of its corner; missing rows of A are zeros.</summary>
    private static void EdgeTile(
        long height, long width, long steps, float* a, long aRow, long aStep, float* panel, float* c, long ldc, bool accumulate, float* edgeA,
        float* edgeC)
    {
        long tileRows = TileRows;
        bool wide = width > 16;
        long edgeColumns = wide ? 32 : 16;
        if (height < tileRows)
        {
            for (long p = 0; p < steps; p++)
            {
                for (long i = 0; i < tileRows; i++)
                {
                    edgeA[(p * tileRows) + i] = i < height ? a[(i * aRow) + (p * aStep)] : 0f;
                }
            }
            a = edgeA;
            (aRow, aStep) = (1, tileRows);
        }
        if (accumulate)
        {
            for (long i = 0; i < height; i++)
            {
                for (long j = 0; j < width; j++)
                {
                    edgeC[(i * edgeColumns) + j] = c[(i * ldc) + j];
                }
            }
        }
        Tile(steps, a, aRow, aStep, panel, edgeC, edgeColumns, accumulate, wide);
        for (long i = 0; i < height; i++)
        {
            for (long j = 0; j < width; j++)
            {
                c[(i * ldc) + j] = edgeC[(i * edgeColumns) + j];
            }
        }
    }

    /// <summary>Panels of TileColumns columns, step by step; the last panel is 16 wide when 16 columns suffice, and padded with zeros.</summary>
    private static void PackB(long steps, long columns, float* b, long bStep, long bColumn, float* packed)
    {
        long tileColumns = TileColumns;
        for (long column = 0; column < columns; column += tileColumns)
        {
            float* panel = packed + (column * steps);
            float* source = b + (column * bColumn);
            long valid = Math.Min(tileColumns, columns - column);
            long width = valid > 16 ? tileColumns : 16;
            if (bColumn == 1 && valid == width)
            {
                for (long p = 0; p < steps; p++)
                {
                    for (long j = 0; j < width; j += ILanes<L>.Count)
                    {
                        L.Store(L.Load(source + (p * bStep) + j), panel + (p * width) + j);
                    }
                }
            }
            else
            {
                // A few steps at a time, so that the part of the panel being written stays in the first-level cache.
                for (long first = 0; first < steps; first += 64)
                {
                    long last = Math.Min(first + 64, steps);
                    for (long j = 0; j < width; j++)
                    {
                        float* line = source + (j * bColumn);
                        for (long p = first; p < last; p++)
                        {
                            panel[(p * width) + j] = j < valid ? line[p * bStep] : 0f;
                        }
                    }
                }
            }
        }
    }

    private static long RoundUp(long value, long multiple) => (value + multiple - 1) / multiple * multiple;
}
