using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Devices.Gpu;
using NativeEngine.Evaluation;
using NativeEngine.Model;
using NativeEngine.Tests.Support;
using NativeEngine.Tests.Training;
using NativeEngine.Training;

namespace NativeEngine.Tests.Ptx;

/// <summary>Training, selection and evaluation with every kernel on the interpreted PTX: what the CPU gives, to the last bit.</summary>
public sealed class WholePathTests
{
    [Theory]
    [InlineData(OptimizerKind.AdamW)]
    [InlineData(OptimizerKind.Lion)]
    public void Step_Colm_PicksLossesAndStateOfTheCpu(OptimizerKind optimizer)
    {
        var options = TinyTraining.Options() with { Optimizer = new OptimizerOptions(optimizer, WeightDecay: 0.01f) };
        using var cpu = new TinyTraining(options);
        var driver = new InterpretedDriver();
        using (var gpu = new TinyTraining(options, device: new GpuDevice(driver, d => new GpuKernels(d))))
        {
            // The pick decides the batch, and the batch the loss, the gradient and all that follows.
            Assert.Equal(
                cpu.Train(2).Select(s => (s.Loss, s.GradientNorm, s.Objective)), gpu.Train(2).Select(s => (s.Loss, s.GradientNorm, s.Objective)));
            Assert.Equal(cpu.State(), gpu.State());
        }
        Assert.All(new[] { "attention_backward_keys", "facility_represent", "distance_l1", "topk_rank", "cross_entropy_rows" }, kernel => Assert.Contains(kernel, driver.Launches.Keys));
        Assert.Equal(0, driver.LiveBlocks);
    }

    [Fact]
    public void Step_ColmThroughTheCudaLauncher_PicksLossesAndStateOfTheCpu()
    {
        using var cpu = new TinyTraining(TinyTraining.Options());
        using var cuda = new InterpretedCuda();
        using (var gpu = new TinyTraining(TinyTraining.Options(), device: new GpuDevice(new CudaDriver(cuda, 0, GpuModules.Ptx), d => new GpuKernels(d))))
        {
            Assert.Equal(cpu.Train(1).Select(s => (s.Loss, s.GradientNorm, s.Objective)), gpu.Train(1).Select(s => (s.Loss, s.GradientNorm, s.Objective)));
            Assert.Equal(cpu.State(), gpu.State());
        }
        Assert.True(cuda.Launches > 100);
        Assert.Equal("", cuda.Leaks);
    }

    [FactWithSharedData("data/stories260K")]
    public void Evaluate_Stories260K_TheLossOfTheCpu()
    {
        string folder = RepositoryPaths.Shared("data/stories260K");
        const string Text = "Once upon a time, there was a little girl";
        using var gpu = new GpuDevice(new InterpretedDriver(), d => new GpuKernels(d));
        using var cpu = new CpuDevice(1);
        Assert.Equal(Loss(cpu), Loss(gpu));

        double Loss(Device device)
        {
            var (config, parameters) = ModelFolder.Load(folder, device);
            using (parameters)
            {
                using var model = new LlamaModel(config, parameters);
                var data = MixtureDataset.Build([Example.FromText("girl", Text)], TokenizerFile.Load(folder), DatasetOptions.Evaluation(config.ContextLength));
                double loss = new PerplexityEvaluator(model).Evaluate(data).Total.LossSum;
                return double.IsFinite(loss) && loss > 0 ? loss : throw new InvalidOperationException($"a loss of {loss}");
            }
        }
    }
}
