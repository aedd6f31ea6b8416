using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Model;
using NativeEngine.Tests.Golden;
using NativeEngine.Tests.Training;
using NativeEngine.Training;

namespace NativeEngine.Tests.Model;

/// <summary>Features against the model's own backward pass, and on their own whatever stands beside them.</summary>
public sealed class GradientFeaturesTests
{
    private static readonly int[] _examples = [3, 0, 17, 8, 25];

    public static TheoryData<string> SpsaIds => GoldenCases.Ids("spsa");

    public static TheoryData<string> LossIds => GoldenCases.Ids("loss_normalisation");

    [Theory]
    [InlineData(true, 0)]
    [InlineData(false, 0)]
    [InlineData(true, 3)]
    public void Compute_Gradient_IsTheExampleAlonesOwnMeanLossGradient(bool tied, int loraRank)
    {
        using var tiny = Trained(tied, loraRank);
        var (features, dimension) = Features(tiny, new FeatureOptions(FeatureKind.Gradient), _examples);
        var layout = tiny.Trainer.Gradients.Layout;
        string weight = LlamaConfig.Name(1, "self_attn.v_proj");
        var watched = layout.Find(loraRank > 0 ? LoraAdapter.NameOf(weight, 'B') : weight)!;
        Assert.Equal(watched.Shape.Count, dimension);
        for (int i = 0; i < _examples.Length; i++)
        {
            float[] exact = ExactGradient(tiny, _examples[i], watched);
            float largest = exact.Max(MathF.Abs);
            Assert.True(largest > 1e-4, $"example {_examples[i]}: the gradient is at most {largest}");
            Assert.Equal(exact, features[i]);
        }
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(0, 3)]
    [InlineData(3, 2)]
    public void Compute_ZerothOrder_IsTheGradientsProjectionOnTheDirections(int loraRank, int directions)
    {
        const ulong Seed = 9;
        using var tiny = Trained(true, loraRank);
        var watched = Watched(tiny, loraRank);
        float[][] z = [.. Enumerable.Range(0, directions).Select(m => Direction(tiny.Device, Seed, m, watched.Shape.Count))];
        var (features, _) = Features(tiny, new FeatureOptions(FeatureKind.ZerothOrder, directions, 3e-3f, Seed), _examples);
        double seen = 0;
        for (int i = 0; i < _examples.Length; i++)
        {
            float[] exact = ExactGradient(tiny, _examples[i], watched);
            double[] slopes = [.. z.Select(d => Dot(d, exact))];
            seen = Math.Max(seen, slopes.Max(Math.Abs));
            for (int k = 0; k < exact.Length; k++)
            {
                double expected = slopes.Select((slope, m) => slope * z[m][k]).Sum() / directions;
                // Rounding of losses near 5 gives about 5e-7 / 6e-3 in a slope, curvature eps^2 times the third derivative along z; a coordinate is that times z.
                Assert.True(Math.Abs(features[i][k] - expected) <= 1e-3 + (0.01 * Math.Abs(expected)), $"example {_examples[i]}, coordinate {k}: {features[i][k]:R}, projection {expected:R}");
            }
        }
        Assert.True(seen > 0.05, $"the largest slope is {seen}, too small to show anything");
    }

    [Fact]
    public void Compute_OneDirection_FeaturesAreMultiplesOfIt()
    {
        const ulong Seed = 4;
        using var tiny = Trained(true, 0);
        float[] z = Direction(tiny.Device, Seed, 0, Watched(tiny, 0).Shape.Count);
        var (features, _) = Features(tiny, new FeatureOptions(FeatureKind.ZerothOrder, 1, 1e-3f, Seed), _examples);
        int at = Array.FindIndex(z, v => Math.Abs(v) is > 0.9f and < 1.1f);
        foreach (float[] feature in features)
        {
            double g = feature[at] / (double)z[at];
            Assert.NotEqual(0, g);
            Assert.All(feature.Zip(z), p => Assert.Equal(g * p.Second, p.First, 1e-6 * Math.Abs(g * p.Second)));
        }
    }

