using System.CommandLine;

namespace NativeEngine.Cli.Verbs;

// To add a verb: one file Verbs/<Name>Verb.cs and one line in Create below.
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
    /// <summary>A fresh command tree.</summary>
    public static Command Create(CommonOptions common)
    {
        var root = new Command("nengine", "Data-centric language-model training: coreset mini-batches, small models, evaluation.")
        {
            new QuickstartVerb(),
            new SelectVerb(),
            new VerifyVerb(),
            new WhyVerb(),
            new FeaturesVerb(),
            new ClusterVerb(),
            new TrainVerb(),
            new EvalVerb(),
            new GenerateVerb(),
            new ExportVerb(),
            new MergeVerb(),
            new VerbGroup("ablate", "Predicts what data is worth: one small model a unit, mixtures by merging.",
                new AblatePlanVerb(), new AblateTrainVerb(), new AblateRankVerb(), new AblateConfirmVerb(), new AblateReportVerb(),
                new VerbGroup("cache", "Looks after the cache of trained units.", new AblateCacheListVerb(), new AblateCacheVerifyVerb(), new AblateCacheGcVerb())),
            new ProfileVerb(),
            new ReportVerb(),
            new DiffRunsVerb(),
            new DoctorVerb(),
            new VerbGroup("data", "Looks at data files, splits and tokenizes them, and makes one.",
                new DataInspectVerb(), new DataSynthVerb(), new DataSplitVerb(), new DataTokenizeVerb()),
        };
        foreach (var option in common.All)
        {
            root.Add(option);
        }
        return root;
    }
}
