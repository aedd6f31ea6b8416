using System.Globalization;
using System.Text;
using NativeEngine.Ablation.Confirming;
using NativeEngine.Ablation.Ranking;
using NativeEngine.Formats;

namespace NativeEngine.Ablation.Reports;

/// <summary>What a study's trainings cost, for its report.</summary>
/// <param name="Name">"seed", "unit …", "mixture …".</param>
/// <param name="Key">Cache key.</param>
/// <param name="Cost">As recorded, or null.</param>
public sealed record TrainingRecord(string Name, string Key, UnitCost? Cost);

/// <summary>What a report says of a study besides its figures: the file, and how many units, sources and parameters of a model it has.</summary>
internal sealed record StudyTitle(string Path, int Units, int Sources, long Parameters);

/// <summary>
/// The report of a study from rank.json and confirm.json: Markdown for people, CSV for spreadsheets, one JSON document for programs. Every figure
/// comes from those files, which name the cache keys behind it.
/// </summary>
public sealed class StudyTables
{
    private readonly StudyTitle _study;
    private readonly StrictJson _rank;
    private readonly StrictJson? _confirm;
    private readonly IReadOnlyList<TrainingRecord> _trainings;
    private readonly string[] _domains;

    /// <summary>Reads the documents of a study's folder. Errors: Usage without rank.json; BadInput for one of another study.</summary>
    public static StudyTables Read(StudyPlan plan, StudyJobs jobs, UnitCache cache, string folder)
    {
        string identity = StudyFolder.Identity(plan, jobs);
        var rank = Load(folder, RankDocument.Name, identity) ?? throw new EngineException(ErrorKind.Usage, $"{folder} has no {RankDocument.Name}", $"nengine ablate rank {plan.Study.Path} --output {folder}");
        var confirm = Load(folder, ConfirmDocument.Name, identity);
        var mixtures = confirm is null ? [] : RankedMixtures.Read(confirm.Require("mixtures"), [.. plan.Units.Select(u => u.Name)]);
        UnitKey[] keys =
        [
            jobs.Seed, .. plan.Units.SelectMany(u => Enumerable.Range(0, plan.Study.Training.Seeds.Count).Select(s => jobs.Unit(u.Index, s))).DistinctBy(k => k.Hash),
            .. mixtures.Select(m => jobs.Mixture(m.Weights)),
        ];
        var title = new StudyTitle(plan.Study.Path, plan.Units.Count, plan.Sources.Count, plan.Config.ParameterCount);
        return new StudyTables(title, rank, confirm, [.. keys.Select(key => new TrainingRecord(key.Label, key.Hash, cache.Cost(key)))]);
    }

    internal StudyTables(StudyTitle study, StrictJson rank, StrictJson? confirm, IReadOnlyList<TrainingRecord> trainings)
    {
        (_study, _rank, _confirm, _trainings) = (study, rank, confirm, trainings);
        _domains = [.. _rank.Require("domains").Items().Select(d => d.RequireString("domain"))];
    }

    /// <summary>Whether true trainings are part of it.</summary>
    public bool IsConfirmed => _confirm is not null;

    /// <summary>The ranking: one line a mixture that was scored on all documents.</summary>
    public string RankingCsv()
    {
        var text = new StringBuilder();
        text.Append("rank,mixture,origin,score,score_low,score_high,behind_best_low,behind_best_high,probability_of_best,separated,dominated,ensemble_score");
        foreach (string domain in _domains)
        {
            text.Append(',').Append(Cell("loss " + domain));
        }
        text.Append(",key\n");
        int rank = 0;
        foreach (var row in _rank.Require("mixtures").Items())
        {
            var (low, high) = Ends(row, "score_interval");
            var (from, to) = Ends(row, "behind_best");
            text.Append(CultureInfo.InvariantCulture, $"{++rank},{Cell(row.RequireString("mixture"))},{Cell(row.RequireString("origin"))},{Exact(row, "score")},{Exact(low)},{Exact(high)},{Exact(from)},{Exact(to)},{Exact(row, "probability_of_best")},{(row.RequireBool("separated_from_best") ? "true" : "false")},{(row.OptionalBool("dominated") == true ? "true" : "false")},{Exact(row, "ensemble_score")}");
            foreach (var loss in row.Require("losses").Items(_domains.Length))
            {
                text.Append(',').Append(Exact(loss.AsDouble()));
            }
            text.Append(',').Append(row.RequireString("key")).Append('\n');
        }
        return text.ToString();
    }

