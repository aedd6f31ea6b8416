namespace NativeEngine.Native;

/// <summary>
/// The functions of OpenCL 1.2 that this project uses, without their "cl": one table that the real library fills (<see cref="OpenClLibrary"/>) and
/// tests replace. Functions answer a status, 0 for success; those that create answer a handle and put the status into the last argument.
/// </summary>
internal abstract unsafe class OpenClApi
{
    public const int Success = 0, MemObjectAllocationFailure = -4, OutOfResources = -5, OutOfHostMemory = -6;
    public const int BuildProgramFailure = -11, InvalidBufferSize = -61, PlatformNotFound = -1001;

    public abstract int GetPlatformIDs(uint count, nint* platforms, uint* available);

    public abstract int GetPlatformInfo(nint platform, uint what, nuint size, void* value, nuint* needed);

    public abstract int GetDeviceIDs(nint platform, ulong type, uint count, nint* devices, uint* available);

    public abstract int GetDeviceInfo(nint device, uint what, nuint size, void* value, nuint* needed);

    public abstract nint CreateContext(nint device, int* status);

    public abstract int ReleaseContext(nint context);

    public abstract nint CreateCommandQueue(nint context, nint device, ulong properties, int* status);

    public abstract int ReleaseCommandQueue(nint queue);

    public abstract nint CreateProgramWithSource(nint context, uint count, byte** sources, nuint* lengths, int* status);

    public abstract int BuildProgram(nint program, nint device, byte* options);

    public abstract int GetProgramBuildInfo(nint program, nint device, uint what, nuint size, void* value, nuint* needed);

    public abstract int ReleaseProgram(nint program);

    public abstract nint CreateKernel(nint program, byte* name, int* status);

    public abstract int ReleaseKernel(nint kernel);

    public abstract int SetKernelArg(nint kernel, uint index, nuint size, void* value);

    public abstract nint CreateBuffer(nint context, ulong flags, nuint bytes, int* status);

    public abstract int ReleaseMemObject(nint buffer);

    public abstract int EnqueueNDRangeKernel(nint queue, nint kernel, uint dimensions, nuint* global, nuint* local, nint* completed);

    public abstract int EnqueueWriteBuffer(nint queue, nint buffer, bool blocking, nuint offset, nuint bytes, void* source);

    public abstract int EnqueueReadBuffer(nint queue, nint buffer, bool blocking, nuint offset, nuint bytes, void* destination);

    public abstract int EnqueueFillBuffer(nint queue, nint buffer, void* pattern, nuint patternSize, nuint offset, nuint bytes);

    public abstract int EnqueueMarker(nint queue, nint* completed);

    public abstract int GetEventProfilingInfo(nint handle, uint what, ulong* nanoseconds);

    public abstract int WaitForEvents(uint count, nint* handles);

    public abstract int ReleaseEvent(nint handle);

    public abstract int Flush(nint queue);

    public abstract int Finish(nint queue);
}
