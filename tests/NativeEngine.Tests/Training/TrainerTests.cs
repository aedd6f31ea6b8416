using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Model;
using NativeEngine.Selection;
using NativeEngine.Training;

namespace NativeEngine.Tests.Training;

/// <summary>What a step promises: the same bits however it is computed, and the composition its arm describes.</summary>
public sealed class TrainerTests
{
    public static TheoryData<BatchSelection, OptimizerKind> Runs => new()
    {
        { BatchSelection.Full, OptimizerKind.AdamW },
        { BatchSelection.Random, OptimizerKind.Sgd },
        { BatchSelection.Composition, OptimizerKind.Lion },
        { BatchSelection.Colm, OptimizerKind.AdamW },
        { BatchSelection.Colm, OptimizerKind.Sgd },
        { BatchSelection.Colm, OptimizerKind.Lion },
    };

    [Theory]
    [MemberData(nameof(Runs))]
    public void Step_AnyThreadsAndWidth_SameBits(BatchSelection selection, OptimizerKind optimizer)
    {
        var options = Options(selection, optimizer);
        using var judge = new TinyTraining(options, threads: 1);
        var steps = judge.Train(3);
        byte[] expected = judge.State();
        foreach (var (threads, width) in new (int, SimdWidth)[]
        {
            (2, CpuDevice.Widest), (3, CpuDevice.Widest), (3, SimdWidth.Bits256), (2, SimdWidth.Bits128), (1, SimdWidth.Scalar),
        })
        {
            if (width > CpuDevice.Widest)
            {
                continue;
            }
            using var other = new TinyTraining(options, threads, width);
            var got = other.Train(3);
            Assert.Equal(steps.Select(s => (s.Loss, s.GradientNorm, s.Objective)), got.Select(s => (s.Loss, s.GradientNorm, s.Objective)));
            Assert.Equal(expected, other.State());
        }
    }

    [Theory]
    [InlineData(FeatureKind.ZerothOrder, 0)]
    [InlineData(FeatureKind.Hidden, 0)]
    [InlineData(FeatureKind.Gradient, 3)]
    [InlineData(FeatureKind.ZerothOrder, 3)]
    public void Step_EveryFeatureWithAndWithoutAdapter_SameBitsForAnyThreads(FeatureKind kind, int loraRank)
    {
        var options = TinyTraining.Options() with { Features = new FeatureOptions(kind, 2), FeatureTokens = 100 };
        using var one = new TinyTraining(options, threads: 1, loraRank: loraRank);
        using var three = new TinyTraining(options with { FeatureTokens = 4096 }, threads: 3, loraRank: loraRank);
        one.Train(3);
        three.Train(3);
        Assert.Equal(one.State(), three.State());
    }

    [Theory]
    [InlineData(BatchSelection.Full)]
    [InlineData(BatchSelection.Colm)]
    public void Step_ActivationCheckpointing_SameBitsWithLessMemory(BatchSelection selection)
    {
        var options = TinyTraining.Options(selection);
        using var plain = new TinyTraining(options);
        using var checkpointed = new TinyTraining(options with { CheckpointActivations = true });
        Assert.Equal(plain.Train(3).Select(s => s.Loss), checkpointed.Train(3).Select(s => s.Loss));
        Assert.Equal(plain.State(), checkpointed.State());
        Assert.True(checkpointed.Trainer.PeakActivationBytes < plain.Trainer.PeakActivationBytes);
    }

    [Theory]
    [InlineData(60)]
    [InlineData(1)]
    [InlineData(200)]
    public void Step_MicroBatchesUntied_SameBitsAsOnePass(int tokens)
    {
        var options = TinyTraining.Options();
        using var whole = new TinyTraining(options, tied: false);
        using var parts = new TinyTraining(options with { MicroBatchTokens = tokens }, tied: false);
        var expected = whole.Train(3);
        var got = parts.Train(3);
        for (int s = 0; s < expected.Count; s++)
        {
            Assert.Equal(expected[s].Loss, got[s].Loss, 1e-12);
            Assert.Equal((expected[s].Tokens, expected[s].LabelTokens), (got[s].Tokens, got[s].LabelTokens));
        }
        Assert.Equal(whole.State(), parts.State());
        Assert.True(parts.Trainer.PeakActivationBytes < whole.Trainer.PeakActivationBytes);
    }

