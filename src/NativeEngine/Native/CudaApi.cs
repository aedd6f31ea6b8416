namespace NativeEngine.Native;

/// <summary>
/// The functions of the CUDA driver that this project uses, without their "cu" and "_v2": one table that the real library fills
/// (<see cref="CudaLibrary"/>) and tests replace. Every function answers a CUresult, 0 for success. Handles are opaque; device addresses are 64 bits.
/// </summary>
internal abstract unsafe class CudaApi
{
    public const int Success = 0, OutOfMemory = 2;

    public abstract int Init(uint flags);

    public abstract int DriverGetVersion(int* version);

    public abstract int DeviceGetCount(int* count);

    public abstract int DeviceGet(int* device, int ordinal);

    public abstract int DeviceGetName(byte* name, int length, int device);

    public abstract int DeviceGetAttribute(int* value, CudaAttribute attribute, int device);

    public abstract int DeviceTotalMem(nuint* bytes, int device);

    public abstract int DevicePrimaryCtxRetain(nint* context, int device);

    public abstract int DevicePrimaryCtxRelease(int device);

    public abstract int CtxSetCurrent(nint context);

    public abstract int MemAlloc(ulong* address, nuint bytes);

    public abstract int MemFree(ulong address);

    public abstract int MemHostAlloc(void** memory, nuint bytes, uint flags);

    public abstract int MemFreeHost(void* memory);

    public abstract int MemcpyHtoDAsync(ulong destination, void* source, nuint bytes, nint stream);

    public abstract int MemcpyDtoHAsync(void* destination, ulong source, nuint bytes, nint stream);

    public abstract int MemsetD8Async(ulong destination, byte value, nuint bytes, nint stream);

    public abstract int ModuleLoadDataEx(nint* module, void* image, uint options, int* names, void** values);

    public abstract int ModuleUnload(nint module);

    public abstract int ModuleGetFunction(nint* function, nint module, byte* name);

    public abstract int LaunchKernel(
        nint function, uint gridX, uint gridY, uint gridZ, uint blockX, uint blockY, uint blockZ, uint sharedBytes, nint stream, void** parameters,
        void** extra);

    public abstract int StreamCreate(nint* stream, uint flags);

    public abstract int StreamDestroy(nint stream);

    public abstract int StreamSynchronize(nint stream);

    public abstract int EventCreate(nint* handle, uint flags);

    public abstract int EventDestroy(nint handle);

    public abstract int EventRecord(nint handle, nint stream);

    public abstract int EventSynchronize(nint handle);

    public abstract int EventElapsedTime(float* milliseconds, nint start, nint end);

    /// <summary>The driver's own name of a code, like CUDA_ERROR_ILLEGAL_ADDRESS; null when it has none.</summary>
    public abstract string? ErrorName(int code);

    /// <summary>The driver's own words for a code; null when it has none.</summary>
    public abstract string? ErrorText(int code);
}

/// <summary>CUdevice_attribute.</summary>
internal enum CudaAttribute
{
    /// <summary>Streaming multiprocessors.</summary>
    MultiprocessorCount = 16,
    /// <summary>0 default, 2 prohibited, 3 one process.</summary>
    ComputeMode = 20,
    /// <summary>The 8 of compute capability 8.6.</summary>
    ComputeCapabilityMajor = 75,
    /// <summary>The 6 of compute capability 8.6.</summary>
    ComputeCapabilityMinor = 76,
}
