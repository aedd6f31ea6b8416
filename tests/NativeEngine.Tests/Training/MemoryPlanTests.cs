using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Model;
using NativeEngine.Training;

namespace NativeEngine.Tests.Training;

/// <summary>What is told before a run against what the arena counts during it, and the memory that a coreset saves.</summary>
public sealed class MemoryPlanTests
{
    public static TheoryData<string> Cases => [.. _cases.Keys];

    private static readonly Dictionary<string, (Func<TrainOptions, TrainOptions> Change, bool Tied, int LoraRank)> _cases = new()
    {
        ["full"] = (o => o with { Selection = BatchSelection.Full }, true, 0),
        ["full, untied"] = (o => o with { Selection = BatchSelection.Full }, false, 0),
        ["full, checkpointed"] = (o => o with { Selection = BatchSelection.Full, CheckpointActivations = true }, true, 0),
        ["full, micro-batches"] = (o => o with { Selection = BatchSelection.Full, MicroBatchTokens = 1000 }, true, 0),
        ["full, adapter"] = (o => o with { Selection = BatchSelection.Full }, true, 4),
        ["random"] = (o => o with { Selection = BatchSelection.Random }, true, 0),
        ["composition"] = (o => o with { Selection = BatchSelection.Composition }, true, 0),
        ["colm, gradients"] = (o => o, true, 0),
        ["colm, zeroth order"] = (o => o with { Features = new FeatureOptions(FeatureKind.ZerothOrder, 2) }, true, 0),
        ["colm, hidden states"] = (o => o with { Features = new FeatureOptions(FeatureKind.Hidden) }, true, 0),
        ["colm, adapter"] = (o => o, true, 4),
        // Little is trained at once, so that the selection makes the peak.
        ["selection makes the peak"] = (o => o with { MicroBatchTokens = 100, FeatureTokens = 100 }, true, 0),
        ["selection makes the peak, raw"] = (o => o with { MicroBatchTokens = 100, FeatureTokens = 100, NormalizeFeatures = false }, true, 0),
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Of_Run_WithinTenPercentOfTheArenasCount(string name)
    {
        var (change, tied, loraRank) = _cases[name];
        using var tiny = new TinyTraining(change(Options()), tied: tied, loraRank: loraRank, data: TinyTraining.Mixture(600, LossOn.All));
        var plan = MemoryPlan.Of(tiny.Model, tiny.Data, change(Options()));
        tiny.Train(3);
        double ratio = (double)tiny.Trainer.PeakActivationBytes / plan.Activations;
        Assert.True(ratio is > 0.9 and < 1.1, $"{name}: planned {plan.Activations:N0} bytes, counted {tiny.Trainer.PeakActivationBytes:N0}, {ratio:F3} of it");
    }

    [Theory]
    [InlineData(FeatureKind.Gradient, 0)]
    [InlineData(FeatureKind.Gradient, 4)]
    [InlineData(FeatureKind.ZerothOrder, 0)]
    [InlineData(FeatureKind.ZerothOrder, 4)]
    [InlineData(FeatureKind.Hidden, 0)]
    public void FeatureBytes_OnePass_WithinTenPercentOfTheArenasCount(FeatureKind kind, int loraRank)
    {
        using var tiny = new TinyTraining(Options(), loraRank: loraRank, data: TinyTraining.Mixture(200, LossOn.All));
        using var workspace = new Workspace(tiny.Device);
        using var batch = new TokenBatch(tiny.Device, tiny.Model.Config, BatchPacker.Pack(tiny.Data, [.. Enumerable.Range(0, 60)]));
        using var features = new GradientFeatures(tiny.Model, new FeatureOptions(kind));
        using var values = tiny.Device.Allocate<float>(60 * features.Dimension, MemoryUse.Selection);
        features.Compute(batch, values.View.Reshape(60, features.Dimension), workspace);
        long planned = MemoryPlan.FeatureBytes(tiny.Model.Config, kind, batch.TokenCount, batch.LabelCount, loraRank);
        double ratio = (double)workspace.PeakBytes / planned;
        Assert.True(ratio is > 0.9 and < 1.1, $"planned {planned:N0} bytes, counted {workspace.PeakBytes:N0}, {ratio:F3} of it");
    }

    [Fact]
    public void PeakActivationBytes_CoresetOf64In128_AtMost55PercentOfFull()
    {
        // Sequences of one length, so that both arms have the same shapes.
        var data = MixtureDataset.Build(
            MixtureSynthesizer.Generate(1500, 5, SynthesisSplit.Train).Where(e => e.Text.Length >= 40), ByteTokenizer.Create(), DatasetOptions.Training(40, LossOn.All));
        Assert.All(Enumerable.Range(0, data.Count), i => Assert.Equal(40, data.Tokens(i).Length));
        long full = Peak(BatchSelection.Full), colm = Peak(BatchSelection.Colm), zo = Peak(BatchSelection.Colm, FeatureKind.ZerothOrder);
        Assert.True(colm <= 0.55 * full, $"gradient features: {colm:N0} of {full:N0} bytes, {(double)colm / full:F3}");
        Assert.True(zo <= 0.55 * full, $"zeroth-order features: {zo:N0} of {full:N0} bytes, {(double)zo / full:F3}");

        long Peak(BatchSelection selection, FeatureKind kind = FeatureKind.Gradient)
        {
            var options = Options() with { Selection = selection, Features = new FeatureOptions(kind) };
            using var tiny = new TinyTraining(options, data: data);
            tiny.Train(3);
            return tiny.Trainer.PeakActivationBytes;
        }
    }

    [Fact]
    public void RequireFits_TooLittle_IsRefusedWithTheNumbers()
    {
        var plan = new MemoryPlan(10 << 20, 3 << 20, 2 << 20, 1 << 20);
        plan.RequireFits(16 << 20);
        var error = Assert.Throws<EngineException>(() => plan.RequireFits(15 << 20));
        Assert.Equal(ErrorKind.WillNotFit, error.Kind);
        Assert.Contains("about 16 MiB (weights 10 MiB", error.Message, StringComparison.Ordinal);
        Assert.Contains("15 MiB are allowed", error.Message, StringComparison.Ordinal);
    }

    private static TrainOptions Options() => TinyTraining.Options() with { Pool = 128, Batch = 64, Steps = 3 };
}
