using System.Diagnostics;

namespace NativeEngine.Tests.Support;

/// <summary>clang 19, which makes PTX of the kernels; where it is missing, tests that need it are printed as skipped.</summary>
public static class Clang
{
    private static readonly Lazy<string?> _missing = new(() =>
    {
        try
        {
            return Run("--version").Code == 0 ? null : "needs clang-19, which does not run";
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return "needs clang-19, which is not on the path";
        }
    });

    public static string? Missing => _missing.Value;

    /// <summary>Runs it and returns exit code and stderr.</summary>
    public static (int Code, string Errors) Run(params string[] args)
    {
        using var process = Process.Start(new ProcessStartInfo("clang-19", args) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        var output = process.StandardOutput.ReadToEndAsync();
        string errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, errors);
    }
}

/// <summary>A test that needs clang 19.</summary>
public sealed class FactWithClangAttribute : FactAttribute
{
    public FactWithClangAttribute() => Skip = Clang.Missing;
}
