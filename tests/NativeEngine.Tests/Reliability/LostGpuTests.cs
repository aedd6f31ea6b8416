using NativeEngine.Devices.Gpu;
using NativeEngine.Tests.Devices.Gpu;
using NativeEngine.Tests.Ptx;
using NativeEngine.Tests.Support;
using NativeEngine.Tests.Training;
using NativeEngine.Training;

namespace NativeEngine.Tests.Reliability;

/// <summary>
/// A GPU that is lost in the middle of a training run, through a driver in host memory whose kernels really compute: the run ends with the device's sentence, nothing is
/// saved from the device that failed, and the checkpoint before goes on, on another device, to the bits of a run that nothing disturbed.
/// </summary>
public sealed class LostGpuTests : IDisposable
{
    private static readonly Dictionary<string, string> _options = [];
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("cuLaunchKernel", 1)]
    [InlineData("cuLaunchKernel", 40)]
    [InlineData("cuMemcpyHtoDAsync", 2)]
    [InlineData("cuMemcpyDtoHAsync", 1)]
    [InlineData("cuEventRecord", 1)]
    [InlineData("cuStreamSynchronize", 1)]
    public void Run_ACallFailsAfterACheckpoint_ExitsWith5AndTheCheckpointIsGood(string call, int nth)
    {
        byte[] whole;
        using (var cpu = new TinyTraining(Options()))
        {
            cpu.Train(2);
            whole = cpu.State();
        }
        using var cuda = new InterpretedCuda();
        using (var gpu = new TinyTraining(Options(), device: new GpuDevice(new CudaDriver(cuda, 0, GpuModules.Ptx), d => new GpuKernels(d))))
        {
            var run = new TrainingRun(gpu.Trainer, gpu.Model, null, Options(), new RunSettings(_folder.Path, 1, 0, 2, _options))
            {
                OnCheckpoint = _ => cuda.FailFromNow(call, nth, FakeCuda.IllegalAddress),
            };
            var error = Assert.Throws<EngineException>(() => run.Run(CancellationToken.None));
            Assert.True(error.Kind == ErrorKind.DeviceUnavailable, error.Message);
            Assert.Equal(call, cuda.Failed);
            Assert.Contains("an illegal memory access was encountered", error.Message, StringComparison.Ordinal);
            // What the device would still answer is not asked for.
            Assert.Equal(ErrorKind.DeviceUnavailable, Assert.Throws<EngineException>(() => gpu.Trainer.Step()).Kind);
            Assert.Throws<EngineException>(() => Checkpoint.Save(_folder.Path, gpu.Trainer, _options));
        }
        Assert.Equal("", cuda.Leaks);
        Assert.Equal(["checkpoint-000001"], Directory.GetDirectories(_folder.Path).Select(Path.GetFileName));
        using var other = new TinyTraining(Options());
        Checkpoint.Restore(Checkpoint.FindNewest(_folder.Path, Assert.Fail)!, other.Trainer, _options);
        other.Train(1);
        Assert.Equal(whole, other.State());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(6)]
    [InlineData(12)]
    public void Step_TheDeviceHasNoMemoryLeft_ExitsWith4(int nth)
    {
        using var cuda = new InterpretedCuda();
        cuda.FailFromNow("cuMemAlloc", nth, FakeCuda.OutOfMemory);
        var error = Assert.Throws<EngineException>(() =>
        {
            using var gpu = new TinyTraining(Options(), device: new GpuDevice(new CudaDriver(cuda, 0, GpuModules.Ptx), d => new GpuKernels(d)));
            gpu.Train(1);
        });
        Assert.True(error.Kind == ErrorKind.WillNotFit, error.Message);
    }

    private static TrainOptions Options() => TinyTraining.Options(BatchSelection.Random) with { Steps = 2, Pool = 3, Batch = 2 };
}
