using System.Runtime.InteropServices;

namespace NativeEngine.Native;

/// <summary>
/// The CUDA driver as found on this machine (libcuda.so.1, nvcuda.dll): function pointers taken by name, the "_v2" forms where there are any, as
/// CUDA 11 to 13 export them. The environment variable NENGINE_CUDA_LIBRARY says where else to look.
/// </summary>
internal sealed unsafe class CudaLibrary : CudaApi
{
    public const string Variable = "NENGINE_CUDA_LIBRARY";

    private readonly delegate* unmanaged<uint, int> _init;
    private readonly delegate* unmanaged<int*, int> _driverGetVersion, _deviceGetCount;
    private readonly delegate* unmanaged<int*, int, int> _deviceGet;
    private readonly delegate* unmanaged<byte*, int, int, int> _deviceGetName;
    private readonly delegate* unmanaged<int*, int, int, int> _deviceGetAttribute;
    private readonly delegate* unmanaged<nuint*, int, int> _deviceTotalMem;
    private readonly delegate* unmanaged<nint*, int, int> _primaryRetain;
    private readonly delegate* unmanaged<int, int> _primaryRelease;
    private readonly delegate* unmanaged<nint, int> _ctxSetCurrent, _moduleUnload, _streamDestroy, _streamSynchronize, _eventDestroy, _eventSynchronize;
    private readonly delegate* unmanaged<ulong*, nuint, int> _memAlloc;
    private readonly delegate* unmanaged<ulong, int> _memFree;
    private readonly delegate* unmanaged<void**, nuint, uint, int> _memHostAlloc;
    private readonly delegate* unmanaged<void*, int> _memFreeHost;
    private readonly delegate* unmanaged<ulong, void*, nuint, nint, int> _htod;
    private readonly delegate* unmanaged<void*, ulong, nuint, nint, int> _dtoh;
    private readonly delegate* unmanaged<ulong, byte, nuint, nint, int> _memset;
    private readonly delegate* unmanaged<nint*, void*, uint, int*, void**, int> _moduleLoad;
    private readonly delegate* unmanaged<nint*, nint, byte*, int> _moduleGetFunction;
    private readonly delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int> _launch;
    private readonly delegate* unmanaged<nint*, uint, int> _streamCreate, _eventCreate;
    private readonly delegate* unmanaged<nint, nint, int> _eventRecord;
    private readonly delegate* unmanaged<float*, nint, nint, int> _eventElapsed;
    private readonly delegate* unmanaged<int, byte**, int> _errorName, _errorString;

    private CudaLibrary(LibrarySearch found)
    {
        _init = (delegate* unmanaged<uint, int>)Need("cuInit");
        _driverGetVersion = (delegate* unmanaged<int*, int>)Need("cuDriverGetVersion");
        _deviceGetCount = (delegate* unmanaged<int*, int>)Need("cuDeviceGetCount");
        _deviceGet = (delegate* unmanaged<int*, int, int>)Need("cuDeviceGet");
        _deviceGetName = (delegate* unmanaged<byte*, int, int, int>)Need("cuDeviceGetName");
        _deviceGetAttribute = (delegate* unmanaged<int*, int, int, int>)Need("cuDeviceGetAttribute");
        _deviceTotalMem = (delegate* unmanaged<nuint*, int, int>)Need("cuDeviceTotalMem_v2");
        _primaryRetain = (delegate* unmanaged<nint*, int, int>)Need("cuDevicePrimaryCtxRetain");
        _primaryRelease = (delegate* unmanaged<int, int>)Need("cuDevicePrimaryCtxRelease_v2");
        _ctxSetCurrent = (delegate* unmanaged<nint, int>)Need("cuCtxSetCurrent");
        _memAlloc = (delegate* unmanaged<ulong*, nuint, int>)Need("cuMemAlloc_v2");
        _memFree = (delegate* unmanaged<ulong, int>)Need("cuMemFree_v2");
        _memHostAlloc = (delegate* unmanaged<void**, nuint, uint, int>)Need("cuMemHostAlloc");
        _memFreeHost = (delegate* unmanaged<void*, int>)Need("cuMemFreeHost");
        _htod = (delegate* unmanaged<ulong, void*, nuint, nint, int>)Need("cuMemcpyHtoDAsync_v2");
        _dtoh = (delegate* unmanaged<void*, ulong, nuint, nint, int>)Need("cuMemcpyDtoHAsync_v2");
        _memset = (delegate* unmanaged<ulong, byte, nuint, nint, int>)Need("cuMemsetD8Async");
        _moduleLoad = (delegate* unmanaged<nint*, void*, uint, int*, void**, int>)Need("cuModuleLoadDataEx");
        _moduleUnload = (delegate* unmanaged<nint, int>)Need("cuModuleUnload");
        _moduleGetFunction = (delegate* unmanaged<nint*, nint, byte*, int>)Need("cuModuleGetFunction");
        _launch = (delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int>)Need("cuLaunchKernel");
        _streamCreate = (delegate* unmanaged<nint*, uint, int>)Need("cuStreamCreate");
        _streamDestroy = (delegate* unmanaged<nint, int>)Need("cuStreamDestroy_v2");
        _streamSynchronize = (delegate* unmanaged<nint, int>)Need("cuStreamSynchronize");
        _eventCreate = (delegate* unmanaged<nint*, uint, int>)Need("cuEventCreate");
        _eventDestroy = (delegate* unmanaged<nint, int>)Need("cuEventDestroy_v2");
        _eventRecord = (delegate* unmanaged<nint, nint, int>)Need("cuEventRecord");
        _eventSynchronize = (delegate* unmanaged<nint, int>)Need("cuEventSynchronize");
        _eventElapsed = (delegate* unmanaged<float*, nint, nint, int>)Need("cuEventElapsedTime");
        _errorName = (delegate* unmanaged<int, byte**, int>)Need("cuGetErrorName");
        _errorString = (delegate* unmanaged<int, byte**, int>)Need("cuGetErrorString");

        nint Need(string name) => found.Function(name) is var address and not 0 ? address
            : throw new EngineException(ErrorKind.DeviceUnavailable, $"{found.Path} has no function {name}", "update the NVIDIA driver (450 or newer)");
    }

