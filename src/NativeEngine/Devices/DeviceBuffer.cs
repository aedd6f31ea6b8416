namespace NativeEngine.Devices;

/// <summary>
/// Owner of a block of device memory holding <see cref="Length"/> elements of <typeparamref name="T"/>, 64-byte aligned, zeroed at
/// allocation. Host code never sees its address: data goes in and out through <see cref="Device.Upload{T}"/> and
/// <see cref="Device.Download{T}(Tensor{T}, Span{T})"/>. Not thread-safe to dispose while kernels use it.
/// </summary>
public sealed class DeviceBuffer<T> : IDisposable
    where T : unmanaged
{
    private readonly MemoryUse _use;
    private readonly bool _borrowed;
    private nint _handle;

    internal unsafe DeviceBuffer(Device device, long length, MemoryUse use)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        Device = device;
        Length = length;
        _use = use;
        Bytes = checked(length * sizeof(T));
        _handle = device.AllocateMemory(Bytes, use);
    }

    /// <summary>A view of memory that somebody else owns: it is neither counted nor freed.</summary>
    internal unsafe DeviceBuffer(Device device, nint borrowed, long length)
    {
        (Device, Length, Bytes, _handle, _borrowed) = (device, length, checked(length * sizeof(T)), borrowed, true);
    }

    /// <summary>Where the memory lies.</summary>
    public Device Device { get; }

    /// <summary>Number of elements.</summary>
    public long Length { get; }

    /// <summary>Size in bytes.</summary>
    public long Bytes { get; }

    /// <summary>The whole buffer as a one-dimensional tensor.</summary>
    public Tensor<T> View => new(this, 0, new Shape(Length));

    /// <summary>The device's own name for the block: an address on the CPU and in CUDA, a cl_mem in OpenCL.</summary>
    internal nint Handle => _handle != 0 || Length == 0 ? _handle : throw new ObjectDisposedException(nameof(DeviceBuffer<T>));

    /// <summary>Gives the memory back to the device. Further use is an error.</summary>
    public void Dispose()
    {
        nint handle = Interlocked.Exchange(ref _handle, 0);
        if (handle != 0 && !_borrowed)
        {
            Device.FreeMemory(handle, Bytes, _use);
        }
    }

    /// <summary>Element type, length and device.</summary>
    public override string ToString() => $"{typeof(T).Name}[{Length}] on {Device.Name}";
}
