namespace NativeEngine.Native;

/// <summary>
/// OpenCL as found on this machine: the system's loader (libOpenCL.so.1, OpenCL.dll) or a vendor's library itself. The environment variable
/// NENGINE_OPENCL_LIBRARY says where else to look.
/// </summary>
internal sealed unsafe class OpenClLibrary : OpenClApi
{
    public const string Variable = "NENGINE_OPENCL_LIBRARY";

    private readonly delegate* unmanaged<uint, nint*, uint*, int> _getPlatformIDs;
    private readonly delegate* unmanaged<nint, uint, nuint, void*, nuint*, int> _getPlatformInfo, _getDeviceInfo, _getEventProfilingInfo;
    private readonly delegate* unmanaged<nint, ulong, uint, nint*, uint*, int> _getDeviceIDs;
    private readonly delegate* unmanaged<nint*, uint, nint*, nint, nint, int*, nint> _createContext;
    private readonly delegate* unmanaged<nint, int> _releaseContext, _releaseQueue, _releaseProgram, _releaseKernel, _releaseMem, _releaseEvent, _flush, _finish;
    private readonly delegate* unmanaged<nint, nint, ulong, int*, nint> _createQueue;
    private readonly delegate* unmanaged<nint, uint, byte**, nuint*, int*, nint> _createProgram;
    private readonly delegate* unmanaged<nint, uint, nint*, byte*, nint, nint, int> _buildProgram;
    private readonly delegate* unmanaged<nint, nint, uint, nuint, void*, nuint*, int> _getBuildInfo;
    private readonly delegate* unmanaged<nint, byte*, int*, nint> _createKernel;
    private readonly delegate* unmanaged<nint, uint, nuint, void*, int> _setKernelArg;
    private readonly delegate* unmanaged<nint, ulong, nuint, void*, int*, nint> _createBuffer;
    private readonly delegate* unmanaged<nint, nint, uint, nuint*, nuint*, nuint*, uint, nint*, nint*, int> _enqueueKernel;
    private readonly delegate* unmanaged<nint, nint, uint, nuint, nuint, void*, uint, nint*, nint*, int> _enqueueWrite, _enqueueRead;
    private readonly delegate* unmanaged<nint, nint, void*, nuint, nuint, nuint, uint, nint*, nint*, int> _enqueueFill;
    private readonly delegate* unmanaged<nint, uint, nint*, nint*, int> _enqueueMarker;
    private readonly delegate* unmanaged<uint, nint*, int> _waitForEvents;

    private OpenClLibrary(LibrarySearch found)
    {
        _getPlatformIDs = (delegate* unmanaged<uint, nint*, uint*, int>)Need("clGetPlatformIDs");
        _getPlatformInfo = (delegate* unmanaged<nint, uint, nuint, void*, nuint*, int>)Need("clGetPlatformInfo");
        _getDeviceInfo = (delegate* unmanaged<nint, uint, nuint, void*, nuint*, int>)Need("clGetDeviceInfo");
        _getEventProfilingInfo = (delegate* unmanaged<nint, uint, nuint, void*, nuint*, int>)Need("clGetEventProfilingInfo");
        _getDeviceIDs = (delegate* unmanaged<nint, ulong, uint, nint*, uint*, int>)Need("clGetDeviceIDs");
        _createContext = (delegate* unmanaged<nint*, uint, nint*, nint, nint, int*, nint>)Need("clCreateContext");
        _releaseContext = (delegate* unmanaged<nint, int>)Need("clReleaseContext");
        // The form of OpenCL 1.2: deprecated since, and exported by every implementation.
        _createQueue = (delegate* unmanaged<nint, nint, ulong, int*, nint>)Need("clCreateCommandQueue");
        _releaseQueue = (delegate* unmanaged<nint, int>)Need("clReleaseCommandQueue");
        _createProgram = (delegate* unmanaged<nint, uint, byte**, nuint*, int*, nint>)Need("clCreateProgramWithSource");
        _buildProgram = (delegate* unmanaged<nint, uint, nint*, byte*, nint, nint, int>)Need("clBuildProgram");
        _getBuildInfo = (delegate* unmanaged<nint, nint, uint, nuint, void*, nuint*, int>)Need("clGetProgramBuildInfo");
        _releaseProgram = (delegate* unmanaged<nint, int>)Need("clReleaseProgram");
        _createKernel = (delegate* unmanaged<nint, byte*, int*, nint>)Need("clCreateKernel");
        _releaseKernel = (delegate* unmanaged<nint, int>)Need("clReleaseKernel");
        _setKernelArg = (delegate* unmanaged<nint, uint, nuint, void*, int>)Need("clSetKernelArg");
        _createBuffer = (delegate* unmanaged<nint, ulong, nuint, void*, int*, nint>)Need("clCreateBuffer");
        _releaseMem = (delegate* unmanaged<nint, int>)Need("clReleaseMemObject");
        _enqueueKernel = (delegate* unmanaged<nint, nint, uint, nuint*, nuint*, nuint*, uint, nint*, nint*, int>)Need("clEnqueueNDRangeKernel");
        _enqueueWrite = (delegate* unmanaged<nint, nint, uint, nuint, nuint, void*, uint, nint*, nint*, int>)Need("clEnqueueWriteBuffer");
        _enqueueRead = (delegate* unmanaged<nint, nint, uint, nuint, nuint, void*, uint, nint*, nint*, int>)Need("clEnqueueReadBuffer");
        _enqueueFill = (delegate* unmanaged<nint, nint, void*, nuint, nuint, nuint, uint, nint*, nint*, int>)Need("clEnqueueFillBuffer");
        _enqueueMarker = (delegate* unmanaged<nint, uint, nint*, nint*, int>)Need("clEnqueueMarkerWithWaitList");
        _waitForEvents = (delegate* unmanaged<uint, nint*, int>)Need("clWaitForEvents");
        _releaseEvent = (delegate* unmanaged<nint, int>)Need("clReleaseEvent");
        _flush = (delegate* unmanaged<nint, int>)Need("clFlush");
        _finish = (delegate* unmanaged<nint, int>)Need("clFinish");

        nint Need(string name) => found.Function(name) is var address and not 0 ? address
            : throw new EngineException(ErrorKind.DeviceUnavailable, $"{found.Path} has no function {name}", "OpenCL 1.2 or newer is needed");
    }