    [Fact]
    public void Step_MicroBatchesTied_GradientToRounding()
    {
        var options = TinyTraining.Options(BatchSelection.Full);
        using var whole = new TinyTraining(options);
        using var parts = new TinyTraining(options with { MicroBatchTokens = 60 });
        Assert.Equal(whole.Trainer.Step().Loss, parts.Trainer.Step().Loss, 1e-12);
        float[] expected = whole.Device.Download(whole.Trainer.Gradients.Flat), got = parts.Device.Download(parts.Trainer.Gradients.Flat);
        float largest = expected.Max(MathF.Abs);
        Assert.True(largest > 1e-3);
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.True(Math.Abs(expected[i] - got[i]) <= 1e-6 * largest, $"element {i}: {got[i]:R}, in one pass {expected[i]:R}");
        }
    }

    [Theory]
    [InlineData(BatchSelection.Full, OptimizerKind.AdamW)]
    [InlineData(BatchSelection.Random, OptimizerKind.AdamW)]
    [InlineData(BatchSelection.Composition, OptimizerKind.Sgd)]
    [InlineData(BatchSelection.Colm, OptimizerKind.AdamW)]
    [InlineData(BatchSelection.Colm, OptimizerKind.Lion)]
    public void Step_FortySteps_LossFalls(BatchSelection selection, OptimizerKind optimizer)
    {
        double rate = optimizer switch { OptimizerKind.Sgd => 0.1, OptimizerKind.Lion => 1e-3, _ => 1e-2 };
        using var tiny = new TinyTraining(Options(selection, optimizer) with { Steps = 40, LearningRate = rate });
        var steps = tiny.Train(40);
        double first = steps.Take(5).Average(s => s.Loss), last = steps.TakeLast(5).Average(s => s.Loss);
        // A uniform guess, and a little more: the untrained logits vary, and with tied embeddings they favour the token just read.
        Assert.InRange(steps[0].Loss, Math.Log(TinyTraining.Config().VocabularySize), Math.Log(TinyTraining.Config().VocabularySize) + 0.7);
        Assert.True(last < first - 0.5, $"loss {first:F3} at first, {last:F3} at last");
    }

    [Fact]
    public void Step_Full_TrainsThePool()
    {
        using var tiny = new TinyTraining(TinyTraining.Options(BatchSelection.Full));
        foreach (var step in tiny.Train(5))
        {
            Assert.Equal((24, 0), (step.Examples, step.Kept));
            Assert.Equal(step.PoolBySource, step.TrainedBySource);
            Assert.True(double.IsNaN(step.Objective));
        }
    }

    [Theory]
    [InlineData(BatchSelection.Composition)]
    [InlineData(BatchSelection.Colm)]
    public void Step_KeptSourcesAndQuotas_AreThePlans(BatchSelection selection)
    {
        var options = TinyTraining.Options(selection) with { Pool = 40, Batch = 24 };
        using var tiny = new TinyTraining(options);
        int[] sizes = tiny.Data.SourceSizes.ToArray(), small = SmallSourceRule.BelowMean.Apply(sizes);
        Assert.InRange(small.Length, 1, sizes.Length - 1);
        foreach (var step in tiny.Train(5))
        {
            int kept = small.Sum(s => step.PoolBySource[s]);
            int[] open = [.. Enumerable.Range(0, sizes.Length).Where(s => !small.Contains(s) && step.PoolBySource[s] > 0)];
            int[] quotas = SourceBudget.Share([.. open.Select(s => step.PoolBySource[s])], 24 - kept, QuotaRule.Proportional, QuotaRounding.Floor);
            Assert.Equal((24, kept), (step.Examples, step.Kept));
            Assert.All(small, s => Assert.Equal(step.PoolBySource[s], step.TrainedBySource[s]));
            Assert.Equal(quotas, open.Select(s => step.TrainedBySource[s]));
            Assert.Equal(40, step.PoolBySource.Sum());
            Assert.Equal(selection == BatchSelection.Colm, double.IsFinite(step.Objective));
        }
    }

    [Fact]
    public void Step_Random_TrainsBOfEachPoolAndDiffersFromStepToStep()
    {
        using var tiny = new TinyTraining(TinyTraining.Options(BatchSelection.Random));
        var steps = tiny.Train(5);
        Assert.All(steps, s => Assert.Equal((12, 0), (s.Examples, s.Kept)));
        Assert.All(steps, s => Assert.All(s.TrainedBySource.Zip(s.PoolBySource), c => Assert.InRange(c.First, 0, c.Second)));
        Assert.True(steps.Select(s => s.Tokens).Distinct().Count() > 1);
    }

    [Fact]
    public void Step_ClusterWeights_WeighEachChosenExampleByItsCluster()
    {
        var options = TinyTraining.Options();
        using var tiny = new TinyTraining(options with { ClusterWeights = true });
        using var workspace = new Workspace(tiny.Device);
        using var chooser = new BatchChooser(tiny.Model, tiny.Data, options with { ClusterWeights = true }, workspace);
        var chosen = chooser.Choose(new PoolSampler(tiny.Data.Count, options.Pool, options.Seed).Next(), 0);
        Assert.Equal(24, chosen.Weights.ToArray().Sum());
        Assert.Contains(chosen.Weights.ToArray(), w => w > 1);

        double weighted = 0, total = 0;
        for (int i = 0; i < chosen.Examples.Length; i++)
        {
            weighted += chosen.Weights[i] * SumOfLosses(tiny, chosen.Examples[i]);
            total += chosen.Weights[i] * tiny.Data.LabelCount(chosen.Examples[i]);
        }
        using var uniform = new TinyTraining(options);
        double loss = tiny.Trainer.Step().Loss;
        Assert.Equal(weighted / total, loss, 1e-9);
        Assert.NotEqual(uniform.Trainer.Step().Loss, loss);
    }

    [Fact]
    public void Step_PoolAcrossTheEndOfAnEpoch_EveryExampleOncePerEpoch()
    {
        var data = TinyTraining.Mixture(50, LossOn.All);
        using var tiny = new TinyTraining(TinyTraining.Options(BatchSelection.Full) with { Pool = 20 }, data: data);
        Assert.Equal(50, data.Count);
        var steps = tiny.Train(5);
        Assert.Equal(new SamplerPosition(1, 50), tiny.Trainer.Position);
        Assert.Equal(data.SourceSizes.ToArray().Select(n => 2 * n), Enumerable.Range(0, data.Sources.Count).Select(s => steps.Sum(x => x.TrainedBySource[s])));
    }

    [Fact]
    public void Constructor_ImpossibleRequests_AreRefusedWithTheValues()
    {
        Refused("from 1 to 50", o => o with { Pool = 51 });
        Refused("the batch has 25", o => o with { Batch = 25 });
        Refused("the batch has 0", o => o with { Batch = 0 });
        Refused("steps is 0", o => o with { Steps = 0 });
        Refused("learning rate is NaN", o => o with { LearningRate = double.NaN });

        static void Refused(string words, Func<TrainOptions, TrainOptions> change)
        {
            var error = Assert.Throws<EngineException>(() =>
            {
                using var tiny = new TinyTraining(change(TinyTraining.Options()), data: TinyTraining.Mixture(50, LossOn.All));
            });
            Assert.Equal(ErrorKind.Usage, error.Kind);
            Assert.Contains(words, error.Message, StringComparison.Ordinal);
        }
    }

    private static TrainOptions Options(BatchSelection selection, OptimizerKind optimizer) => TinyTraining.Options(selection) with
    {
        Optimizer = new OptimizerOptions(optimizer, Beta2: optimizer == OptimizerKind.Lion ? 0.99f : 0.999f, WeightDecay: 0.01f),
    };

    private static double SumOfLosses(TinyTraining tiny, int example)
    {
        using var workspace = new Workspace(tiny.Device);
        using var batch = new TokenBatch(tiny.Device, tiny.Model.Config, BatchPacker.Pack(tiny.Data, [example]));
        using var losses = tiny.Device.Allocate<float>(batch.LabelCount, MemoryUse.Data);
        tiny.Model.Loss(batch, losses.View, workspace);
        return tiny.Device.Download(losses.View).Sum(v => (double)v);
    }
}
