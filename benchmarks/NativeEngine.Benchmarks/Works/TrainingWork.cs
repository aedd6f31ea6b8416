using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Model;
using NativeEngine.Training;

namespace NativeEngine.Benchmarks.Works;

/// <summary>What of a training step is run.</summary>
public enum TrainingPart
{
    /// <summary>Losses only.</summary>
    Forward,
    /// <summary>Forward, backward and AdamW, without clipping.</summary>
    Step,
    /// <summary>AdamW alone.</summary>
    Optimizer,
}

/// <summary>A training step of a shape on random tokens.</summary>
public sealed class TrainingWork : IWork
{
    private readonly CpuDevice _device;
    private readonly ParameterSet _parameters, _gradients;
    private readonly LlamaModel _model;
    private readonly Optimizer _optimizer;
    private readonly TokenBatch _batch;
    private readonly Workspace _workspace;
    private readonly DeviceBuffer<float> _rowWeights, _losses, _scale;
    private readonly TrainingPart _part;

    public TrainingWork(TrainingShape shape, TrainingPart part, int threads = 0)
    {
        _part = part;
        _device = new CpuDevice(threads);
        var config = shape.Config;
        _parameters = new ParameterSet(_device, config.Layout(), MemoryUse.Parameters);
        _gradients = new ParameterSet(_device, config.Layout(), MemoryUse.Gradients);
        ModelInitializer.Initialize(config, _parameters, 1);
        _model = new LlamaModel(config, _parameters, _gradients);
        _optimizer = Optimizer.Create(_parameters, new OptimizerOptions(OptimizerKind.AdamW, WeightDecay: 0.1f));
        int count = shape.Batch * shape.Length;
        var random = new CounterRandom(1, RandomPurpose.Test);
        int[] Tokens(int stream) => [.. Enumerable.Range(0, count).Select(i => (int)random.Below((ulong)((stream * count) + i), shape.Vocabulary))];
        _batch = new TokenBatch(
            _device, config, Tokens(0), [.. Enumerable.Range(0, count).Select(i => i % shape.Length)],
            [.. Enumerable.Range(0, shape.Batch + 1).Select(s => s * shape.Length)], Tokens(1));
        _workspace = new Workspace(_device);
        _rowWeights = _device.Allocate<float>(count, MemoryUse.Data);
        _losses = _device.Allocate<float>(count, MemoryUse.Data);
        _scale = _device.Allocate<float>(1, MemoryUse.Data);
        _device.Kernels.Fill(1f / count, _rowWeights.View);
        _device.Kernels.Fill(1, _scale.View);
        _device.Kernels.Gaussian(3, 0, _gradients.Flat);
    }

    /// <summary>Parameters of the model.</summary>
    public long Parameters => _parameters.Layout.Count;

    /// <summary>Bytes AdamW must move: parameter, gradient and two moments read, all but the gradient written.</summary>
    public double OptimizerBytes => 28.0 * _parameters.Layout.Length;

    /// <summary>The mean loss of the last run.</summary>
    public double Loss => _device.Download(_losses.View).Average();

    public void Run()
    {
        switch (_part)
        {
            case TrainingPart.Forward:
                _model.Loss(_batch, _losses.View, _workspace);
                break;
            case TrainingPart.Step:
                _device.Kernels.Fill(0, _gradients.Flat);
                _model.LossAndGradient(_batch, _rowWeights.View, _losses.View, false, _workspace);
                _optimizer.Step(_gradients, _scale.View, 1e-4);
                break;
            default:
                _optimizer.Step(_gradients, _scale.View, 1e-4);
                break;
        }
        _device.Synchronize();
    }

    public void Dispose()
    {
        _scale.Dispose();
        _losses.Dispose();
        _rowWeights.Dispose();
        _workspace.Dispose();
        _batch.Dispose();
        _optimizer.Dispose();
        _model.Dispose();
        _gradients.Dispose();
        _parameters.Dispose();
        _device.Dispose();
    }
}
