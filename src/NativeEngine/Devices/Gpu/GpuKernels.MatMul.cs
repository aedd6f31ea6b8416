namespace NativeEngine.Devices.Gpu;

internal sealed partial class GpuKernels
{
    /// <summary>Groups that keep a large card busy: the largest square that still gives so many is the fastest.</summary>
    private const long EnoughGroups = 200;

    public void MatMul(Tensor<float> a, bool transposeA, Tensor<float> b, bool transposeB, bool accumulate, Tensor<float> c)
    {
        long m = transposeA ? a.RowLength : a.Rows, k = transposeA ? a.Rows : a.RowLength;
        long n = transposeB ? b.Rows : b.RowLength, kb = transposeB ? b.RowLength : b.Rows;
        Require.That(k == kb && c.Rows == m && c.RowLength == n,
            $"matmul: op(A) is {m} x {k} (A {a.Shape}), op(B) is {kb} x {n} (B {b.Shape}), C is {c.Shape}");
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

    /// <summary>Rows and columns of C a group makes: 128, 64 or 32. The bits do not depend on it.</summary>
    private static int Square(long m, long n)
    {
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
