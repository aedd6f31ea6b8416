using System.CommandLine;
using System.Globalization;
using NativeEngine.Ablation;

namespace NativeEngine.Cli.Verbs;

/// <summary>Trains the seed model and every unit's model into the cache.</summary>
internal sealed class AblateTrainVerb : Verb
{
    private readonly Argument<string> _study = OpenStudy.FileArgument();
    private readonly Option<string?> _cache = OpenStudy.CacheOption();
    private readonly Option<double> _checkpointEvery = Opt.Number("--checkpoint-seconds", "S", "Seconds between checkpoints of a training.", 20.0, min: 0.0);
    private readonly Option<double> _patience = Opt.Number("--patience", "S", "Seconds after which work of a silent process is taken over.", 60.0, min: 0.1);

    public AblateTrainVerb()
        : base("train", "Trains one model for each unit, once; started again it goes on.", "nengine ablate train study.yaml --output runs/study")
    {
        Add(_study);
        Add("options", _cache, _checkpointEvery, _patience);
    }

    public override int Run(VerbContext context)
    {
        var share = WorkShare.FromEnvironment(Environment.GetEnvironmentVariable);
        var study = OpenStudy.Open(context, context.Need(_study), context.Get(_cache), new UnitCacheOptions
        {
            CheckpointEvery = TimeSpan.FromSeconds(context.Need(_checkpointEvery)),
            Patience = TimeSpan.FromSeconds(context.Need(_patience)),
            Heartbeat = TimeSpan.FromSeconds(Math.Clamp(context.Need(_patience) / 12, 0.05, 5)),
        }, write: !context.DryRun);
        using var device = context.OpenDevice();
        var probe = StudyProbe.Run(study.Plan, device, context.Cancellation);
        probe.Memory.RequireFits(context.MaxMemory);
        var cost = StudyCost.Of(study.Plan, study.Jobs, study.Cache);
        if (context.DryRun)
        {
            context.Result.Write(text => StudyReport.WriteText(text, study, cost, probe, everyUnit: false), json => StudyReport.WriteJson(json, study, cost, probe));
            return 0;
        }
        if (share.Count > 1)
        {
            context.Talk.Info($"rank {share.Rank} of {share.Count} ({share.Origin})");
        }
        TrainingReport report;
        using (var progress = context.Progress("training", cost.Trainings + 1, "models"))
        {
            report = Runner(context, study, device, share, progress).TrainUnits(context.Cancellation);
        }
        context.Result.Write(
            text => text.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{cost.Trainings + 1} models in {study.Cache.Folder}: trained {report.Trained} ({report.Steps:N0} steps, {report.Tokens:N0} tokens{Rate(report)}), found {report.Found}, by other processes {report.ByOthers}")),
            json => WriteJson(json, report, study));
        return 0;
    }

    /// <summary>A runner that tells what it does; confirm trains with it too.</summary>
    public static StudyRunner Runner(VerbContext context, OpenStudy study, Devices.Device device, WorkShare share, ProgressLine progress)
    {
        int done = 0;
        return new StudyRunner(study.Plan, study.Jobs, study.Cache, device, share)
        {
            OnStep = p => progress.Report(done, () => string.Create(CultureInfo.InvariantCulture, $"{p.Label}: step {p.Step}/{p.Steps}, loss {p.Loss:F4}")),
            OnStart = (label, step) => context.Talk.Detail($"training {label} from step {step}"),
            OnDone = (label, count, all, here) =>
            {
                // The seed is counted apart from the units.
                progress.Report(++done);
                context.Talk.Detail($"{(here ? "trained" : "found")} {label} ({count}/{all})");
            },
            OnWait = label => context.Talk.Info($"{label}: another process is training it, waiting"),
        };
    }

    /// <summary>The members that say what was trained.</summary>
    public static void WriteJson(System.Text.Json.Utf8JsonWriter json, TrainingReport report, OpenStudy study)
    {
        json.WriteNumber("schema", 1);
        json.WriteNumber("trained", report.Trained);
        json.WriteNumber("found", report.Found);
        json.WriteNumber("by_others", report.ByOthers);
        json.WriteNumber("steps", report.Steps);
        json.WriteNumber("tokens", report.Tokens);
        json.WriteNumber("seconds", report.Seconds);
        json.WriteString("cache", study.Cache.Folder);
        json.WriteString("output", study.Output);
    }

    private static string Rate(TrainingReport report) => report.Seconds > 0
        ? string.Create(CultureInfo.InvariantCulture, $", {report.Tokens / report.Seconds:N0} tokens/s") : "";
}
