using System.Text;
using NativeEngine.Native;

namespace NativeEngine.Devices.Gpu;

/// <summary>
/// One OpenCL device: a context, one in-order queue with time stamps, programs built from the kernels' source when their first kernel is asked
/// for. The first failure but a refused allocation makes the device lost, as with CUDA. Errors: DeviceUnavailable with the call, the status'
/// name, the kernel and its sizes, the device, and for a build the compiler's log.
/// </summary>
internal sealed unsafe class OpenClDriver : IGpuDriver
{
    // PoCL 3.1 at full optimisation loses private arrays that live across barriers (attention gives NaN or writes past its output); without, every
    // kernel has the CPU's bits. It stands for GPUs in tests only, so speed does not matter there.
    private const string BuildOptions = "-cl-std=CL1.2 -w", ForPocl = " -cl-opt-disable";

    // Without it a quotient may be off by 2.5 ulp, a square root by 3; a device that cannot do better refuses the option.
    private const string ForExactDivision = " -cl-fp32-correctly-rounded-divide-sqrt";

    private readonly OpenClApi _api;
    private readonly Func<string, GpuModule> _modules;
    private readonly OpenClFacts _facts;
    private readonly Dictionary<string, nint> _programs = [];
    private readonly Dictionary<string, GpuFunction> _functions = [];
    private readonly List<nint> _marks = [];
    private nint _context, _queue;
    private int _unflushed;
    private string? _lost;
    private bool _disposed;

