using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using NativeEngine.Ablation;
using NativeEngine.Ablation.Confirming;
using NativeEngine.Ablation.Ranking;
using NativeEngine.Formats;

namespace NativeEngine.Cli.Verbs;

/// <summary>Trains a few mixtures truly and says how well merging predicted them.</summary>
internal sealed class AblateConfirmVerb : Verb
{
    private readonly Argument<string> _study = OpenStudy.FileArgument();
    private readonly Option<string?> _cache = OpenStudy.CacheOption();

    public AblateConfirmVerb()
        : base("confirm", "Trains a few mixtures truly: correlation, calibration, alarm.", "nengine ablate confirm study.yaml --output runs/study")
    {
        Add(_study);
        Add("options", _cache);
    }

    public override string? Table => "stand_ins";

    public override int Run(VerbContext context)
    {
        var share = WorkShare.FromEnvironment(Environment.GetEnvironmentVariable);
        var study = OpenStudy.Open(context, context.Need(_study), context.Get(_cache), write: !context.DryRun);
        var settings = RankSettings.Read(study.Plan);
        string identity = StudyFolder.Identity(study.Plan, study.Jobs);
        var ranked = RankedMixtures.Read(study.Output, identity, study.Plan);
        var mixtures = ConfirmSettings.Read(study.Plan).Choose(ranked.All);
        if (mixtures.Count < 3)
        {
            throw new EngineException(ErrorKind.Usage, $"{mixtures.Count} mixtures to confirm determine no correlation", "raise confirm.best and confirm.spread, or add candidates of more than one unit");
        }
        int inCache = mixtures.Count(m => study.Cache.Find(study.Jobs.Mixture(m.Weights)) is not null);
        if (context.DryRun)
        {
            context.Result.Write(
                text =>
                {
                    text.WriteLine($"would train {mixtures.Count - inCache} of {mixtures.Count} mixtures, {mixtures.Sum(m => m.Units.Count)} unit budgets in all");
                    mixtures.ForEach(m => text.WriteLine("  " + m.Describe([.. study.Plan.Units.Select(u => u.Name)])));
                },
                json =>
                {
                    json.WriteNumber("schema", 1);
                    json.WriteBoolean("dry_run", true);
                    json.WriteNumber("mixtures", mixtures.Count);
                    json.WriteNumber("in_cache", inCache);
                    json.WriteNumber("unit_budgets", mixtures.Sum(m => m.Units.Count));
                });
            return 0;
        }
        var models = StudyModels.Require(study.Plan, study.Cache, study.Jobs, context.Cancellation);
        using var device = context.OpenDevice();
        TrainingReport trained;
        using (var progress = context.Progress("training", mixtures.Count, "mixtures"))
        {
            trained = AblateTrainVerb.Runner(context, study, device, share, progress).TrainMixtures([.. mixtures.Select(m => m.Weights)], 0, context.Cancellation);
        }
        using var standIns = study.StandIns(context, models, settings, device);
        ConfirmResult result;
        using (var progress = new PhaseProgress(context, _ => "mixtures"))
        {
            result = StudyConfirmation.Run(study.Plan, models, standIns, settings, mixtures, ranked.Finalists, identity, progress.Report, context.Cancellation);
        }
        string file = Path.Combine(study.Output, ConfirmDocument.Name);
        AtomicFile.WriteAllText(file, ConfirmDocument.Text(result));
        foreach (var pair in result.Alarm.Pairs)
        {
            context.Talk.Warn(string.Create(CultureInfo.InvariantCulture, $"additivity fails for {result.Units[pair.First]} with {result.Units[pair.Second]}: the truth is {Math.Abs(pair.Effect):0.0000} {(pair.Effect > 0 ? "worse" : "better")} than predicted (p {pair.PValue:0.0e+0})"));
        }
        context.Result.Write(text => WriteText(text, result, trained, file), json => WriteJson(json, result, trained, file));
        return 0;
    }

    private static void WriteText(TextWriter text, ConfirmResult result, TrainingReport trained, string file)
    {
        text.WriteLine($"{result.Mixtures.Count} mixtures truly trained ({trained.Trained} now, {trained.Found + trained.ByOthers} found)");
        text.WriteLine();
        int width = Math.Max(8, result.StandIns.Max(s => s.Name.Length));
        text.WriteLine($"{"stand-in".PadRight(width)}  mean Pearson  mean Spearman  score: Pearson  Spearman  regret@1  regret@3  pairs right  off by");
        foreach (var s in result.StandIns)
        {
            text.WriteLine($"{s.Name.PadRight(width)}  {Cell(s.MeanPearson, 12)}  {Cell(s.MeanSpearman, 13)}  {Cell(s.Score.Correlation.Pearson, 14)}  {Cell(s.Score.Correlation.Spearman, 8)}  {Cell(s.Score.Regret1, 8)}  {Cell(s.Score.Regret3, 8)}  {Cell(s.Score.Decision, 11)}  {Cell(s.Score.LevelError, 6)}");
        }
        var average = result.StandIns[0].Score;
        var pearson = average.Correlation.PearsonInterval(result.Confidence);
        text.WriteLine();
        text.WriteLine($"the average: Pearson {Cell(average.Correlation.Pearson, 0)} ({Cell(pearson.Low, 0)} to {Cell(pearson.High, 0)}); true = {Cell(average.Line.Intercept, 0)} + {Cell(average.Line.Slope, 0)} x average, unseen truths {Cell(average.Line.LeftOutError, 0)} off, {Percent(average.Coverage)} of them inside their prediction interval");
        text.WriteLine(result.Alarm.Pairs.Count == 0 ? $"no pair of units breaks additivity ({result.Alarm.Tested} patterns tested)" : $"additivity fails for {result.Alarm.Pairs.Count} pairs of units");
        text.WriteLine($"wrote {file}");
    }

    private static void WriteJson(Utf8JsonWriter json, ConfirmResult result, TrainingReport trained, string file)
    {
        json.WriteNumber("schema", 1);
        json.WriteNumber("mixtures", result.Mixtures.Count);
        json.WriteNumber("trained", trained.Trained);
        json.Objects("stand_ins", result.StandIns, s =>
        {
            json.WriteString("stand_in", s.Name);
            json.Number("mean_pearson", s.MeanPearson);
            json.Number("mean_spearman", s.MeanSpearman);
            json.Number("score_pearson", s.Score.Correlation.Pearson);
            json.Number("score_spearman", s.Score.Correlation.Spearman);
            json.Number("regret_at_1", s.Score.Regret1);
        });
        json.WriteBoolean("additivity_alarm", result.Alarm.Pairs.Count > 0);
        json.WriteString("confirm", file);
    }

    private static string Cell(double value, int width) => (double.IsNaN(value) ? "–" : value.ToString("0.0000", CultureInfo.InvariantCulture)).PadLeft(width);

    private static string Percent(double share) => double.IsNaN(share) ? "an unknown share" : string.Create(CultureInfo.InvariantCulture, $"{100 * share:0} %");
}
