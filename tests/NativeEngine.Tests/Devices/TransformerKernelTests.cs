using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;

namespace NativeEngine.Tests.Devices;

public class TransformerKernelTests
{
    private static float Nan => float.NaN;

    [Theory]
    [InlineData(SimdWidth.Bits512)]
    [InlineData(SimdWidth.Bits256)]
    [InlineData(SimdWidth.Bits128)]
    [InlineData(SimdWidth.Scalar)]
    public void SwiGlu_SpecialGates_SaturatesAndKeepsNan(SimdWidth width)
    {
        using var device = new CpuDevice(1, width <= CpuDevice.Widest ? width : CpuDevice.Widest);
        float[] gates = [-1e4f, -200, -100, -88, 0, 88, 200, 1e4f, float.PositiveInfinity, float.NaN];
        using var gate = device.Allocate<float>(gates, MemoryUse.Data);
        using var up = device.Allocate<float>([.. gates.Select(_ => 1f)], MemoryUse.Data);
        using var y = device.Allocate<float>(gates.Length, MemoryUse.Data);

        device.Kernels.SwiGlu(gate.View, up.View, y.View);

        var got = device.Download(y.View);
        for (int i = 0; i < 4; i++)
        {
            Assert.InRange(got[i], -1e-30f, 0f);
        }
        Assert.Equal([0f, 88f, 200f, 1e4f, float.PositiveInfinity], got[4..9]);
        Assert.True(float.IsNaN(got[9]));
    }

    [Fact]
    public void SwiGluBackward_SpecialGates_GivesLimits()
    {
        using var host = new HostKernels();
        var one = host.F([1, 1, 1, 1, 1]);
        var (dGate, dUp) = (host.Undefined(5), host.Undefined(5));

        host.Run.SwiGluBackward(one, host.F([-1e4f, -90, 90, 1e4f, Nan]), one, dGate, dUp);

        Assert.All(host.Read(dGate)[..2].Concat(host.Read(dUp)[..2]), v => Assert.InRange(v, -1e-30f, 1e-30f));
        Assert.Equal([1f, 1f], host.Read(dGate)[2..4]);
        Assert.Equal([90f, 1e4f], host.Read(dUp)[2..4]);
        Assert.True(float.IsNaN(host.Read(dGate)[4]) && float.IsNaN(host.Read(dUp)[4]));
    }

    [Fact]
    public void SwiGlu_OutputOverInput_SameAsApart()
    {
        using var host = new HostKernels();
        var (dy, gate, up) = (host.Random(1, 100), host.Random(2, 100), host.Random(3, 100));
        var (y, dGate, dUp) = (host.Undefined(100), host.Undefined(100), host.Undefined(100));
        host.Run.SwiGlu(gate, up, y);
        host.Run.SwiGluBackward(dy, gate, up, dGate, dUp);
        var over = host.F(host.Read(gate));

        host.Run.SwiGlu(over, up, over);
        host.Run.SwiGluBackward(dy, gate, up, gate, up);

        Assert.Equal(host.Read(y), host.Read(over));
        Assert.Equal(host.Read(dGate), host.Read(gate));
        Assert.Equal(host.Read(dUp), host.Read(up));
    }

    [Fact]
    public void CrossEntropy_ExtremeLogits_FiniteAndRight()
    {
        using var host = new HostKernels();
        var logits = host.F([1e4f, -1e4f, 0, -1e4f, 1e4f, 0, 5, 5, 5, -1e4f, -1e4f, -1e4f], 4, 3);
        var losses = host.Undefined(4);

        host.Run.CrossEntropy(logits, host.I(0, 0, 1, 2), host.F([1, 1, 1, 2]), losses);

        var got = host.Read(losses);
        Assert.Equal([0f, 20000f], got[..2]);
        Assert.Equal(MathF.Log(3), got[2], 1e-6f);
        Assert.Equal(MathF.Log(3), got[3], 1e-6f);
        float[] expected = [0, 0, 0, -1, 1, 0, 1 / 3f, -2 / 3f, 1 / 3f, 2 / 3f, 2 / 3f, -4 / 3f];
        Assert.All(host.Read(logits).Zip(expected), p => Assert.Equal(p.Second, p.First, 1e-6f));
    }

    [Fact]
    public void CrossEntropy_OneClass_ZeroLossAndGradient()
    {
        using var host = new HostKernels();
        var (logits, losses) = (host.F([3, -1e4f], 2, 1), host.Undefined(2));

        host.Run.CrossEntropy(logits, host.I(0, 0), host.F([1, 1]), losses);

        Assert.Equal([0f, 0f], host.Read(losses));
        Assert.Equal([0f, 0f], host.Read(logits));
    }

