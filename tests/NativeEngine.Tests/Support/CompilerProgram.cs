using System.Diagnostics;

namespace NativeEngine.Tests.Support;

/// <summary>A compiler that this machine may have; where it is missing, tests that need it are printed as skipped.</summary>
public sealed class CompilerProgram(string name)
{
    /// <summary>clang 19, which makes PTX of the kernels.</summary>
    public static CompilerProgram Clang { get; } = new("clang-19");

    /// <summary>NVIDIA's assembler of PTX, of CUDA 11 or later.</summary>
    public static CompilerProgram Ptxas { get; } = new("ptxas");

    private readonly Lazy<string?> _missing = new(() =>
    {
        try
        {
            return Run(name, ["--version"]).Code == 0 ? null : $"needs {name}, which does not run";
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return $"needs {name}, which is not on the path";
        }
    });

    /// <summary>Why it cannot be used, or null.</summary>
    public string? Missing => _missing.Value;

    /// <summary>Runs it and returns exit code and stderr.</summary>
    public (int Code, string Errors) Run(params string[] args) => Run(name, args);

    private static (int Code, string Errors) Run(string name, string[] args)
    {
        using var process = Process.Start(new ProcessStartInfo(name, args) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        var output = process.StandardOutput.ReadToEndAsync();
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, errors);
    }
}

/// <summary>A test that needs clang 19.</summary>
public sealed class FactWithClangAttribute : FactAttribute
{
    public FactWithClangAttribute() => Skip = CompilerProgram.Clang.Missing;
}

/// <summary>A theory that needs NVIDIA's assembler (the CUDA toolkit), but no card.</summary>
public sealed class TheoryWithPtxasAttribute : TheoryAttribute
{
    public TheoryWithPtxasAttribute() => Skip = CompilerProgram.Ptxas.Missing;
}