    /// <summary>Looks for the driver; nothing of it is called yet.</summary>
    public static LibrarySearch Search() => OperatingSystem.IsWindows()
        ? LibrarySearch.Find(Variable, "nvcuda.dll")
        : LibrarySearch.Find(Variable, "libcuda.so.1", "libcuda.so", "/usr/lib/wsl/lib/libcuda.so.1");

    /// <summary>The driver that a search found. Errors: DeviceUnavailable when it lacks a function.</summary>
    public static CudaLibrary Open(LibrarySearch found) => new(found);

    public override int Init(uint flags) => _init(flags);

    public override int DriverGetVersion(int* version) => _driverGetVersion(version);

    public override int DeviceGetCount(int* count) => _deviceGetCount(count);

    public override int DeviceGet(int* device, int ordinal) => _deviceGet(device, ordinal);

    public override int DeviceGetName(byte* name, int length, int device) => _deviceGetName(name, length, device);

    public override int DeviceGetAttribute(int* value, CudaAttribute attribute, int device) => _deviceGetAttribute(value, (int)attribute, device);

    public override int DeviceTotalMem(nuint* bytes, int device) => _deviceTotalMem(bytes, device);

    public override int DevicePrimaryCtxRetain(nint* context, int device) => _primaryRetain(context, device);

    public override int DevicePrimaryCtxRelease(int device) => _primaryRelease(device);

    public override int CtxSetCurrent(nint context) => _ctxSetCurrent(context);

    public override int MemAlloc(ulong* address, nuint bytes) => _memAlloc(address, bytes);

    public override int MemFree(ulong address) => _memFree(address);

    public override int MemHostAlloc(void** memory, nuint bytes, uint flags) => _memHostAlloc(memory, bytes, flags);

    public override int MemFreeHost(void* memory) => _memFreeHost(memory);

    public override int MemcpyHtoDAsync(ulong destination, void* source, nuint bytes, nint stream) => _htod(destination, source, bytes, stream);

    public override int MemcpyDtoHAsync(void* destination, ulong source, nuint bytes, nint stream) => _dtoh(destination, source, bytes, stream);

    public override int MemsetD8Async(ulong destination, byte value, nuint bytes, nint stream) => _memset(destination, value, bytes, stream);

    public override int ModuleLoadDataEx(nint* module, void* image, uint options, int* names, void** values) =>
        _moduleLoad(module, image, options, names, values);

    public override int ModuleUnload(nint module) => _moduleUnload(module);

    public override int ModuleGetFunction(nint* function, nint module, byte* name) => _moduleGetFunction(function, module, name);

    public override int LaunchKernel(
        nint function, uint gridX, uint gridY, uint gridZ, uint blockX, uint blockY, uint blockZ, uint sharedBytes, nint stream, void** parameters,
        void** extra) => _launch(function, gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes, stream, parameters, extra);

    public override int StreamCreate(nint* stream, uint flags) => _streamCreate(stream, flags);

    public override int StreamDestroy(nint stream) => _streamDestroy(stream);

    public override int StreamSynchronize(nint stream) => _streamSynchronize(stream);

    public override int EventCreate(nint* handle, uint flags) => _eventCreate(handle, flags);

    public override int EventDestroy(nint handle) => _eventDestroy(handle);

    public override int EventRecord(nint handle, nint stream) => _eventRecord(handle, stream);

    public override int EventSynchronize(nint handle) => _eventSynchronize(handle);

    public override int EventElapsedTime(float* milliseconds, nint start, nint end) => _eventElapsed(milliseconds, start, end);

    public override string? ErrorName(int code) => Text(_errorName, code);

    public override string? ErrorText(int code) => Text(_errorString, code);

    private static string? Text(delegate* unmanaged<int, byte**, int> function, int code)
    {
        byte* text = null;
        return function(code, &text) == Success ? Marshal.PtrToStringUTF8((nint)text) : null;
    }
}
