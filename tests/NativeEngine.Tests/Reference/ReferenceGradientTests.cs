namespace NativeEngine.Tests.Reference;

/// <summary>The judges judged: every reference backward against central differences of its forward, in double.</summary>
public class ReferenceGradientTests
{
    private const double Step = 1e-5;

    private static double[] Normal(uint stream, int count)
    {
        var random = new CounterRandom(11, RandomPurpose.Test, stream);
        return [.. Enumerable.Range(0, count).Select(i => random.Normal((ulong)i))];
    }

    /// <summary>The gradient of sum(dy * forward()) in every element of x must be the given one.</summary>
    private static void AssertGradient(Func<double[]> forward, double[] dy, double[] x, double[] gradient)
    {
        Assert.Equal(x.Length, gradient.Length);
        Assert.Contains(gradient, g => Math.Abs(g) > 1e-2);
        for (int i = 0; i < x.Length; i++)
        {
            double value = x[i];
            x[i] = value + Step;
            double above = Dot(forward(), dy);
            x[i] = value - Step;
            double below = Dot(forward(), dy);
            x[i] = value;
            double numeric = (above - below) / (2 * Step);
            Assert.True(Math.Abs(numeric - gradient[i]) <= 1e-6 * (1 + Math.Abs(numeric)), $"element {i}: {gradient[i]:R} against {numeric:R}");
        }

        static double Dot(double[] a, double[] b) => a.Zip(b, (p, q) => p * q).Sum();
    }

    [Fact]
    public void RmsNormBackward_CentralDifferences_Agree()
    {
        var (x, weight, dy) = (Normal(1, 3 * 7), Normal(2, 7), Normal(3, 3 * 7));
        double[] y = new double[21], s = new double[3], dx = new double[21], dweight = new double[7];
        ReferenceLayers.RmsNorm(x, weight, 0.01, y, s);
        ReferenceLayers.RmsNormBackward(dy, x, weight, s, dx, dweight);

        AssertGradient(Forward, dy, x, dx);
        AssertGradient(Forward, dy, weight, dweight);

        double[] Forward()
        {
            ReferenceLayers.RmsNorm(x, weight, 0.01, y, new double[3]);
            return y;
        }
    }

    [Fact]
    public void Rope_CentralDifferences_InverseIsTheBackward()
    {
        var (x, dy, angles) = (Normal(1, 3 * 2 * 6), Normal(2, 3 * 2 * 6), Normal(3, 5 * 3));
        double[] cos = [.. angles.Select(Math.Cos)], sin = [.. angles.Select(Math.Sin)];
        int[] positions = [4, 0, 2];
        var dx = (double[])dy.Clone();
        ReferenceLayers.Rope(positions, cos, sin, 2, 6, inverse: true, dx);

        AssertGradient(Forward, dy, x, dx);

        double[] Forward()
        {
            var y = (double[])x.Clone();
            ReferenceLayers.Rope(positions, cos, sin, 2, 6, inverse: false, y);
            return y;
        }
    }

    [Fact]
    public void SwiGluBackward_CentralDifferences_Agree()
    {
        var (gate, up, dy) = (Normal(1, 40), Normal(2, 40), Normal(3, 40));
        double[] y = new double[40], dGate = new double[40], dUp = new double[40];
        ReferenceLayers.SwiGluBackward(dy, gate, up, dGate, dUp);

        AssertGradient(Forward, dy, gate, dGate);
        AssertGradient(Forward, dy, up, dUp);

        double[] Forward()
        {
            ReferenceLayers.SwiGlu(gate, up, y);
            return y;
        }
    }

    [Fact]
    public void CrossEntropy_CentralDifferences_Agree()
    {
        var (logits, weights) = (Normal(1, 4 * 9), Normal(2, 4));
        int[] targets = [0, 8, 3, 3];
        var losses = new double[4];
        var gradient = (double[])logits.Clone();
        ReferenceLayers.CrossEntropy(gradient, targets, weights, losses);

        AssertGradient(Forward, weights, logits, gradient);

        double[] Forward()
        {
            ReferenceLayers.CrossEntropy(logits, targets, null, losses);
            return losses;
        }
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(4, 2)]
    public void AttentionBackward_CentralDifferences_Agree(int heads, int keyValueHeads)
    {
        const int H = 3;
        int[] offsets = [0, 4, 4, 5, 8];
        int queries = 8 * heads * H, keys = 8 * keyValueHeads * H;
        var (q, k, v, dy) = (Normal(1, queries), Normal(2, keys), Normal(3, keys), Normal(4, queries));
        double[] output = new double[queries], logSumExp = new double[8 * heads];
        double[] dq = new double[queries], dk = new double[keys], dv = new double[keys];
        Forward();
        ReferenceAttention.Backward(dy, q, k, v, output, logSumExp, offsets, heads, keyValueHeads, H, dq, dk, dv);

        AssertGradient(Forward, dy, q, dq);
        AssertGradient(Forward, dy, k, dk);
        AssertGradient(Forward, dy, v, dv);

        double[] Forward()
        {
            ReferenceAttention.Forward(q, k, v, offsets, offsets, heads, keyValueHeads, H, output, logSumExp);
            return output;
        }
    }
}