    [Fact]
    public void Compute_ManyDirections_TurnsTowardsTheGradient()
    {
        using var tiny = Trained(true, 0);
        float[] exact = ExactGradient(tiny, _examples[0], Watched(tiny, 0));
        double few = Cosine(2), many = Cosine(256);
        Assert.True(many > 0.75 && many > few, $"cosine with the gradient: {few:F3} with 2 directions, {many:F3} with 256");

        double Cosine(int directions)
        {
            float[] f = Features(tiny, new FeatureOptions(FeatureKind.ZerothOrder, directions, 1e-2f, 5), [_examples[0]]).Features[0];
            return Dot(f, exact) / Math.Sqrt(Dot(f, f) * Dot(exact, exact));
        }
    }

    [Theory]
    [InlineData(FeatureKind.Gradient, 0)]
    [InlineData(FeatureKind.Gradient, 3)]
    [InlineData(FeatureKind.ZerothOrder, 0)]
    [InlineData(FeatureKind.ZerothOrder, 3)]
    [InlineData(FeatureKind.Hidden, 0)]
    public void Compute_AloneOrAmongNeighbours_SameBitsAndTheModelUntouched(FeatureKind kind, int loraRank)
    {
        using var tiny = Trained(true, loraRank);
        var options = new FeatureOptions(kind, 2, 1e-3f, 6);
        byte[] before = tiny.State();
        float[] gradients = tiny.Device.Download(tiny.Trainer.Gradients.Flat);
        var (packed, _) = Features(tiny, options, _examples);
        for (int i = 0; i < _examples.Length; i++)
        {
            Assert.Equal(packed[i], Features(tiny, options, [_examples[i]]).Features[0]);
        }
        Assert.Equal(before, tiny.State());
        Assert.Equal(gradients, tiny.Device.Download(tiny.Trainer.Gradients.Flat));
    }

    [Fact]
    public void Compute_SequenceWithoutLabel_IsRefusedUnlessHidden()
    {
        using var tiny = new TinyModel(new CpuDevice(threads: 1));
        var device = tiny.Parameters.Device;
        using var batch = new TokenBatch(device, tiny.Config, [1, 2, 3], [0, 1, 0], [0, 2, 3], [2, 3, -1]);
        using var workspace = new Workspace(device);
        foreach (var kind in Enum.GetValues<FeatureKind>())
        {
            using var features = new GradientFeatures(tiny.Model, new FeatureOptions(kind));
            using var values = device.Allocate<float>(2 * features.Dimension, MemoryUse.Selection);
            var view = values.View.Reshape(2, features.Dimension);
            if (kind == FeatureKind.Hidden)
            {
                features.Compute(batch, view, workspace);
                Assert.Contains(device.Download(view), v => v != 0);
                continue;
            }
            var error = Assert.Throws<EngineException>(() => features.Compute(batch, view, workspace));
            Assert.Equal(ErrorKind.BadInput, error.Kind);
            Assert.Contains("sequence 1 of the batch has no label", error.Message, StringComparison.Ordinal);
            Assert.Equal(0, workspace.LiveBytes);
        }
        device.Dispose();
    }

    [Theory]
    [InlineData(0, 1e-3f)]
    [InlineData(1, 0f)]
    [InlineData(1, float.NaN)]
    public void Constructor_NoDirectionOrRadius_IsRefused(int directions, float radius)
    {
        using var device = new CpuDevice(threads: 1);
        using var tiny = new TinyModel(device);
        var error = Assert.Throws<EngineException>(() => new GradientFeatures(tiny.Model, new FeatureOptions(FeatureKind.ZerothOrder, directions, radius)));
        Assert.Equal(ErrorKind.Usage, error.Kind);
    }

