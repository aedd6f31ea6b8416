namespace NativeEngine.Devices;

public static partial class KernelTable
{
    private static IEnumerable<KernelRow> SelectionRows()
    {
        KernelSize[] featureTests =
        [
            Features(1, 1, 1), Features(2, 31, 1), Features(31, 33, 5), Features(33, 16, 32), Features(17, 2049, 17), Features(5, 4443, 3),
        ];
        KernelSize[] featureBenchmarks = [Features(512, 327_680, 512), Features(8192, 2560, 4096), Features(128, 2560, 64)];

        yield return new KernelRow(
            "rows_finite", "finite[i] = 1 when row i is finite, else 0",
            [WithNonFinite("x", s => new Shape(s["n"], s["d"])), IntsOut("finite", s => new Shape(s["n"]))],
            (kernels, call) => kernels.RowsFinite(call.F("x"), call.I("finite")))
        {
            BenchmarkSizes = featureBenchmarks,
            TestSizes = featureTests,
            Flops = s => 2.0 * s["n"] * s["d"],
            Bytes = s => 4.0 * s["n"] * (s["d"] + 1),
        };

        yield return Normalizer(
            "adam_normalize", "u = m^ / (sqrt(v^) + eps), m^ = (b1 m + (1-b1) f) / (1 - b1^(s+1)), v^ = (b2 v + (1-b2) f^2) / (1 - b2^(s+1))",
            10, second: true, (k, c) => k.AdamNormalize(c.F("f"), c.F("m"), c.F("v"), 0.9, 0.999, 1e-8, 7, c.F("u")));
        yield return Normalizer(
            "adam_normalize_first", "u = sign(f) up to eps: adam_normalize without history at step 0",
            10, second: true, (k, c) => k.AdamNormalize(c.F("f"), default, default, 0.9, 0.999, 1e-8, 0, c.F("u")));
        yield return Normalizer(
            "momentum_normalize", "u = mu m + f", 2, second: false, (k, c) => k.MomentumNormalize(c.F("f"), c.F("m"), 0.9, c.F("u")));
        yield return Normalizer(
            "lion_normalize", "u = sign(b1 m + (1-b1) f)", 4, second: false, (k, c) => k.LionNormalize(c.F("f"), c.F("m"), 0.9, c.F("u")));

        foreach (bool squared in new[] { false, true })
        {
            yield return new KernelRow(
                squared ? "update_moment_squared" : "update_moment", $"m = decay m + weight mean over rows of f{(squared ? "^2" : "")}",
                [
                    Gaussian("f", ArgumentRole.In, s => new Shape(s["n"], s["d"])),
                    Indices("rows", s => new Shape(s["picked"]), s => s["n"]),
                    Gaussian("m", ArgumentRole.InOut, s => new Shape(s["d"])),
                ],
                (kernels, call) => kernels.UpdateMoment(call.F("f"), call.I("rows"), squared, 0.999, 0.25, call.F("m")))
            {
                BenchmarkSizes = featureBenchmarks,
                TestSizes = featureTests,
                Flops = s => (squared ? 2.0 : 1.0) * s["picked"] * s["d"],
                Bytes = s => 4.0 * ((Distinct(s["picked"], s["n"]) * s["d"]) + (2 * s["d"]) + s["picked"]),
            };
        }

        yield return new KernelRow(
            "column_importance", "importance[k] = | mean over rows of u[row,k] |",
            [
                Gaussian("u", ArgumentRole.In, s => new Shape(s["n"], s["d"])),
                Indices("rows", s => new Shape(s["picked"]), s => s["n"]),
                FloatsOut("importance", s => new Shape(s["d"])),
            ],
            (kernels, call) => kernels.ColumnImportance(call.F("u"), call.I("rows"), call.F("importance")))
        {
            BenchmarkSizes = featureBenchmarks,
            TestSizes = featureTests,
            Flops = s => 1.0 * s["picked"] * s["d"],
            Bytes = s => 4.0 * ((Distinct(s["picked"], s["n"]) * s["d"]) + s["d"] + s["picked"]),
        };

        yield return new KernelRow(
            "top_k", "columns = the h largest of importance, descending, ties to the lowest column",
            [Stepped("importance", s => new Shape(s["d"])), IntsOut("columns", s => new Shape(s["h"]))],
            (kernels, call) => kernels.TopK(call.F("importance"), call.I("columns")))
        {
            BenchmarkSizes = [Columns(1, 327_680, 2560), Columns(1, 6_553_600, 2560), Columns(1, 2560, 512)],
            TestSizes = [Columns(1, 1, 1), Columns(1, 33, 2), Columns(1, 443, 443), Columns(1, 1025, 31), Columns(1, 5000, 1024), Columns(1, 7, 0)],
            Flops = s => 0,
            Bytes = s => 4.0 * (s["d"] + s["h"]),
        };

        yield return new KernelRow(
            "gather", "y[i,j] = x[rows[i], columns[j]]",
            [
                Gaussian("x", ArgumentRole.In, s => new Shape(s["n"], s["d"])),
                Indices("rows", s => new Shape(s["n"]), s => s["n"]),
                Indices("columns", s => new Shape(s["h"]), s => s["d"]),
                FloatsOut("y", s => new Shape(s["n"], s["h"])),
            ],
            (kernels, call) => kernels.Gather(call.F("x"), call.I("rows"), call.I("columns"), call.F("y")))
        {
            BenchmarkSizes = [Columns(512, 327_680, 2560), Columns(128, 2560, 512)],
            TestSizes = [Columns(1, 1, 1), Columns(31, 33, 2), Columns(2, 443, 32), Columns(33, 5, 1025)],
            Flops = s => 0,
            Bytes = s => 4.0 * ((Distinct(s["n"], s["n"]) * Distinct(s["h"], s["d"])) + (s["n"] * s["h"]) + s["n"] + s["h"]),
        };

        foreach (var metric in Enum.GetValues<DistanceMetric>())
        {
            yield return new KernelRow(
                "similarity_" + metric.ToString().ToLowerInvariant(),
                metric switch
                {
                    DistanceMetric.L1 => "S = C - D, D[i,j] = sum |x_i - x_j|, C = max D",
                    DistanceMetric.L2 => "S = C - D, D[i,j] = sqrt(sum (x_i - x_j)^2), C = max D",
                    _ => "S[i,j] = x_i x_j / (|x_i| |x_j|)",
                },
                [
                    Gaussian("x", ArgumentRole.In, s => new Shape(s["n"], s["h"]), scale: 1.0 / 16),
                    FloatsOut("s", s => new Shape(s["n"], s["n"])),
                    FloatsOut("largest", s => new Shape(1)),
                ],
                (kernels, call) => kernels.Similarity(call.F("x"), metric, call.F("s"), call.F("largest")))
            {
                BenchmarkSizes = [Rows(128, 2560), Rows(512, 2560), Rows(2048, 2560)],
                TestSizes = [Rows(1, 1), Rows(2, 3), Rows(31, 16), Rows(33, 2049), Rows(37, 4100), Rows(443, 33)],
                Flops = s => (metric == DistanceMetric.L2 ? 3.0 : 2.0) * s["h"] * s["n"] * (s["n"] + 1) / 2,
                Bytes = s => 4.0 * ((s["n"] * s["h"]) + (s["n"] * s["n"])),
                Arithmetic = metric switch
                {
                    DistanceMetric.L1 => ArithmeticKind.MinimumAdd,
                    DistanceMetric.L2 => ArithmeticKind.SubtractMultiplyAdd,
                    _ => ArithmeticKind.FusedMultiplyAdd,
                },
            };
        }

        foreach (var metric in Enum.GetValues<DistanceMetric>())
        {
            yield return new KernelRow(
                "distances_" + metric.ToString().ToLowerInvariant(),
                metric switch
                {
                    DistanceMetric.L1 => "D[i,j] = sum |a_i - b_j|",
                    DistanceMetric.L2 => "D[i,j] = sqrt(sum (a_i - b_j)^2)",
                    _ => "D[i,j] = -a_i b_j / (|a_i| |b_j|)",
                },
                [
                    Gaussian("a", ArgumentRole.In, s => new Shape(s["m"], s["h"]), scale: 1.0 / 16),
                    Gaussian("b", ArgumentRole.In, s => new Shape(s["p"], s["h"]), scale: 1.0 / 16),
                    FloatsOut("d", s => new Shape(s["m"], s["p"])),
                    FloatsOut("largest", s => new Shape(1)),
                ],
                (kernels, call) => kernels.Distances(call.F("a"), call.F("b"), metric, call.F("d"), call.F("largest")))
            {
                BenchmarkSizes = [Blocks(2048, 2048, 2560)],
                TestSizes = [Blocks(1, 1, 1), Blocks(2, 33, 3), Blocks(31, 5, 129), Blocks(70, 65, 2049), Blocks(300, 270, 17)],
                Flops = s => (metric == DistanceMetric.L2 ? 3.0 : 2.0) * s["h"] * s["m"] * s["p"],
                Bytes = s => 4.0 * (((s["m"] + s["p"]) * s["h"]) + (s["m"] * s["p"])),
            };
        }

        foreach (bool columns in new[] { false, true })
        {
            yield return new KernelRow(
                columns ? "merge_nearest_columns" : "merge_nearest", "lists of the t nearest, ascending by (distance, example), take in a block of distances",
                [
                    Steps("d", s => new Shape(s["m"], s["p"])),
                    new KernelArgument("nearest", ArgumentRole.InOut, s => new Shape(columns ? s["p"] : s["m"], s["t"])) { Floats = (size, _) => Listed(size, columns) },
                    new KernelArgument("neighbours", ArgumentRole.InOut, s => new Shape(columns ? s["p"] : s["m"], s["t"])) { Ints = (size, _) => new int[(columns ? size["p"] : size["m"]) * size["t"]] },
                ],
                (kernels, call) => kernels.MergeNearest(call.F("d"), 5, 3, columns, call.F("nearest"), call.I("neighbours")))
            {
                BenchmarkSizes = [Lists(2048, 2048, 64)],
                TestSizes = [Lists(1, 1, 1), Lists(2, 33, 3), Lists(31, 40, 8), Lists(300, 130, 64), Lists(7, 3, 20)],
                Flops = s => 1.0 * s["m"] * s["p"],
                Bytes = s => 4.0 * s["m"] * s["p"],
            };
        }

        yield return new KernelRow(
            "facility_location", "greedy maximisation of sum over i of max(0, max over picks j of S[i,j])",
            [
                PlaneSimilarity("s"), IntsOut("picks", s => new Shape(s["k"])), DoublesOut("gains", s => new Shape(s["k"])),
                IntsOut("owners", s => new Shape(s["n"])), DoublesOut("remaining", s => new Shape(s["n"])),
            ],
            (kernels, call) => kernels.FacilityLocation(call.F("s"), call.I("picks"), call.D("gains"), call.I("owners"), call.D("remaining")))
        {
            BenchmarkSizes = [Picks(128, 64), Picks(512, 256), Picks(2048, 1024)],
            TestSizes = [Picks(1, 1), Picks(2, 1), Picks(31, 31), Picks(33, 7), Picks(443, 200), Picks(16, 0)],
            // What any exact greedy must do: all gains before the first pick and after the last, and one row for each pick.
            Flops = s => 2.0 * s["n"] * ((3 * s["n"]) + s["k"]),
            Bytes = s => 4.0 * s["n"] * s["n"],
        };

        static KernelSize Blocks(long m, long p, long h) => new(("m", m), ("p", p), ("h", h));
        static KernelSize Lists(long m, long p, long t) => new(("m", m), ("p", p), ("t", t));
        static KernelSize Features(long n, long d, long picked) => new(("n", n), ("d", d), ("picked", picked));
        static KernelSize Columns(long n, long d, long h) => new(("n", n), ("d", d), ("h", h));
        static KernelSize Rows(long n, long h) => new(("n", n), ("h", h));
        static KernelSize Picks(long n, long k) => new(("n", n), ("k", k));

        KernelRow Normalizer(string name, string formula, double flops, bool second, Action<IKernels, KernelCall> launch) =>
            new(
                name, formula,
                [
                    Gaussian("f", ArgumentRole.In, s => new Shape(s["n"], s["d"])),
                    Gaussian("m", ArgumentRole.In, s => new Shape(s["d"])),
                    .. second ? [Uniform("v", ArgumentRole.In, s => new Shape(s["d"]), 0, 2)] : Array.Empty<KernelArgument>(),
                    FloatsOut("u", s => new Shape(s["n"], s["d"])),
                ],
                launch)
            {
                BenchmarkSizes = featureBenchmarks,
                TestSizes = featureTests,
                Flops = s => flops * s["n"] * s["d"],
                Bytes = s => 4.0 * s["d"] * ((2 * s["n"]) + (second ? 2 : 1)),
            };
    }