    /// <summary>Opens a device. <paramref name="modules"/> gives the source that holds a kernel. Errors: DeviceUnavailable, with nothing left behind.</summary>
    public OpenClDriver(OpenClApi api, OpenClFacts facts, Func<string, GpuModule> modules)
    {
        (_api, _facts, _modules) = (api, facts, modules);
        Description = $"{Name}, {facts.Describe()}";
        if (facts.Problem is { } problem)
        {
            throw new EngineException(ErrorKind.DeviceUnavailable, $"{Name} ({facts.Model}) cannot be used: {problem}", "nengine doctor shows the devices");
        }
        try
        {
            int status = 0;
            _context = _api.CreateContext(facts.Device, &status);
            Check(status, "clCreateContext", "");
            const ulong Profiling = 2;
            _queue = _api.CreateCommandQueue(_context, facts.Device, Profiling, &status);
            Check(status, "clCreateCommandQueue", "");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public string Name => _facts.Name;

    public string Description { get; }

    public long TotalMemory => _facts.TotalMemory;

    public nint TryAllocate(long bytes)
    {
        Enter();
        if (bytes > _facts.LargestBuffer)
        {
            throw new EngineException(ErrorKind.WillNotFit,
                $"{Name}: {bytes:N0} bytes are needed in one piece, the device gives at most {_facts.LargestBuffer:N0}",
                "make the batch, the pool or the sequence length smaller");
        }
        const ulong ReadWrite = 1;
        int status = 0;
        nint buffer = _api.CreateBuffer(_context, ReadWrite, (nuint)bytes, &status);
        if (status is OpenClApi.MemObjectAllocationFailure or OpenClApi.OutOfResources or OpenClApi.OutOfHostMemory or OpenClApi.InvalidBufferSize)
        {
            return 0;
        }
        Check(status, "clCreateBuffer", $"{bytes:N0} bytes");
        try
        {
            Clear(buffer, 0, bytes);
        }
        catch
        {
            _ = _api.ReleaseMemObject(buffer);
            throw;
        }
        return buffer;
    }

    public void Free(nint handle)
    {
        // Takes place when the commands that use it are done. A failure while other errors unwind is told by the next call.
        int status = _api.ReleaseMemObject(handle);
        if (status != OpenClApi.Success && _lost is null)
        {
            _ = Failed(status, "clReleaseMemObject", "");
        }
    }

    public void Clear(nint buffer, long byteOffset, long bytes)
    {
        Enter();
        byte zero = 0;
        Check(_api.EnqueueFillBuffer(_queue, buffer, &zero, 1, (nuint)byteOffset, (nuint)bytes), "clEnqueueFillBuffer", $"{bytes:N0} bytes");
    }

    public void CopyIn(nint buffer, long byteOffset, ReadOnlySpan<byte> source)
    {
        Enter();
        fixed (byte* from = source)
        {
            Check(
                _api.EnqueueWriteBuffer(_queue, buffer, blocking: true, (nuint)byteOffset, (nuint)source.Length, from), "clEnqueueWriteBuffer",
                $"{source.Length:N0} bytes");
        }
        _unflushed = 0;
    }

    public void CopyOut(nint buffer, long byteOffset, Span<byte> destination)
    {
        Enter();
        fixed (byte* to = destination)
        {
            Check(
                _api.EnqueueReadBuffer(_queue, buffer, blocking: true, (nuint)byteOffset, (nuint)destination.Length, to), "clEnqueueReadBuffer",
                $"{destination.Length:N0} bytes");
        }
        _unflushed = 0;
    }

    public GpuFunction Function(string kernelName)
    {
        if (_functions.TryGetValue(kernelName, out var known))
        {
            return known;
        }
        Enter();
        var module = _modules(kernelName);
        if (!_programs.TryGetValue(module.Name, out nint program))
        {
            program = Build(module);
            _programs[module.Name] = program;
        }
        int status = 0;
        nint kernel;
        fixed (byte* name = Encoding.UTF8.GetBytes(kernelName + "\0"))
        {
            kernel = _api.CreateKernel(program, name, &status);
        }
        Check(status, "clCreateKernel", $"{kernelName} of {module.Name}");
        return _functions[kernelName] = new GpuFunction(kernelName, kernel);
    }

    public void Launch(GpuFunction function, int groupsX, int groupsY, int groupsZ, int threads, ReadOnlySpan<GpuArgument> arguments)
    {
        if (groupsX <= 0 || groupsY <= 0 || groupsZ <= 0)
        {
            return;
        }
        Enter();
        uint index = 0;
        foreach (var argument in arguments)
        {
            long value = argument.Bits;
            nuint size = argument.Kind is GpuArgumentKind.Int or GpuArgumentKind.Float ? 4u : 8u;
            Check(_api.SetKernelArg(function.Handle, index++, size, &value), "clSetKernelArg", $"{function.Name}, parameter {index - 1}");
            if (argument.Kind == GpuArgumentKind.Buffer)
            {
                long offset = argument.ByteOffset;
                Check(_api.SetKernelArg(function.Handle, index++, 8, &offset), "clSetKernelArg", $"{function.Name}, parameter {index - 1}");
            }
        }
        nuint* global = stackalloc nuint[3] { (nuint)((long)groupsX * threads), (nuint)groupsY, (nuint)groupsZ };
        nuint* local = stackalloc nuint[3] { (nuint)threads, 1, 1 };
        int status = _api.EnqueueNDRangeKernel(_queue, function.Handle, 3, global, local, null);
        if (status != OpenClApi.Success)
        {
            throw Failed(status, "clEnqueueNDRangeKernel", $"{function.Name}, {groupsX} x {groupsY} x {groupsZ} groups of {threads} threads");
        }
        LastKernel = function.Name;
        // Some implementations start nothing before a flush.
        const int Often = 32;
        if (++_unflushed == Often)
        {
            _unflushed = 0;
            Check(_api.Flush(_queue), "clFlush", "");
        }
    }

    public void Synchronize()
    {
        Enter();
        Check(_api.Finish(_queue), "clFinish", "");
        _unflushed = 0;
    }

    public int Mark()
    {
        Enter();
        nint handle = 0;
        Check(_api.EnqueueMarker(_queue, &handle), "clEnqueueMarkerWithWaitList", "");
        _marks.Add(handle);
        return _marks.Count - 1;
    }

    public double Seconds(int from, int to)
    {
        Enter();
        const uint End = 0x1283;
        ulong begin = 0, end = 0;
        nint* both = stackalloc nint[2] { _marks[from], _marks[to] };
        Check(_api.WaitForEvents(2, both), "clWaitForEvents", "");
        Check(_api.GetEventProfilingInfo(_marks[from], End, &begin), "clGetEventProfilingInfo", "");
        Check(_api.GetEventProfilingInfo(_marks[to], End, &end), "clGetEventProfilingInfo", "");
        return (end - begin) * 1e-9;
    }

    public void ForgetMarks()
    {
        _marks.ForEach(handle => _api.ReleaseEvent(handle));
        _marks.Clear();
    }

    /// <summary>The kernel launched last: an error that shows later most likely is its own.</summary>
    private string? LastKernel { get; set; }

    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }
        _disposed = true;
        if (_queue != 0)
        {
            _ = _api.Finish(_queue);
        }
        ForgetMarks();
        foreach (var function in _functions.Values)
        {
            _ = _api.ReleaseKernel(function.Handle);
        }
        foreach (nint program in _programs.Values)
        {
            _ = _api.ReleaseProgram(program);
        }
        if (_queue != 0)
        {
            _ = _api.ReleaseCommandQueue(_queue);
        }
        if (_context != 0)
        {
            _ = _api.ReleaseContext(_context);
        }
        (_queue, _context) = (0, 0);
    }

