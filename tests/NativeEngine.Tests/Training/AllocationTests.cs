using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Model;
using NativeEngine.Training;

namespace NativeEngine.Tests.Training;

/// <summary>
/// After the first steps a step of the same shape allocates nothing: no device memory, no growth of the workspace, no managed object on the
/// calling thread. Bytes repeat exactly where times do not, so this is a test.
/// </summary>
public sealed class AllocationTests
{
    // One step takes the workspace's blocks, the second joins them into one, the third finds everything in place.
    private const int WarmUpSteps = 3;

    private const int MeasuredSteps = 4;

    [Theory]
    [InlineData(OptimizerKind.AdamW, false, false)]
    [InlineData(OptimizerKind.AdamW, true, false)]
    [InlineData(OptimizerKind.AdamW, false, true)]
    [InlineData(OptimizerKind.Sgd, false, false)]
    [InlineData(OptimizerKind.Lion, false, false)]
    public void TrainingStep_SameShapeAgain_AllocatesNothing(OptimizerKind kind, bool checkpoint, bool lora)
    {
        using var device = new CpuDevice(threads: 2);
        using var small = new SmallModel(device, lora);
        using var optimizer = Optimizer.Create(small.Trained, new OptimizerOptions(kind, WeightDecay: 0.1f));
        using var sum = device.Allocate<float>(1, MemoryUse.Data);
        using var scale = device.Allocate<float>(1, MemoryUse.Data);
        float before = AssertNothingAllocated(small, () =>
        {
            device.Kernels.Fill(0, small.Gradients.Flat);
            small.Model.LossAndGradient(small.Batch, small.RowWeights, small.Losses, checkpoint, small.Workspace);
            device.Kernels.SumOfSquares(small.Gradients.Flat, sum.View);
            device.Kernels.ClipScale(sum.View, 1, scale.View);
            optimizer.Step(small.Gradients, scale.View, 1e-3);
        });
        Assert.True(small.Workspace.HeldBytes > 1 << 20, "the steps are so small that the workspace never had to grow");
        Assert.True(device.Download(small.Losses)[0] != before, "the steps changed nothing");
    }

