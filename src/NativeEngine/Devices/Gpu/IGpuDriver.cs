using System.Runtime.InteropServices;

namespace NativeEngine.Devices.Gpu;

/// <summary>One loaded kernel function, opaque to everybody but its driver.</summary>
internal readonly record struct GpuFunction(string Name, nint Handle);

/// <summary>What a <see cref="GpuArgument"/> holds.</summary>
internal enum GpuArgumentKind
{
    /// <summary>A buffer and a byte offset: two kernel parameters, the base pointer and a 64-bit count of bytes.</summary>
    Buffer,
    /// <summary>A 32-bit integer.</summary>
    Int,
    /// <summary>A 64-bit integer.</summary>
    Long,
    /// <summary>A float32.</summary>
    Float,
}

/// <summary>
/// One argument of a launch. A buffer fills TWO kernel parameters, its base pointer and a 64-bit offset in bytes that the kernel adds (an
/// OpenCL buffer has no address on the host, and sub-buffers have alignment rules); everything else fills one. A buffer of handle 0 is "no
/// tensor": kernels get a flag beside it and do not touch it.
/// </summary>
[StructLayout(LayoutKind.Auto)]
internal readonly struct GpuArgument
{
    private GpuArgument(GpuArgumentKind kind, long bits, long byteOffset) => (Kind, Bits, ByteOffset) = (kind, bits, byteOffset);

    /// <summary>What it is.</summary>
    public GpuArgumentKind Kind { get; }

    /// <summary>The value as 64 bits: an integer sign-extended, the bits of a float, a buffer's handle.</summary>
    public long Bits { get; }

    /// <summary>A buffer's offset in bytes.</summary>
    public long ByteOffset { get; }

    /// <summary>Number of kernel parameters it fills: 2 for a buffer.</summary>
    public int Parameters => Kind == GpuArgumentKind.Buffer ? 2 : 1;

    public static GpuArgument Of(int value) => new(GpuArgumentKind.Int, value, 0);

    public static GpuArgument Of(long value) => new(GpuArgumentKind.Long, value, 0);

    public static GpuArgument Of(float value) => new(GpuArgumentKind.Float, BitConverter.SingleToUInt32Bits(value), 0);

    public static GpuArgument Buffer(nint handle, long byteOffset) => new(GpuArgumentKind.Buffer, handle, byteOffset);
}

/// <summary>
/// The few calls our launcher needs; CUDA, OpenCL and (in tests) the PTX interpreter implement it. Work is issued in order on one queue and may
/// run later than the call returns. One thread at a time may call. Errors are <see cref="EngineException"/>s that name the call, the kernel, the
/// sizes and the device.
/// </summary>
internal interface IGpuDriver : IDisposable
{
    /// <summary>cuda:0, opencl:0.1, interpreted.</summary>
    string Name { get; }

    /// <summary>One line for people.</summary>
    string Description { get; }

    /// <summary>Bytes of device memory.</summary>
    long TotalMemory { get; }

    /// <summary>Zeroed bytes, at least 256-byte aligned; 0 when refused.</summary>
    nint TryAllocate(long bytes);

    /// <summary>Frees what <see cref="TryAllocate"/> gave, after the work that uses it.</summary>
    void Free(nint handle);

    /// <summary>Copies host memory into a buffer, in order with the launches; the span may be reused on return.</summary>
    void CopyIn(nint buffer, long byteOffset, ReadOnlySpan<byte> source);

    /// <summary>Waits for everything issued, then copies to host memory.</summary>
    void CopyOut(nint buffer, long byteOffset, Span<byte> destination);

    /// <summary>A kernel by name; the module (embedded PTX or source) that holds it is loaded on first use.</summary>
    GpuFunction Function(string kernelName);

    /// <summary>
    /// Runs groupsX * groupsY * groupsZ groups of <paramref name="threads"/> threads (one-dimensional). Y and z are at most 65,535. No group is
    /// nothing to do.
    /// </summary>
    void Launch(GpuFunction function, int groupsX, int groupsY, int groupsZ, int threads, ReadOnlySpan<GpuArgument> arguments);

    /// <summary>Waits for everything issued; errors of earlier work surface here at the latest.</summary>
    void Synchronize();

    /// <summary>Sets bytes of a buffer to zero, in order with the launches.</summary>
    void Clear(nint buffer, long byteOffset, long bytes) => CopyIn(buffer, byteOffset, new byte[bytes]);

    /// <summary>Marks this point of the queue with an event, for <see cref="Seconds"/>; -1 when the driver has no clock.</summary>
    int Mark() => -1;

    /// <summary>The device's own time between two marks; waits for the later one.</summary>
    double Seconds(int from, int to) => double.NaN;

    /// <summary>Gives the marks' events back; earlier marks mean nothing any more.</summary>
    void ForgetMarks()
    {
    }
}
