namespace NativeEngine.Devices;

public static partial class KernelTable
{
    internal const float TypicalEpsilon = 1e-2f;

    private static IEnumerable<KernelRow> TransformerRows() =>
        [.. ElementwiseRows(), .. RmsNormRows(), .. RopeRows(), .. AttentionRows(), .. SwiGluRows(), .. CrossEntropyRows()];

    private static IEnumerable<KernelRow> RmsNormRows()
    {
        KernelSize[] sizes =
            [Matrix(1, 1), Matrix(2, 2), Matrix(31, 33), Matrix(33, 31), Matrix(32, 32), Matrix(443, 96), Matrix(3, 443), Matrix(5, 1023), Matrix(40, 1025)];
        yield return new KernelRow(
            "rms_norm",
            "y = weight x / sqrt(mean(x^2) + epsilon)",
            [
                Gaussian("x", ArgumentRole.In, Whole),
                Gaussian("weight", ArgumentRole.In, s => new Shape(s["C"]), 0.3, 1),
                Gaussian("y", ArgumentRole.Out, Whole),
                Gaussian("inverse_rms", ArgumentRole.Out, s => new Shape(s["N"])),
            ],
            (k, c) => k.RmsNorm(c.F("x"), c.F("weight"), TypicalEpsilon, c.F("y"), c.F("inverse_rms")))
        {
            BenchmarkSizes = [Matrix(1024, 384), Matrix(8192, 2048)],
            TestSizes = sizes,
            Flops = s => 4.0 * s["N"] * s["C"],
            Bytes = s => 8.0 * s["N"] * s["C"],
        };
        yield return new KernelRow(
            "rms_norm_backward",
            "g = dy weight: dx += s (g - x s^2 mean(g x)), dweight += sum over rows of dy x s",
            [
                Gaussian("dy", ArgumentRole.In, Whole),
                Gaussian("x", ArgumentRole.In, Whole),
                Gaussian("weight", ArgumentRole.In, s => new Shape(s["C"]), 0.3, 1),
                Uniform("inverse_rms", ArgumentRole.In, s => new Shape(s["N"]), 0.5, 1.5),
                Gaussian("dx", ArgumentRole.InOut, Whole),
                Gaussian("dweight", ArgumentRole.InOut, s => new Shape(s["C"])),
            ],
            (k, c) => k.RmsNormBackward(c.F("dy"), c.F("x"), c.F("weight"), c.F("inverse_rms"), c.F("dx"), c.F("dweight")))
        {
            BenchmarkSizes = [Matrix(1024, 384), Matrix(8192, 2048)],
            TestSizes = sizes,
            Flops = s => 11.0 * s["N"] * s["C"],
            Bytes = s => 16.0 * s["N"] * s["C"],
        };

        static KernelSize Matrix(long n, long c) => new(("N", n), ("C", c));
        static Shape Whole(KernelSize s) => new(s["N"], s["C"]);
    }

    private static IEnumerable<KernelRow> RopeRows()
    {
        foreach (bool inverse in new[] { false, true })
        {
            yield return new KernelRow(
                inverse ? "rope_inverse" : "rope",
                $"(a, b) = (a cos {(inverse ? '+' : '-')} b sin, b cos {(inverse ? '-' : '+')} a sin)",
                [
                    Indices("positions", s => new Shape(s["N"]), s => s["T"]),
                    Uniform("cos", ArgumentRole.In, s => new Shape(s["T"], s["h"] / 2), -1, 1),
                    Uniform("sin", ArgumentRole.In, s => new Shape(s["T"], s["h"] / 2), -1, 1),
                    Gaussian("x", ArgumentRole.InOut, s => new Shape(s["N"], s["heads"] * s["h"])),
                ],
                (k, c) => k.Rope(c.I("positions"), c.F("cos"), c.F("sin"), (int)c.Size["heads"], inverse, c.F("x")))
            {
                BenchmarkSizes = [Heads(1024, 256, 6, 64), Heads(4096, 64, 4, 24)],
                TestSizes = [Heads(1, 1, 1, 2), Heads(2, 31, 3, 8), Heads(33, 32, 4, 24), Heads(443, 1024, 6, 64), Heads(31, 33, 2, 80)],
                Flops = s => 3.0 * s["N"] * s["heads"] * s["h"],
                Bytes = s => 8.0 * s["N"] * s["heads"] * s["h"],
            };
        }

        static KernelSize Heads(long n, long t, long heads, long h) => new(("N", n), ("T", t), ("heads", heads), ("h", h));
    }

    private static IEnumerable<KernelRow> SwiGluRows()
    {
        yield return Elementwise(
            "swiglu", "y = gate / (1 + e^-gate) up",
            [Vector("gate", ArgumentRole.In, 3), Vector("up", ArgumentRole.In), Vector("y", ArgumentRole.Out)],
            (k, c) => k.SwiGlu(c.F("gate"), c.F("up"), c.F("y")), 20, 3);
        yield return Elementwise(
            "swiglu_backward", "dGate = dy up silu'(gate), dUp = dy silu(gate)",
            [
                Vector("dy", ArgumentRole.In), Vector("gate", ArgumentRole.In, 3), Vector("up", ArgumentRole.In), Vector("dgate", ArgumentRole.Out),
                Vector("dup", ArgumentRole.Out),
            ],
            (k, c) => k.SwiGluBackward(c.F("dy"), c.F("gate"), c.F("up"), c.F("dgate"), c.F("dup")), 26, 5);
    }

    private static IEnumerable<KernelRow> CrossEntropyRows()
    {
        foreach (bool gradient in new[] { true, false })
        {
            yield return new KernelRow(
                gradient ? "cross_entropy" : "cross_entropy_loss",
                $"loss = logsumexp(logits) - logits[target]{(gradient ? "; logits = weight (softmax - onehot)" : "")}",
                [
                    Gaussian("logits", gradient ? ArgumentRole.InOut : ArgumentRole.In, s => new Shape(s["R"], s["V"]), 3),
                    Indices("targets", s => new Shape(s["R"]), s => s["V"]),
                    Uniform("row_weights", ArgumentRole.In, s => new Shape(s["R"]), 0.2, 1),
                    Gaussian("losses", ArgumentRole.Out, s => new Shape(s["R"])),
                ],
                (k, c) => k.CrossEntropy(c.F("logits"), c.I("targets"), gradient ? c.F("row_weights") : default, c.F("losses")))
            {
                BenchmarkSizes = [Classes(1024, 256), Classes(256, 50257)],
                TestSizes =
                [
                    Classes(1, 1), Classes(2, 2), Classes(3, 31), Classes(32, 32), Classes(5, 33), Classes(443, 256), Classes(2, 443), Classes(2, 1023),
                    Classes(3, 1024), Classes(2, 1025), Classes(3, 5003),
                ],
                Flops = s => 17.0 * s["R"] * s["V"],
                Bytes = s => (gradient ? 8.0 : 4.0) * s["R"] * s["V"],
            };
        }

        static KernelSize Classes(long r, long v) => new(("R", r), ("V", v));
    }
}
