using System.Diagnostics;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.CApi;

/// <summary>The published C library, a C compiler, a Python with PyTorch: what these tests need and a machine may lack.</summary>
internal static class NativeLibraryKit
{
    private static readonly Lazy<string?> _compiler = new(() => new[] { "gcc", "cc", "clang" }.FirstOrDefault(c => Runs(c, "--version")));
    private static readonly Lazy<string?> _python = new(() => new[] { "python3", "/usr/bin/python3" }.FirstOrDefault(p => Runs(p, "-c", "import sys; assert sys.version_info >= (3, 9)")));
    private static readonly Lazy<string?> _torch = new(() => new[] { "python3", "/usr/bin/python3" }.FirstOrDefault(p => Runs(p, "-c", "import torch, numpy")));
    private static readonly Lazy<string?> _noLibrary = new(MissingLibrary);

    public static string Folder => RepositoryPaths.InRepository("artifacts/capi/lib");

    public static string Header => RepositoryPaths.InRepository("src/NativeEngine.CApi/include");

    public static string? Compiler => _compiler.Value;

    public static string? Python => _python.Value;

    public static string? Torch => _torch.Value;

    /// <summary>Why the library cannot be used, or null.</summary>
    public static string? NoLibrary => _noLibrary.Value;

    public static string? NoCompiler => Compiler is null ? "needs a C compiler (apt-get install gcc libc6-dev)" : null;

    /// <summary>Compiles one of tools/c against the library and returns the program.</summary>
    public static string Compile(TemporaryFolder folder, string name)
    {
        string program = folder.File(name);
        Run(Compiler!, [
            "-O1", "-g", "-std=gnu99", "-Wall", "-Wextra", "-Werror", "-pedantic", RepositoryPaths.InRepository($"tools/c/{name}.c"), "-I", Header, "-L", Folder, "-lnative_engine", "-lpthread",
            $"-Wl,-rpath,{Folder}", "-o", program,
        ]).Expect(0);
        return program;
    }

    public static NEngineResult Run(string program, string[] args, IReadOnlyDictionary<string, string?>? env = null)
    {
        var start = new ProcessStartInfo(program, args) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = RepositoryPaths.Root };
        foreach (var (name, value) in env ?? new Dictionary<string, string?>())
        {
            start.Environment[name] = value;
        }
        using var process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start");
        var stdout = process.StandardOutput.ReadToEndAsync();
        var stderr = process.StandardError.ReadToEndAsync();
        return NEngine.Finish(process, stdout, stderr, TimeSpan.FromMinutes(4));
    }

    private static bool Runs(string program, params string[] args)
    {
        try
        {
            return Run(program, args).ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }

    private static string? MissingLibrary()
    {
        const string Build = "dotnet run tools/build.cs -- capi";
        string library = Path.Combine(Folder, "libnative_engine.so");
        if (!File.Exists(library))
        {
            return $"needs the C library: {Build}";
        }
        var built = File.GetLastWriteTimeUtc(library);
        string? newer = new[] { "src/NativeEngine", "src/NativeEngine.CApi" }
            .SelectMany(f => Directory.EnumerateFiles(RepositoryPaths.InRepository(f), "*.cs", SearchOption.AllDirectories))
            .FirstOrDefault(f => !f.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal) && File.GetLastWriteTimeUtc(f) > built);
        return newer is null ? null : $"the C library is older than {Path.GetRelativePath(RepositoryPaths.Root, newer)}: {Build}";
    }
}

/// <summary>A test that compiles a C program against the published library; skipped, and printed as skipped, where a part is missing.</summary>
public sealed class FactWithNativeLibraryAttribute : FactAttribute
{
    public FactWithNativeLibraryAttribute() => Skip = NativeLibraryKit.NoLibrary ?? NativeLibraryKit.NoCompiler;
}

/// <summary>The theory of the same kind.</summary>
public sealed class TheoryWithNativeLibraryAttribute : TheoryAttribute
{
    public TheoryWithNativeLibraryAttribute() => Skip = NativeLibraryKit.NoLibrary ?? NativeLibraryKit.NoCompiler;
}

/// <summary>A test of the Python module over the published library; skipped, and printed as skipped, where a part is missing.</summary>
public sealed class TheoryWithPythonModuleAttribute : TheoryAttribute
{
    public TheoryWithPythonModuleAttribute() => Skip = NativeLibraryKit.NoLibrary ?? (NativeLibraryKit.Python is null ? "needs python3 from 3.9" : null);
}

/// <summary>A test of the Python module with PyTorch; skipped, and printed as skipped, where a part is missing.</summary>
public sealed class FactWithTorchAttribute : FactAttribute
{
    public FactWithTorchAttribute() =>
        Skip = NativeLibraryKit.NoLibrary ?? (NativeLibraryKit.Torch is null ? "needs a python3 with PyTorch and NumPy (apt-get install python3-torch python3-numpy)" : null);
}

/// <summary>A test that needs a C compiler only.</summary>
public sealed class FactWithCompilerAttribute : FactAttribute
{
    public FactWithCompilerAttribute() => Skip = NativeLibraryKit.NoCompiler;
}
