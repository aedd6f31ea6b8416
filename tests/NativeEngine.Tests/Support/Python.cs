using System.Diagnostics;

namespace NativeEngine.Tests.Support;

/// <summary>A Python with numpy, where the system has one: the second opinion on files we write.</summary>
public static class Python
{
    private static readonly Lazy<string?> _command = new(() => new[] { "python3", "/usr/bin/python3", "python" }.FirstOrDefault(HasNumpy));

    /// <summary>The command to start it, or null.</summary>
    public static string? Command => _command.Value;

    /// <summary>Runs a script of the repository and returns its stdout; a failure fails the test with its stderr.</summary>
    public static string Run(string script, params string[] args) => RunCommand(script, [RepositoryPaths.InRepository(script), .. args]);

    /// <summary>Runs a program given as text.</summary>
    public static string RunText(string program, params string[] args) => RunCommand("a program", ["-c", program, .. args]);

    private static string RunCommand(string what, string[] args)
    {
        using var process = Start(Command ?? throw new InvalidOperationException("no Python"), args);
        var stderr = process.StandardError.ReadToEndAsync();
        string stdout = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{what} ended with {process.ExitCode}\n{stderr.Result}");
        return stdout;
    }

    private static bool HasNumpy(string command)
    {
        try
        {
            using var process = Start(command, ["-c", "import numpy"]);
            _ = process.StandardError.ReadToEndAsync();
            _ = process.StandardOutput.ReadToEndAsync();
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }

    private static Process Start(string command, string[] args) =>
        Process.Start(new ProcessStartInfo(command, args) { RedirectStandardOutput = true, RedirectStandardError = true })
        ?? throw new InvalidOperationException($"{command} did not start");
}

/// <summary>A theory that needs a Python with numpy; skipped, and printed as skipped, where there is none.</summary>
public sealed class TheoryWithPythonAttribute : TheoryAttribute
{
    public TheoryWithPythonAttribute() => Skip = Python.Command is null ? "needs a python3 with numpy" : null;
}

/// <summary>A test that needs a Python with numpy; skipped, and printed as skipped, where there is none.</summary>
public sealed class FactWithPythonAttribute : FactAttribute
{
    public FactWithPythonAttribute() => Skip = Python.Command is null ? "needs a python3 with numpy" : null;
}
