using NativeEngine.Tests.Devices.Gpu;

namespace NativeEngine.Tests.Ptx;

/// <summary>A CUDA driver whose kernels run on the interpreter: the launcher's way from cuModuleLoadDataEx to cuLaunchKernel, without a GPU.</summary>
internal sealed unsafe class InterpretedCuda : FakeCuda, IDisposable
{
    private readonly PtxMemory _memory = new();
    private readonly Dictionary<nint, Dictionary<string, PtxKernel>> _kernelsOf = [];
    private readonly List<PtxKernel> _functions = [];
    private PtxLauncher? _launcher;

    public int Launches { get; private set; }

    public override int MemAlloc(ulong* address, nuint bytes)
    {
        int code = base.MemAlloc(address, bytes);
        if (code == Success)
        {
            _memory.Add((long)*address, (long)bytes);
        }
        return code;
    }

    public override int MemFree(ulong address)
    {
        int code = base.MemFree(address);
        _memory.Remove((long)address);
        return code;
    }

    public void Dispose()
    {
        _launcher?.Dispose();
        _memory.Dispose();
    }

    protected override nint Load(string text)
    {
        nint module = NewModule();
        _kernelsOf[module] = PtxLauncher.Kernels(text);
        return module;
    }

    protected override nint FunctionOf(nint module, string name)
    {
        if (!_kernelsOf[module].TryGetValue(name, out var kernel))
        {
            return 0;
        }
        _functions.Add(kernel);
        return _functions.Count;
    }

    protected override Action Kernel(nint function, int gridX, int gridY, int gridZ, int threads, void** parameters)
    {
        var kernel = _functions[(int)function - 1];
        var values = new long[kernel.Parameters.Count];
        for (int p = 0; p < values.Length; p++)
        {
            values[p] = PtxKernel.WidthOf(kernel.Parameters[p].Type) == 8 ? *(long*)parameters[p] : *(uint*)parameters[p];
        }
        Launches++;
        return () => (_launcher ??= new PtxLauncher(_memory)).Launch(kernel, values, gridX, gridY, gridZ, threads);
    }
}
