using System.Runtime.InteropServices;

namespace NativeEngine.Native;

/// <summary>
/// Finds the ONNX Runtime library at run time; nothing is linked. A named one (an option, else the environment variable
/// <see cref="Variable"/>; a file, or a folder that holds it) is the only one tried. Otherwise, in this order: the program's folder, its
/// runtimes/RID/native, the nearest node_modules/onnxruntime-node from the working directory upwards, and the system's loader.
/// </summary>
public sealed class OnnxRuntimeLibrary
{
    /// <summary>The environment variable that names the library.</summary>
    public const string Variable = "NENGINE_ORT_LIB";

    /// <summary>The version of the function table that is asked for; every later release has it as well.</summary>
    public const int ApiVersion = 14;

    private readonly List<LibraryAttempt> _attempts = [];

    private OnnxRuntimeLibrary()
    {
    }

    /// <summary>Every place in the order it was tried.</summary>
    public IReadOnlyList<LibraryAttempt> Attempts => _attempts;

    /// <summary>The file that was loaded, or null.</summary>
    public string? Path { get; private set; }

    /// <summary>Its version, or null.</summary>
    public string? Version { get; private set; }

    /// <summary>Whether a library was found.</summary>
    public bool IsFound => Api is not null;

    /// <summary>The execution providers it was built with; none when it was not found.</summary>
    public IReadOnlyList<string> Providers => Api?.AvailableProviders() ?? [];

    internal OnnxRuntimeApi? Api { get; private set; }

    /// <summary>
    /// Looks for the library and loads the first that fits. <paramref name="named"/> is what the user named, or null. A loaded library stays in
    /// the process. Not finding one is no error here; see <see cref="Require"/>.
    /// </summary>
    public static OnnxRuntimeLibrary Find(string? named, Func<string, string?>? environment = null)
    {
        var library = new OnnxRuntimeLibrary();
        foreach (string place in Places(named, environment ?? Environment.GetEnvironmentVariable))
        {
            if (library.Try(place))
            {
                break;
            }
        }
        return library;
    }

    /// <summary>The library. Errors: DeviceUnavailable with the places that were tried.</summary>
    internal OnnxRuntimeApi Require() => Api ?? throw new EngineException(ErrorKind.DeviceUnavailable,
        $"ONNX Runtime was not found: {string.Join("; ", _attempts.Select(a => $"{a.Path}: {a.Outcome}"))}",
        $"install it (npm install --ignore-scripts onnxruntime-node, or pip install onnxruntime) and name its library with --ort-lib or {Variable}");

    private static IEnumerable<string> Places(string? named, Func<string, string?> environment)
    {
        string? only = string.IsNullOrEmpty(named) ? environment(Variable) : named;
        if (!string.IsNullOrEmpty(only))
        {
            yield return only;
            yield break;
        }
        yield return AppContext.BaseDirectory;
        foreach (string rid in new[] { PortableRid, RuntimeInformation.RuntimeIdentifier }.Distinct(StringComparer.Ordinal))
        {
            yield return System.IO.Path.Combine(AppContext.BaseDirectory, "runtimes", rid, "native");
        }
        yield return NodeModules(Environment.CurrentDirectory);
        foreach (string name in OperatingSystem.IsWindows() ? ["onnxruntime.dll"]
            : OperatingSystem.IsMacOS() ? ["libonnxruntime.1.dylib", "libonnxruntime.dylib"] : new[] { "libonnxruntime.so.1", "libonnxruntime.so" })
        {
            yield return name;
        }
    }

    private static string SystemName => OperatingSystem.IsWindows() ? "win" : OperatingSystem.IsMacOS() ? "osx" : "linux";

    private static string Processor => RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant();

    private static string PortableRid => $"{SystemName}-{Processor}";

    // The newest folder of the nearest package; where there is none, the place where it would be.
    private static string NodeModules(string start)
    {
        string system = OperatingSystem.IsWindows() ? "win32" : OperatingSystem.IsMacOS() ? "darwin" : "linux";
        for (var folder = new DirectoryInfo(start); folder is not null; folder = folder.Parent)
        {
            string bin = System.IO.Path.Combine(folder.FullName, "node_modules", "onnxruntime-node", "bin");
            if (Directory.Exists(bin))
            {
                string newest = Directory.GetDirectories(bin).Order(StringComparer.Ordinal).LastOrDefault(bin);
                return System.IO.Path.Combine(newest, system, Processor);
            }
        }
        return System.IO.Path.Combine(start, "node_modules", "onnxruntime-node");
    }

    private bool Try(string place)
    {
        bool bare = System.IO.Path.GetFileName(place) == place && !File.Exists(place) && !Directory.Exists(place);
        if (Directory.Exists(place))
        {
            string[] files = InFolder(place);
            if (files.Length == 0)
            {
                _attempts.Add(new LibraryAttempt(place, "no ONNX Runtime library in this folder"));
                return false;
            }
            return files.Any(TryFile);
        }
        if (!bare && !File.Exists(place))
        {
            _attempts.Add(new LibraryAttempt(place, "not there"));
            return false;
        }
        return TryFile(bare ? place : System.IO.Path.GetFullPath(place));
    }

    private static string[] InFolder(string folder)
    {
        string pattern = OperatingSystem.IsWindows() ? "onnxruntime*.dll" : OperatingSystem.IsMacOS() ? "libonnxruntime*.dylib" : "libonnxruntime.so*";
        return [.. Directory.EnumerateFiles(folder, pattern).Where(f => !System.IO.Path.GetFileName(f).Contains("providers", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];
    }

    private bool TryFile(string file)
    {
        nint handle;
        try
        {
            handle = NativeLibrary.Load(file);
        }
        catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
        {
            bool named = System.IO.Path.IsPathRooted(file);
            _attempts.Add(new LibraryAttempt(file, named ? $"cannot be loaded: {e.Message.Split('\n')[0].TrimEnd('.', ' ')}" : "not known to the system's loader"));
            return false;
        }
        string problem = OnnxRuntimeApi.TryOpen(handle, out var api, out string? version);
        if (api is null)
        {
            NativeLibrary.Free(handle);
            _attempts.Add(new LibraryAttempt(file, problem));
            return false;
        }
        (Api, Path, Version) = (api, file, version);
        _attempts.Add(new LibraryAttempt(file, $"loaded, version {version}"));
        return true;
    }
}
