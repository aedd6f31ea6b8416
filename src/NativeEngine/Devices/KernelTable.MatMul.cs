namespace NativeEngine.Devices;

public static partial class KernelTable
{
    private static IEnumerable<KernelRow> MatMulRows()
    {
        foreach (var (transposeA, transposeB, accumulate) in
            new[] { (false, false, false), (false, true, false), (true, false, true), (true, true, false) })
        {
            string name = $"matmul_{(transposeA ? 't' : 'n')}{(transposeB ? 't' : 'n')}{(accumulate ? "_add" : "")}";
            yield return new KernelRow(
                name,
                $"C {(accumulate ? "+=" : "=")} A{(transposeA ? "^T" : "")} B{(transposeB ? "^T" : "")}",
                [
                    Gaussian("a", ArgumentRole.In, s => transposeA ? new Shape(s["k"], s["m"]) : new Shape(s["m"], s["k"])),
                    Gaussian("b", ArgumentRole.In, s => transposeB ? new Shape(s["n"], s["k"]) : new Shape(s["k"], s["n"])),
                    Gaussian("c", accumulate ? ArgumentRole.InOut : ArgumentRole.Out, s => new Shape(s["m"], s["n"])),
                ],
                (kernels, call) => kernels.MatMul(call.F("a"), transposeA, call.F("b"), transposeB, accumulate, call.F("c")))
            {
                BenchmarkSizes =
                [
                    Product(1024, 1024, 1024), Product(4096, 384, 384), Product(4096, 1024, 384), Product(4096, 96, 96), Product(128, 128, 128),
                    Product(4096, 8, 384), Product(4096, 384, 8), Product(1, 1024, 1024),
                ],
                TestSizes =
                [
                    Product(1, 1, 1), Product(2, 3, 5), Product(12, 32, 7), Product(13, 33, 31), Product(31, 16, 443), Product(443, 8, 33),
                    Product(8, 443, 32), Product(200, 200, 257), Product(1, 1025, 64), Product(25, 2049, 3), Product(17, 530, 70),
                ],
                Flops = s => 2.0 * s["m"] * s["n"] * s["k"],
                Bytes = s => 4.0 * ((s["m"] * s["k"]) + (s["k"] * s["n"]) + (s["m"] * s["n"] * (accumulate ? 2 : 1))),
            };
        }

        yield return new KernelRow(
            "segmented_matmul",
            "C[s] = sum over rows r of segment s of a[r]^T b[r]",
            [
                Gaussian("a", ArgumentRole.In, s => new Shape(s["segments"] * s["length"], s["o"])),
                Gaussian("b", ArgumentRole.In, s => new Shape(s["segments"] * s["length"], s["i"])),
                Offsets("offsets", "segments", "length"),
                Gaussian("c", ArgumentRole.Out, s => new Shape(s["segments"], s["o"] * s["i"])),
            ],
            (kernels, call) => kernels.SegmentedMatMul(call.F("a"), call.F("b"), call.I("offsets"), call.F("c")))
        {
            BenchmarkSizes = [new(("segments", 64), ("length", 256), ("o", 96), ("i", 96))],
            TestSizes = [new(("segments", 1), ("length", 1), ("o", 1), ("i", 1)), new(("segments", 5), ("length", 33), ("o", 31), ("i", 17))],
            Flops = s => 2.0 * s["segments"] * s["length"] * s["o"] * s["i"],
            Bytes = s => 4.0 * s["segments"] * ((s["length"] * (s["o"] + s["i"])) + (s["o"] * s["i"])),
        };

        static KernelSize Product(long m, long n, long k) => new(("m", m), ("n", n), ("k", k));
    }
}
