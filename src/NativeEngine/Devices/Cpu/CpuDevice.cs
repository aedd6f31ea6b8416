using System.Runtime.Intrinsics;

namespace NativeEngine.Devices.Cpu;

/// <summary>
/// The processor this program runs on: kernels in C# over sixteen float32 lanes, on its own threads. Results have the same bits for any
/// number of threads and any register width. Work is synchronous.
/// </summary>
public sealed class CpuDevice : Device
{
    /// <summary>Bytes of freed buffers that are kept for the next ones.</summary>
    internal const long KeptBytes = 32 << 20;

    private readonly ThreadTeam _team;
    private readonly HostMemory _memory = new(KeptBytes);

    /// <summary>
    /// A device with <paramref name="threads"/> threads (0: one per available processor) and the given register width (null: the widest the
    /// processor has, or what the environment variable NENGINE_SIMD says: 512, 256, 128, scalar). <paramref name="decorate"/> may put
    /// something around the kernels that everybody who uses this device then calls (a profiler). Errors: a width the processor lacks.
    /// </summary>
    public CpuDevice(int threads = 0, SimdWidth? width = null, Func<IKernels, IKernels>? decorate = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(threads);
        Width = width ?? FromEnvironment() ?? Widest;
        if (Width > Widest)
        {
            throw new EngineException(ErrorKind.DeviceUnavailable,
                $"cpu: {NameOf(Width)} registers were asked for, this processor has {NameOf(Widest)}",
                "--simd auto, and unset NENGINE_SIMD");
        }
        _team = new ThreadTeam(threads == 0 ? Environment.ProcessorCount : threads);
        // Compiled beforehand, a width that the processor is not compiled for is a constant, and its kernels are left out.
        IKernels kernels = Width switch
        {
            SimdWidth.Bits512 when Vector512.IsHardwareAccelerated => new CpuKernels<Lanes512>(_team),
            SimdWidth.Bits256 when Vector256.IsHardwareAccelerated => new CpuKernels<Lanes256>(_team),
            SimdWidth.Bits128 => new CpuKernels<Lanes128>(_team),
            _ => new CpuKernels<LanesScalar>(_team),
        };
        Screen = (IScreenKernels)kernels;
        Kernels = decorate is null ? kernels : decorate(kernels);
    }

    /// <summary>The widest registers of this processor.</summary>
    public static SimdWidth Widest =>
        Vector512.IsHardwareAccelerated ? SimdWidth.Bits512
        : Vector256.IsHardwareAccelerated ? SimdWidth.Bits256
        : Vector128.IsHardwareAccelerated ? SimdWidth.Bits128
        : SimdWidth.Scalar;

    /// <summary>The width in use.</summary>
    public SimdWidth Width { get; }

    /// <summary>Number of threads, the caller's included.</summary>
    public int Threads => _team.Size;

    /// <inheritdoc/>
    public override string Name => "cpu";

    /// <inheritdoc/>
    public override string Description => $"cpu, {Threads} thread{(Threads == 1 ? "" : "s")}, {NameOf(Width)} registers";

    /// <inheritdoc/>
    public override IKernels Kernels { get; }

    /// <inheritdoc/>
    public override IScreenKernels Screen { get; }

    /// <summary>The threads, for what must run as kernels do (the profiler's probes).</summary>
    internal ThreadTeam Team => _team;

    /// <summary>The width as NENGINE_SIMD spells it.</summary>
    public static string NameOf(SimdWidth width) => width == SimdWidth.Scalar ? "scalar" : $"{(int)width}-bit";

    /// <summary>Bytes that similarities and distances of n rows of h columns take beside their tensors: packed rows and the units of the threads.</summary>
    public static long SimilarityScratch(long n, long h, int threads) => CpuKernels<LanesScalar>.SimilarityScratch(n, h, threads);

    /// <summary>Bytes that the greedy on a matrix of n rows takes beside its tensors.</summary>
    public static long FacilityLocationScratch(long n) => CpuKernels<LanesScalar>.FacilityLocationScratch(n);

    /// <summary>
    /// A buffer over memory of the caller's (another program's array), aligned to an element: kernels read it where it lies. Nothing is copied, counted or freed; the memory must outlive the buffer.
    /// </summary>
    public unsafe DeviceBuffer<T> Borrow<T>(T* memory, long length)
        where T : unmanaged
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        if ((memory is null && length > 0) || (nuint)memory % (nuint)sizeof(T) != 0)
        {
            throw new ArgumentException($"memory of {length} elements of {sizeof(T)} bytes cannot be borrowed at address {(nint)memory:x}", nameof(memory));
        }
        return new DeviceBuffer<T>(this, (nint)memory, length);
    }

    /// <inheritdoc/>
    public override void Synchronize()
    {
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        _team.Dispose();
        _memory.Dispose();
    }

    /// <inheritdoc/>
    protected override unsafe void CopyIn<T>(ReadOnlySpan<T> source, Tensor<T> destination) =>
        source.CopyTo(new Span<T>(destination.Pointer, source.Length));

    /// <inheritdoc/>
    protected override unsafe void CopyOut<T>(Tensor<T> source, Span<T> destination) =>
        new ReadOnlySpan<T>(source.Pointer, destination.Length).CopyTo(destination);

    /// <inheritdoc/>
    protected override nint TryAllocate(long bytes) => _memory.Allocate(bytes, zeroed: true);

    /// <inheritdoc/>
    protected override void Free(nint handle, long bytes) => _memory.Free(handle, bytes);

    private static SimdWidth? FromEnvironment() => Environment.GetEnvironmentVariable("NENGINE_SIMD")?.Trim().ToLowerInvariant() switch
    {
        null or "" or "auto" => null,
        "512" or "avx512" => SimdWidth.Bits512,
        "256" or "avx2" => SimdWidth.Bits256,
        "128" or "sse" or "neon" => SimdWidth.Bits128,
        "scalar" or "1" => SimdWidth.Scalar,
        var other => throw new EngineException(ErrorKind.Usage, $"NENGINE_SIMD is \"{other}\"; it may be 512, 256, 128 or scalar", "unset NENGINE_SIMD, or NENGINE_SIMD=256 nengine …"),
    };
}
