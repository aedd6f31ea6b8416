using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;

namespace NativeEngine.Benchmarks.Works;

/// <summary>Features [n, d] to the n x h that are compared: Adam's normalisation, importance of the columns, the h largest, gathered.</summary>
public sealed class NormalizeWork : IWork
{
    private readonly CpuDevice _device;
    private readonly DeviceBuffer<float> _features, _normalized, _m, _v, _importance, _chosen;
    private readonly DeviceBuffer<int> _rows, _columns;
    private readonly long _n, _d, _h;

    public NormalizeWork(int n, int d, int top, int threads = 0)
    {
        (_n, _d, _h) = (n, d, top);
        _device = new CpuDevice(threads);
        _features = _device.Allocate<float>(_n * _d, MemoryUse.Data);
        _normalized = _device.Allocate<float>(_n * _d, MemoryUse.Data);
        _m = _device.Allocate<float>(_d, MemoryUse.Data);
        _v = _device.Allocate<float>(_d, MemoryUse.Data);
        _importance = _device.Allocate<float>(_d, MemoryUse.Data);
        _chosen = _device.Allocate<float>(_n * _h, MemoryUse.Data);
        _rows = _device.Allocate<int>([.. Enumerable.Range(0, n)], MemoryUse.Data);
        _columns = _device.Allocate<int>(_h, MemoryUse.Data);
        _device.Kernels.Gaussian(1, 0, _features.View);
        _device.Kernels.Gaussian(1, 1, _m.View);
        _device.Kernels.Fill(0.5f, _v.View);
    }

    /// <summary>
    /// Bytes that must move: the features are read, the normalised copy written and read again for the importance of its columns.
    /// </summary>
    public double Bytes => 4.0 * ((3 * _n * _d) + (2 * _n * _h));

    public void Run()
    {
        var kernels = _device.Kernels;
        var (u, rows, columns) = (_normalized.View.Reshape(_n, _d), _rows.View, _columns.View);
        kernels.AdamNormalize(_features.View.Reshape(_n, _d), _m.View, _v.View, 0.9, 0.999, 1e-8, 7, u);
        kernels.ColumnImportance(u, rows, _importance.View);
        kernels.TopK(_importance.View, columns);
        kernels.Gather(u, rows, columns, _chosen.View.Reshape(_n, _h));
        _device.Synchronize();
    }

    public void Dispose()
    {
        foreach (var buffer in new IDisposable[] { _features, _normalized, _m, _v, _importance, _chosen, _rows, _columns })
        {
            buffer.Dispose();
        }
        _device.Dispose();
    }
}
