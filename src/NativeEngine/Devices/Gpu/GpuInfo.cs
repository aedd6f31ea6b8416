using System.Diagnostics.CodeAnalysis;
using NativeEngine.Native;

namespace NativeEngine.Devices.Gpu;

/// <summary>A device that a driver lists.</summary>
/// <param name="Name">As --device takes it: cuda:0, opencl:0.1.</param>
/// <param name="Description">One line for people.</param>
/// <param name="TotalMemory">Bytes of its memory.</param>
/// <param name="IsGpu">False for a CPU behind OpenCL.</param>
/// <param name="Problem">Why the kernels cannot run on it, or null.</param>
public sealed record GpuInfo(string Name, string Description, long TotalMemory, bool IsGpu, string? Problem);

/// <summary>
/// One way to GPUs, found at run time: where its library was looked for, the devices it lists, or the sentence why there are none. Nothing
/// throws until a device is opened.
/// </summary>
public abstract class GpuBackend
{
    private protected GpuBackend(LibrarySearch search) => Search = search;

    /// <summary>cuda or opencl.</summary>
    public abstract string Name { get; }

    /// <summary>Where the library was looked for.</summary>
    public LibrarySearch Search { get; }

    /// <summary>The devices, in the driver's order.</summary>
    public IReadOnlyList<GpuInfo> Devices { get; private protected set; } = [];

    /// <summary>Why there is no device; null when there is one.</summary>
    public string? Problem { get; private protected set; }

    /// <summary>
    /// The device of a name as <see cref="Devices"/> has it, or the first usable one for <see cref="Name"/> alone. Errors: DeviceUnavailable
    /// with what there is instead, or why it cannot be used.
    /// </summary>
    public GpuInfo Choose(string device)
    {
        const string Ways = "nengine doctor shows the devices and where their libraries were looked for; --device cpu needs none";
        if (Problem is not null)
        {
            throw new EngineException(ErrorKind.DeviceUnavailable, $"the device '{device}' cannot be used: {Problem}", Ways);
        }
        var found = device == Name ? Devices.FirstOrDefault(d => d.Problem is null) ?? Devices[0] : Devices.FirstOrDefault(d => d.Name == device);
        if (found is null)
        {
            throw new EngineException(ErrorKind.DeviceUnavailable,
                $"there is no device '{device}', there {(Devices.Count == 1 ? "is" : "are")} {string.Join(", ", Devices.Select(d => d.Name))}", Ways);
        }
        return found.Problem is null ? found
            : throw new EngineException(ErrorKind.DeviceUnavailable, $"the device {found.Description} cannot be used: {found.Problem}", Ways);
    }

    /// <summary>
    /// Opens the device that <see cref="Choose"/> finds, with a limit on what may be allocated and the <paramref name="precision"/> of its matrix
    /// products. Errors: DeviceUnavailable.
    /// </summary>
    public GpuDevice Open(
        string device, long memoryLimit = long.MaxValue, Func<IKernels, IKernels>? decorate = null, MatMulPrecision precision = MatMulPrecision.Float32) =>
        new(OpenDriver(Choose(device)), opened => new GpuKernels(opened) { Precision = precision }, decorate) { MemoryLimit = memoryLimit };

    private protected abstract IGpuDriver OpenDriver(GpuInfo device);

    /// <summary>Opens the library, or says in <see cref="Problem"/> why not; <paramref name="open"/> is null where none was found.</summary>
    private protected bool TryOpen<T>(string what, Func<T>? open, [NotNullWhen(true)] out T? api)
        where T : class
    {
        api = null;
        try
        {
            api = open?.Invoke();
            Problem = api is not null ? null : $"no {what} was found ({Search.Places} {(Search.Tried.Count == 1 ? "was" : "were")} tried)";
        }
        catch (EngineException error)
        {
            Problem = error.Message;
        }
        return api is not null;
    }
}
