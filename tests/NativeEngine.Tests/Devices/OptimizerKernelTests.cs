using NativeEngine.Devices;

namespace NativeEngine.Tests.Devices;

public class OptimizerKernelTests
{
    [Theory]
    [InlineData(0f, 1f)]
    [InlineData(0.25f, 1f)]
    [InlineData(100f, 0.1f)]
    [InlineData(float.PositiveInfinity, 0f)]
    public void ClipScale_Norm_GivesMinimumOfOneAndRatio(float sum, float expected)
    {
        using var host = new HostKernels();
        var scale = host.Undefined(1);

        host.Run.ClipScale(host.F([sum]), 1, scale);

        Assert.Equal(expected, host.Read(scale)[0], 1e-6f);
    }

    [Fact]
    public void AdamW_FirstStepWithoutDecay_MovesByTheRateAgainstTheSign()
    {
        using var host = new HostKernels();
        var (p, m, v) = (host.F(new float[20]), host.F(new float[20]), host.F(new float[20]));
        float[] g = [.. Enumerable.Range(0, 20).Select(i => i % 2 == 0 ? 1e-3f * (i + 1) : -5f * i)];

        host.Run.AdamW(host.F(g), host.F([1]), new AdamWStep(0.01f, 0.9f, 0.999f, 1e-8f, 0, 1), p, m, v);

        Assert.All(host.Read(p).Zip(g), pair => Assert.Equal(-0.01f * MathF.Sign(pair.Second), pair.First, 2e-6f));
    }

    [Fact]
    public void AdamW_ManySteps_BiasCorrectionFadesWithoutOverflow()
    {
        using var host = new HostKernels();
        var (p, m, v) = (host.F([0f]), host.F([2f]), host.F([4f]));

        host.Run.AdamW(host.F([2f]), host.F([1]), new AdamWStep(0.5f, 0.9f, 0.999f, 0, 0, 10_000_000_000), p, m, v);

        Assert.Equal(-0.5f, host.Read(p)[0], 1e-6f);
        Assert.Throws<ArgumentException>(() => host.Run.AdamW(m, host.F([1]), new AdamWStep(0.5f, 0.9f, 0.999f, 0, 0, 0), p, m, v));
    }

    [Fact]
    public void Lion_ZeroAndNotANumber_StaysAndPropagates()
    {
        using var host = new HostKernels();
        var (p, m) = (host.F([1, 1, 1, 1]), host.F(new float[4]));

        host.Run.Lion(host.F([0, float.NaN, 1e-30f, -1e30f]), host.F([1]), 0.25f, 0.9f, 0.99f, 0, p, m);

        Assert.Equal([1f, float.NaN, 0.75f, 1.25f], host.Read(p));
    }

    [Fact]
    public void Momentum_NotANumber_ReachesParameterAndVelocity()
    {
        using var host = new HostKernels();
        var (p, velocity) = (host.F([1, 1]), host.F([1, 1]));

        host.Run.Momentum(host.F([float.NaN, 2]), host.F([0.5f]), 0.5f, 0.5f, 0, p, velocity);

        Assert.Equal([float.NaN, 0.25f], host.Read(p));
        Assert.Equal([float.NaN, 1.5f], host.Read(velocity));
    }

    [Fact]
    public void Gaussian_MillionValues_HasMomentsOfTheStandardNormal()
    {
        using var host = new HostKernels();
        var x = host.Undefined(1_000_000);

        host.Run.Gaussian(1, 2, x);

        var values = Array.ConvertAll(host.Read(x), v => (double)v);
        Assert.All(values, v => Assert.InRange(v, -5.78, 5.78));
        // Five standard errors of each moment: 1, sqrt(2), sqrt(15), sqrt(96) over sqrt(n).
        Assert.InRange(values.Average(), -5e-3, 5e-3);
        Assert.InRange(values.Average(v => v * v), 1 - 7.1e-3, 1 + 7.1e-3);
        Assert.InRange(values.Average(v => v * v * v), -2e-2, 2e-2);
        Assert.InRange(values.Average(v => v * v * v * v), 3 - 5e-2, 3 + 5e-2);
        Assert.InRange(values.Zip(values.Skip(1), (a, b) => a * b).Average(), -5e-3, 5e-3);
    }

    [Fact]
    public void Gaussian_ShorterLength_IsPrefixAndStreamsDiffer()
    {
        using var host = new HostKernels(3);
        var (longer, shorter, other) = (host.Undefined(40_000), host.Undefined(77), host.Undefined(77));

        host.Run.Gaussian(5, 1, longer);
        host.Run.Gaussian(5, 1, shorter);
        host.Run.Gaussian(5, 2, other);

        Assert.Equal(host.Read(longer)[..77], host.Read(shorter));
        Assert.DoesNotContain(host.Read(shorter).Zip(host.Read(other)), p => p.First == p.Second);
    }
}
