using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace NativeEngine.Devices.Cpu;

/// <summary>Packing of the operands of the matrix product: values are moved, never changed.</summary>
internal static unsafe partial class Gemm<L>
{
    /// <summary>Floats of a cache line: a line that is touched is used up before the next row is.</summary>
    private const long Line = 16;

    /// <summary>Floats that a line is asked for ahead of its use.</summary>
    private const long PackAhead = 64;

    /// <summary>Panels of TileColumns columns, step by step; the last panel is 16 wide when 16 columns suffice, and padded with zeros.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
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
                Interleave(valid, width, steps, source, bColumn, bStep, panel);
            }
        }
    }

    /// <summary>
    /// A compact copy of a block of A; rows up to <paramref name="paddedRows"/> are zeros. A transposed A stays so: element (i, p) goes to
    /// copy[p*RowBlock + i], else to copy[i*(steps + RowPadding) + p].
    /// </summary>
    private static void CopyA(long rows, long paddedRows, long steps, float* a, long aRow, long aStep, float* copy)
    {
        if (aRow == 1)
        {
            CopyLines(steps, steps, rows, paddedRows, a, aStep, 1, copy, RowBlock);
        }
        else
        {
            CopyLines(rows, paddedRows, steps, steps, a, aRow, aStep, copy, steps + RowPadding);
        }
    }

    /// <summary>Lines of <paramref name="length"/> elements to another stride, with zeros up to the padded extents.</summary>
    private static void CopyLines(
        long lines, long paddedLines, long length, long paddedLength, float* source, long lineStride, long elementStride, float* target, long targetStride)
    {
        for (long i = 0; i < paddedLines; i++)
        {
            var line = new Span<float>(target + (i * targetStride), (int)paddedLength);
            if (i >= lines)
            {
                line.Clear();
                continue;
            }
            float* from = source + (i * lineStride);
            if (elementStride == 1)
            {
                new Span<float>(from, (int)length).CopyTo(line);
            }
            else
            {
                for (int j = 0; j < length; j++)
                {
                    line[j] = from[j * elementStride];
                }
            }
            line[(int)length..].Clear();
        }
    }

    /// <summary>
    /// packed[p*width + j] = source[j*lineStride + p*stepStride] for j below <paramref name="valid"/>, 0 for the others. Lines whose steps are
    /// contiguous are transposed four by four in registers.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Interleave(long valid, long width, long steps, float* source, long lineStride, long stepStride, float* packed)
    {
        long blockSteps = stepStride == 1 ? steps / 4 * 4 : 0, blockLines = blockSteps > 0 ? valid / 4 * 4 : 0;
        for (long first = 0; first < blockSteps; first += Line)
        {
            long last = Math.Min(first + Line, blockSteps);
            for (long j = 0; j < blockLines; j += 4)
            {
                float* line = source + (j * lineStride);
                if (Sse.IsSupported)
                {
                    Sse.Prefetch0(line + first + PackAhead);
                    Sse.Prefetch0(line + lineStride + first + PackAhead);
                    Sse.Prefetch0(line + (2 * lineStride) + first + PackAhead);
                    Sse.Prefetch0(line + (3 * lineStride) + first + PackAhead);
                }
                for (long p = first; p < last; p += 4)
                {
                    Transpose(line + p, lineStride, packed + (p * width) + j, width);
                }
            }
        }
        for (long p = 0; p < steps; p++)
        {
            for (long j = p < blockSteps ? blockLines : 0; j < width; j++)
            {
                packed[(p * width) + j] = j < valid ? source[(j * lineStride) + (p * stepStride)] : 0f;
            }
        }
    }

    /// <summary>A 4 x 4 block: target row i is source column i.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Transpose(float* source, long sourceRow, float* target, long targetRow)
    {
        var r0 = Vector128.Load(source);
        var r1 = Vector128.Load(source + sourceRow);
        var r2 = Vector128.Load(source + (2 * sourceRow));
        var r3 = Vector128.Load(source + (3 * sourceRow));
        if (Sse.IsSupported)
        {
            var low01 = Sse.UnpackLow(r0, r1);
            var low23 = Sse.UnpackLow(r2, r3);
            var high01 = Sse.UnpackHigh(r0, r1);
            var high23 = Sse.UnpackHigh(r2, r3);
            Sse.MoveLowToHigh(low01, low23).Store(target);
            Sse.MoveHighToLow(low23, low01).Store(target + targetRow);
            Sse.MoveLowToHigh(high01, high23).Store(target + (2 * targetRow));
            Sse.MoveHighToLow(high23, high01).Store(target + (3 * targetRow));
        }
        else if (AdvSimd.Arm64.IsSupported)
        {
            var even01 = AdvSimd.Arm64.ZipLow(r0, r2);
            var odd01 = AdvSimd.Arm64.ZipLow(r1, r3);
            var even23 = AdvSimd.Arm64.ZipHigh(r0, r2);
            var odd23 = AdvSimd.Arm64.ZipHigh(r1, r3);
            AdvSimd.Arm64.ZipLow(even01, odd01).Store(target);
            AdvSimd.Arm64.ZipHigh(even01, odd01).Store(target + targetRow);
            AdvSimd.Arm64.ZipLow(even23, odd23).Store(target + (2 * targetRow));
            AdvSimd.Arm64.ZipHigh(even23, odd23).Store(target + (3 * targetRow));
        }
        else
        {
            for (long i = 0; i < 4; i++)
            {
                Vector128.Create(r0[(int)i], r1[(int)i], r2[(int)i], r3[(int)i]).Store(target + (i * targetRow));
            }
        }
    }
}
