using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Selection;

namespace NativeEngine.Benchmarks.Works;

/// <summary>A whole selection from features in memory: plan, L1 distances, greedy, budget n/2, one source.</summary>
public sealed class SelectionWork : IWork
{
    private readonly CpuDevice _device;
    private readonly IGradientNormalizer _normalizer = GradientNormalizer.None();
    private readonly CoresetSelector _selector;
    private readonly DeviceBuffer<float> _features;
    private readonly int[] _sources;
    private readonly long _columns;

    public SelectionWork(int rows, int columns, int threads = 0)
        : this(Features(rows, columns), rows, threads)
    {
    }

    public SelectionWork(float[] features, int rows, int threads = 0)
    {
        _device = new CpuDevice(threads);
        _selector = new CoresetSelector(_device, new SelectionOptions { Budget = rows / 2 }, _normalizer);
        _features = _device.Allocate<float>(features, MemoryUse.Data);
        _sources = new int[rows];
        _columns = features.Length / rows;
    }

    /// <summary>The objective of the last run.</summary>
    public double Objective { get; private set; }

    /// <summary>Milliseconds of the last run's parts.</summary>
    public SelectionTiming? Timing { get; private set; }

    /// <summary>Thirty-two clusters of normal rows, half of the variance between the clusters.</summary>
    public static float[] Features(int rows, int columns)
    {
        const int Clusters = 32;
        var noise = new CounterRandom(1, RandomPurpose.Test);
        var centre = new CounterRandom(2, RandomPurpose.Test);
        var values = new float[(long)rows * columns];
        Parallel.For(0, rows, r =>
        {
            ulong own = (ulong)r * (ulong)columns, shared = (ulong)(r % Clusters) * (ulong)columns;
            for (int c = 0; c < columns; c++)
            {
                values[((long)r * columns) + c] = (float)(noise.Normal(own + (ulong)c) + centre.Normal(shared + (ulong)c));
            }
        });
        return values;
    }

    public void Run()
    {
        var plan = _selector.Plan(_sources, 0);
        var result = _selector.Select(plan, _features.View.Reshape(_sources.Length, _columns));
        (Objective, Timing) = (result.Objective, result.Timing);
    }

    public void Dispose()
    {
        _features.Dispose();
        _normalizer.Dispose();
        _device.Dispose();
    }
}
