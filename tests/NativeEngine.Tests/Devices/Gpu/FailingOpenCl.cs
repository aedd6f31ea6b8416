using System.Runtime.InteropServices;
using NativeEngine.Native;

namespace NativeEngine.Tests.Devices.Gpu;

/// <summary>A real OpenCL library in front of which the n-th call fails, and that counts what was created and not released.</summary>
internal sealed unsafe class FailingOpenCl(OpenClApi inner, int failAt, int failStatus) : OpenClApi
{
    private readonly Dictionary<string, int> _live = [];

    public int Calls { get; private set; }

    /// <summary>The options of the last program that was built.</summary>
    public string Options { get; private set; } = "";

    /// <summary>The call that was made to fail.</summary>
    public string? Failed { get; private set; }

    /// <summary>What was created and not released; empty when all is well.</summary>
    public string Leaks => string.Join(", ", _live.Where(kind => kind.Value != 0).Select(kind => $"{kind.Value} {kind.Key}"));

    public override int GetPlatformIDs(uint count, nint* platforms, uint* available) => inner.GetPlatformIDs(count, platforms, available);

    public override int GetPlatformInfo(nint platform, uint what, nuint size, void* value, nuint* needed) => inner.GetPlatformInfo(platform, what, size, value, needed);

    public override int GetDeviceIDs(nint platform, ulong type, uint count, nint* devices, uint* available) => inner.GetDeviceIDs(platform, type, count, devices, available);

    public override int GetDeviceInfo(nint device, uint what, nuint size, void* value, nuint* needed) => inner.GetDeviceInfo(device, what, size, value, needed);

    public override nint CreateContext(nint device, int* status) => Fails("clCreateContext", status) ? 0 : Made("contexts", inner.CreateContext(device, status));

    public override int ReleaseContext(nint context) => Gone("contexts", inner.ReleaseContext(context));

    public override nint CreateCommandQueue(nint context, nint device, ulong properties, int* status) =>
        Fails("clCreateCommandQueue", status) ? 0 : Made("queues", inner.CreateCommandQueue(context, device, properties, status));

    public override int ReleaseCommandQueue(nint queue) => Gone("queues", inner.ReleaseCommandQueue(queue));

    public override nint CreateProgramWithSource(nint context, uint count, byte** sources, nuint* lengths, int* status) =>
        Fails("clCreateProgramWithSource", status) ? 0 : Made("programs", inner.CreateProgramWithSource(context, count, sources, lengths, status));

    public override int BuildProgram(nint program, nint device, byte* options)
    {
        Options = Marshal.PtrToStringUTF8((nint)options)!;
        return Fails("clBuildProgram") ? failStatus : inner.BuildProgram(program, device, options);
    }

    public override int GetProgramBuildInfo(nint program, nint device, uint what, nuint size, void* value, nuint* needed) =>
        inner.GetProgramBuildInfo(program, device, what, size, value, needed);

    public override int ReleaseProgram(nint program) => Gone("programs", inner.ReleaseProgram(program));

    public override nint CreateKernel(nint program, byte* name, int* status) =>
        Fails("clCreateKernel", status) ? 0 : Made("kernels", inner.CreateKernel(program, name, status));

    public override int ReleaseKernel(nint kernel) => Gone("kernels", inner.ReleaseKernel(kernel));

    public override int SetKernelArg(nint kernel, uint index, nuint size, void* value) =>
        Fails("clSetKernelArg") ? failStatus : inner.SetKernelArg(kernel, index, size, value);

    public override nint CreateBuffer(nint context, ulong flags, nuint bytes, int* status) =>
        Fails("clCreateBuffer", status) ? 0 : Made("buffers", inner.CreateBuffer(context, flags, bytes, status));

    public override int ReleaseMemObject(nint buffer) => Gone("buffers", inner.ReleaseMemObject(buffer));

    public override int EnqueueNDRangeKernel(nint queue, nint kernel, uint dimensions, nuint* global, nuint* local, nint* completed) =>
        Fails("clEnqueueNDRangeKernel") ? failStatus : inner.EnqueueNDRangeKernel(queue, kernel, dimensions, global, local, completed);

    public override int EnqueueWriteBuffer(nint queue, nint buffer, bool blocking, nuint offset, nuint bytes, void* source) =>
        Fails("clEnqueueWriteBuffer") ? failStatus : inner.EnqueueWriteBuffer(queue, buffer, blocking, offset, bytes, source);

    public override int EnqueueReadBuffer(nint queue, nint buffer, bool blocking, nuint offset, nuint bytes, void* destination) =>
        Fails("clEnqueueReadBuffer") ? failStatus : inner.EnqueueReadBuffer(queue, buffer, blocking, offset, bytes, destination);

    public override int EnqueueFillBuffer(nint queue, nint buffer, void* pattern, nuint patternSize, nuint offset, nuint bytes) =>
        Fails("clEnqueueFillBuffer") ? failStatus : inner.EnqueueFillBuffer(queue, buffer, pattern, patternSize, offset, bytes);

    public override int EnqueueMarker(nint queue, nint* completed)
    {
        if (Fails("clEnqueueMarkerWithWaitList"))
        {
            return failStatus;
        }
        int status = inner.EnqueueMarker(queue, completed);
        Made("events", *completed);
        return status;
    }

    public override int GetEventProfilingInfo(nint handle, uint what, ulong* nanoseconds) =>
        Fails("clGetEventProfilingInfo") ? failStatus : inner.GetEventProfilingInfo(handle, what, nanoseconds);

    public override int WaitForEvents(uint count, nint* handles) => Fails("clWaitForEvents") ? failStatus : inner.WaitForEvents(count, handles);

    public override int ReleaseEvent(nint handle) => Gone("events", inner.ReleaseEvent(handle));

    public override int Flush(nint queue) => Fails("clFlush") ? failStatus : inner.Flush(queue);

    public override int Finish(nint queue) => Fails("clFinish") ? failStatus : inner.Finish(queue);

    private bool Fails(string call)
    {
        if (++Calls != failAt)
        {
            return false;
        }
        Failed = call;
        return true;
    }

    private bool Fails(string call, int* status)
    {
        if (!Fails(call))
        {
            return false;
        }
        *status = failStatus;
        return true;
    }

    private nint Made(string kind, nint handle)
    {
        _live[kind] = _live.GetValueOrDefault(kind) + (handle == 0 ? 0 : 1);
        return handle;
    }

    private int Gone(string kind, int status)
    {
        _live[kind] = _live.GetValueOrDefault(kind) - 1;
        return status;
    }
}
