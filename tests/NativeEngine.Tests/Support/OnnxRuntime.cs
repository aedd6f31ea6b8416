using NativeEngine.Native;

namespace NativeEngine.Tests.Support;

/// <summary>
/// The ONNX Runtime library of this machine, where there is one: what the environment variable names, else what the engine finds by itself,
/// else what .ci/run installed under artifacts/.
/// </summary>
public static class OnnxRuntime
{
    private static readonly Lazy<OnnxRuntimeLibrary?> _library = new(Find);

    /// <summary>The library, or null.</summary>
    public static OnnxRuntimeLibrary? Library => _library.Value;

    /// <summary>The environment for a run of the executable.</summary>
    public static IReadOnlyDictionary<string, string?> Environment => new Dictionary<string, string?> { [OnnxRuntimeLibrary.Variable] = Library?.Path };

    private static OnnxRuntimeLibrary? Find()
    {
        var found = OnnxRuntimeLibrary.Find(null);
        if (!found.IsFound)
        {
            string installed = RepositoryPaths.InRepository("artifacts/onnxruntime/node_modules/onnxruntime-node/bin");
            string? library = Directory.Exists(installed)
                ? Directory.EnumerateFiles(installed, "libonnxruntime.so*", SearchOption.AllDirectories)
                    .FirstOrDefault(f => f.Contains(System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture.ToString(), StringComparison.OrdinalIgnoreCase))
                : null;
            found = library is null ? found : OnnxRuntimeLibrary.Find(library);
        }
        return found.IsFound ? found : null;
    }
}

/// <summary>A test that needs ONNX Runtime; skipped, and printed as skipped, where there is none.</summary>
public sealed class FactWithOnnxRuntimeAttribute : FactAttribute
{
    /// <param name="paths">Files of the shared folder that are needed as well.</param>
    public FactWithOnnxRuntimeAttribute(params string[] paths) => Skip = OnnxRuntime.Library is null ? OnnxRuntimeReason.Missing : Reason.MissingShared(paths);
}

/// <summary>A theory that needs ONNX Runtime; skipped, and printed as skipped, where there is none.</summary>
public sealed class TheoryWithOnnxRuntimeAttribute : TheoryAttribute
{
    public TheoryWithOnnxRuntimeAttribute() => Skip = OnnxRuntime.Library is null ? OnnxRuntimeReason.Missing : null;
}

internal static class OnnxRuntimeReason
{
    public const string Missing = $"needs the ONNX Runtime library (npm install --ignore-scripts onnxruntime-node; {OnnxRuntimeLibrary.Variable} names it)";
}
