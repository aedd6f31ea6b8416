using System.Collections.Frozen;
using System.Reflection;

namespace NativeEngine.Devices.Gpu;

/// <summary>
/// The kernels in this assembly: their source (kernels/*.cu with portable.h) and their PTX, one file of each name. Which file holds a kernel is
/// read from the sources themselves, where it stands as KERNEL(name) or KERNEL_OF_TWO(name).
/// </summary>
internal static class GpuModules
{
    private const string Folder = "kernels/", Header = "portable.h";

    private static readonly Lazy<FrozenDictionary<string, string>> _fileOf = new(FilesOfKernels);

    /// <summary>Every kernel's name.</summary>
    public static IReadOnlyCollection<string> Kernels => _fileOf.Value.Keys;

    /// <summary>The PTX that holds a kernel.</summary>
    public static GpuModule Ptx(string kernel)
    {
        string name = FileOf(kernel) + ".ptx";
        return new GpuModule(name, Read(name));
    }

    /// <summary>The OpenCL C that holds a kernel: the header, then the file.</summary>
    public static GpuModule OpenCl(string kernel)
    {
        string name = FileOf(kernel) + ".cu";
        return new GpuModule(name, Read(Header) + "\n" + Read(name));
    }

    private static string FileOf(string kernel) => _fileOf.Value.TryGetValue(kernel, out string? file) ? file
        : throw new ArgumentException($"no file of {Folder} has a kernel {kernel}", nameof(kernel));

    private static FrozenDictionary<string, string> FilesOfKernels()
    {
        var files = new Dictionary<string, string>();
        foreach (string resource in Assembly.GetExecutingAssembly().GetManifestResourceNames())
        {
            if (!resource.StartsWith(Folder, StringComparison.Ordinal) || !resource.EndsWith(".cu", StringComparison.Ordinal))
            {
                continue;
            }
            string name = resource[Folder.Length..^".cu".Length];
            foreach (string line in Read(name + ".cu").Split('\n'))
            {
                if (line.StartsWith("KERNEL", StringComparison.Ordinal) && line.IndexOf('(') is var start and > 0 && line.IndexOf(')') is var end && end > start)
                {
                    files.Add(line[(start + 1)..end], name);
                }
            }
        }
        return files.ToFrozenDictionary();
    }

    private static string Read(string name)
    {
        using var stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(Folder + name)
            ?? throw new InvalidOperationException($"this build has no {Folder}{name}");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
