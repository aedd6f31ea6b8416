using System.Diagnostics;

namespace NativeEngine.GpuCheck;

/// <summary>Runs other programs and returns what they wrote.</summary>
internal static class Programs
{
    /// <summary>The executable that lies beside this one, as it does in the packed folder and after a build.</summary>
    public static string NEngine { get; } = new[]
    {
        Path.Combine(AppContext.BaseDirectory, "nengine"),
        Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, "../../../../../src/NativeEngine.Cli/bin/Release/net10.0/nengine")),
    }.FirstOrDefault(File.Exists) ?? "nengine";

    /// <summary>A program of the search path, or null.</summary>
    public static string? Find(string name) => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
        .Append("/usr/local/cuda/bin").Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);

    /// <summary>Runs to the end; a program that does not start has the code -1.</summary>
    public static (int Code, string Out, string Error) Run(string program, params string[] args)
    {
        try
        {
            var start = new ProcessStartInfo(program, args) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
            using var process = Process.Start(start)!;
            process.StandardInput.Close();
            var error = process.StandardError.ReadToEndAsync();
            string output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return (process.ExitCode, output, error.Result);
        }
        catch (System.ComponentModel.Win32Exception error)
        {
            return (-1, "", error.Message);
        }
    }
}
