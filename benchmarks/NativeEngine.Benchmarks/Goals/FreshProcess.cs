using System.Diagnostics;
using System.Globalization;

namespace NativeEngine.Benchmarks.Goals;

/// <summary>A selection of 128 rows by a process that starts for it: seconds until it has ended, and the most memory it held.</summary>
internal sealed class FreshProcess(GoalsOptions options, Peer peer, string repository, string features)
{
    private const string Time = "/usr/bin/time";

    // 2.75 s and 386 MiB for torch with submodlib against 0.15 s and 80 MiB.
    private const double GoalTime = 2.75 / 0.15, GoalMemory = 386.0 / 80;

    public IEnumerable<GoalResult> Measure()
    {
        string program = Path.Combine(repository, "src", "NativeEngine.Cli", "bin", "Release", "net10.0", OperatingSystem.IsWindows() ? "nengine.exe" : "nengine");
        if (!File.Exists(program))
        {
            Console.WriteLine($"   skipped: {program} is not built");
            yield break;
        }
        var ours = new ProcessStartInfo(program, ["select", "--features", features, "--budget", "50%", "--json", "--threads", options.Threads.ToString(CultureInfo.InvariantCulture)]);
        string[] arguments = ["--once", "--what", "best", "--features", features];
        var theirs = peer.Missing.Length == 0 ? peer.Start("selection.py", arguments, "") : null;
        var rounds = Enumerable.Range(0, options.Rounds).Select(_ => (Ours: Round(ours), Theirs: theirs is null ? null : Round(theirs))).ToArray();
        string reason = options.Quick ? "quick size" : theirs is null ? peer.Missing : "";
        GoalResult Result(string name, string unit, double goal, Func<(double Seconds, double MiB), double> figure)
        {
            Measurement Side(Func<((double, double)[] Ours, (double, double)[]? Theirs), (double, double)[]> side) =>
                new([.. rounds.Select(r => side(r).Select(figure).ToArray())]);
            return new GoalResult("process", name, unit, Side(r => r.Ours))
            {
                PeerName = "python3 with torch",
                Peer = theirs is null ? null : Side(r => r.Theirs!),
                GoalRatio = goal,
                NotJudged = reason,
            };
        }
        yield return Result("nengine select N=128 in a fresh process: time", "s", GoalTime, r => r.Seconds);
        if (File.Exists(Time))
        {
            yield return Result("nengine select N=128 in a fresh process: peak memory", "MiB", GoalMemory, r => r.MiB);
        }
        else
        {
            Console.WriteLine($"   peak memory skipped: {Time} is not installed");
        }
    }

    private (double Seconds, double MiB)[] Round(ProcessStartInfo start)
    {
        int count = options.Quick ? 2 : 7;
        return [.. Enumerable.Range(0, count + 1).Select(_ => Once(start)).Skip(1)];
    }

    private static (double Seconds, double MiB) Once(ProcessStartInfo original)
    {
        bool timed = File.Exists(Time);
        string report = Path.GetTempFileName();
        var start = timed
            ? new ProcessStartInfo(Time, ["-f", "%M", "-o", report, original.FileName, .. original.ArgumentList])
            : new ProcessStartInfo(original.FileName, original.ArgumentList);
        start.Environment.Clear();
        foreach (var (name, value) in original.Environment)
        {
            start.Environment[name] = value;
        }
        start.RedirectStandardOutput = true;
        start.RedirectStandardError = true;
        long begin = Stopwatch.GetTimestamp();
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        double seconds = Stopwatch.GetElapsedTime(begin).TotalSeconds;
        double kilobytes = timed ? double.Parse(File.ReadLines(report).Last(), CultureInfo.InvariantCulture) : 0;
        File.Delete(report);
        return process.ExitCode == 0
            ? (seconds, kilobytes / 1024)
            : throw new InvalidOperationException($"{original.FileName} ended with {process.ExitCode}: {errors.Result.Trim()}");
    }
}
