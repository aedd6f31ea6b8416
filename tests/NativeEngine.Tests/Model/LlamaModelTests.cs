using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Model;

namespace NativeEngine.Tests.Model;

public class LlamaModelTests
{
    [Theory]
    [InlineData(1, true, false, false)]
    [InlineData(2, false, false, false)]
    [InlineData(1, false, true, false)]
    [InlineData(1, true, false, true)]
    [InlineData(2, true, true, true)]
    public void LossAndGradient_EveryTrainedWeight_MatchesCentralDifferencesInDouble(int kvHeads, bool tied, bool lora, bool checkpoint)
    {
        using var device = new CpuDevice(threads: 2);
        using var tiny = new TinyModel(device, kvHeads, tied, lora);
        var (losses, gradients) = tiny.Run(checkpoint);
        var weights = tiny.DoubleWeights();
        var expectedLosses = tiny.ReferenceLosses(weights);
        Assert.Equal(expectedLosses.Count, losses.Length);
        for (int r = 0; r < losses.Length; r++)
        {
            Assert.Equal(expectedLosses[r], losses[r], 2e-5);
        }
        Assert.Equal(tiny.Trained.Layout.Entries.Count, gradients.Count);
        foreach (var (name, gradient) in gradients)
        {
            Assert.True(gradient.Any(g => g != 0), $"{name}: the gradient is all zero");
            for (int i = 0; i < gradient.Length; i++)
            {
                // Steps of 1e-5 in double: truncation 1e-10, cancellation 1e-11; float32 forward and backward 1e-5 of gradients of size 1.
                double numeric = (Weighted(name, i, 1e-5) - Weighted(name, i, -1e-5)) / 2e-5;
                Assert.True(Math.Abs(gradient[i] - numeric) <= 3e-5 * (1 + Math.Abs(numeric)), $"{name}[{i}]: engine {gradient[i]:R}, central difference {numeric:R}");
            }
        }

        double Weighted(string name, int index, double step)
        {
            double kept = weights[name][index];
            weights[name][index] = kept + step;
            double sum = tiny.ReferenceLosses(weights).Zip(tiny.RowWeights, (l, w) => l * w).Sum();
            weights[name][index] = kept;
            return sum;
        }
    }

    [Fact]
    public void LossAndGradient_Checkpointed_SameBitsWithLessMemory()
    {
        using var device = new CpuDevice(threads: 2);
        using var tiny = new TinyModel(device);
        var plain = tiny.Run();
        var checkpointed = tiny.Run(checkpoint: true);
        Assert.Equal(plain.Losses, checkpointed.Losses);
        foreach (var (name, gradient) in plain.Gradients)
        {
            Assert.Equal(gradient, checkpointed.Gradients[name]);
        }
    }

    [Fact]
    public void LossAndGradient_AnyThreadsAndWidth_SameBits()
    {
        using var judge = new CpuDevice(threads: 1);
        using var expected = new TinyModel(judge, lora: false);
        var (losses, gradients) = expected.Run();
        foreach (var (threads, width) in new[] { (2, CpuDevice.Widest), (3, CpuDevice.Widest), (2, SimdWidth.Bits128), (1, SimdWidth.Scalar) })
        {
            using var device = new CpuDevice(threads, width);
            using var tiny = new TinyModel(device);
            var got = tiny.Run();
            Assert.Equal(losses, got.Losses);
            foreach (var (name, gradient) in gradients)
            {
                Assert.Equal(gradient, got.Gradients[name]);
            }
        }
    }

    [Fact]
    public void Loss_SequenceAloneAndPacked_SameBits()
    {
        using var device = new CpuDevice(threads: 2);
        using var tiny = new TinyModel(device);
        using var workspace = new Workspace(device);
        var packed = Losses(tiny.Batch);
        using var alone = new TokenBatch(device, tiny.Config, [6, 0, 10, 10, 2, 9, 8], [0, 1, 2, 3, 4, 5, 6], [0, 7], [0, 10, 10, 2, 9, -1, 5]);
        Assert.Equal(packed[^6..], Losses(alone));

        float[] Losses(TokenBatch batch)
        {
            using var losses = device.Allocate<float>(batch.LabelCount, MemoryUse.Data);
            tiny.Model.Loss(batch, losses.View, workspace);
            return device.Download(losses.View);
        }
    }

    [Fact]
    public void MergeInto_Adapter_SameLossesAsUnmerged()
    {
        using var device = new CpuDevice(threads: 2);
        using var tiny = new TinyModel(device, lora: true);
        var unmerged = tiny.Run().Losses;
        tiny.Adapter!.MergeInto(tiny.Parameters);
        using var merged = new LlamaModel(tiny.Config, tiny.Parameters);
        using var workspace = new Workspace(device);
        using var losses = device.Allocate<float>(tiny.Batch.LabelCount, MemoryUse.Data);
        merged.Loss(tiny.Batch, losses.View, workspace);
        var values = device.Download(losses.View);
        for (int r = 0; r < values.Length; r++)
        {
            Assert.Equal(unmerged[r], values[r], 1e-5f);
        }
    }

    [Fact]
    public void TokenBatch_TokenOutsideVocabularyOrContext_IsRefusedWithValues()
    {
        using var device = new CpuDevice(threads: 1);
        using var tiny = new TinyModel(device);
        var vocabulary = Assert.Throws<EngineException>(() => new TokenBatch(device, tiny.Config, [11], [0], [0, 1], [-1]));
        Assert.Contains("11", vocabulary.Message, StringComparison.Ordinal);
        var context = Assert.Throws<EngineException>(() => new TokenBatch(device, tiny.Config, [1], [8], [0, 1], [-1]));
        Assert.Contains("context is 8", context.Message, StringComparison.Ordinal);
    }
}
