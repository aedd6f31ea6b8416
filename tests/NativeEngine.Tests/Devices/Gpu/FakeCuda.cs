using System.Runtime.InteropServices;
using System.Text;
using NativeEngine.Native;

namespace NativeEngine.Tests.Devices.Gpu;

/// <summary>
/// A CUDA driver in host memory: one device, everything asynchronous is really put off until somebody waits for it, memory is full of rubbish when
/// it is given out, addresses are checked, and everything taken is counted. The n-th call can be made to fail. Kernels are for subclasses.
/// </summary>
internal unsafe class FakeCuda : CudaApi
{
    public const int InvalidValue = 1, NotFound = 500, IllegalAddress = 700;

    private readonly SortedList<ulong, long> _blocks = [];
    private readonly HashSet<nint> _host = [], _events = [], _streams = [], _modules = [];
    private readonly Dictionary<nint, long> _eventPlaces = [];
    private readonly Queue<Action> _pending = [];
    private long _issued, _done;
    private int _contexts;
    private nint _current, _next = 1;
    private int _sticky;
    private (string Call, int Left, int Code) _failing;

    /// <summary>The call that fails, counted from 1; 0 for none.</summary>
    public int FailAt { get; init; }

    /// <summary>What it fails with; anything but out of memory then sticks to every later call.</summary>
    public int FailCode { get; init; } = IllegalAddress;

    /// <summary>Makes the n-th call of a name from now on fail, as <see cref="FailAt"/> does.</summary>
    public void FailFromNow(string call, int nth, int code) => _failing = (call, nth, code);

    /// <summary>Bytes of memory of the device.</summary>
    public long Memory { get; init; } = 1L << 30;

    public int Capability { get; init; } = 80;

    public int DeviceCount { get; init; } = 1;

    /// <summary>Calls so far.</summary>
    public int Calls { get; private set; }

    /// <summary>The call that was made to fail.</summary>
    public string? Failed { get; private set; }

    public long LiveBytes => _blocks.Values.Sum();

    public int Allocations { get; private set; }

    /// <summary>What was taken and not given back; empty when all is well.</summary>
    public string Leaks => string.Join(", ", new (string, int)[]
    {
        ("blocks", _blocks.Count), ("pinned", _host.Count), ("events", _events.Count), ("streams", _streams.Count), ("modules", _modules.Count),
        ("contexts", _contexts),
    }.Where(l => l.Item2 != 0).Select(l => $"{l.Item2} {l.Item1}"));

    /// <summary>Largest offset from the start of a block to its end, for a range that lies in one block; else false.</summary>
    public bool IsInside(ulong address, long bytes)
    {
        foreach (var (start, size) in _blocks)
        {
            if (address >= start && address + (ulong)bytes <= start + (ulong)size)
            {
                return true;
            }
        }
        return false;
    }

    public override int Init(uint flags) => Enter("cuInit");

    public override int DriverGetVersion(int* version)
    {
        *version = 12080;
        return Enter("cuDriverGetVersion");
    }

    public override int DeviceGetCount(int* count)
    {
        *count = DeviceCount;
        return Enter("cuDeviceGetCount");
    }

    public override int DeviceGet(int* device, int ordinal)
    {
        *device = ordinal;
        return Enter("cuDeviceGet") is var code and not 0 ? code : ordinal < DeviceCount ? 0 : 101;
    }

    public override int DeviceGetName(byte* name, int length, int device)
    {
        Encoding.UTF8.GetBytes("Fake GPU\0").CopyTo(new Span<byte>(name, length));
        return Enter("cuDeviceGetName");
    }

    public override int DeviceGetAttribute(int* value, CudaAttribute attribute, int device)
    {
        *value = attribute switch
        {
            CudaAttribute.ComputeCapabilityMajor => Capability / 10,
            CudaAttribute.ComputeCapabilityMinor => Capability % 10,
            CudaAttribute.MultiprocessorCount => 4,
            _ => 0,
        };
        return Enter("cuDeviceGetAttribute");
    }

