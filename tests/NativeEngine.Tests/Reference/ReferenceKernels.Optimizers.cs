using NativeEngine.Devices;

namespace NativeEngine.Tests.Reference;

internal static partial class ReferenceKernels
{
    // Constants rounded to float, a square root and a division, times a step of 0.1 m / sqrt(v) up to 10.
    private const double OptimizerTolerance = 2e-6;

    private static IEnumerable<Entry> Optimizers()
    {
        yield return new("clip_scale", 2e-7, c => c.F("scale")[0] = Math.Min(1, c.N("maximum") / (Math.Sqrt(c.F("sum")[0]) + 1e-6)));
        yield return new("adamw", OptimizerTolerance, c =>
        {
            var k = KernelTable.TypicalStep;
            var (p, m, v) = (c.F("parameter"), c.F("m"), c.F("v"));
            for (int i = 0; i < p.Length; i++)
            {
                double g = c.F("gradient")[i] * c.F("gradient_scale")[0];
                m[i] = (k.Beta1 * m[i]) + ((1.0 - k.Beta1) * g);
                v[i] = (k.Beta2 * v[i]) + ((1.0 - k.Beta2) * g * g);
                double mean = m[i] / (1.0 - Math.Pow(k.Beta1, k.Step)), spread = Math.Sqrt(v[i] / (1.0 - Math.Pow(k.Beta2, k.Step)));
                p[i] = (p[i] * (1.0 - ((double)k.LearningRate * k.WeightDecay))) - (k.LearningRate * mean / (spread + k.Epsilon));
            }
        });
    }
}
