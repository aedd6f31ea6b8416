using NativeEngine.Devices.Gpu;

namespace NativeEngine.Tests.Support;

/// <summary>An OpenCL device whose kernels can run, where the system has one (PoCL in continuous integration).</summary>
internal static class OpenCl
{
    private static readonly Lazy<(string? Name, string? Missing)> _found = new(Find);

    /// <summary>Its name as --device takes it.</summary>
    public static string Name => _found.Value.Name ?? throw new InvalidOperationException(Missing);

    /// <summary>Why there is none, or null.</summary>
    public static string? Missing => _found.Value.Missing;

    /// <summary>Opens it.</summary>
    public static GpuDevice Open() => OpenClBackend.Find().Open(Name);

    private static (string?, string?) Find()
    {
        var backend = OpenClBackend.Find();
        var usable = backend.Devices.FirstOrDefault(device => device.Problem is null);
        return usable is not null ? (usable.Name, null)
            : (null, $"needs an OpenCL device (Debian: pocl-opencl-icd, ocl-icd-libopencl1): {backend.Problem ?? backend.Devices[0].Problem}");
    }
}

/// <summary>A test that needs an OpenCL device; skipped, and printed as skipped, where there is none.</summary>
public sealed class FactWithOpenClAttribute : FactAttribute
{
    /// <param name="shared">Files of the shared folder that it needs besides.</param>
    public FactWithOpenClAttribute(params string[] shared) => Skip = OpenCl.Missing ?? Reason.MissingShared(shared);
}

/// <summary>The theory of the same kind as <see cref="FactWithOpenClAttribute"/>.</summary>
public sealed class TheoryWithOpenClAttribute : TheoryAttribute
{
    public TheoryWithOpenClAttribute() => Skip = OpenCl.Missing;
}