    private nint Build(GpuModule module)
    {
        byte[] text = Encoding.UTF8.GetBytes(module.Text);
        nint program;
        int status = 0;
        fixed (byte* source = text, options = Encoding.UTF8.GetBytes($"{BuildOptions}{(_facts.IsPocl ? ForPocl : "")}{(_facts.ExactDivision ? ForExactDivision : "")}\0"))
        {
            byte* from = source;
            nuint length = (nuint)text.Length;
            program = _api.CreateProgramWithSource(_context, 1, &from, &length, &status);
            Check(status, "clCreateProgramWithSource", module.Name);
            status = _api.BuildProgram(program, _facts.Device, options);
        }
        if (status == OpenClApi.Success)
        {
            return program;
        }
        string log = BuildLog(program);
        _ = _api.ReleaseProgram(program);
        throw Failed(status, "clBuildProgram", log.Length == 0 ? module.Name : $"{module.Name}; the compiler says: {log}");
    }

    private string BuildLog(nint program)
    {
        const uint Log = 0x1183;
        const int Shown = 4000;
        nuint needed = 0;
        if (_api.GetProgramBuildInfo(program, _facts.Device, Log, 0, null, &needed) != OpenClApi.Success || needed is 0 or > (1 << 24))
        {
            return "";
        }
        byte[] log = new byte[(int)needed];
        fixed (byte* to = log)
        {
            _ = _api.GetProgramBuildInfo(program, _facts.Device, Log, needed, to, null);
        }
        string text = Encoding.UTF8.GetString(log).TrimEnd('\0').Trim();
        return text.Length <= Shown ? text : text[..Shown] + " ...";
    }

    private void Enter()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_lost is not null)
        {
            throw new EngineException(ErrorKind.DeviceUnavailable, $"{Name} is not used any more after an error: {_lost}", "start again; what was saved is intact");
        }
    }

    private void Check(int status, string call, string what)
    {
        if (status != OpenClApi.Success)
        {
            throw Failed(status, call, what);
        }
    }

    private EngineException Failed(int status, string call, string what)
    {
        string subject = what.Length == 0 ? "" : $" ({what})";
        string suspect = LastKernel is { } kernel && call != "clEnqueueNDRangeKernel" ? $"; the last kernel launched was {kernel}" : "";
        string message = $"{Description}: {call}{subject} failed with {OpenClStatus.Name(status)} ({status}){suspect}";
        _lost ??= message;
        return new EngineException(ErrorKind.DeviceUnavailable, message, status switch
        {
            OpenClApi.BuildProgramFailure => "this is a defect of a kernel or of the vendor's compiler: please report it with the log; --device cpu does without it",
            OpenClApi.MemObjectAllocationFailure or OpenClApi.OutOfResources or OpenClApi.OutOfHostMemory =>
                "make the batch, the pool or the sequence length smaller, or free the device of other work",
            _ => "nengine doctor shows the devices; --device cpu does without them",
        });
    }
}