    [Theory]
    [MemberData(nameof(SpsaIds))]
    public void CentralDifferences_Golden_GiveTheScalars(string id)
    {
        var c = GoldenCases.Get(id);
        double[] expected = GoldenCases.Doubles(c.Expected.GetProperty("g"));
        double[] plus = GoldenCases.Doubles(c.Expected.GetProperty("loss_plus")), g = new double[plus.Length];
        GradientFeatures.CentralDifferences(plus, GoldenCases.Doubles(c.Expected.GetProperty("loss_minus")), c.Input.GetProperty("eps").GetDouble(), g);
        Assert.Equal(expected.Length, g.Length);
        Assert.All(expected.Zip(g), p => Assert.Equal(p.First, p.Second, 1e-6));
    }

    [Theory]
    [MemberData(nameof(LossIds))]
    public void SequenceMeans_Golden_AreOverTheExamplesOwnLabels(string id)
    {
        var c = GoldenCases.Get(id);
        var losses = new List<float>();
        var offsets = new List<int> { 0 };
        foreach (var (row, labels) in c.Input.GetProperty("token_losses").EnumerateArray().Zip(c.Input.GetProperty("is_label").EnumerateArray()))
        {
            losses.AddRange(GoldenCases.Floats(row).Zip(GoldenCases.Ints(labels)).Where(p => p.Second == 1).Select(p => p.First));
            offsets.Add(losses.Count);
        }
        var means = new double[offsets.Count - 1];
        GradientFeatures.SequenceMeans([.. losses], [.. offsets], means);
        Assert.Equal(GoldenCases.Doubles(c.Expected.GetProperty("own_length_mean")), means);
    }

    /// <summary>A few steps from the start, so that LoRA's B is not zero and nothing is symmetric.</summary>
    private static TinyTraining Trained(bool tied, int loraRank)
    {
        var tiny = new TinyTraining(
            TinyTraining.Options(BatchSelection.Full) with { Steps = 10, LearningRate = 2e-2 }, tied: tied, loraRank: loraRank);
        tiny.Train(6);
        return tiny;
    }

    private static ParameterEntry Watched(TinyTraining tiny, int loraRank)
    {
        string weight = LlamaConfig.Name(1, "self_attn.v_proj");
        return tiny.Trainer.Gradients.Layout.Find(loraRank > 0 ? LoraAdapter.NameOf(weight, 'B') : weight)!;
    }

    private static (float[][] Features, long Dimension) Features(TinyTraining tiny, FeatureOptions options, int[] examples)
    {
        using var features = new GradientFeatures(tiny.Model, options);
        using var workspace = new Workspace(tiny.Device);
        using var batch = new TokenBatch(tiny.Device, tiny.Model.Config, BatchPacker.Pack(tiny.Data, examples));
        using var values = tiny.Device.Allocate<float>(examples.Length * features.Dimension, MemoryUse.Selection);
        features.Compute(batch, values.View.Reshape(examples.Length, features.Dimension), workspace);
        Assert.Equal(0, workspace.LiveBytes);
        return ([.. tiny.Device.Download(values.View).Chunk((int)features.Dimension)], features.Dimension);
    }

    private static float[] ExactGradient(TinyTraining tiny, int example, ParameterEntry watched)
    {
        using var workspace = new Workspace(tiny.Device);
        using var batch = new TokenBatch(tiny.Device, tiny.Model.Config, BatchPacker.Pack(tiny.Data, [example]));
        var mean = new float[batch.LabelCount];
        Array.Fill(mean, 1f / mean.Length);
        using var weights = tiny.Device.Allocate<float>(mean, MemoryUse.Data);
        using var losses = tiny.Device.Allocate<float>(mean.Length, MemoryUse.Data);
        tiny.Device.Kernels.Fill(0, tiny.Trainer.Gradients.Flat);
        tiny.Model.LossAndGradient(batch, weights.View, losses.View, checkpoint: false, workspace);
        return tiny.Device.Download(tiny.Trainer.Gradients.View(watched));
    }

    private static float[] Direction(Device device, ulong seed, int index, long length)
    {
        using var z = device.Allocate<float>(length, MemoryUse.Data);
        device.Kernels.Gaussian(seed, (uint)index, z.View);
        return device.Download(z.View);
    }

    private static double Dot(float[] a, float[] b) => a.Zip(b).Sum(p => (double)p.First * p.Second);
}