    /// <summary>Standard normal values; every seventh row, from the third, has one NaN or infinity.</summary>
    private static KernelArgument WithNonFinite(string name, Func<KernelSize, Shape> shape) => new(name, ArgumentRole.In, shape)
    {
        Draw = (random, i) => (float)random.Normal(i),
        Floats = (size, random) =>
        {
            long columns = shape(size)[1];
            var values = new float[shape(size).Count];
            for (int i = 0; i < values.Length; i++)
            {
                values[i] = (float)random.Normal((ulong)i);
            }
            for (long row = 2; row < shape(size)[0]; row += 7)
            {
                values[(row * columns) + random.Below((ulong)row, columns)] = (row % 3) switch { 0 => float.NaN, 1 => float.NegativeInfinity, _ => float.PositiveInfinity };
            }
            return values;
        },
    };

    /// <summary>Non-negative multiples of 1/32 below 8: many ties.</summary>
    private static KernelArgument Stepped(string name, Func<KernelSize, Shape> shape) => new(name, ArgumentRole.In, shape)
    {
        Draw = (random, i) => random.Below(i, 256) / 32f,
        Floats = (size, random) =>
        {
            var values = new float[shape(size).Count];
            for (int i = 0; i < values.Length; i++)
            {
                values[i] = random.Below((ulong)i, 256) / 32f;
            }
            values[^1] = 1f;
            return values;
        },
    };

