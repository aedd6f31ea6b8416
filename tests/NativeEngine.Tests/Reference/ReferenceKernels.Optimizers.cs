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
        yield return new("momentum", OptimizerTolerance, c =>
        {
            var k = KernelTable.TypicalStep;
            var (p, velocity) = (c.F("parameter"), c.F("velocity"));
            for (int i = 0; i < p.Length; i++)
            {
                velocity[i] = (k.Beta1 * velocity[i]) + (c.F("gradient")[i] * c.F("gradient_scale")[0]);
                p[i] = (p[i] * (1.0 - ((double)k.LearningRate * k.WeightDecay))) - (k.LearningRate * velocity[i]);
            }
        });
        yield return new("lion", OptimizerTolerance, c =>
        {
            var k = KernelTable.TypicalStep;
            var (p, m) = (c.F("parameter"), c.F("m"));
            for (int i = 0; i < p.Length; i++)
            {
                double g = c.F("gradient")[i] * c.F("gradient_scale")[0];
                double sign = Math.Sign((k.Beta1 * m[i]) + ((1.0 - k.Beta1) * g));
                p[i] = (p[i] * (1.0 - ((double)k.LearningRate * k.WeightDecay))) - (k.LearningRate * sign);
                m[i] = (k.Beta2 * m[i]) + ((1.0 - k.Beta2) * g);
            }
        });
        // A logarithm, a square root and a sine to 2 ulp each, values up to 5.77.
        yield return new("gaussian", 1e-6, c =>
        {
            var random = new CounterRandom(KernelTable.TypicalSeed, RandomPurpose.Direction, KernelTable.TypicalStream);
            for (int i = 0; i < c.F("x").Length; i++)
            {
                var (w0, w1, w2, w3) = random.Block((ulong)i / 4);
                var (first, second) = i % 4 < 2 ? (w0, w1) : (w2, w3);
                double r = Math.Sqrt(-2 * Math.Log(((first >> 8) + 1) / 16777216.0)), angle = 2 * Math.PI * (second >> 8) / 16777216.0;
                c.F("x")[i] = r * (i % 2 == 0 ? Math.Cos(angle) : Math.Sin(angle));
            }
        });
    }
}