    /// <summary>Looks for the library; nothing of it is called yet.</summary>
    public static LibrarySearch Search() =>
        OperatingSystem.IsWindows() ? LibrarySearch.Find(Variable, "OpenCL.dll")
        : OperatingSystem.IsMacOS() ? LibrarySearch.Find(Variable, "/System/Library/Frameworks/OpenCL.framework/OpenCL")
        : LibrarySearch.Find(Variable, "libOpenCL.so.1", "libOpenCL.so");

    /// <summary>The library that a search found. Errors: DeviceUnavailable when it lacks a function.</summary>
    public static OpenClLibrary Open(LibrarySearch found) => new(found);

    public override int GetPlatformIDs(uint count, nint* platforms, uint* available) => _getPlatformIDs(count, platforms, available);

    public override int GetPlatformInfo(nint platform, uint what, nuint size, void* value, nuint* needed) =>
        _getPlatformInfo(platform, what, size, value, needed);

    public override int GetDeviceIDs(nint platform, ulong type, uint count, nint* devices, uint* available) =>
        _getDeviceIDs(platform, type, count, devices, available);

    public override int GetDeviceInfo(nint device, uint what, nuint size, void* value, nuint* needed) => _getDeviceInfo(device, what, size, value, needed);

    public override nint CreateContext(nint device, int* status) => _createContext(null, 1, &device, 0, 0, status);

    public override int ReleaseContext(nint context) => _releaseContext(context);

    public override nint CreateCommandQueue(nint context, nint device, ulong properties, int* status) => _createQueue(context, device, properties, status);

    public override int ReleaseCommandQueue(nint queue) => _releaseQueue(queue);

    public override nint CreateProgramWithSource(nint context, uint count, byte** sources, nuint* lengths, int* status) =>
        _createProgram(context, count, sources, lengths, status);

    public override int BuildProgram(nint program, nint device, byte* options) => _buildProgram(program, 1, &device, options, 0, 0);

    public override int GetProgramBuildInfo(nint program, nint device, uint what, nuint size, void* value, nuint* needed) =>
        _getBuildInfo(program, device, what, size, value, needed);

    public override int ReleaseProgram(nint program) => _releaseProgram(program);

    public override nint CreateKernel(nint program, byte* name, int* status) => _createKernel(program, name, status);

    public override int ReleaseKernel(nint kernel) => _releaseKernel(kernel);

    public override int SetKernelArg(nint kernel, uint index, nuint size, void* value) => _setKernelArg(kernel, index, size, value);

    public override nint CreateBuffer(nint context, ulong flags, nuint bytes, int* status) => _createBuffer(context, flags, bytes, null, status);

    public override int ReleaseMemObject(nint buffer) => _releaseMem(buffer);

    public override int EnqueueNDRangeKernel(nint queue, nint kernel, uint dimensions, nuint* global, nuint* local, nint* completed) =>
        _enqueueKernel(queue, kernel, dimensions, null, global, local, 0, null, completed);

    public override int EnqueueWriteBuffer(nint queue, nint buffer, bool blocking, nuint offset, nuint bytes, void* source) =>
        _enqueueWrite(queue, buffer, blocking ? 1u : 0u, offset, bytes, source, 0, null, null);

    public override int EnqueueReadBuffer(nint queue, nint buffer, bool blocking, nuint offset, nuint bytes, void* destination) =>
        _enqueueRead(queue, buffer, blocking ? 1u : 0u, offset, bytes, destination, 0, null, null);

    public override int EnqueueFillBuffer(nint queue, nint buffer, void* pattern, nuint patternSize, nuint offset, nuint bytes) =>
        _enqueueFill(queue, buffer, pattern, patternSize, offset, bytes, 0, null, null);

    public override int EnqueueMarker(nint queue, nint* completed) => _enqueueMarker(queue, 0, null, completed);

    public override int GetEventProfilingInfo(nint handle, uint what, ulong* nanoseconds) =>
        _getEventProfilingInfo(handle, what, sizeof(ulong), nanoseconds, null);

    public override int WaitForEvents(uint count, nint* handles) => _waitForEvents(count, handles);

    public override int ReleaseEvent(nint handle) => _releaseEvent(handle);

    public override int Flush(nint queue) => _flush(queue);

    public override int Finish(nint queue) => _finish(queue);
}