    public override int DeviceTotalMem(nuint* bytes, int device)
    {
        *bytes = (nuint)Memory;
        return Enter("cuDeviceTotalMem");
    }

    public override int DevicePrimaryCtxRetain(nint* context, int device)
    {
        if (Enter("cuDevicePrimaryCtxRetain") is var code and not 0)
        {
            return code;
        }
        _contexts++;
        *context = 77;
        return Success;
    }

    public override int DevicePrimaryCtxRelease(int device)
    {
        _contexts--;
        return Enter("cuDevicePrimaryCtxRelease");
    }

    public override int CtxSetCurrent(nint context)
    {
        _current = context;
        return Enter("cuCtxSetCurrent");
    }

    public override int MemAlloc(ulong* address, nuint bytes)
    {
        if (Enter("cuMemAlloc") is var code and not 0)
        {
            return code;
        }
        if (LiveBytes + (long)bytes > Memory)
        {
            return OutOfMemory;
        }
        void* memory = NativeMemory.AlignedAlloc(bytes, 256);
        NativeMemory.Fill(memory, bytes, 0xCD);
        _blocks.Add((ulong)memory, (long)bytes);
        Allocations++;
        *address = (ulong)memory;
        return Success;
    }

    public override int MemFree(ulong address)
    {
        // Like the real one, it waits for the device; and what was given back is given back, whatever the answer.
        Run(long.MaxValue);
        int code = Enter("cuMemFree");
        if (!_blocks.Remove(address))
        {
            return InvalidValue;
        }
        NativeMemory.AlignedFree((void*)address);
        return code;
    }

    public override int MemHostAlloc(void** memory, nuint bytes, uint flags)
    {
        if (Enter("cuMemHostAlloc") is var code and not 0)
        {
            return code;
        }
        *memory = NativeMemory.AlignedAlloc(bytes, 4096);
        _host.Add((nint)(*memory));
        return Success;
    }

    public override int MemFreeHost(void* memory)
    {
        Run(long.MaxValue);
        NativeMemory.AlignedFree(memory);
        return _host.Remove((nint)memory) ? Enter("cuMemFreeHost") : InvalidValue;
    }

    public override int MemcpyHtoDAsync(ulong destination, void* source, nuint bytes, nint stream) =>
        Enter("cuMemcpyHtoDAsync") is var code and not 0 ? code
        : IsInside(destination, (long)bytes) ? Later(() => NativeMemory.Copy(source, (void*)destination, bytes)) : InvalidValue;

    public override int MemcpyDtoHAsync(void* destination, ulong source, nuint bytes, nint stream) =>
        Enter("cuMemcpyDtoHAsync") is var code and not 0 ? code
        : IsInside(source, (long)bytes) ? Later(() => NativeMemory.Copy((void*)source, destination, bytes)) : InvalidValue;

    public override int MemsetD8Async(ulong destination, byte value, nuint bytes, nint stream) =>
        Enter("cuMemsetD8Async") is var code and not 0 ? code
        : IsInside(destination, (long)bytes) ? Later(() => NativeMemory.Fill((void*)destination, bytes, value)) : InvalidValue;

    public override int ModuleLoadDataEx(nint* module, void* image, uint options, int* names, void** values)
    {
        if (Enter("cuModuleLoadDataEx") is var code and not 0)
        {
            Log(options, names, values, "ptxas fatal : a planted fault");
            return code;
        }
        *module = Load(Marshal.PtrToStringUTF8((nint)image)!);
        return Success;
    }

    public override int ModuleUnload(nint module) => _modules.Remove(module) ? Enter("cuModuleUnload") : InvalidValue;

    public override int ModuleGetFunction(nint* function, nint module, byte* name)
    {
        if (Enter("cuModuleGetFunction") is var code and not 0)
        {
            return code;
        }
        *function = FunctionOf(module, Marshal.PtrToStringUTF8((nint)name)!);
        return *function == 0 ? NotFound : Success;
    }

