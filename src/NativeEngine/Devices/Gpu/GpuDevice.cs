using System.Runtime.InteropServices;

namespace NativeEngine.Devices.Gpu;

/// <summary>
/// A GPU behind a driver (CUDA, OpenCL): one queue, kernels and copies in order on it, memory through a caching arena. A call returns when the
/// work is issued; <see cref="Device.Download{T}(Tensor{T}, Span{T})"/> and <see cref="Device.Synchronize"/> wait. The first error of the driver ends the device:
/// every later call is refused with DeviceUnavailable and that first error. Results have the bits of the CPU where the
/// device's arithmetic is IEEE's (docs/gpu.md).
/// </summary>
public sealed class GpuDevice : Device
{
    // A span of bytes holds 2^31 - 1 of them.
    private const int ElementsAtOnce = 1 << 27;

    private readonly IGpuDriver _driver;
    private readonly GpuArena _arena;
    private readonly IKernels _own;
    private bool _disposed;

    /// <summary>Takes a driver over: it is disposed with the device, also when the kernels cannot be made.</summary>
    internal GpuDevice(IGpuDriver driver, Func<GpuDevice, IKernels> kernels, Func<IKernels, IKernels>? decorate = null)
    {
        _driver = driver;
        _arena = new GpuArena(driver);
        try
        {
            _own = kernels(this);
            Kernels = decorate is null ? _own : decorate(_own);
        }
        catch
        {
            driver.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public override string Name => _driver.Name;

    /// <inheritdoc/>
    public override string Description => (_own as GpuKernels)?.Precision == MatMulPrecision.BFloat16 ? $"{_driver.Description}, matrix products of bfloat16" : _driver.Description;

    /// <inheritdoc/>
    public override IKernels Kernels { get; }

    /// <summary>Bytes of memory the device has.</summary>
    public override long TotalMemory => _driver.TotalMemory;

    /// <summary>Bytes held from the driver: in use, or kept for the next request.</summary>
    public long HeldBytes => _arena.HeldBytes;

    /// <summary>Blocks asked from the driver so far; a training step in full swing asks for none.</summary>
    public long DriverAllocations => _arena.DriverAllocations;

    internal IGpuDriver Driver => _driver;

    /// <inheritdoc/>
    public override void Synchronize()
    {
        _driver.Synchronize();
        ThrowIfFaulted();
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        if (!_disposed)
        {
            _disposed = true;
            (_own as IDisposable)?.Dispose();
            _arena.Dispose();
            _driver.Dispose();
        }
    }

    /// <inheritdoc/>
    internal override int Mark() => _driver.Mark();

    /// <inheritdoc/>
    internal override double Seconds(int from, int to) => _driver.Seconds(from, to);

    /// <inheritdoc/>
    internal override void ForgetMarks() => _driver.ForgetMarks();

    /// <inheritdoc/>
    protected override unsafe void CopyIn<T>(ReadOnlySpan<T> source, Tensor<T> destination)
    {
        for (int at = 0; at < source.Length; at += ElementsAtOnce)
        {
            var part = source.Slice(at, Math.Min(ElementsAtOnce, source.Length - at));
            _driver.CopyIn(destination.Buffer.Handle, (destination.Offset + at) * sizeof(T), MemoryMarshal.AsBytes(part));
        }
    }

    /// <inheritdoc/>
    protected override unsafe void CopyOut<T>(Tensor<T> source, Span<T> destination)
    {
        for (int at = 0; at < destination.Length; at += ElementsAtOnce)
        {
            var part = destination.Slice(at, Math.Min(ElementsAtOnce, destination.Length - at));
            _driver.CopyOut(source.Buffer.Handle, (source.Offset + at) * sizeof(T), MemoryMarshal.AsBytes(part));
        }
        ThrowIfFaulted();
    }

    // Kernels note bad indices where they meet them; they are told when the host waits next.
    private void ThrowIfFaulted() => (_own as GpuKernels)?.ThrowIfFaulted();

    /// <inheritdoc/>
    protected override nint TryAllocate(long bytes) => _arena.TryTake(bytes);

    /// <inheritdoc/>
    protected override void Free(nint handle, long bytes)
    {
        if (!_disposed)
        {
            _arena.Give(handle);
        }
    }
}