    /// <summary>Multiples of 1/8 up to 32, many of them equal.</summary>
    private static KernelArgument Steps(string name, Func<KernelSize, Shape> shape) => new(name, ArgumentRole.In, shape)
    {
        Floats = (size, random) =>
        {
            var values = new float[shape(size).Count];
            for (int i = 0; i < values.Length; i++)
            {
                values[i] = (1 + random.Below((ulong)i, 256)) / 8f;
            }
            return values;
        },
    };

    /// <summary>Lists with one entry, example 0 at 16, and room behind.</summary>
    private static float[] Listed(KernelSize size, bool columns)
    {
        var values = new float[(columns ? size["p"] : size["m"]) * size["t"]];
        Array.Fill(values, 1e30f);
        for (long i = 0; i < values.Length; i += size["t"])
        {
            values[i] = 16;
        }
        return values;
    }

    /// <summary>S [n,n] = C - L1 distance of n integer points of a small plane, some of them equal: exact, symmetric, full of ties; minus 20, so that some are negative.</summary>
    private static KernelArgument PlaneSimilarity(string name) => new(name, ArgumentRole.In, s => new Shape(s["n"], s["n"]))
    {
        Floats = (size, random) =>
        {
            long n = size["n"];
            var x = new long[n];
            var y = new long[n];
            for (long i = 0; i < n; i++)
            {
                (x[i], y[i]) = (random.Below(2 * (ulong)i, 100), random.Below((2 * (ulong)i) + 1, 100));
            }
            var values = new float[n * n];
            for (long i = 0; i < n; i++)
            {
                for (long j = 0; j < n; j++)
                {
                    values[(i * n) + j] = 180 - Math.Abs(x[i] - x[j]) - Math.Abs(y[i] - y[j]);
                }
            }
            return values;
        },
    };

    private static KernelArgument FloatsOut(string name, Func<KernelSize, Shape> shape) =>
        new(name, ArgumentRole.Out, shape) { Floats = (size, _) => new float[shape(size).Count] };

    private static KernelArgument IntsOut(string name, Func<KernelSize, Shape> shape) =>
        new(name, ArgumentRole.Out, shape) { Ints = (size, _) => new int[shape(size).Count] };

    private static KernelArgument DoublesOut(string name, Func<KernelSize, Shape> shape) =>
        new(name, ArgumentRole.Out, shape) { Doubles = (size, _) => new double[shape(size).Count] };
}
