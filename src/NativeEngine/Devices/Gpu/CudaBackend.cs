using System.Globalization;
using NativeEngine.Native;

namespace NativeEngine.Devices.Gpu;

/// <summary>NVIDIA GPUs through the CUDA driver: nothing but the driver is needed, the kernels lie in the assembly as PTX.</summary>
public sealed unsafe class CudaBackend : GpuBackend
{
    private readonly CudaApi? _api;

    private CudaBackend(LibrarySearch search, Func<CudaApi>? open)
        : base(search)
    {
        if (!TryOpen("NVIDIA driver", open, out _api))
        {
            return;
        }
        int count = 0;
        if (Failure(_api.Init(0), "cuInit") is { } init)
        {
            Problem = init;
        }
        else if (Failure(_api.DeviceGetCount(&count), "cuDeviceGetCount") is { } counting)
        {
            Problem = counting;
        }
        else if (count == 0)
        {
            Problem = "the NVIDIA driver lists no device";
        }
        else
        {
            Devices = [.. Enumerable.Range(0, count).Select(Describe)];
        }
    }

    /// <inheritdoc/>
    public override string Name => "cuda";

    /// <summary>Looks for the driver and its devices: about 0.2 s where there is one, nothing where there is none.</summary>
    public static CudaBackend Find()
    {
        var search = CudaLibrary.Search();
        return new CudaBackend(search, search.Found ? () => CudaLibrary.Open(search) : null);
    }

    /// <summary>A backend over a table of functions that is no library.</summary>
    internal static CudaBackend Over(CudaApi api) => new(new LibrarySearch(1, "a table", []), () => api);

    private protected override IGpuDriver OpenDriver(GpuInfo device) =>
        new CudaDriver(_api!, int.Parse(device.Name.AsSpan("cuda:".Length), CultureInfo.InvariantCulture), GpuModules.Ptx);

    private string? Failure(int code, string call) => code == CudaApi.Success ? null
        : $"{call} failed with {_api!.ErrorName(code) ?? "an unknown error"} ({code}){(_api.ErrorText(code) is { Length: > 0 } text ? $": {text}" : "")}";

    private GpuInfo Describe(int ordinal)
    {
        int device = 0;
        string name = string.Create(CultureInfo.InvariantCulture, $"cuda:{ordinal}");
        if (Failure(_api!.DeviceGet(&device, ordinal), "cuDeviceGet") is { } problem)
        {
            return new GpuInfo(name, name, 0, true, problem);
        }
        var facts = CudaFacts.Read(_api, device);
        return new GpuInfo(name, $"{name}, {facts.Describe()}", facts.TotalMemory, true, facts.Problem);
    }
}
