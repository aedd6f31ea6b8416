using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;

namespace NativeEngine.Tests.Devices;

/// <summary>A processor whose tensors are made from arrays: for tests that call single kernels with chosen values.</summary>
internal sealed class HostKernels(int threads = 2) : IDisposable
{
    private readonly CpuDevice _device = new(threads);
    private readonly List<IDisposable> _buffers = [];

    public IKernels Run => _device.Kernels;

    public Tensor<float> F(float[] values, params long[] extents)
    {
        var buffer = _device.Allocate<float>(values, MemoryUse.Data);
        _buffers.Add(buffer);
        return extents.Length == 0 ? buffer.View : buffer.View.Reshape(extents);
    }

    public Tensor<int> I(params int[] values)
    {
        var buffer = _device.Allocate<int>(values, MemoryUse.Data);
        _buffers.Add(buffer);
        return buffer.View;
    }

    /// <summary>NaN everywhere: what a kernel must overwrite.</summary>
    public Tensor<float> Undefined(params long[] extents)
    {
        var values = new float[extents.Aggregate(1L, (a, b) => a * b)];
        Array.Fill(values, float.NaN);
        return F(values, extents);
    }

    /// <summary>Standard normal values.</summary>
    public Tensor<float> Random(uint stream, params long[] extents) => F(Normal(stream, extents.Aggregate(1L, (a, b) => a * b)), extents);

    public static float[] Normal(uint stream, long count)
    {
        var random = new CounterRandom(7, RandomPurpose.Test, stream);
        return [.. Enumerable.Range(0, (int)count).Select(i => (float)random.Normal((ulong)i))];
    }

    public float[] Read(Tensor<float> tensor) => _device.Download(tensor);

    public void Dispose()
    {
        _buffers.ForEach(b => b.Dispose());
        _device.Dispose();
    }
}