    /// <summary>The truly trained mixtures with every stand-in's loss: one line a mixture and domain. Null when nothing was confirmed.</summary>
    public string? ConfirmedCsv()
    {
        if (_confirm is null)
        {
            return null;
        }
        var text = new StringBuilder("mixture,domain,true_loss");
        var standIns = _confirm.Require("stand_ins").SomeItems();
        foreach (var standIn in standIns)
        {
            text.Append(',').Append(Cell(standIn.RequireString("stand_in")));
        }
        text.Append(",key\n");
        var mixtures = _confirm.Require("mixtures").SomeItems();
        double[][][] losses = [.. standIns.Select(s => (double[][])[.. s.Require("losses").Items(mixtures.Length).Select(m => (double[])[.. m.Items(_domains.Length).Select(v => v.AsDouble())])])];
        int i = 0;
        foreach (var mixture in mixtures)
        {
            double[] truth = [.. mixture.Require("true_losses").Items(_domains.Length).Select(v => v.AsDouble())];
            for (int d = 0; d < _domains.Length; d++)
            {
                text.Append(CultureInfo.InvariantCulture, $"{Cell(mixture.RequireString("mixture"))},{Cell(_domains[d])},{Exact(truth[d])}");
                foreach (double[][] standIn in losses)
                {
                    text.Append(',').Append(Exact(standIn[i][d]));
                }
                text.Append(',').Append(mixture.RequireString("key")).Append('\n');
            }
            i++;
        }
        return text.ToString();
    }

