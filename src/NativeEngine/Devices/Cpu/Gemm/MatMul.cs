namespace NativeEngine.Devices.Cpu;

internal sealed unsafe partial class CpuKernels<L>
{
    public void MatMul(Tensor<float> a, bool transposeA, Tensor<float> b, bool transposeB, bool accumulate, Tensor<float> c)
    {
        long m = transposeA ? a.RowLength : a.Rows, k = transposeA ? a.Rows : a.RowLength;
        long n = transposeB ? b.Rows : b.RowLength, kb = transposeB ? b.RowLength : b.Rows;
        Require.That(k == kb && c.Rows == m && c.RowLength == n,
            $"matmul: op(A) is {m} x {k} (A {a.Shape}), op(B) is {kb} x {n} (B {b.Shape}), C is {c.Shape}");
        long lda = a.RowLength, ldb = b.RowLength;
        var job = new MatMulJob(_scratch)
        {
            M = m,
            N = n,
            K = k,
            A = a.Pointer,
            ARow = transposeA ? 1 : lda,
            AStep = transposeA ? lda : 1,
            B = b.Pointer,
            BStep = transposeB ? 1 : ldb,
            BColumn = transposeB ? ldb : 1,
            C = c.Pointer,
            Accumulate = accumulate,
            SplitRows = m >= n,
        };
        // One chunk per thread keeps the duplicate packing of B small; large products are cut finer to even out slow cores.
        long extent = job.SplitRows ? m : n, tile = job.SplitRows ? Gemm<L>.TileRows : Gemm<L>.TileColumns;
        long chunks = extent >= 64 * tile * _team.Size ? 4 * _team.Size : _team.Size;
        bool worthwhile = 2.0 * m * n * k > 1e6;
        long grain = worthwhile ? ((extent + chunks - 1) / chunks + tile - 1) / tile * tile : extent;
        _team.For(job, extent, Math.Max(grain, 1));
    }

    public void SegmentedMatMul(Tensor<float> a, Tensor<float> b, Tensor<int> offsets, Tensor<float> c)
    {
        long segments = offsets.Length - 1, o = a.RowLength, i = b.RowLength;
        Require.That(a.Rows == b.Rows && c.Rows == segments && c.RowLength == o * i,
            $"segmented matmul: A {a.Shape}, B {b.Shape}, {segments} segments, C {c.Shape}; C must be [{segments} x {o * i}]");
        _team.For(new SegmentedMatMulJob(_scratch, a.Pointer, b.Pointer, offsets.Pointer, c.Pointer, o, i), segments, 1);
    }

    /// <summary>A band of rows or of columns of one product.</summary>
    private struct MatMulJob(Scratch scratch) : IRangeJob
    {
        public long M, N, K, ARow, AStep, BStep, BColumn;
        public float* A, B, C;
        public bool Accumulate, SplitRows;

        public readonly void Run(long first, long last, int worker)
        {
            long n = SplitRows ? N : last - first, m = SplitRows ? last - first : M;
            float* buffer = scratch.Get(worker, Gemm<L>.ScratchFloats(n, K));
            float* a = SplitRows ? A + (first * ARow) : A;
            float* b = SplitRows ? B : B + (first * BColumn);
            float* c = SplitRows ? C + (first * N) : C + first;
            Gemm<L>.Multiply(m, n, K, a, ARow, AStep, b, BStep, BColumn, c, N, Accumulate, buffer);
        }
    }

    /// <summary>Whole segments.</summary>
    private readonly struct SegmentedMatMulJob(Scratch scratch, float* a, float* b, int* offsets, float* c, long o, long i) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            for (long s = first; s < last; s++)
            {
                long begin = offsets[s], rows = offsets[s + 1] - begin;
                float* buffer = scratch.Get(worker, Gemm<L>.ScratchFloats(i, rows));
                Gemm<L>.Multiply(o, i, rows, a + (begin * o), 1, o, b + (begin * i), i, 1, c + (s * o * i), i, false, buffer);
            }
        }
    }
}
