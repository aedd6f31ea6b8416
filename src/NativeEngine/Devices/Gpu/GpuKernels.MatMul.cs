namespace NativeEngine.Devices.Gpu;

internal sealed partial class GpuKernels
{
    private const long TensorTile = 128, TensorLeast = 16;

    /// <summary>How <see cref="MatMul"/> computes. BFloat16 needs CUDA; its results differ from the CPU's by the rounding of the operands.</summary>
    public MatMulPrecision Precision { get; init; }

    /// <summary>128, 64 or 32 takes squares of this size whatever the product's; 0 chooses.</summary>
    public int FixedSquare { get; init; }

    /// <summary>Groups that keep a large card busy: the largest square that still gives so many is the fastest.</summary>
    private const long EnoughGroups = 200;

    public void MatMul(Tensor<float> a, bool transposeA, Tensor<float> b, bool transposeB, bool accumulate, Tensor<float> c)
    {
        long m = transposeA ? a.RowLength : a.Rows, k = transposeA ? a.Rows : a.RowLength;
        long n = transposeB ? b.Rows : b.RowLength, kb = transposeB ? b.RowLength : b.Rows;
        Require.That(k == kb && c.Rows == m && c.RowLength == n,
            $"matmul: op(A) is {m} x {k} (A {a.Shape}), op(B) is {kb} x {n} (B {b.Shape}), C is {c.Shape}");
        if (Precision == MatMulPrecision.BFloat16 && m >= TensorLeast && n >= TensorLeast && k >= TensorLeast)
        {
            TensorMatMul(a, transposeA, b, transposeB, accumulate, c, m, n, k);
            return;
        }
        int square = Square(m, n);
        Run($"matmul_{square}", Groups(m, square) * Groups(n, square),
            Of(a), Of(transposeA ? 1 : a.RowLength), Of(transposeA ? a.RowLength : 1), Of(b), Of(transposeB ? b.RowLength : 1), Of(transposeB ? 1 : b.RowLength),
            Of(c), Of(m), Of(n), Of(k), Flag(accumulate), Flag(Aligned(a.RowLength, a)), Flag(Aligned(b.RowLength, b)));
    }

    public void SegmentedMatMul(Tensor<float> a, Tensor<float> b, Tensor<int> offsets, Tensor<float> c)
    {
        long segments = offsets.Length - 1, o = a.RowLength, i = b.RowLength;
        Require.That(a.Rows == b.Rows && c.Rows == segments && c.RowLength == o * i,
            $"segmented matmul: A {a.Shape}, B {b.Shape}, {segments} segments, C {c.Shape}; C must be [{segments} x {o * i}]");
        const long MostAtOnce = 65_535;
        for (long first = 0; first < segments; first += MostAtOnce)
        {
            Run("segmented_matmul", Groups(o, 64) * Groups(i, 64), Math.Min(MostAtOnce, segments - first), 1,
                Of(a), Of(b), Of(offsets), Of(c), Of(o), Of(i), Of(a.Rows), Of(first), Flag(Aligned(o, a) && Aligned(i, b)),
                Status(Slot.Segments, $"segmented matmul: the offsets of segment @ do not ascend within 0..{a.Rows}"), Of(Slot.Segments));
        }
    }

    /// <summary>Both operands are rounded into rows of k, padded with zeros to whole tiles; scratch: 2 bytes an element.</summary>
    private void TensorMatMul(
        Tensor<float> a, bool transposeA, Tensor<float> b, bool transposeB, bool accumulate, Tensor<float> c, long m, long n, long k)
    {
        long rows = Groups(m, TensorTile) * TensorTile, columns = Groups(n, TensorTile) * TensorTile, steps = Groups(k, 64) * 64;
        var scratch = Scratch(2 * rows * steps, 2 * columns * steps);
        Round(a, transposeA ? 1 : a.RowLength, transposeA ? a.RowLength : 1, m, rows, scratch[0]);
        Round(b, transposeB ? b.RowLength : 1, transposeB ? 1 : b.RowLength, n, columns, scratch[1]);
        Run("tensor_matmul", rows / TensorTile * (columns / TensorTile), scratch[0], scratch[1], Of(c), Of(m), Of(n), Of(steps), Flag(accumulate));

        void Round(Tensor<float> x, long rowStride, long stepStride, long count, long padded, GpuArgument to)
        {
            // 32 rows a group, 65,535 groups a launch.
            const long Most = 65_535 * 32;
            for (long first = 0; first < padded; first += Most)
            {
                var part = GpuArgument.Buffer(x.Buffer.Handle, (x.Offset + (first * rowStride)) * sizeof(float));
                Run("tensor_round", steps / 64, Math.Min(Most, padded - first) / 32, 1,
                    part, Of(rowStride), Of(stepStride), Of(count - first), Of(k), GpuArgument.Buffer((nint)to.Bits, to.ByteOffset + (2 * first * steps)), Of(steps));
            }
        }
    }

    /// <summary>Rows and columns of C a group makes: 128, 64 or 32. The bits do not depend on it.</summary>
    private int Square(long m, long n)
    {
        if (FixedSquare != 0)
        {
            return FixedSquare;
        }
        foreach (int square in new[] { 128, 64 })
        {
            if (Math.Min(m, n) > square / 2 && Groups(m, square) * Groups(n, square) >= EnoughGroups)
            {
                return square;
            }
        }
        return 32;
    }
}
