using System.Runtime.CompilerServices;

namespace NativeEngine.Devices.Cpu;

/// <summary>
/// The product with the roles of A and B exchanged, C^T = B^T A^T, where the rows of B^T are contiguous and many more than the rows of A: A is
/// packed once, B is read in place by broadcasts, straight from memory and once. A tile's corner goes through a buffer that is transposed into C.
/// The same chain of FMAs for every element.
/// </summary>
internal static unsafe partial class Gemm<L>
{
    /// <summary>Most rows of A, and the most floats of a packed block: half of a second-level cache of 1 MiB.</summary>
    private const long ExchangedRows = 256, ExchangedBlock = 1 << 17;

    /// <summary>Most steps of k per block, where the rows of A are few.</summary>
    private const long ExchangedSteps = 1024;

    /// <summary>Floats of scratch for at most n rows of A (there are fewer than columns of B) and k steps.</summary>
    private static long ExchangedFloats(long n, long k) =>
        Math.Min(RoundUp(Math.Min(n, ExchangedRows), 32) * RoundUp(Math.Min(k, ExchangedSteps), 4), ExchangedBlock)
            + (TileRows * (RoundUp(Math.Min(k, ExchangedSteps), 4) + RowPadding));

    /// <summary>Whether packing B costs clearly more than packing A and transposing C.</summary>
    private static bool Exchanges(long m, long n, long k, long bStep) =>
        bStep == 1 && m <= ExchangedRows && k >= StepsToCopyA && n * k > (m * k) + (2 * m * n * ((k + StepBlock - 1) / StepBlock));

    private static void MultiplyExchanged(
        long m, long n, long k, float* a, long aRow, long aStep, float* b, long bColumn, float* c, long ldc, bool accumulate, float* scratch)
    {
        long padded = RoundUp(m, 32), stepBlock = Steps(k, Math.Min(ExchangedSteps, ExchangedBlock / padded / 4 * 4));
        float* packedA = scratch;
        float* copyB = packedA + (stepBlock * padded);
        float* corner = copyB + (TileRows * (stepBlock + RowPadding));
        for (long firstStep = 0; firstStep < k; firstStep += stepBlock)
        {
            long steps = Math.Min(stepBlock, k - firstStep);
            PackB(steps, m, a + (firstStep * aStep), aStep, aRow, packedA);
            MultiplyColumns(m, n, steps, packedA, b + firstStep, bColumn, c, ldc, accumulate || firstStep > 0, copyB, corner);
        }
    }

    /// <summary>All columns of B against the packed rows of A; every group of columns is asked for while the one before is multiplied.</summary>
    private static void MultiplyColumns(
        long rows, long columns, long steps, float* packedA, float* b, long bColumn, float* c, long ldc, bool accumulate, float* copyB, float* corner)
    {
        bool aliased = bColumn % (2 * AliasingStride) == 0;
        for (long column = 0; column < columns; column += TileRows)
        {
            long height = Math.Min(TileRows, columns - column), stride = bColumn;
            float* lines = b + (column * bColumn);
            float* next = column + TileRows < columns ? lines + (TileRows * bColumn) : null;
            if (aliased || height < TileRows)
            {
                CopyA(height, TileRows, steps, lines, bColumn, 1, copyB);
                lines = copyB;
                stride = steps + RowPadding;
            }
            for (long row = 0; row < rows; row += TileColumns)
            {
                long width = Math.Min(TileColumns, rows - row);
                bool wide = width > 16;
                long cornerRow = wide ? 32 : 16;
                float* target = c + (row * ldc) + column;
                if (accumulate)
                {
                    Transposed(width, height, target, ldc, corner, cornerRow);
                }
                var ahead = row == 0 ? new Ahead(next, bColumn, Line) : default;
                Tile(height, steps, lines, stride, 1, packedA + (row * steps), corner, cornerRow, accumulate, wide, ahead);
                Transposed(height, width, corner, cornerRow, target, ldc);
            }
        }
    }

    /// <summary>target[j, i] = source[i, j].</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Transposed(long rows, long columns, float* source, long sourceRow, float* target, long targetRow)
    {
        long fullRows = rows / 4 * 4, fullColumns = columns / 4 * 4;
        for (long j = 0; j < fullColumns; j += 4)
        {
            for (long i = 0; i < fullRows; i += 4)
            {
                Transpose(source + (i * sourceRow) + j, sourceRow, target + (j * targetRow) + i, targetRow);
            }
        }
        for (long i = 0; i < rows; i++)
        {
            for (long j = i < fullRows ? fullColumns : 0; j < columns; j++)
            {
                target[(j * targetRow) + i] = source[(i * sourceRow) + j];
            }
        }
    }
}
