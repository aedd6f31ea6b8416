using System.Text;
using NativeEngine.Native;

namespace NativeEngine.Devices.Gpu;

/// <summary>
/// One NVIDIA GPU through the CUDA driver: the primary context, one stream for kernels and copies alike (so everything is in order), pinned
/// staging for copies, PTX modules loaded when their first kernel is asked for. Every call is checked; the first failure but a refused allocation
/// makes the device lost: a context with a sticky error answers everything with that error, so nothing more is tried. Errors:
/// DeviceUnavailable with the call, the code's name and words, the kernel and its sizes, and the device.
/// </summary>
internal sealed unsafe class CudaDriver : IGpuDriver
{
    /// <summary>The compute capability that the embedded PTX is made for, times ten.</summary>
    public const int LeastCapability = 80;

    private readonly CudaApi _api;
    private readonly Func<string, GpuModule> _modules;
    private readonly Dictionary<string, nint> _loaded = [];
    private readonly Dictionary<string, GpuFunction> _functions = [];
    private readonly List<nint> _marks = [];
    private readonly int _device;
    private CudaStaging? _staging;
    private readonly nint _stream;
    private nint _context;
    private int _marked;
    private string? _lost;
    private bool _disposed;

    /// <summary>
    /// Opens device <paramref name="ordinal"/> of an initialised driver. <paramref name="modules"/> gives the PTX that holds a kernel. Errors:
    /// DeviceUnavailable, with nothing left behind.
    /// </summary>
    public CudaDriver(CudaApi api, int ordinal, Func<string, GpuModule> modules)
    {
        (_api, _modules) = (api, modules);
        Name = $"cuda:{ordinal}";
        Description = Name;
        try
        {
            int device = 0;
            nint context = 0, stream = 0;
            Check(_api.DeviceGet(&device, ordinal), "cuDeviceGet", $"ordinal {ordinal}");
            _device = device;
            var facts = CudaFacts.Read(api, device);
            Description = $"{Name}, {facts.Describe()}";
            TotalMemory = facts.TotalMemory;
            if (facts.Problem is { } problem)
            {
                throw new EngineException(ErrorKind.DeviceUnavailable, $"{Name} ({facts.Model}) cannot be used: {problem}", facts.Hint);
            }
            Check(_api.DevicePrimaryCtxRetain(&context, device), "cuDevicePrimaryCtxRetain", "");
            _context = context;
            Check(_api.CtxSetCurrent(context), "cuCtxSetCurrent", "");
            // Not the default stream: another library's work in this process must not order ours.
            const uint NonBlocking = 1;
            Check(_api.StreamCreate(&stream, NonBlocking), "cuStreamCreate", "");
            _stream = stream;
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public string Name { get; }

    public string Description { get; private set; }

    public long TotalMemory { get; }

    public nint TryAllocate(long bytes)
    {
        Enter();
        ulong address = 0;
        int code = _api.MemAlloc(&address, (nuint)bytes);
        if (code == CudaApi.OutOfMemory)
        {
            return 0;
        }
        Check(code, "cuMemAlloc", $"{bytes:N0} bytes");
        code = _api.MemsetD8Async(address, 0, (nuint)bytes, _stream);
        if (code != CudaApi.Success)
        {
            _ = _api.MemFree(address);
            throw Failed(code, "cuMemsetD8Async", $"{bytes:N0} bytes");
        }
        return (nint)address;
    }

    public void Free(nint handle)
    {
        // Waits for the device by itself. Freeing happens while other errors unwind: a failure here is told by the next call.
        _ = _api.CtxSetCurrent(_context);
        int code = _api.MemFree((ulong)handle);
        if (code != CudaApi.Success && _lost is null)
        {
            _ = Failed(code, "cuMemFree", "");
        }
    }

    public void Clear(nint buffer, long byteOffset, long bytes)
    {
        Enter();
        Check(_api.MemsetD8Async((ulong)(buffer + byteOffset), 0, (nuint)bytes, _stream), "cuMemsetD8Async", $"{bytes:N0} bytes");
    }

    public void CopyIn(nint buffer, long byteOffset, ReadOnlySpan<byte> source)
    {
        Enter();
        _staging ??= new CudaStaging(_api, _stream, Check);
        _staging.CopyIn((ulong)(buffer + byteOffset), source);
    }

    public void CopyOut(nint buffer, long byteOffset, Span<byte> destination)
    {
        Enter();
        _staging ??= new CudaStaging(_api, _stream, Check);
        _staging.CopyOut((ulong)(buffer + byteOffset), destination);
    }

    public GpuFunction Function(string kernelName)
    {
        if (_functions.TryGetValue(kernelName, out var known))
        {
            return known;
        }
        Enter();
        var module = _modules(kernelName);
        if (!_loaded.TryGetValue(module.Name, out nint handle))
        {
            handle = Load(module);
            _loaded[module.Name] = handle;
        }
        nint function = 0;
        fixed (byte* name = Encoding.UTF8.GetBytes(kernelName + "\0"))
        {
            Check(_api.ModuleGetFunction(&function, handle, name), "cuModuleGetFunction", $"{kernelName} of {module.Name}");
        }
        return _functions[kernelName] = new GpuFunction(kernelName, function);
    }

    public void Launch(GpuFunction function, int groupsX, int groupsY, int groupsZ, int threads, ReadOnlySpan<GpuArgument> arguments)
    {
        if (groupsX <= 0 || groupsY <= 0 || groupsZ <= 0)
        {
            return;
        }
        Enter();
        const int Most = 128;
        long* values = stackalloc long[Most];
        void** pointers = stackalloc void*[Most];
        int count = 0;
        foreach (var argument in arguments)
        {
            if (count + 2 > Most)
            {
                throw new ArgumentException($"{function.Name}: more than {Most} parameters");
            }
            values[count] = argument.Bits;
            pointers[count] = values + count;
            count++;
            if (argument.Kind == GpuArgumentKind.Buffer)
            {
                values[count] = argument.ByteOffset;
                pointers[count] = values + count;
                count++;
            }
        }
        int code = _api.LaunchKernel(
            function.Handle, (uint)groupsX, (uint)groupsY, (uint)groupsZ, (uint)threads, 1, 1, 0, _stream, pointers, null);
        if (code != CudaApi.Success)
        {
            throw Failed(code, "cuLaunchKernel", $"{function.Name}, {groupsX} x {groupsY} x {groupsZ} groups of {threads} threads");
        }
        LastKernel = function.Name;
    }

    public void Synchronize()
    {
        Enter();
        Check(_api.StreamSynchronize(_stream), "cuStreamSynchronize", "");
    }

    public int Mark()
    {
        Enter();
        if (_marked == _marks.Count)
        {
            nint handle = 0;
            Check(_api.EventCreate(&handle, 0), "cuEventCreate", "");
            _marks.Add(handle);
        }
        Check(_api.EventRecord(_marks[_marked], _stream), "cuEventRecord", "");
        return _marked++;
    }

    public double Seconds(int from, int to)
    {
        Enter();
        float milliseconds = 0;
        Check(_api.EventSynchronize(_marks[to]), "cuEventSynchronize", "");
        Check(_api.EventElapsedTime(&milliseconds, _marks[from], _marks[to]), "cuEventElapsedTime", "");
        return milliseconds * 1e-3;
    }

    public void ForgetMarks() => _marked = 0;

    /// <summary>The kernel launched last: an error that shows later most likely is its own.</summary>
    private string? LastKernel { get; set; }

    public void Dispose()
    {
        if (_disposed)
        {
            return;
        }
        _disposed = true;
        if (_context == 0)
        {
            return;
        }
        // Best effort: where the device is lost, these calls answer the error it was lost with.
        _ = _api.CtxSetCurrent(_context);
        if (_stream != 0)
        {
            _ = _api.StreamSynchronize(_stream);
        }
        _staging?.Dispose();
        _marks.ForEach(handle => _api.EventDestroy(handle));
        foreach (nint module in _loaded.Values)
        {
            _ = _api.ModuleUnload(module);
        }
        if (_stream != 0)
        {
            _ = _api.StreamDestroy(_stream);
        }
        _ = _api.DevicePrimaryCtxRelease(_device);
        _context = 0;
    }

    private nint Load(GpuModule module)
    {
        const int LogBytes = 16 << 10, ErrorLog = 5, ErrorLogSize = 6;
        byte[] log = new byte[LogBytes];
        nint handle = 0;
        fixed (byte* image = Encoding.UTF8.GetBytes(module.Text + "\0"), text = log)
        {
            int* names = stackalloc int[2] { ErrorLog, ErrorLogSize };
            void** values = stackalloc void*[2] { text, (void*)LogBytes };
            int code = _api.ModuleLoadDataEx(&handle, image, 2, names, values);
            if (code != CudaApi.Success)
            {
                string said = Encoding.UTF8.GetString(log).TrimEnd('\0').ReplaceLineEndings(" ").Trim();
                throw Failed(code, "cuModuleLoadDataEx", said.Length == 0 ? module.Name : $"{module.Name}; the compiler says: {said}");
            }
        }
        return handle;
    }

    // Every thread has its own current context, and other libraries of the process may have changed it.
    private void Enter()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (_lost is not null)
        {
            throw new EngineException(ErrorKind.DeviceUnavailable, $"{Name} is not used any more after an error: {_lost}", "start again; what was saved is intact");
        }
        Check(_api.CtxSetCurrent(_context), "cuCtxSetCurrent", "");
    }

    private void Check(int code, string call, string what)
    {
        if (code != CudaApi.Success)
        {
            throw Failed(code, call, what);
        }
    }

    private EngineException Failed(int code, string call, string what)
    {
        string name = _api.ErrorName(code) ?? "an unknown error", words = _api.ErrorText(code) is { Length: > 0 } text ? $": {text}" : "";
        string subject = what.Length == 0 ? "" : $" ({what})";
        // Kernels run later than they are launched: an error that is met by another call comes from one of them.
        string suspect = LastKernel is { } kernel && call != "cuLaunchKernel" ? $"; the last kernel launched was {kernel}" : "";
        string message = $"{Description}: {call}{subject} failed with {name} ({code}){words}{suspect}";
        _lost ??= message;
        return new EngineException(ErrorKind.DeviceUnavailable, message, Hint(code));
    }

    private static string Hint(int code) => code switch
    {
        CudaApi.OutOfMemory or 701 => "make the batch, the pool or the sequence length smaller, or free the device of other work",
        100 or 101 => "nengine doctor shows the devices; CUDA_VISIBLE_DEVICES may hide some",
        218 or 222 => "update the NVIDIA driver: its compiler refuses the kernels of this build",
        700 or 715 or 716 or 717 or 718 or 719 => "this is a defect of a kernel: please report it with the sizes; --device cpu does without it",
        214 or 999 => "the card reports a fault: look at nvidia-smi -q and the system's log",
        _ => "nengine doctor shows the devices; --device cpu does without them",
    };
}
