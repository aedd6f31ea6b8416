using System.Diagnostics;
using System.Runtime.CompilerServices;

/// <summary>The executable.</summary>
internal static class Engine
{
    public static string Root { get; } = FindRoot();
    public static string Relative { get; } = "src/NativeEngine.Cli/bin/Release/net10.0/nengine" + (OperatingSystem.IsWindows() ? ".exe" : "");

    /// <summary>Runs it to its end. Peak: the resident set's high-water mark, asked for every 20 ms.</summary>
    public static (string Output, double Seconds, long Peak) Run(IEnumerable<string> arguments)
    {
        string file = Path.Combine(Root, Relative);
        if (!File.Exists(file))
        {
            throw new StudyException(2, $"{Relative} does not exist: dotnet build -c Release NativeEngine.sln");
        }
        long start = Stopwatch.GetTimestamp(), peak = 0;
        using var process = Process.Start(new ProcessStartInfo(file, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })
            ?? throw new StudyException(1, "the executable did not start");
        var output = process.StandardOutput.ReadToEndAsync();
        var talk = process.StandardError.ReadToEndAsync();
        while (!process.WaitForExit(20))
        {
            process.Refresh();
            try
            {
                peak = Math.Max(peak, process.PeakWorkingSet64);
            }
            catch (InvalidOperationException)
            {
                // It ended between the two lines.
            }
        }
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        return process.ExitCode == 0 ? (output.Result, seconds, peak)
            : throw new StudyException(process.ExitCode, $"{Relative} {string.Join(' ', arguments)}\nended with {process.ExitCode}: {talk.Result}{output.Result}");
    }

    private static string FindRoot([CallerFilePath] string file = "") => Path.GetFullPath(Path.Combine(file, "../../../.."));
}

/// <summary>A sentence for the person and an exit code.</summary>
internal sealed class StudyException(int code, string message) : Exception(message)
{
    public int Code => code;
}
