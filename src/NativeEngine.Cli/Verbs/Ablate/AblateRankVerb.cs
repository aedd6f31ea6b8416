using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using NativeEngine.Ablation;
using NativeEngine.Ablation.Ranking;
using NativeEngine.Formats;

namespace NativeEngine.Cli.Verbs;

/// <summary>Scores a study's candidate mixtures by merging the units' models.</summary>
internal sealed class AblateRankVerb : Verb
{
    private readonly Argument<string> _study = OpenStudy.FileArgument();
    private readonly Option<string?> _cache = OpenStudy.CacheOption();
    private readonly Option<int> _top = Opt.Number("--top", "N", "Mixtures to show.", 10, min: 1);

    public AblateRankVerb()
        : base("rank", "Ranks mixtures by merging the units' models, and searches for better ones.", "nengine ablate rank study.yaml --output runs/study")
    {
        Add(_study);
        Add("options", _cache, _top);
    }

    public override string? Table => "best";

    public override int Run(VerbContext context)
    {
        var study = OpenStudy.Open(context, context.Need(_study), context.Get(_cache), write: !context.DryRun);
        var settings = RankSettings.Read(study.Plan);
        long peak = StudyStandIns.PeakBytes(study.Plan, settings, study.Lanes(context, settings));
        if (peak > context.MaxMemory)
        {
            throw new EngineException(ErrorKind.WillNotFit, $"ranking needs about {ByteSize.Format(peak)} and may use {ByteSize.Format(context.MaxMemory)}", "set evaluation.documents lower, evaluation.ensemble: false, or search.descent: false");
        }
        if (context.DryRun)
        {
            context.Result.Write(
                text => text.WriteLine($"would rank {settings.Candidates.Count.ToString("N0", CultureInfo.InvariantCulture)} candidates of {study.Plan.Units.Count} units, memory about {ByteSize.Format(peak)}"),
                json =>
                {
                    json.WriteNumber("schema", 1);
                    json.WriteBoolean("dry_run", true);
                    json.WriteNumber("candidates", settings.Candidates.Count);
                    json.WriteNumber("units", study.Plan.Units.Count);
                    json.WriteNumber("peak_bytes", peak);
                });
            return 0;
        }
        var models = StudyModels.Require(study.Plan, study.Cache, study.Jobs, context.Cancellation);
        using var device = context.OpenDevice();
        using var standIns = study.StandIns(context, models, settings, device);
        Remark(context, standIns, settings);
        long start = Stopwatch.GetTimestamp();
        var before = Environment.CpuUsage.TotalTime;
        RankResult result;
        using (var progress = new PhaseProgress(context, phase => phase is "racing" ? "tokens" : phase is "descending" ? "steps" : "mixtures"))
        {
            result = StudyRanking.Run(standIns, models, settings, StudyFolder.Identity(study.Plan, study.Jobs), progress.Report, context.Cancellation);
        }
        string file = Path.Combine(study.Output, RankDocument.Name);
        AtomicFile.WriteAllText(file, RankDocument.Text(result));
        foreach (string warning in result.Safety.Warnings(result.Units))
        {
            context.Talk.Warn(warning);
        }
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds, processor = (Environment.CpuUsage.TotalTime - before).TotalSeconds;
        context.Talk.Info(string.Create(CultureInfo.InvariantCulture, $"{result.Candidates:N0} candidates in {seconds:0.0} s ({processor:0.0} of processors), {standIns.Average.TokensScored:N0} tokens scored, {standIns.Average.Blocks.Cached:N0} blocks found in {Path.Combine(study.Output, "losses")}"));
        context.Result.Write(text => WriteText(text, result, context.Need(_top), file), json =>
        {
            WriteJson(json, result, context.Need(_top), file);
            json.WriteNumber("seconds", seconds);
            json.WriteNumber("processor_seconds", processor);
            json.WriteNumber("tokens_scored", standIns.Average.TokensScored);
        });
        return 0;
    }

    private static void Remark(VerbContext context, StudyStandIns standIns, RankSettings settings)
    {
        if (standIns.Cache.Damaged > 0)
        {
            context.Talk.Info($"{standIns.Cache.Damaged} cut or damaged records of losses are computed again");
        }
        if (settings.Align)
        {
            context.Talk.Detail($"alignment moved {standIns.Pool.Moved.Sum()} hidden units and heads");
        }
    }

    private static void WriteText(TextWriter text, RankResult result, int top, string file)
    {
        text.WriteLine("rank    score  behind the best      best in  ensemble  mixture");
        for (int i = 0; i < Math.Min(top, result.Rows.Count); i++)
        {
            var row = result.Rows[i];
            string behind = i == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"{row.Difference.Low:0.0000}…{row.Difference.High:0.0000}");
            string note = i > 0 && !row.Separated ? $"  not separable yet{Needed(row.DocumentsToSeparate(result.Rows[0].Score))}" : "";
            text.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{i + 1,4}  {row.Score,7:0.0000}  {behind,-16}  {100 * row.ProbabilityOfBest,8:0} %  {(double.IsNaN(row.EnsembleScore) ? "–" : row.EnsembleScore.ToString("0.0000", CultureInfo.InvariantCulture)),8}  {row.Mixture.Describe(result.Units)}{(row.Origin is "candidate" ? "" : $"  ({row.Origin})")}{note}"));
        }
        text.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{result.Rows.Count(r => !r.Dominated)} of these {result.Rows.Count} are beaten by none of the others in every domain"));
        text.WriteLine();
        if (result.Screen is { } screen)
        {
            text.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"screened: {screen.Kept.Count:N0} of {result.Candidates:N0} candidates raced; a quadratic fitted to {screen.Fitted:N0} predicts others within {screen.Error.RootMeanSquare:0.0000} (Pearson {screen.Error.Correlation.Pearson:0.000}), their documents leave {screen.Noise:0.0000} open, and none was left out that it puts less than {screen.Margin:0.0000} behind the finalists"));
        }
        if (result.Worth is { } worth)
        {
            text.WriteLine($"worth (Shapley, {(worth.Exact ? "exact" : $"{worth.Sets} sets")}): " + string.Join(", ", result.Units.Select((u, i) => (u, i)).OrderByDescending(p => worth.Shapley[p.i].Value)
                .Take(12).Select(p => string.Create(CultureInfo.InvariantCulture, $"{p.u} {worth.Shapley[p.i].Value:+0.0000;-0.0000}"))));
        }
        text.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"barrier {result.Safety.Barrier:0.0000}, gain over the seed {result.Safety.Gain:0.0000}, conflict of signs {result.Safety.Whole.SignConflict:0.00}"));
        text.WriteLine($"wrote {file}");
    }

    private static string Needed(double times) => double.IsFinite(times) && times < 1000 ? string.Create(CultureInfo.InvariantCulture, $", {Math.Ceiling(times):0}x the documents would") : "";

    private static void WriteJson(Utf8JsonWriter json, RankResult result, int top, string file)
    {
        json.WriteNumber("schema", 1);
        json.WriteNumber("candidates", result.Candidates);
        json.Objects("best", result.Rows.Take(top), row =>
        {
            json.Weights(row.Mixture, result.Units);
            json.WriteNumber("score", row.Score);
            json.WriteNumber("probability_of_best", row.ProbabilityOfBest);
            json.WriteBoolean("separated_from_best", row.Separated);
        });
        json.WriteString("rank", file);
    }
}