    /// <summary>Drawing the pool, features, selection, batches, both passes, optimiser and report: all of a step, on pools of the same examples in ever new order.</summary>
    [Theory]
    [InlineData(BatchSelection.Colm, FeatureKind.Gradient, OptimizerKind.AdamW, 0, 0)]
    [InlineData(BatchSelection.Colm, FeatureKind.Gradient, OptimizerKind.AdamW, 0, 200)]
    [InlineData(BatchSelection.Colm, FeatureKind.Gradient, OptimizerKind.Lion, 4, 0)]
    [InlineData(BatchSelection.Colm, FeatureKind.ZerothOrder, OptimizerKind.Sgd, 0, 0)]
    [InlineData(BatchSelection.Colm, FeatureKind.Hidden, OptimizerKind.AdamW, 0, 0)]
    [InlineData(BatchSelection.Composition, FeatureKind.Gradient, OptimizerKind.AdamW, 0, 0)]
    [InlineData(BatchSelection.Random, FeatureKind.Gradient, OptimizerKind.AdamW, 0, 0)]
    [InlineData(BatchSelection.Full, FeatureKind.Gradient, OptimizerKind.AdamW, 0, 0)]
    public void Step_PoolsOfTheSameSizes_AllocatesNothing(BatchSelection selection, FeatureKind kind, OptimizerKind optimizer, int loraRank, int microBatch)
    {
        var options = TinyTraining.Options(selection) with
        {
            Features = new FeatureOptions(kind, Directions: 2, Seed: 5),
            Optimizer = new OptimizerOptions(optimizer),
            MicroBatchTokens = microBatch,
            Steps = 20,
        };
        using var tiny = new TinyTraining(options, loraRank: loraRank, data: SameLengths(options.Pool));
        for (int i = 0; i < WarmUpSteps; i++)
        {
            tiny.Trainer.Step();
        }
        var memory = tiny.Device.Memory;
        long live = memory.LiveBytes;
        double first = double.NaN, last = double.NaN;
        long managed = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < MeasuredSteps; i++)
        {
            var report = tiny.Trainer.Step();
            (first, last) = (i == 0 ? report.Loss : first, report.Loss);
        }
        managed = GC.GetAllocatedBytesForCurrentThread() - managed;
        Assert.Equal((live, live), (memory.LiveBytes, memory.PeakBytes));
        Assert.True(managed == 0, $"{MeasuredSteps} steps allocated {managed} managed bytes on the calling thread");
        Assert.NotEqual(first, last);
    }

    [Fact]
    public void Loss_SameShapeAgain_AllocatesNothing()
    {
        using var device = new CpuDevice(threads: 2);
        using var small = new SmallModel(device, lora: false);
        float before = AssertNothingAllocated(small, () => small.Model.Loss(small.Batch, small.Losses, small.Workspace));
        Assert.True(before > 0, "no loss was computed");
    }

    /// <summary>Warms up, measures, and returns the first loss as it was between the two.</summary>
    private static float AssertNothingAllocated(SmallModel small, Action step)
    {
        var device = small.Model.Device;
        for (int i = 0; i < WarmUpSteps; i++)
        {
            step();
        }
        float loss = device.Download(small.Losses)[0];
        long live = device.Memory.LiveBytes, held = small.Workspace.HeldBytes;
        Assert.True(held > 0, "the workspace was never used");
        device.Memory.ResetPeak();

        long managed = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < MeasuredSteps; i++)
        {
            step();
        }
        managed = GC.GetAllocatedBytesForCurrentThread() - managed;

        Assert.Equal((live, live, held), (device.Memory.LiveBytes, device.Memory.PeakBytes, small.Workspace.HeldBytes));
        Assert.True(managed == 0, $"{MeasuredSteps} steps allocated {managed} managed bytes on the calling thread");
        return loss;
    }

    /// <summary>A mixture of one small and two large sources whose examples are all cut to the same length.</summary>
    private static MixtureDataset SameLengths(int count) => MixtureDataset.Build(
        Enumerable.Range(0, count).Select(i => Example.FromText(
            i % 8 == 0 ? "small" : i % 2 == 0 ? "even" : "odd",
            string.Concat(Enumerable.Range(0, 60).Select(k => (char)('a' + (((i * 7) + (k * k * (i + 3))) % 26)))))),
        ByteTokenizer.Create(), DatasetOptions.Training(40, LossOn.All));

    /// <summary>The smallest preset on two sequences of 96 bytes: enough that the workspace outgrows its first block.</summary>
    private sealed class SmallModel : IDisposable
    {
        private const int Length = 96;

        private readonly ParameterSet _parameters, _gradients;
        private readonly LoraAdapter? _adapter;
        private readonly DeviceBuffer<float> _rowWeights, _losses;

        public SmallModel(Device device, bool lora)
        {
            var config = ModelPresets.Create("0.2m", 256);
            _parameters = new ParameterSet(device, config.Layout(), MemoryUse.Parameters);
            _gradients = new ParameterSet(device, config.Layout(), MemoryUse.Gradients);
            ModelInitializer.Initialize(config, _parameters, 1);
            _adapter = lora ? new LoraAdapter(device, config, 4, 8, LoraAdapter.AllTargets, trainable: true) : null;
            _adapter?.Initialize(2);
            Model = new LlamaModel(config, _parameters, _gradients, _adapter);
            int[] tokens = [.. Enumerable.Range(0, 2 * Length).Select(i => (i * 37) % 256)];
            Batch = new TokenBatch(
                device, config, tokens, tokens.Select((_, i) => i % Length).ToArray(), [0, Length, 2 * Length],
                tokens.Select((_, i) => i % Length == Length - 1 ? -1 : tokens[i + 1]).ToArray());
            float[] even = [.. Enumerable.Repeat(1f / Batch.LabelCount, (int)Batch.LabelCount)];
            _rowWeights = device.Allocate<float>(even, MemoryUse.Data);
            _losses = device.Allocate<float>(Batch.LabelCount, MemoryUse.Data);
            Workspace = new Workspace(device);
        }

        public LlamaModel Model { get; }

        public TokenBatch Batch { get; }

        public Workspace Workspace { get; }

        public ParameterSet Trained => _adapter?.Parameters ?? _parameters;

        public ParameterSet Gradients => _adapter?.Gradients ?? _gradients;

        public Tensor<float> RowWeights => _rowWeights.View;

        public Tensor<float> Losses => _losses.View;

        public void Dispose()
        {
            Workspace.Dispose();
            _losses.Dispose();
            _rowWeights.Dispose();
            Batch.Dispose();
            Model.Dispose();
            _adapter?.Dispose();
            _gradients.Dispose();
            _parameters.Dispose();
        }
    }
}
