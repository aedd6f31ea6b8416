using System.CommandLine;
using NativeEngine.Ablation.Reports;
using NativeEngine.Formats;
using NativeEngine.Reporting;

namespace NativeEngine.Cli.Verbs;

/// <summary>Writes a study's tables.</summary>
internal sealed class AblateReportVerb : Verb
{
    private readonly Argument<string> _study = OpenStudy.FileArgument();
    private readonly Option<string?> _cache = OpenStudy.CacheOption();

    public AblateReportVerb()
        : base("report", "Writes a study's tables as Markdown, CSV and JSON.", "nengine ablate report study.yaml --output runs/study")
    {
        Add(_study);
        Add("options", _cache);
    }

    public override int Run(VerbContext context)
    {
        var study = OpenStudy.Open(context, context.Need(_study), context.Get(_cache), write: !context.DryRun);
        var tables = StudyTables.Read(study.Plan, study.Jobs, study.Cache, study.Output);
        string file = Path.GetFileName(context.Need(_study)), folder = Path.GetFileName(Path.TrimEndingDirectorySeparator(study.Output));
        string seed = context.GivenSeed is { } given ? $" --seed {given}" : "";
        string command = string.Join('\n', new[] { "train", "rank", "confirm", "report" }.Where(v => v != "confirm" || tables.IsConfirmed).Select(v => $"nengine ablate {v} {file} --output {folder}{seed}"));
        var files = new List<(string Name, string Text)>
        {
            ("report.md", tables.Markdown(command)), ("report.json", tables.Json(command)), ("ranking.csv", tables.RankingCsv()),
        };
        if (tables.ConfirmedCsv() is { } csv)
        {
            files.Add(("confirmed.csv", csv));
        }
        if (!context.DryRun)
        {
            files.ForEach(f => AtomicFile.WriteAllText(Path.Combine(study.Output, f.Name), f.Text));
            string page = ReportFiles.Write(AblationPage.Of(study.Output, folder, ReportOutput.Origin(context, $"{context.Threads.Count} threads")), study.Output);
            context.Talk.Info($"report: {ReportOutput.Shown(page)}");
        }
        context.Result.Write(
            text => files.ForEach(f => text.WriteLine($"{(context.DryRun ? "would write" : "wrote")} {Path.Combine(study.Output, f.Name)}")),
            json =>
            {
                json.WriteNumber("schema", 1);
                json.Strings("files", files.Select(f => Path.Combine(study.Output, f.Name)));
            });
        return 0;
    }
}
