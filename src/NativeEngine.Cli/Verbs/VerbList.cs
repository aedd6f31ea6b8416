using System.CommandLine;
using NativeEngine.Cli.Manual;

namespace NativeEngine.Cli.Verbs;

// To add a verb: one file Verbs/<Name>Verb.cs and one line in the list below.
//
//     internal sealed class CountVerb : Verb
//     {
//         private readonly Option<string> _data = Opt.RequiredText("--data", "D.jsonl", "The examples.");
//         private readonly Option<int> _limit = Opt.Number("--limit", "N", "Stop after so many.", 1000, min: 1);
//
//         public CountVerb()
//             : base("count", "Counts examples.", "nengine count --data data.jsonl --limit 10") => Add("options", _data, _limit);
//
//         public override int Run(VerbContext context)
//         {
//             long n = Counter.Count(context.Need(_data), context.Need(_limit), context.Cancellation);
//             context.Result.Write(
//                 text => text.WriteLine($"{n} examples"),
//                 json => json.WriteNumber("examples", n));     // inside the one {...} of --json
//             return 0;
//         }
//     }
//
// Positional argument    Add(new Argument<string>("FILE") { Description = "..." })
// Verbs under a verb     new VerbGroup("data", "Looks at data and makes it.", new DataInspectVerb(), new DataSynthVerb())
// Device                 using var device = context.OpenDevice();              --device, --threads and --max-memory applied
// Progress               using var p = context.Progress("reading", n, "lines"); p.Report(i, () => "loss 2.1");
// Talk                   context.Talk.Info / Detail (--verbose) / Warn
// Output folder          using var output = OutputFolder.Open(context.NeedOutput(), resume); ... output.Keep();
// Output file            string file = OutputFile.Check(context.NeedOutput());
// Work that can go on    context.ResumeHint = "run the same command with --resume"; once something is saved: a stop then exits with 75
// Stopping               context.Cancellation.ThrowIfCancellationRequested(); never catch it
// Failing                throw new EngineException(kind, sentence with values, hint)
//
// --output, --seed and the others of CommonOptions are there already: context.Output, context.Seed, context.DryRun.

/// <summary>All verbs, in the order of the help text.</summary>
internal static class VerbList
{
    private static readonly (string Name, Func<Command> Make)[] _verbs =
    [
        ("quickstart", () => new QuickstartVerb()),
        ("select", () => new SelectVerb()),
        ("verify", () => new VerifyVerb()),
        ("why", () => new WhyVerb()),
        ("diff-selections", () => new DiffSelectionsVerb()),
        ("features", () => new FeaturesVerb()),
        ("cluster", () => new ClusterVerb()),
        ("train", () => new TrainVerb()),
        ("eval", () => new EvalVerb()),
        ("generate", () => new GenerateVerb()),
        ("export", () => new ExportVerb()),
        ("merge", () => new MergeVerb()),
        ("ablate", () => new VerbGroup("ablate", "Predicts what data is worth: one small model a unit, mixtures by merging.",
            new AblatePlanVerb(), new AblateTrainVerb(), new AblateRankVerb(), new AblateConfirmVerb(), new AblateReportVerb(),
            new VerbGroup("cache", "Looks after the cache of trained units.", new AblateCacheListVerb(), new AblateCacheVerifyVerb(), new AblateCacheGcVerb()))),
        ("profile", () => new ProfileVerb()),
        ("report", () => new ReportVerb()),
        ("diff-runs", () => new DiffRunsVerb()),
        ("chaos", () => new ChaosVerb()),
        ("doctor", () => new DoctorVerb()),
        ("data", () => new VerbGroup("data", "Looks at data files, splits and tokenizes them, and makes one.",
            new DataInspectVerb(), new DataSynthVerb(), new DataSplitVerb(), new DataTokenizeVerb())),
        ("completions", () => new CompletionsVerb()),
        ("man", () => new ManVerb()),
    ];

    /// <summary>
    /// A fresh command tree. A line that begins with a verb's name and asks for no help and no configuration, which may speak of others, gets a tree of that verb alone:
    /// making all options of all verbs takes a short run's time.
    /// </summary>
    public static Command Create(CommonOptions common, IReadOnlyList<string>? line = null)
    {
        var root = new Command("nengine", "Data-centric language-model training: coreset mini-batches, small models, evaluation.");
        string? only = line is [var first, ..] && !line.Any(SpeaksOfOthers) ? first : null;
        bool known = _verbs.Any(v => v.Name == only);
        foreach (var (name, make) in _verbs)
        {
            if (!known || name == only)
            {
                root.Add(make());
            }
        }
        foreach (var option in common.All)
        {
            root.Add(option);
        }
        return root;
    }

    /// <summary>All commands and options as data.</summary>
    public static CommandTable Table()
    {
        var common = new CommonOptions();
        return CommandTable.Of(Create(common), common);
    }

    private static bool SpeaksOfOthers(string word) =>
        word is "--help" or "-h" || word.StartsWith("--config", StringComparison.Ordinal) || word.StartsWith("--set", StringComparison.Ordinal);
}
