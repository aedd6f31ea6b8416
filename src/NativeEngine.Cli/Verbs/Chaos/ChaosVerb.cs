using System.CommandLine;
using System.Diagnostics;
using System.Security.Cryptography;
using NativeEngine.Formats;
using NativeEngine.Reporting;
using NativeEngine.Training;

namespace NativeEngine.Cli.Verbs;

/// <summary>Trains twice, once in peace and once under kills, full disks and damaged checkpoints, and compares the ends.</summary>
internal sealed class ChaosVerb : Verb
{
    private readonly Option<int> _steps = Opt.Number("--steps", "N", "Steps of the training.", 60, min: 4);
    private readonly Option<int> _troubles = Opt.Number("--troubles", "N", "What befalls it: kills, SIGTERM, full disks, damaged checkpoints, of all kinds in turn.", 14, min: 1);

    public ChaosVerb()
        : base("chaos", "Trains in peace and again under kills, full disks and damaged checkpoints: both end with the same bits.", "nengine chaos --seed 42 --output chaos") =>
        Add("options", _steps, _troubles);

    public override string? Table => "processes";

    public override int Run(VerbContext context)
    {
        if (!OperatingSystem.IsLinux())
        {
            throw new EngineException(ErrorKind.Usage, "nengine chaos works on Linux only: it needs signals and file systems of its own", "nengine quickstart --output tour");
        }
        string given = context.NeedOutput(), full = OutputFolder.Check(given, resume: false);
        var plan = PlannedTrouble.Plan(context.Seed, context.Need(_troubles), context.Need(_steps));
        if (context.DryRun)
        {
            context.Result.Write(
                text => text.WriteLine($"would train {context.Need(_steps)} steps twice in {given}, the second time through {string.Join(", ", plan.CountBy(t => t.Kind).Select(k => $"{k.Value} x {Words(k.Key)}"))}; about half a minute, less than 1 GiB of memory"),
                json =>
                {
                    json.WriteNumber("schema", 1);
                    json.WriteBoolean("dry_run", true);
                    json.Strings("troubles", plan.Select(t => Words(t.Kind)));
                });
            return 0;
        }
        using var output = OutputFolder.Open(given, resume: false);
        if (plan.Any(t => t.Kind == Trouble.DiskFull) && !ChaosRun.MayMount())
        {
            context.Talk.Warn("full disks are left out: no file system may be mounted here (unshare --user --mount)");
            plan = [.. plan.Where(t => t.Kind != Trouble.DiskFull)];
        }
        string calm = Path.Combine(full, "calm"), run = Path.Combine(full, "run");
        var clock = Stopwatch.StartNew();
        new ChaosRun(calm, Line(context, calm), clock, context.Cancellation).Go(null);
        context.Talk.Info($"{clock.Elapsed.TotalSeconds,5:0.0} s  in peace: {context.Need(_steps)} steps, model {Hash(calm)[..12]}");
        clock.Restart();
        var attempts = new List<ChaosAttempt>();
        var disturbed = new ChaosRun(run, Line(context, run), clock, context.Cancellation);
        do
        {
            var next = disturbed.Go(attempts.Count < plan.Count ? plan[attempts.Count] : null);
            attempts.Add(next);
            context.Talk.Info($"{next.End,5:0.0} s  steps {next.From} to {next.To}: {next.Event}");
            foreach (string line in next.Said)
            {
                context.Talk.Detail("         " + line);
            }
        }
        while (attempts[^1].Trouble is not null);
        string hash = Hash(run);
        string? difference = RunComparison.Of(calm, run, context.Cancellation).First?.Sentence ?? Leftover(run);
        output.Keep();
        string page = ReportFiles.Write(ChaosPage.Of(attempts, context.Need(_steps), context.Seed, hash, difference, ReportOutput.Origin(context, $"{context.Threads.Count} threads")), full);
        Tell(context, attempts, context.Need(_steps), hash, difference, page);
        return difference is null ? 0 : (int)ErrorKind.VerificationFailed;
    }

    private static void Tell(VerbContext context, IReadOnlyList<ChaosAttempt> attempts, long steps, string hash, string? difference, string page) => context.Result.Write(
        text =>
        {
            text.WriteLine(difference is null
                ? $"{attempts.Count} processes, {attempts.Count - 1} disturbances, {ChaosPage.Repeated(attempts, steps)} steps done twice: the same model to the bit, and the same metrics of every step"
                : $"the disturbed run is not what the undisturbed one is: {difference}");
            text.WriteLine($"model {hash}");
            text.WriteLine($"the timeline is {ReportOutput.Shown(page)}");
        },
        json =>
        {
            json.WriteNumber("schema", 1);
            json.WriteBoolean("same", difference is null);
            json.WriteString("difference", difference);
            json.WriteString("sha256", hash);
            json.WriteNumber("steps", steps);
            json.WriteNumber("repeated_steps", ChaosPage.Repeated(attempts, steps));
            json.Objects("processes", attempts, a =>
            {
                json.WriteNumber("begin_seconds", a.Begin);
                json.WriteNumber("end_seconds", a.End);
                json.WriteNumber("from", a.From);
                json.WriteNumber("to", a.To);
                json.WriteString("event", a.Event);
                json.WriteNumber("exit_code", a.ExitCode);
                json.Strings("said", a.Said);
            });
            json.WriteString("report", page);
        });

    private string[] Line(VerbContext context, string folder) =>
    [
        "train", "--model", "preset:0.2m", "--data", "builtin", "--seq-len", "64", "--pool", "32", "--batch", "16", "--steps", $"{context.Need(_steps)}", "--checkpoint-every", "2",
        "--seed", $"{context.Seed}", "--threads", $"{context.Threads.Count}", "--device", context.DeviceName, "--output", folder, "--resume",
    ];

    private static string Hash(string folder)
    {
        using var model = File.OpenRead(Path.Combine(folder, "model.safetensors"));
        return Convert.ToHexStringLower(SHA256.HashData(model));
    }

    private static string? Leftover(string folder) =>
        Directory.EnumerateFileSystemEntries(folder, "*", SearchOption.AllDirectories).FirstOrDefault(e => TemporaryName.IsTemporary(Path.GetFileName(e))) is { } left ? $"{left} was left behind" : null;

    private static string Words(Trouble kind) => kind switch
    {
        Trouble.Killed => "a kill",
        Trouble.KilledSaving => "a kill while a checkpoint is saved",
        Trouble.Stopped => "SIGTERM",
        Trouble.DiskFull => "a full disk",
        Trouble.CutOff => "a kill and a checkpoint cut short",
        Trouble.Zeroed => "a kill and zeros in a checkpoint",
        _ => "a kill and noise in a checkpoint",
    };
}
