namespace NativeEngine.Devices;

public static partial class KernelTable
{
    /// <summary>The constants of the optimiser rows: a rate large enough that an error in the step shows in the parameter.</summary>
    internal static readonly AdamWStep TypicalStep = new(0.1f, 0.9f, 0.999f, 1e-8f, 0.1f, 3);

    /// <summary>Wider than 32 bits, so that a lost half of the key shows.</summary>
    internal const ulong TypicalSeed = 0x123456789ABCDEF0;

    internal const uint TypicalStream = 3;

    private static IEnumerable<KernelRow> OptimizerRows()
    {
        yield return new KernelRow(
            "clip_scale",
            "scale = min(1, maximum / (sqrt(sum) + 1e-6))",
            [Uniform("sum", ArgumentRole.In, _ => new Shape(1), 2, 9), Gaussian("scale", ArgumentRole.Out, _ => new Shape(1))],
            (k, c) => k.ClipScale(c.F("sum"), c.Size["maximum"], c.F("scale")))
        {
            BenchmarkSizes = [new(("maximum", 1))],
            TestSizes = [new(("maximum", 1)), new(("maximum", 3))],
            Flops = _ => 3,
            Bytes = _ => 8,
        };
        yield return Elementwise(
            "adamw",
            "m = b1 m + (1-b1) g, v = b2 v + (1-b2) g^2, p = p (1 - lr wd) - lr (m / (1-b1^t)) / (sqrt(v / (1-b2^t)) + eps)",
            [
                Vector("gradient", ArgumentRole.In), GradientScale(), Vector("parameter", ArgumentRole.InOut), Vector("m", ArgumentRole.InOut, 0.1),
                Uniform("v", ArgumentRole.InOut, s => new Shape(s["n"]), 1e-4, 1e-2),
            ],
            (k, c) => k.AdamW(c.F("gradient"), c.F("gradient_scale"), TypicalStep, c.F("parameter"), c.F("m"), c.F("v")), 15, 7);
        yield return Elementwise(
            "momentum",
            "velocity = mu velocity + g, p = p (1 - lr wd) - lr velocity",
            [Vector("gradient", ArgumentRole.In), GradientScale(), Vector("parameter", ArgumentRole.InOut), Vector("velocity", ArgumentRole.InOut)],
            (k, c) => k.Momentum(
                c.F("gradient"), c.F("gradient_scale"), TypicalStep.LearningRate, TypicalStep.Beta1, TypicalStep.WeightDecay, c.F("parameter"),
                c.F("velocity")),
            6, 5);
        yield return Elementwise(
            "lion",
            "p = p (1 - lr wd) - lr sign(b1 m + (1-b1) g), m = b2 m + (1-b2) g",
            [Vector("gradient", ArgumentRole.In), GradientScale(), Vector("parameter", ArgumentRole.InOut), Vector("m", ArgumentRole.InOut, 0.1)],
            (k, c) => k.Lion(
                c.F("gradient"), c.F("gradient_scale"), TypicalStep.LearningRate, TypicalStep.Beta1, TypicalStep.Beta2, TypicalStep.WeightDecay,
                c.F("parameter"), c.F("m")),
            11, 5);
        yield return Elementwise(
            "gaussian", "x = standard normal values of (seed, stream, index)", [Vector("x", ArgumentRole.Out)],
            (k, c) => k.Gaussian(TypicalSeed, TypicalStream, c.F("x")), 30, 1);
    }

    private static KernelArgument GradientScale() => Uniform("gradient_scale", ArgumentRole.In, _ => new Shape(1), 0.25, 1);
}
