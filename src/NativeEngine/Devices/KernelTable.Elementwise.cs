namespace NativeEngine.Devices;

public static partial class KernelTable
{
    /// <summary>The constants of the rows that take one.</summary>
    internal const float TypicalAlpha = -1.25f;

    private static KernelSize[] Lengths =>
        [.. new long[] { 1, 2, 15, 16, 17, 31, 32, 33, 443, 1023, 1024, 1025, 50_003 }.Select(n => new KernelSize(("n", n)))];

    private static IEnumerable<KernelRow> ElementwiseRows()
    {
        yield return Elementwise("fill", "x = value", [Vector("x", ArgumentRole.Out)], (k, c) => k.Fill(TypicalAlpha, c.F("x")), 0, 1);
        yield return Elementwise(
            "copy", "y = x", [Vector("x", ArgumentRole.In), Vector("y", ArgumentRole.Out)], (k, c) => k.Copy(c.F("x"), c.F("y")), 0, 2);
        yield return Elementwise(
            "axpy", "y += alpha x", [Vector("x", ArgumentRole.In), Vector("y", ArgumentRole.InOut)],
            (k, c) => k.Axpy(TypicalAlpha, c.F("x"), c.F("y")), 2, 3);
        yield return Elementwise(
            "scale", "x *= alpha", [Vector("x", ArgumentRole.InOut)], (k, c) => k.Scale(TypicalAlpha, c.F("x")), 1, 2);
        yield return Elementwise(
            "sum_of_squares", "result = sum of x^2", [Vector("x", ArgumentRole.In), Gaussian("result", ArgumentRole.Out, _ => new Shape(1))],
            (k, c) => k.SumOfSquares(c.F("x"), c.F("result")), 2, 1);

        yield return new KernelRow(
            "weighted_sum",
            "y[i] = sum over k of weights[k] x[k,i]",
            [
                Gaussian("x", ArgumentRole.In, s => new Shape(s["K"], s["n"])),
                new KernelArgument("weights", ArgumentRole.In, s => new Shape(s["K"]))
                {
                    Doubles = (s, random) => [.. Enumerable.Range(0, (int)s["K"]).Select(k => random.Uniform((ulong)k) - 0.25)],
                },
                Gaussian("y", ArgumentRole.Out, s => new Shape(s["n"])),
            ],
            (k, c) => k.WeightedSum(c.F("x"), c.D("weights"), c.F("y")))
        {
            BenchmarkSizes = [VectorsOf(8, 1 << 24), VectorsOf(2, 1 << 24)],
            TestSizes = [VectorsOf(1, 1), VectorsOf(2, 31), VectorsOf(3, 32), VectorsOf(33, 33), VectorsOf(8, 443), VectorsOf(2, 1025), VectorsOf(9, 50_003)],
            Flops = s => 2.0 * s["K"] * s["n"],
            Bytes = s => 4.0 * (s["K"] + 1) * s["n"],
        };

        yield return new KernelRow(
            "gather_rows",
            "y[i] = x[rows[i]]",
            [
                Gaussian("x", ArgumentRole.In, s => new Shape(s["N"], s["C"])),
                Indices("rows", s => new Shape(s["M"]), s => s["N"]),
                Gaussian("y", ArgumentRole.Out, s => new Shape(s["M"], s["C"])),
            ],
            (k, c) => k.GatherRows(c.F("x"), c.I("rows"), c.F("y")))
        {
            BenchmarkSizes = [RowsOf(50257, 8192, 384), RowsOf(256, 4096, 96)],
            TestSizes = [RowsOf(1, 1, 1), RowsOf(5, 2, 33), RowsOf(31, 443, 64), RowsOf(443, 32, 1025)],
            Flops = _ => 0,
            Bytes = s => 4.0 * (s["M"] + Distinct(s["M"], s["N"])) * s["C"],
        };
        yield return new KernelRow(
            "scatter_add_rows",
            "y[rows[i]] += x[i]",
            [
                Gaussian("x", ArgumentRole.In, s => new Shape(s["M"], s["C"])),
                Indices("rows", s => new Shape(s["M"]), s => s["N"]),
                Gaussian("y", ArgumentRole.InOut, s => new Shape(s["N"], s["C"])),
            ],
            (k, c) => k.ScatterAddRows(c.F("x"), c.I("rows"), c.F("y")))
        {
            BenchmarkSizes = [RowsOf(50257, 8192, 384), RowsOf(256, 4096, 96)],
            TestSizes = [RowsOf(1, 1, 1), RowsOf(1, 33, 2), RowsOf(31, 443, 64), RowsOf(7, 32, 1025), RowsOf(443, 100, 443)],
            Flops = s => 1.0 * s["M"] * s["C"],
            Bytes = s => 4.0 * (s["M"] + (2 * Distinct(s["M"], s["N"]))) * s["C"],
        };

        static KernelSize RowsOf(long n, long m, long c) => new(("N", n), ("M", m), ("C", c));

        static KernelSize VectorsOf(long k, long n) => new(("K", k), ("n", n));
    }

    private static KernelArgument Vector(string name, ArgumentRole role, double scale = 1, double shift = 0) =>
        Gaussian(name, role, s => new Shape(s["n"]), scale, shift);

    /// <summary>A row over vectors of length n, with its operations and float32 transfers per element.</summary>
    private static KernelRow Elementwise(
        string name, string formula, IReadOnlyList<KernelArgument> arguments, Action<IKernels, KernelCall> launch, double operations, double transfers) =>
        new(name, formula, arguments, launch)
        {
            BenchmarkSizes = [new(("n", 1 << 24)), new(("n", 1 << 19)), new(("n", 1 << 14))],
            TestSizes = Lengths,
            Flops = s => operations * s["n"],
            Bytes = s => 4.0 * transfers * s["n"],
        };
}
