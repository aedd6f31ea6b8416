using NativeEngine.Native;

namespace NativeEngine.Devices.Gpu;

/// <summary>Any OpenCL 1.2 device with double precision: the kernels' source is compiled by its vendor's compiler when it is first needed.</summary>
public sealed class OpenClBackend : GpuBackend
{
    private const string VendorFolder = "/etc/OpenCL/vendors";

    private readonly OpenClApi? _api;
    private readonly IReadOnlyList<OpenClFacts> _facts = [];

    private OpenClBackend(LibrarySearch search, Func<OpenClApi>? open)
        : base(search)
    {
        if (!TryOpen("OpenCL library", open, out _api))
        {
            return;
        }
        (int status, var facts) = OpenClFacts.ReadAll(_api);
        _facts = facts;
        Devices = [.. facts.Select(f => new GpuInfo(f.Name, $"{f.Name}, {f.Describe()}", f.TotalMemory, f.IsGpu, f.Problem))];
        Problem = status != OpenClApi.Success ? $"clGetPlatformIDs failed with {OpenClStatus.Name(status)} ({status})"
            : facts.Count == 0 ? $"{search.Path} lists no device (implementations register themselves in {VendorFolder})" : null;
    }

    /// <inheritdoc/>
    public override string Name => "opencl";

    /// <summary>
    /// False where a look at the registered vendors shows that OpenCL leads to nothing but this machine's own CPU (PoCL), so that the library,
    /// which takes long to load, need not be asked for a GPU.
    /// </summary>
    public static bool MayHaveGpu()
    {
        string[] asked = [OpenClLibrary.Variable, "OCL_ICD_VENDORS", "OCL_ICD_FILENAMES"];
        if (!OperatingSystem.IsLinux() || asked.Any(name => !string.IsNullOrEmpty(Environment.GetEnvironmentVariable(name))))
        {
            return true;
        }
        return Directory.Exists(VendorFolder)
            && Directory.EnumerateFiles(VendorFolder, "*.icd").Any(file => !Path.GetFileName(file).Contains("pocl", StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>Looks for the library and its devices.</summary>
    public static OpenClBackend Find()
    {
        var search = OpenClLibrary.Search();
        return new OpenClBackend(search, search.Found ? () => OpenClLibrary.Open(search) : null);
    }

    private protected override IGpuDriver OpenDriver(GpuInfo device) => new OpenClDriver(_api!, _facts.First(f => f.Name == device.Name), GpuModules.OpenCl);
}