    /// <summary>The report for people.</summary>
    public string Markdown(string command)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"# {Path.GetFileNameWithoutExtension(_study.Path)}\n\n");
        text.Append(CultureInfo.InvariantCulture, $"{_study.Units} units of {_study.Sources} sources, {_domains.Length} domains, a model of {_study.Parameters:N0} parameters. Repeated by\n\n```\n{command}\n```\n\n");
        text.Append("Losses are natural logarithms a token; lower is better. A dash is an undefined figure, not 0. Intervals cover ");
        text.Append(CultureInfo.InvariantCulture, $"{100 * _rank.RequireDouble("confidence"):0.#} %.\n\n");
        Best(text);
        Confirmation(text);
        Units(text);
        Found(text);
        Safety(text);
        Cost(text);
        Keys(text);
        return text.ToString();
    }

    /// <summary>Everything in one document: ranking, confirmation, and what each training cost.</summary>
    public string Json(string command) => StudyJson.Document(json =>
    {
        json.WriteString("study", Path.GetFileName(_study.Path));
        json.WriteString("command", command);
        json.Objects("trainings", _trainings, training =>
        {
            json.WriteString("training", training.Name);
            json.WriteString("key", training.Key);
            if (training.Cost is { } cost)
            {
                json.WriteNumber("steps", cost.Steps);
                json.WriteNumber("tokens", cost.Tokens);
                json.WriteNumber("flops", cost.Flops);
                json.WriteNumber("seconds", cost.Seconds);
            }
        });
        json.WritePropertyName("rank");
        _rank.WriteTo(json);
        if (_confirm is not null)
        {
            json.WritePropertyName("confirm");
            _confirm.WriteTo(json);
        }
    });

    private void Best(StringBuilder text)
    {
        var rows = _rank.Require("mixtures").Items().ToList();
        text.Append(CultureInfo.InvariantCulture, $"## Ranking\n\n{_rank.RequireInt("candidates"):N0} candidates; {rows.Count} mixtures scored on all documents.\n\n");
        text.Append("| | mixture | score | interval | behind the best | chance to be best | Pareto front | from |\n|---|---|---|---|---|---|---|---|\n");
        for (int i = 0; i < Math.Min(20, rows.Count); i++)
        {
            string needed = rows[i].OptionalDouble("documents_to_separate") is < 1000 and var times ? string.Create(CultureInfo.InvariantCulture, $", {Math.Ceiling(times):0}x the documents would") : "";
            string behind = i == 0 ? "" : rows[i].RequireBool("separated_from_best") ? Range(rows[i], "behind_best") : $"{Range(rows[i], "behind_best")}, not separable yet{needed}";
            text.Append(CultureInfo.InvariantCulture, $"| {i + 1} | {Escape(rows[i].RequireString("mixture"))} | {Short(rows[i], "score")} | {Range(rows[i], "score_interval")} | {behind} | {100 * rows[i].RequireDouble("probability_of_best"):0} % | {(rows[i].OptionalBool("dominated") == false ? "yes" : "")} | {rows[i].RequireString("origin")} |\n");
        }
        text.Append(CultureInfo.InvariantCulture, $"\n{rows.Count(r => r.OptionalBool("dominated") == false)} of the {rows.Count} are on the Pareto front: none of the others is at least as good in every domain and better in one.\n\n");
        if (_rank.Optional("screen") is { } screen)
        {
            text.Append(CultureInfo.InvariantCulture, $"{screen.RequireInt("kept"):N0} candidates raced, the others were screened out by a quadratic in the weights, fitted to {screen.RequireInt("fitted"):N0} of them on {screen.RequireLong("tokens"):N0} tokens: it predicts candidates it has not seen within {Short(screen, "error_root_mean_square")} (largest {Short(screen, "error_largest")}, Pearson {Short(screen, "error_pearson")}), differences on these documents are those on all within {Short(screen, "noise_of_documents")} (standard errors), and it left out none that it puts less than {Short(screen, "margin")} behind the finalists.\n\n");
        }
        if (_rank.Optional("noise_floor") is { } noise)
        {
            text.Append(CultureInfo.InvariantCulture, $"Another RNG seed alone moves a score by {Short(noise, "deviation")} (standard deviation, {noise.RequireInt("degrees")} degrees of freedom): differences below {Short(noise, "smallest_difference")} mean nothing.\n\n");
        }
    }

    private void Confirmation(StringBuilder text)
    {
        if (_confirm is null)
        {
            text.Append("## Confirmation\n\nNo mixture was truly trained: how far this ranking can be trusted is unknown (`nengine ablate confirm`).\n\n");
            return;
        }
        var standIns = _confirm.Require("stand_ins").SomeItems();
        text.Append(CultureInfo.InvariantCulture, $"## Confirmation\n\n{_confirm.Require("mixtures").Count()} mixtures were truly trained.\n\n");
        text.Append("| stand-in | Pearson, mean over domains | Spearman, mean over domains | Pearson of the score | Spearman | Kendall | regret@1 | regret@3 | pairs ordered rightly | off by |\n|---|---|---|---|---|---|---|---|---|---|\n");
        foreach (var standIn in standIns)
        {
            var score = standIn.Require("agreement").SomeItems()[^1];
            text.Append(CultureInfo.InvariantCulture, $"| {standIn.RequireString("stand_in")}{(standIn.RequireBool("baseline") ? " (baseline)" : "")} | {Short(standIn, "mean_pearson")} | {Short(standIn, "mean_spearman")} | {WithRange(score, "pearson", "pearson_interval")} | {WithRange(score, "spearman", "spearman_interval")} | {WithRange(score, "kendall_tau_b", "kendall_interval")} | {Short(score, "regret_at_1")} | {Short(score, "regret_at_3")} | {Short(score, "decision_accuracy")} | {Short(score, "level_error")} |\n");
        }
        text.Append("\nThe average, by domain:\n\n| domain | Pearson | Spearman | regret@1 | true = a + b average | left-out error | prediction intervals covered | conformal |\n|---|---|---|---|---|---|---|---|\n");
        foreach (var a in standIns[0].Require("agreement").Items())
        {
            text.Append(CultureInfo.InvariantCulture, $"| {Escape(a.RequireString("domain"))} | {WithRange(a, "pearson", "pearson_interval")} | {WithRange(a, "spearman", "spearman_interval")} | {Short(a, "regret_at_1")} | {Short(a, "intercept")} + {Short(a, "slope")} x | {Short(a, "left_out_error")} | {Short(a, "prediction_coverage")} | {Short(a, "conformal_coverage")} |\n");
        }
        var alarm = _confirm.Require("additivity");
        text.Append('\n');
        if (alarm.RequireBool("alarm"))
        {
            text.Append("**Additivity fails** for ");
            text.AppendJoin("; ", alarm.Require("pairs").Items().Select(p => $"{p.RequireString("first")} with {p.RequireString("second")} (effect {Short(p, "effect")}, p {Short(p, "p_value")})"));
            text.Append(": train mixtures with both truly.\n\n");
        }
        else
        {
            text.Append(CultureInfo.InvariantCulture, $"No pair of units breaks additivity ({alarm.RequireInt("patterns_tested")} patterns tested); the worst miss is {Short(alarm, "worst_miss")}{(alarm.OptionalString("worst_mixture") is { } worst ? $", at {Escape(worst)}" : "")}.\n\n");
        }
        text.Append("Predicted true scores of the best:\n\n| mixture | predicted | interval | conformal |\n|---|---|---|---|\n");
        foreach (var p in _confirm.Require("predictions").Items().Take(10))
        {
            text.Append(CultureInfo.InvariantCulture, $"| {Escape(p.RequireString("mixture"))} | {Short(p, "predicted_true_score")} | {Range(p, "prediction_interval")} | {Range(p, "conformal_interval")} |\n");
        }
        text.Append('\n');
    }

    private void Units(StringBuilder text)
    {
        if (_rank.Optional("worth") is not { } worth)
        {
            return;
        }
        text.Append(CultureInfo.InvariantCulture, $"## Worth of units\n\nHow much a unit lowers the score, {(worth.RequireBool("exact") ? "over all sets" : $"sampled over {worth.RequireInt("sets")} sets")}; positive is good.\n\n| unit | Shapley | Banzhaf | leave one out |\n|---|---|---|---|\n");
        foreach (var unit in worth.Require("units").Items().OrderByDescending(u => u.OptionalDouble("shapley") ?? double.NegativeInfinity))
        {
            text.Append(CultureInfo.InvariantCulture, $"| {Escape(unit.RequireString("unit"))} | {WithRange(unit, "shapley", "shapley_interval")} | {WithRange(unit, "banzhaf", "banzhaf_interval")} | {WithRange(unit, "leave_one_out", "leave_one_out_interval")} |\n");
        }
        text.Append('\n');
    }

    private void Found(StringBuilder text)
    {
        text.Append(CultureInfo.InvariantCulture, $"## Searches\n\nOn {_rank.RequireLong("search_tokens"):N0} tokens; what they found is scored on all documents in the ranking.\n\n| method | mixture | score there | evaluations |\n|---|---|---|---|\n");
        foreach (var search in _rank.Require("searches").Items())
        {
            text.Append(CultureInfo.InvariantCulture, $"| {search.RequireString("method")} | {Escape(search.RequireString("mixture"))} | {Short(search, "score")} | {search.RequireInt("evaluations")} |\n");
        }
        if (_rank.Optional("descent") is { } descent)
        {
            text.Append(CultureInfo.InvariantCulture, $"| descent with the mixture gradient{(descent.RequireBool("converged") ? "" : ", not converged")} | {Escape(descent.RequireString("mixture"))} | {Short(descent, "score")} | {descent.Require("scores").Count()} gradients |\n");
        }
        if (_rank.Optional("surrogate") is { } surrogate)
        {
            text.Append(CultureInfo.InvariantCulture, $"| quadratic surrogate, error {Short(surrogate, "error_root_mean_square")} (largest {Short(surrogate, "error_largest")}) on {surrogate.RequireInt("held_out_mixtures")} mixtures it had not seen | {Escape(surrogate.RequireString("mixture"))} | | |\n");
        }
        text.Append('\n');
    }

    private void Safety(StringBuilder text)
    {
        var safety = _rank.Require("merge_safety");
        text.Append(CultureInfo.InvariantCulture, $"## May these units be averaged?\n\nBarrier {Short(safety, "barrier")} (average of all against the units' own, below 0 is good), gain over the seed {Short(safety, "gain_over_seed")}, conflict of signs {Short(safety, "sign_conflict")} (0 none, 0.5 all), mean cosine of changes {Short(safety, "mean_cosine")}, movement {Short(safety, "movement")} of the weights' size.\n");
        foreach (var warning in safety.Require("warnings").Items())
        {
            text.Append(CultureInfo.InvariantCulture, $"\n- {Escape(warning.AsString())}");
        }
        text.Append('\n');
    }

    private void Cost(StringBuilder text)
    {
        var known = _trainings.Where(t => t.Cost is not null).ToList();
        text.Append("\n## Cost\n\n| trainings | count | steps | tokens | FLOP | hours |\n|---|---|---|---|---|---|\n");
        foreach (string kind in (string[])["seed", "unit", "mixture"])
        {
            var rows = known.Where(t => t.Name.StartsWith(kind, StringComparison.Ordinal)).ToList();
            text.Append(CultureInfo.InvariantCulture, $"| {kind} | {rows.Count} | {rows.Sum(r => (double)r.Cost!.Steps):N0} | {rows.Sum(r => (double)r.Cost!.Tokens):N0} | {rows.Sum(r => r.Cost!.Flops):0.0e+0} | {rows.Sum(r => r.Cost!.Seconds) / 3600:0.000} |\n");
        }
        int n = _study.Units, pairs = n * (n - 1) / 2;
        double budgets = _rank.RequireDouble("candidate_budgets");
        text.Append(CultureInfo.InvariantCulture, $"\nTraining all {_rank.RequireInt("candidates"):N0} candidates one by one would take {budgets:N0} unit budgets; {n} were trained: {budgets / n:0.0} times fewer. All pairs: {2 * pairs} against {n}, {2.0 * pairs / n:0.0} times.\n");
    }

    private void Keys(StringBuilder text)
    {
        text.Append("\n## Keys\n\nFigures come from models in the unit cache, losses in `losses/` by the keys in rank.json and confirm.json.\n\n| model | key |\n|---|---|\n");
        foreach (var training in _trainings)
        {
            text.Append(CultureInfo.InvariantCulture, $"| {Escape(training.Name)} | `{training.Key[..16]}` |\n");
        }
    }

    private static StrictJson? Load(string folder, string name, string identity)
    {
        string path = Path.Combine(folder, name);
        if (!File.Exists(path))
        {
            return null;
        }
        var json = StrictJson.Load(path);
        json.RequireSchema(1);
        return json.RequireString("identity") == identity ? json
            : throw json.Bad("is of another study: data, seed, units or training have changed since", "rank and confirm again, or choose another --output");
    }

    private static string Short(StrictJson row, string name) => row.OptionalDouble(name) is { } value ? Short(value) : "–";

    private static string Short(double value) => value.ToString(Math.Abs(value) is >= 0.001 or 0 ? "0.0000" : "0.0e+0", CultureInfo.InvariantCulture);

    private static (double Low, double High) Ends(StrictJson row, string name)
    {
        double[] ends = [.. (row.Optional(name)?.Items() ?? []).Select(v => v.AsDouble())];
        return ends.Length == 2 ? (ends[0], ends[1]) : (double.NaN, double.NaN);
    }

    private static string Range(StrictJson row, string name)
    {
        var (low, high) = Ends(row, name);
        return double.IsNaN(low) ? "–" : $"{Short(low)} … {Short(high)}";
    }

    private static string WithRange(StrictJson row, string name, string interval) => row.OptionalDouble(name) is { } value ? $"{Short(value)} ({Range(row, interval)})" : "–";

    private static string Exact(StrictJson row, string name) => Exact(row.OptionalDouble(name) ?? double.NaN);

    private static string Exact(double value) => double.IsNaN(value) ? "" : value.ToString("R", CultureInfo.InvariantCulture);

    private static string Cell(string text) => text.AsSpan().ContainsAny(",\"\n") ? $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : text;

    private static string Escape(string text) => text.Replace("|", "\\|", StringComparison.Ordinal);
}
