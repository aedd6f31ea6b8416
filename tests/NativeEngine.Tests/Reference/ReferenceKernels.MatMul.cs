namespace NativeEngine.Tests.Reference;

internal static partial class ReferenceKernels
{
    // k terms of size 1 each rounded once: about sqrt(k) * 6e-8 of the sum of magnitudes; k <= 443 here.
    private const double MatMulTolerance = 2e-5;

    private static IEnumerable<Entry> MatMul()
    {
        yield return new("matmul_nn", MatMulTolerance, c => Product(c, false, false, false));
        yield return new("matmul_nt", MatMulTolerance, c => Product(c, false, true, false));
        yield return new("matmul_tn_add", MatMulTolerance, c => Product(c, true, false, true));
        yield return new("matmul_tt", MatMulTolerance, c => Product(c, true, true, false));
        yield return new("segmented_matmul", MatMulTolerance, call =>
        {
            int o = call.N("o"), width = call.N("i");
            var (a, b, offsets, c) = (call.F("a"), call.F("b"), call.I("offsets"), call.F("c"));
            Array.Clear(c);
            for (int s = 0; s + 1 < offsets.Length; s++)
            {
                for (int r = offsets[s]; r < offsets[s + 1]; r++)
                {
                    for (int x = 0; x < o; x++)
                    {
                        for (int y = 0; y < width; y++)
                        {
                            c[(((s * o) + x) * width) + y] += a[(r * o) + x] * b[(r * width) + y];
                        }
                    }
                }
            }
        });
    }

    private static void Product(ReferenceCall call, bool transposeA, bool transposeB, bool accumulate)
    {
        int m = call.N("m"), n = call.N("n"), k = call.N("k");
        var (a, b, c) = (call.F("a"), call.F("b"), call.F("c"));
        for (int i = 0; i < m; i++)
        {
            for (int j = 0; j < n; j++)
            {
                double sum = accumulate ? c[(i * n) + j] : 0;
                for (int p = 0; p < k; p++)
                {
                    sum += a[transposeA ? (p * m) + i : (i * k) + p] * b[transposeB ? (j * k) + p : (p * n) + j];
                }
                c[(i * n) + j] = sum;
            }
        }
    }
}
