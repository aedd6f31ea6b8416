using NativeEngine.Devices;

namespace NativeEngine.Model;

/// <summary>Keys (rotated) and values of earlier tokens of one sequence, for every block. 2 L T KeyValueSize floats.</summary>
public sealed class KeyValueCache : IDisposable
{
    private readonly DeviceBuffer<float> _buffer;
    private readonly LlamaConfig _config;

    /// <summary>Room for <paramref name="capacity"/> tokens.</summary>
    public KeyValueCache(Device device, LlamaConfig config, int capacity)
    {
        _config = config;
        Capacity = capacity;
        _buffer = device.Allocate<float>(2L * config.Layers * capacity * config.KeyValueSize, MemoryUse.Activations);
    }

    /// <summary>Most tokens it can hold.</summary>
    public int Capacity { get; }

    /// <summary>Tokens it holds.</summary>
    public int Length { get; internal set; }

    /// <inheritdoc/>
    public void Dispose() => _buffer.Dispose();

    internal Tensor<float> Keys(int layer) => View(2 * layer);

    internal Tensor<float> Values(int layer) => View((2 * layer) + 1);

    private Tensor<float> View(int slot)
    {
        long width = _config.KeyValueSize;
        return new Tensor<float>(_buffer, slot * Capacity * width, new Shape(Capacity, width));
    }
}
