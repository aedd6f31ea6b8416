using NativeEngine.Devices.Gpu;

namespace NativeEngine.Tests.Ptx;

/// <summary>
/// The driver that needs no GPU: it runs the PTX of the kernels, checking every access. Faults are <see cref="PtxFaultException"/>s of the launch.
/// Edit may change a module's text before it is read: a planted fault.
/// </summary>
internal sealed class InterpretedDriver(Func<string, string>? edit = null) : IGpuDriver
{
    private readonly PtxMemory _memory = new();
    private readonly Dictionary<string, PtxKernel> _kernels = [];
    private PtxLauncher? _launcher;

    public string Name => "interpreted";

    public string Description => "the PTX interpreter of the tests";

    public long TotalMemory => 1L << 32;

    /// <summary>Blocks that were taken and not given back.</summary>
    public int LiveBlocks => _memory.LiveBlocks;

    /// <summary>Kernels launched so far, by name.</summary>
    public Dictionary<string, int> Launches { get; } = [];

    /// <summary>The next allocation, counted from 0, that is refused; -1 for none.</summary>
    public int RefuseAllocation { get; set; } = -1;

    public nint TryAllocate(long bytes) => RefuseAllocation-- == 0 ? 0 : _memory.Allocate(bytes);

    public void Free(nint handle) => _memory.Free(handle);

    public unsafe void CopyIn(nint buffer, long byteOffset, ReadOnlySpan<byte> source) =>
        source.CopyTo(new Span<byte>((void*)Within(buffer + byteOffset, source.Length), source.Length));

    public unsafe void CopyOut(nint buffer, long byteOffset, Span<byte> destination) =>
        new ReadOnlySpan<byte>((void*)Within(buffer + byteOffset, destination.Length), destination.Length).CopyTo(destination);

    public unsafe void Clear(nint buffer, long byteOffset, long bytes) =>
        new Span<byte>((void*)Within(buffer + byteOffset, (int)bytes), (int)bytes).Clear();

    public GpuFunction Function(string kernelName)
    {
        if (!_kernels.ContainsKey(kernelName))
        {
            string text = GpuModules.Ptx(kernelName).Text;
            _kernels[kernelName] = (edit is null ? PtxLauncher.Kernels(text) : PtxKernel.Parse(edit(text)))[kernelName];
        }
        return new GpuFunction(kernelName, 1);
    }

    public void Launch(GpuFunction function, int groupsX, int groupsY, int groupsZ, int threads, ReadOnlySpan<GpuArgument> arguments)
    {
        var kernel = _kernels[function.Name];
        Assert.InRange(groupsY, 1, 65_535);
        Assert.InRange(groupsZ, 1, 65_535);
        Launches[function.Name] = Launches.GetValueOrDefault(function.Name) + 1;
        _launcher ??= new PtxLauncher(_memory);
        _launcher.Launch(kernel, Parameters(kernel, arguments), groupsX, groupsY, groupsZ, threads);
    }

    public void Synchronize()
    {
    }

    public void Dispose()
    {
        _launcher?.Dispose();
        _memory.Dispose();
    }

    private long Within(long address, int bytes) => bytes == 0 || _memory.TryFind(address, bytes, out _)
        ? address
        : throw new PtxFaultException($"a copy of {bytes} bytes outside every buffer: {_memory.Describe(address)}");

    private static long[] Parameters(PtxKernel kernel, ReadOnlySpan<GpuArgument> arguments)
    {
        var values = new List<long>();
        foreach (var argument in arguments)
        {
            string want = argument.Kind switch
            {
                GpuArgumentKind.Buffer or GpuArgumentKind.Long => "u64",
                GpuArgumentKind.Int => "u32",
                GpuArgumentKind.Float => "f32",
                _ => "f64",
            };
            for (int p = 0; p < argument.Parameters; p++)
            {
                if (values.Count == kernel.Parameters.Count || kernel.Parameters[values.Count].Type.Replace('b', 'u') != want)
                {
                    throw new PtxFaultException(
                        $"{kernel.Name}: argument {values.Count} is {want}, the kernel has {(values.Count == kernel.Parameters.Count ? "no such parameter" : kernel.Parameters[values.Count].Type)}");
                }
                values.Add(p == 0 ? argument.Bits : argument.ByteOffset);
            }
        }
        return values.Count == kernel.Parameters.Count ? [.. values]
            : throw new PtxFaultException($"{kernel.Name}: {values.Count} arguments for {kernel.Parameters.Count} parameters");
    }
}