    [Fact]
    public void CrossEntropy_BlockOfMinusInfinity_CountsNothing()
    {
        using var host = new HostKernels();
        var row = new float[3000];
        Array.Fill(row, float.NegativeInfinity, 0, 2500);
        var (logits, losses) = (host.F(row, 1, 3000), host.Undefined(1));

        host.Run.CrossEntropy(logits, host.I(2999), host.F([1]), losses);

        Assert.Equal(MathF.Log(500), host.Read(losses)[0], 1e-5f);
        Assert.All(host.Read(logits)[..2500], g => Assert.InRange(g, 0f, 1e-30f));
        Assert.Equal(1 / 500f, host.Read(logits)[2600], 1e-7f);
    }

    [Theory]
    [InlineData(float.NaN, 0)]
    [InlineData(float.NaN, 17)]
    [InlineData(float.NaN, 2047)]
    [InlineData(float.NaN, 2999)]
    [InlineData(float.PositiveInfinity, 2999)]
    public void CrossEntropy_NotANumber_ReachesLossAndGradientOfItsRowOnly(float bad, int at)
    {
        using var host = new HostKernels();
        var values = HostKernels.Normal(1, 6000);
        values[3000 + at] = bad;
        var (logits, losses) = (host.F(values, 2, 3000), host.Undefined(2));

        host.Run.CrossEntropy(logits, host.I(5, 5), host.F([1, 1]), losses);

        Assert.True(float.IsFinite(host.Read(losses)[0]) && float.IsNaN(host.Read(losses)[1]));
        Assert.All(host.Read(logits)[..3000], g => Assert.True(float.IsFinite(g)));
        Assert.Contains(host.Read(logits)[3000..], float.IsNaN);
    }

    [Fact]
    public void RmsNorm_NotANumber_ReachesItsRowOnly()
    {
        using var host = new HostKernels();
        var values = HostKernels.Normal(1, 3 * 40);
        values[40 + 33] = Nan;
        var (y, s) = (host.Undefined(3, 40), host.Undefined(3));

        host.Run.RmsNorm(host.F(values, 3, 40), host.Random(2, 40), 1e-5f, y, s);

        Assert.Equal([false, true, false], host.Read(s).Select(float.IsNaN));
        Assert.All(host.Read(y)[40..80], v => Assert.True(float.IsNaN(v)));
        Assert.All(host.Read(y)[..40].Concat(host.Read(y)[80..]), v => Assert.True(float.IsFinite(v)));
    }

    [Fact]
    public void RmsNorm_ZeroRow_Finite()
    {
        using var host = new HostKernels();
        var (y, s) = (host.Undefined(1, 20), host.Undefined(1));

        host.Run.RmsNorm(host.F(new float[20], 1, 20), host.Random(2, 20), 1e-4f, y, s);

        Assert.Equal(100f, host.Read(s)[0], 1e-3f);
        Assert.All(host.Read(y), v => Assert.Equal(0f, v));
    }

    [Fact]
    public void RmsNormBackward_BatchInTwoCalls_SameBits()
    {
        using var host = new HostKernels(3);
        const int Rows = 57, Columns = 200;
        var (dy, x, weight) = (host.Random(1, Rows, Columns), host.Random(2, Rows, Columns), host.Random(3, Columns));
        var s = host.F([.. Enumerable.Repeat(0.9f, Rows)]);
        var (dx, dw) = (host.F(new float[Rows * Columns], Rows, Columns), host.F(new float[Columns]));
        var (dxCut, dwCut) = (host.F(new float[Rows * Columns], Rows, Columns), host.F(new float[Columns]));

        host.Run.RmsNormBackward(dy, x, weight, s, dx, dw);
        foreach (var (first, count) in new[] { (0, 20), (20, 37) })
        {
            host.Run.RmsNormBackward(
                dy.Slice(first, count), x.Slice(first, count), weight, s.Slice(first, count), dxCut.Slice(first, count), dwCut);
        }

        Assert.Equal(host.Read(dx), host.Read(dxCut));
        Assert.Equal(host.Read(dw), host.Read(dwCut));
    }

