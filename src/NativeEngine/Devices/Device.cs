using System.Runtime.CompilerServices;

namespace NativeEngine.Devices;

/// <summary>
/// A processor with its own memory and kernels. Kernels and copies are issued in order; a device may run them later than the call
/// returns (a GPU does), so host code sees results only through <see cref="Download{T}(Tensor{T}, Span{T})"/>, which waits. One thread at a time may issue
/// work to a device. Disposing a device frees its threads or its context; buffers must be disposed before.
/// </summary>
public abstract class Device : IDisposable
{
    /// <summary>Short name as the command line writes it: cpu, cuda:0, opencl:0.1.</summary>
    public abstract string Name { get; }

    /// <summary>One line for people: processor, width, threads.</summary>
    public abstract string Description { get; }

    /// <summary>The kernels of this device.</summary>
    public abstract IKernels Kernels { get; }

    /// <summary>Integer bounds of distances, where this device has them.</summary>
    public virtual IScreenKernels? Screen => null;

    /// <summary>Counts live and peak bytes.</summary>
    public MemoryMeter Memory { get; } = new();

    /// <summary>Most bytes that may be live at once; long.MaxValue when not limited. Past it an allocation is refused.</summary>
    public long MemoryLimit { get; init; } = long.MaxValue;

    /// <summary>Bytes of memory the device has of its own; long.MaxValue for the CPU, whose memory is the process's.</summary>
    public virtual long TotalMemory => long.MaxValue;

    /// <summary>Allocates zeroed memory for <paramref name="length"/> elements. Errors: WillNotFit with need and have.</summary>
    public DeviceBuffer<T> Allocate<T>(long length, MemoryUse use)
        where T : unmanaged => new(this, length, use);

    /// <summary>Allocates and fills from host memory.</summary>
    public DeviceBuffer<T> Allocate<T>(ReadOnlySpan<T> values, MemoryUse use)
        where T : unmanaged
    {
        var buffer = Allocate<T>(values.Length, use);
        Upload(values, buffer.View);
        return buffer;
    }

    /// <summary>Copies host memory to the device; the span may be reused on return. Errors: lengths that differ.</summary>
    public void Upload<T>(ReadOnlySpan<T> source, Tensor<T> destination)
        where T : unmanaged
    {
        RequireLength(source.Length, destination);
        if (source.Length > 0)
        {
            CopyIn(source, destination);
        }
    }

    /// <summary>Waits for the work that writes <paramref name="source"/> and copies it to host memory. Errors: lengths that differ.</summary>
    public void Download<T>(Tensor<T> source, Span<T> destination)
        where T : unmanaged
    {
        RequireLength(destination.Length, source);
        if (destination.Length > 0)
        {
            CopyOut(source, destination);
        }
    }

    /// <summary>Waits and returns a copy as an array (at most 2^31 elements).</summary>
    public T[] Download<T>(Tensor<T> source)
        where T : unmanaged
    {
        var values = new T[checked((int)source.Length)];
        Download(source, values);
        return values;
    }

    /// <summary>Waits until everything issued so far is done. Errors of earlier asynchronous work surface here at the latest.</summary>
    public abstract void Synchronize();

    /// <inheritdoc/>
    public abstract void Dispose();

    /// <summary>Copies host memory into a tensor of equal length.</summary>
    protected abstract void CopyIn<T>(ReadOnlySpan<T> source, Tensor<T> destination)
        where T : unmanaged;

    /// <summary>Copies a tensor into host memory of equal length, after the work that writes it.</summary>
    protected abstract void CopyOut<T>(Tensor<T> source, Span<T> destination)
        where T : unmanaged;

    /// <summary>Allocates zeroed bytes, 64-byte aligned; 0 when the device has no room.</summary>
    protected abstract nint TryAllocate(long bytes);

    /// <summary>Frees what <see cref="TryAllocate"/> gave.</summary>
    protected abstract void Free(nint handle, long bytes);

    /// <summary>Marks this point of the device's queue for <see cref="Seconds"/>; -1 on a device whose work is done when a call returns.</summary>
    internal virtual int Mark() => -1;

    /// <summary>The device's own time between two marks; waits for the later one.</summary>
    internal virtual double Seconds(int from, int to) => double.NaN;

    /// <summary>Frees the marks; earlier ones mean nothing any more.</summary>
    internal virtual void ForgetMarks()
    {
    }

    internal nint AllocateMemory(long bytes, MemoryUse use)
    {
        if (bytes == 0)
        {
            return 0;
        }
        if (Memory.LiveBytes + bytes > MemoryLimit)
        {
            throw new EngineException(ErrorKind.WillNotFit,
                $"{Name}: {ByteSize.Format(bytes)} for {use} do not fit: {ByteSize.Format(Memory.LiveBytes)} of the allowed {ByteSize.Format(MemoryLimit)} are in use",
                "raise --max-memory, or make the batch, the pool or the sequence length smaller");
        }
        nint handle = TryAllocate(bytes);
        if (handle == 0)
        {
            throw new EngineException(ErrorKind.WillNotFit,
                $"{Name}: the device refused {ByteSize.Format(bytes)} for {use} ({ByteSize.Format(Memory.LiveBytes)} are in use)",
                "make the batch, the pool or the sequence length smaller");
        }
        Memory.Add(bytes, use);
        return handle;
    }

    internal void FreeMemory(nint handle, long bytes, MemoryUse use)
    {
        Free(handle, bytes);
        Memory.Remove(bytes, use);
    }

    private static void RequireLength<T>(long length, Tensor<T> tensor, [CallerMemberName] string operation = "")
        where T : unmanaged
    {
        if (length != tensor.Length)
        {
            throw new ArgumentException($"{operation}: {length} host elements against a tensor {tensor} of {tensor.Length}");
        }
    }
}
