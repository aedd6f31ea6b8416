using System.ComponentModel;
using System.Diagnostics;
using NativeEngine.Reporting;
using NativeEngine.Training;

namespace NativeEngine.Cli.Verbs;

/// <summary>A training run on one folder as processes of its own, each of which something befalls, until one comes to the end. For Linux.</summary>
internal sealed class ChaosRun(string folder, IReadOnlyList<string> train, Stopwatch clock, CancellationToken cancellation)
{
    private const int Killed = 137;
    private const int Sector = 512;
    private static readonly TimeSpan _patience = TimeSpan.FromMinutes(2);

    // $1: the run's folder, $2: an empty one, $3: KiB that are free, then the command. In name spaces of its own the run's folder is a file system in memory for as long as the command runs.
    private const string OnASmallDisk = """
        mount -t tmpfs -o size=$(( $(du -sk "$1" | cut -f1) + $(find "$1" | wc -l) * 4 + $3 ))k none "$2" && cp -a "$1/." "$2/" && mount --bind "$2" "$1" || exit 125
        run=$1 disk=$2; shift 3
        "$@"; code=$?
        umount "$run" && find "$run" -mindepth 1 -delete && cp -a "$disk/." "$run/" || exit 125
        exit $code
        """;

    /// <summary>Whether a file system may be mounted for one process, without being root.</summary>
    public static bool MayMount()
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo("unshare", ["--user", "--map-root-user", "--mount", "sh", "-c", "mount -t tmpfs none /tmp"]) { RedirectStandardError = true })!;
            process.StandardError.ReadToEnd();
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (Win32Exception)
        {
            return false;
        }
    }

    /// <summary>Trains from the newest whole checkpoint until the trouble comes; without one to the end. Errors: VerificationFailed when the process ends in another way than it must.</summary>
    public ChaosAttempt Go(PlannedTrouble? planned)
    {
        double begin = clock.Elapsed.TotalSeconds;
        long from = NewestWhole();
        using var process = Start(planned);
        var (stdout, stderr) = (process.StandardOutput.ReadToEndAsync(cancellation), process.StandardError.ReadToEndAsync(cancellation));
        try
        {
            bool came = planned is { } trouble && Meet(process, trouble, from);
            if (!process.WaitForExit(_patience))
            {
                throw new EngineException(ErrorKind.VerificationFailed, $"the training in {folder} neither went on nor ended for {_patience.TotalSeconds:0} seconds");
            }
            Task.WaitAll([stdout, stderr], cancellation);
            var (kind, what, due) = came ? Tell(planned!.Value) : (null, "came to the end", 0);
            string[] said = Sentences(stderr.Result);
            if (process.ExitCode != due)
            {
                throw new EngineException(ErrorKind.VerificationFailed, $"{what}: the training ended with {process.ExitCode} where {due} was due; it said: {string.Join("; ", said)}", $"its folder is {folder}");
            }
            return new ChaosAttempt(begin, clock.Elapsed.TotalSeconds, from, Math.Max(from, StepsLogged()), kind, what, process.ExitCode, said);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
                process.WaitForExit();
            }
            if (Directory.Exists(Disk))
            {
                Directory.Delete(Disk, recursive: true);
            }
        }
    }

    private Process Start(PlannedTrouble? planned)
    {
        string program = Environment.ProcessPath!;
        string[] line = Path.GetFileNameWithoutExtension(program) == "dotnet" ? [program, typeof(ChaosRun).Assembly.Location, .. train] : [program, .. train];
        if (planned is { Kind: Trouble.DiskFull } full)
        {
            // The first process of all finds no folder yet.
            Directory.CreateDirectory(folder);
            Directory.CreateDirectory(Disk);
            line = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", OnASmallDisk, "sh", folder, Disk, $"{Room(full)}", .. line];
        }
        return Process.Start(new ProcessStartInfo(line[0], line.Skip(1)) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true })!;
    }

    // Free KiB: a part of a checkpoint of 2.7 MB, so that one cannot be saved, and enough for the metrics before it.
    private static long Room(PlannedTrouble trouble) => 64 + (long)(trouble.Draw % 2048);

    /// <summary>Waits for the trouble's moment and makes it; false when the process ended before.</summary>
    private bool Meet(Process process, PlannedTrouble trouble, long from)
    {
        if (trouble.Kind == Trouble.DiskFull)
        {
            // It comes by itself; a process that did not meet it came to the end.
            process.WaitForExit(_patience);
            return process.HasExited && process.ExitCode != 0;
        }
        var began = process.StartTime.ToUniversalTime();
        if (!Wait(process, () => File.GetLastWriteTimeUtc(Metrics) > began && StepsLogged() >= from + trouble.AfterSteps))
        {
            return false;
        }
        int milliseconds = (int)(trouble.Draw % 16);
        if (trouble.Kind == Trouble.KilledSaving)
        {
            if (!Wait(process, () => Directory.EnumerateDirectories(folder, ".tmp-checkpoint-*").Any()))
            {
                return false;
            }
            milliseconds /= 4;
        }
        if (process.WaitForExit(milliseconds))
        {
            return false;
        }
        if (trouble.Kind == Trouble.Stopped)
        {
            using var kill = Process.Start("kill", ["-TERM", $"{process.Id}"]);
            kill.WaitForExit();
            return true;
        }
        process.Kill();
        process.WaitForExit();
        return process.ExitCode == Killed;
    }

    private bool Wait(Process process, Func<bool> moment)
    {
        for (var waited = Stopwatch.StartNew(); !process.HasExited && waited.Elapsed < _patience; Thread.Sleep(1))
        {
            cancellation.ThrowIfCancellationRequested();
            if (moment())
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>What befell a process: the kind for a legend, a sentence, and the exit code that is due.</summary>
    private (string Kind, string What, int ExitCode) Tell(PlannedTrouble trouble) => trouble.Kind switch
    {
        Trouble.Killed => ("killed", "killed at a random moment", Killed),
        Trouble.KilledSaving => ("killed", "killed while a checkpoint was being saved", Killed),
        Trouble.Stopped => ("stopped by SIGTERM", "stopped by SIGTERM", Interrupts.Resumable),
        Trouble.DiskFull => ("disk full", $"its disk was full after {Room(trouble)} KiB", (int)ErrorKind.WillNotFit),
        _ => ("killed, a checkpoint damaged", $"killed, and {Damage(trouble)}", Killed),
    };

    /// <summary>Damages a file of the newest checkpoint; the sentence says how.</summary>
    private string Damage(PlannedTrouble trouble)
    {
        if (Directory.GetDirectories(folder, "checkpoint-*").Max(StringComparer.Ordinal) is not { } newest)
        {
            return "there was no checkpoint yet to damage";
        }
        string[] files = [.. Directory.GetFiles(newest).Order(StringComparer.Ordinal)];
        string file = files[trouble.Draw % (ulong)files.Length];
        byte[] bytes = File.ReadAllBytes(file);
        int at = (int)((trouble.Draw >> 16) % (ulong)((bytes.Length + Sector - 1) / Sector)) * Sector;
        var sector = bytes.AsSpan(at, Math.Min(Sector, bytes.Length - at));
        string name = $"{Path.GetFileName(newest)}/{Path.GetFileName(file)}";
        switch (trouble.Kind)
        {
            case Trouble.CutOff:
                File.WriteAllBytes(file, bytes[..at]);
                return $"{name} lost its last {bytes.Length - at} of {bytes.Length} bytes";
            case Trouble.Zeroed when sector.ContainsAnyExcept((byte)0):
                sector.Clear();
                File.WriteAllBytes(file, bytes);
                return $"{sector.Length} bytes of {name} became zeros at {at}";
            default:
                foreach (ref byte b in sector)
                {
                    b ^= 0xA5;
                }
                File.WriteAllBytes(file, bytes);
                return $"{sector.Length} bytes of {name} became noise at {at}";
        }
    }

    /// <summary>Steps of the newest checkpoint that is whole; 0 where there is none.</summary>
    private long NewestWhole() => Directory.Exists(folder) && Checkpoint.FindNewest(folder, _ => { }) is { } newest ? Checkpoint.StepsOf(newest) : 0;

    // Where a small disk is for as long as a process needs it.
    private string Disk => folder + ".disk";

    private string Metrics => Path.Combine(folder, MetricsHistory.FileName);

    private long StepsLogged()
    {
        if (!File.Exists(Metrics))
        {
            return 0;
        }
        // A file in use by the process that writes it.
        using var reader = new StreamReader(new FileStream(Metrics, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
        return reader.ReadToEnd().Split('\n').SkipLast(1).LongCount(line => line.Contains("\"loss\"", StringComparison.Ordinal));
    }

    // What a person would look for in a run's talk: damage that was seen, where it went on, why it ended.
    private string[] Sentences(string talk) => [.. talk.Replace(folder + "/", "", StringComparison.Ordinal).Split('\n').Select(line => line.Trim())
        .Where(line => line.StartsWith("warning: ", StringComparison.Ordinal) || line.StartsWith("error: ", StringComparison.Ordinal) || line.StartsWith("resuming ", StringComparison.Ordinal))];
}