    [Fact]
    public void RmsNormBackward_OneDestination_SameAsBoth()
    {
        using var host = new HostKernels();
        var (dy, x, weight, s) = (host.Random(1, 9, 33), host.Random(2, 9, 33), host.Random(3, 33), host.Random(4, 9));
        var (dx, dw) = (host.F(new float[9 * 33], 9, 33), host.F(new float[33]));
        var (dxAlone, dwAlone) = (host.F(new float[9 * 33], 9, 33), host.F(new float[33]));
        host.Run.RmsNormBackward(dy, x, weight, s, dx, dw);

        host.Run.RmsNormBackward(dy, x, weight, s, dxAlone, default);
        host.Run.RmsNormBackward(dy, x, weight, s, default, dwAlone);

        Assert.Equal(host.Read(dx), host.Read(dxAlone));
        Assert.Equal(host.Read(dw), host.Read(dwAlone));
    }

    [Fact]
    public void ScatterAddRows_BatchInTwoCalls_SameBits()
    {
        using var host = new HostKernels(3);
        int[] rows = [.. Enumerable.Range(0, 90).Select(i => i * i % 7)];
        var x = host.Random(1, 90, 300);
        var (whole, cut) = (host.F(new float[7 * 300], 7, 300), host.F(new float[7 * 300], 7, 300));

        host.Run.ScatterAddRows(x, host.I(rows), whole);
        host.Run.ScatterAddRows(x.Slice(0, 41), host.I(rows[..41]), cut);
        host.Run.ScatterAddRows(x.Slice(41, 49), host.I(rows[41..]), cut);

        Assert.Equal(host.Read(whole), host.Read(cut));
    }

    [Fact]
    public void Rope_InverseAfterForward_ReturnsInput()
    {
        using var host = new HostKernels();
        float[] angles = HostKernels.Normal(9, 10 * 12);
        var (cos, sin) = (host.F([.. angles.Select(MathF.Cos)], 10, 12), host.F([.. angles.Select(MathF.Sin)], 10, 12));
        var (x, positions) = (host.Random(1, 5, 48), host.I(3, 0, 9, 1, 1));
        var before = host.Read(x);

        host.Run.Rope(positions, cos, sin, 2, false, x);
        Assert.Contains(host.Read(x).Zip(before), p => Math.Abs(p.First - p.Second) > 0.1f);
        host.Run.Rope(positions, cos, sin, 2, true, x);

        Assert.All(host.Read(x).Zip(before), p => Assert.Equal(p.Second, p.First, 1e-6f));
    }

    [Fact]
    public void Kernels_IndexOutside_RefusedBeforeAnythingRuns()
    {
        using var host = new HostKernels();
        var y = host.F([1, 2, 3, 4], 2, 2);

        Assert.Contains("2", Assert.Throws<ArgumentException>(() => host.Run.ScatterAddRows(host.F([1, 1, 1, 1], 2, 2), host.I(0, 2), y)).Message);
        Assert.Throws<ArgumentException>(() => host.Run.GatherRows(host.F([1, 1], 1, 2), host.I(0, -1), y));
        Assert.Throws<ArgumentException>(() => host.Run.CrossEntropy(y, host.I(0, 2), default, host.Undefined(2)));
        Assert.Throws<ArgumentException>(() => host.Run.Rope(host.I(0, 1), host.F([1]), host.F([0]), 1, false, y));

        Assert.Equal([1f, 2, 3, 4], host.Read(y));
    }

    [Fact]
    public void SumOfSquares_HugeAndTinyValues_AddedInDouble()
    {
        using var host = new HostKernels();
        var values = new float[10_000];
        Array.Fill(values, 1e-3f);
        values[0] = 1e3f;
        var result = host.Undefined(1);

        host.Run.SumOfSquares(host.F(values), result);

        Assert.Equal((float)(1e6 + (9999 * (double)1e-3f * 1e-3f)), host.Read(result)[0]);
    }

    [Fact]
    public void SumOfSquares_NotANumber_ReachesClipScaleAndParameters()
    {
        using var host = new HostKernels();
        var values = HostKernels.Normal(1, 5000);
        values[4999] = Nan;
        var (sum, scale) = (host.Undefined(1), host.Undefined(1));
        var (g, p, m, v) = (host.F(values), host.Random(2, 5000), host.F(new float[5000]), host.F(new float[5000]));

        host.Run.SumOfSquares(g, sum);
        host.Run.ClipScale(sum, 1, scale);
        host.Run.AdamW(g, scale, new AdamWStep(0.1f, 0.9f, 0.999f, 1e-8f, 0, 1), p, m, v);

        Assert.True(float.IsNaN(host.Read(sum)[0]) && float.IsNaN(host.Read(scale)[0]));
        Assert.All(host.Read(p), value => Assert.True(float.IsNaN(value)));
    }
}
