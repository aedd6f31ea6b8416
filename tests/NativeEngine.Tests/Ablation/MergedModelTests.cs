using NativeEngine.Ablation.Mixtures;
using NativeEngine.Devices.Cpu;
using NativeEngine.Formats;
using NativeEngine.Tests.Model;

namespace NativeEngine.Tests.Ablation;

public sealed class MergedModelTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(0.5)]
    [InlineData(2.5)]
    public void Set_AnyMixture_IsTheAverage(double lambda)
    {
        using var tiny = new TinyPool();
        foreach (var mixture in Mixtures())
        {
            tiny.Merged.Set(mixture, lambda);
            double[] expected = tiny.Average(mixture, lambda);
            float[] got = tiny.Device.Download(tiny.Merged.Parameters.Flat);
            Assert.Contains(got, v => v != 0);
            for (int i = 0; i < got.Length; i++)
            {
                // One rounding to float32, and 2^-42 a unit before it.
                Assert.True(Math.Abs(got[i] - expected[i]) <= (6e-8 * Math.Abs(expected[i])) + (4e-12 * Math.Max(1, lambda)), $"{mixture} [{i}]: {got[i]:R} against {expected[i]:R}");
            }
        }
    }

    [Fact]
    public void Set_AnyPath_SameBits()
    {
        using var tiny = new TinyPool();
        List<Mixture> mixtures = [.. Mixtures().Distinct()];
        var random = new CounterRandom(3, RandomPurpose.Test);
        var first = new Dictionary<Mixture, float[]>();
        for (int step = 0; step < 600; step++)
        {
            var mixture = mixtures[(int)random.Below((ulong)step, mixtures.Count)];
            tiny.Merged.Set(mixture);
            float[] bits = tiny.Device.Download(tiny.Merged.Parameters.Flat);
            Assert.Equal(first.TryGetValue(mixture, out float[]? known) ? known : first[mixture] = bits, bits);
        }
        Assert.Equal(mixtures.Count, first.Count);
    }

    [Fact]
    public void Set_ThreadsAndWidths_SameBits()
    {
        float[]? expected = null;
        foreach (var (threads, width) in new[] { (1, CpuDevice.Widest), (2, CpuDevice.Widest), (3, CpuDevice.Widest), (2, SimdWidth.Scalar) })
        {
            using var tiny = new TinyPool(threads: threads, width: width);
            var all = new List<float>();
            foreach (var mixture in Mixtures())
            {
                tiny.Merged.Set(mixture);
                all.AddRange(tiny.Device.Download(tiny.Merged.Parameters.Flat));
            }
            expected ??= [.. all];
            Assert.Equal(expected, all);
        }
    }

    [Fact]
    public void Pool_BFloat16Units_AreWidened()
    {
        using var tiny = new TinyPool(type: DType.BF16);
        var mixture = Mixture.Uniform(5, [1, 3]);
        tiny.Merged.Set(mixture);
        double[] expected = tiny.Average(mixture);
        float[] got = tiny.Device.Download(tiny.Merged.Parameters.Flat);
        Assert.All(Enumerable.Range(0, got.Length), i => Assert.Equal(expected[i], got[i], 1e-7));
    }

    [Fact]
    public void Pool_OtherShape_IsRefusedWithBothValues()
    {
        using var tiny = new TinyPool(units: 2);
        TinyModelFolder.EditJson(Path.Combine(tiny.UnitFolder(1), "config.json"), "rope_theta", "5000");
        var error = Assert.Throws<EngineException>(() => tiny.Open());
        Assert.Equal(ErrorKind.BadInput, error.Kind);
        Assert.Contains("rope_theta 5000 against 10000", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Pool_MissingTensor_IsNamed()
    {
        using var tiny = new TinyPool(units: 2);
        TinyModelFolder.RewriteTensors(Path.Combine(tiny.UnitFolder(0), "model.safetensors"), "model.norm.weight", DType.F32, null);
        var error = Assert.Throws<EngineException>(() => tiny.Open());
        Assert.Contains("model.norm.weight", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Pool_NotANumber_IsNamed()
    {
        using var tiny = new TinyPool(units: 2);
        string file = Path.Combine(tiny.UnitFolder(0), "model.safetensors");
        byte[] bytes = File.ReadAllBytes(file);
        BitConverter.GetBytes(float.NaN).CopyTo(bytes, bytes.Length - 8);
        File.WriteAllBytes(file, bytes);
        var error = Assert.Throws<EngineException>(() => tiny.Open());
        Assert.Equal(ErrorKind.Numerical, error.Kind);
        Assert.Contains("NaN", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Multiples_ProportionalWeights_AreWhole()
    {
        var (multiples, factor) = Mixture.Of([0, 1, 3, 0, 2]).Multiples();
        Assert.Equal([0, 1, 3, 0, 2], multiples);
        Assert.Equal(1.0 / 6, factor, 1e-15);
        Assert.Equal([1, 0.001], Mixture.Of([1, 0.001]).Multiples().Multiples.Select(m => Math.Round(m, 12)));
    }

    private static List<Mixture> Mixtures() =>
    [
        .. MixtureCandidates.AllSubsets(5).Select(set => Mixture.Uniform(5, set)),
        .. MixtureCandidates.Lattice(5, 3).Select(p => Mixture.Of([.. p.Select(v => (double)v)])),
        Mixture.Of([0.17, 0.31, 0.02, 0.4, 0.1]), Mixture.Of([1, 1e-4, 0, 0, 0.5]),
    ];
}