    public override int LaunchKernel(
        nint function, uint gridX, uint gridY, uint gridZ, uint blockX, uint blockY, uint blockZ, uint sharedBytes, nint stream, void** parameters,
        void** extra) =>
        Enter("cuLaunchKernel") is var code and not 0 ? code : Later(Kernel(function, (int)gridX, (int)gridY, (int)gridZ, (int)blockX, parameters));

    public override int StreamCreate(nint* stream, uint flags) => Make(_streams, stream, "cuStreamCreate");

    public override int StreamDestroy(nint stream) => _streams.Remove(stream) ? Enter("cuStreamDestroy") : InvalidValue;

    public override int StreamSynchronize(nint stream)
    {
        Run(long.MaxValue);
        return Enter("cuStreamSynchronize");
    }

    public override int EventCreate(nint* handle, uint flags) => Make(_events, handle, "cuEventCreate");

    public override int EventDestroy(nint handle) => _events.Remove(handle) ? Enter("cuEventDestroy") : InvalidValue;

    public override int EventRecord(nint handle, nint stream)
    {
        _eventPlaces[handle] = _issued;
        return Enter("cuEventRecord");
    }

    public override int EventSynchronize(nint handle)
    {
        Run(_eventPlaces[handle]);
        return Enter("cuEventSynchronize");
    }

    public override int EventElapsedTime(float* milliseconds, nint start, nint end)
    {
        *milliseconds = _eventPlaces[end] - _eventPlaces[start];
        return Enter("cuEventElapsedTime");
    }

    public override string? ErrorName(int code) => code switch
    {
        2 => "CUDA_ERROR_OUT_OF_MEMORY",
        101 => "CUDA_ERROR_INVALID_DEVICE",
        IllegalAddress => "CUDA_ERROR_ILLEGAL_ADDRESS",
        _ => null,
    };

    public override string? ErrorText(int code) => code == IllegalAddress ? "an illegal memory access was encountered" : null;

    /// <summary>Makes a module of its text; a handle from <see cref="NewModule"/>.</summary>
    protected virtual nint Load(string text) => NewModule();

    /// <summary>A kernel of a module, or 0.</summary>
    protected virtual nint FunctionOf(nint module, string name) => 1;

    /// <summary>Reads the parameters at once and gives what is to run later.</summary>
    protected virtual Action Kernel(nint function, int gridX, int gridY, int gridZ, int threads, void** parameters) => () => { };

    protected nint NewModule()
    {
        _modules.Add(_next);
        return _next++;
    }

    /// <summary>What a kernel that fails while it runs does: the error is met by the next call that waits, and sticks.</summary>
    protected void FailKernel() => _sticky = IllegalAddress;

    private static void Log(uint options, int* names, void** values, string text)
    {
        for (int i = 0; i < options; i++)
        {
            const int ErrorLog = 5;
            if (names[i] == ErrorLog)
            {
                Encoding.UTF8.GetBytes(text).CopyTo(new Span<byte>(values[i], text.Length));
            }
        }
    }

    private int Make(HashSet<nint> kind, nint* handle, string call)
    {
        if (Enter(call) is var code and not 0)
        {
            return code;
        }
        kind.Add(_next);
        *handle = _next++;
        return Success;
    }

    private int Later(Action work)
    {
        _pending.Enqueue(work);
        _issued++;
        return Success;
    }

    private void Run(long until)
    {
        while (_done < until && _pending.TryDequeue(out var work))
        {
            _done++;
            if (_sticky == 0)
            {
                work();
            }
        }
    }

    private int Enter(string call)
    {
        if (call is not ("cuInit" or "cuCtxSetCurrent") && !call.StartsWith("cuDevice", StringComparison.Ordinal) && !call.StartsWith("cuDriver", StringComparison.Ordinal))
        {
            Assert.Equal(77, _current);
        }
        if (call == _failing.Call && --_failing.Left == 0)
        {
            Failed = call;
            _sticky = _failing.Code == OutOfMemory ? 0 : _failing.Code;
            return _failing.Code;
        }
        if (++Calls == FailAt)
        {
            Failed = call;
            _sticky = FailCode == OutOfMemory ? 0 : FailCode;
            return FailCode;
        }
        return _sticky;
    }
}
