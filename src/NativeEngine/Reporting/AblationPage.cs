using System.Globalization;
using System.Text.Json;
using NativeEngine.Formats;

namespace NativeEngine.Reporting;

/// <summary>
/// The report of a data ablation, from rank.json and, where it is there, confirm.json: which mixture wins and how sure that is, what each unit is worth, how
/// well merging predicted true trainings, whether the units' models may be averaged at all.
/// </summary>
public static class AblationPage
{
    private const int MostMixtures = 20;
    private const int MostUnits = 30;

    /// <summary>The report of a study's folder. Errors: BadInput when rank.json is missing or not what rank writes.</summary>
    public static Report Of(string folder, string name, IReadOnlyList<(string, string)> origin)
    {
        string confirmed = Path.Combine(folder, "confirm.json");
        return Of(StrictJson.Load(Path.Combine(folder, "rank.json")), File.Exists(confirmed) ? StrictJson.Load(confirmed) : null, name, origin);
    }

    /// <summary>The report of the two documents.</summary>
    internal static Report Of(StrictJson rank, StrictJson? confirm, string name, IReadOnlyList<(string, string)> origin)
    {
        rank.RequireSchema(1);
        confirm?.RequireSchema(1);
        if (confirm is not null && confirm.RequireString("identity") != rank.RequireString("identity"))
        {
            confirm = null;
        }
        var rows = rank.Require("mixtures").SomeItems();
        double best = rows[0].RequireDouble("score"), sure = rows[0].RequireDouble("probability_of_best");
        var facts = new List<ReportFact>
        {
            new("best mixture", Named(rows[0])),
            new("its predicted score", ReportNumber.Short(best), best),
            new("best in, of resamples", ReportNumber.Percent(sure), sure),
            new("candidates", rank.RequireLong("candidates").ToString("N0", CultureInfo.InvariantCulture), rank.RequireLong("candidates")),
        };
        var sections = new List<ReportSection> { Winner(rank, rows), Losses(rank, rows) };
        if (rank.Optional("worth") is { Kind: JsonValueKind.Object } worth)
        {
            sections.Add(Worth(worth));
        }
        if (confirm is not null)
        {
            var average = confirm.Require("stand_ins").SomeItems()[0].Require("agreement").SomeItems()[^1];
            double pearson = Maybe(average, "pearson");
            facts.Add(new("correlation with the truth", ReportNumber.Short(pearson), pearson));
            sections.Add(Confirmed(confirm, average));
        }
        sections.Add(Safety(rank));
        return new Report
        {
            Kind = "ablate",
            Title = $"Data ablation: {name}",
            Subtitle = $"{rank.Require("units").Count()} units of data, one model each; mixtures are scored by averaging their units' parameters. Scores are losses: lower is better.",
            Facts = facts,
            Sections = sections,
            Origin = origin,
        };
    }

    // Weights of many units are a table, not a name.
    private static string Named(StrictJson row) => row.RequireString("mixture") is { Length: <= 60 } name ? name
        : $"a mixture of {row.Require("weights").Members().Count()} units ({row.RequireString("origin")})";

    private static ReportSection Winner(StrictJson rank, StrictJson[] rows)
    {
        double confidence = rank.RequireDouble("confidence");
        int close = rows.Skip(1).Count(r => !r.RequireBool("separated_from_best"));
        int front = rows.Count(r => r.OptionalBool("dominated") == false);
        string name = Named(rows[0]);
        string answer = $"{(name.StartsWith("a mixture", StringComparison.Ordinal) ? "A" + name[1..] : name)} has the lowest predicted score, {ReportNumber.Short(rows[0].RequireDouble("score"))}; it is the best in {ReportNumber.Percent(rows[0].RequireDouble("probability_of_best"))} of the resamples of the held-out documents. "
            + (close == 0 ? "All others are clearly worse." : $"{close} of the {rows.Length - 1} others are not separable from it yet.")
            + (front == 0 ? "" : $" {front} of the {rows.Length} lie on the Pareto front: none of the others is at least as good in every domain and better in one.");
        var shown = rows.Take(MostMixtures).ToArray();
        return new ReportSection("Which mixture wins, and how sure is that?", answer)
        {
            Figures =
            [
                new BarFigure
                {
                    Name = "ranking", Title = $"Predicted score of the best mixtures, {ReportNumber.Percent(confidence)} intervals", RowName = "mixture", ValueName = "score", Dots = true,
                    Kinds = ["not separable from the best", "clearly worse"], MostRows = MostMixtures,
                    Rows = [.. rows.Select(r => Row(r, "score", "score_interval", r.RequireBool("separated_from_best") ? 1 : 0))],
                },
                new BarFigure
                {
                    Name = "behind", Title = $"How far behind the best, {ReportNumber.Percent(confidence)} intervals of the difference", RowName = "mixture", ValueName = "score behind the best", Dots = true,
                    Rows = [.. shown.Skip(1).Select(r => new BarRow(r.RequireString("mixture"), r.RequireDouble("score") - rows[0].RequireDouble("score"), Low: End(r, "behind_best", 0), High: End(r, "behind_best", 1), Kind: r.RequireBool("separated_from_best") ? 1 : 0))],
                    Kinds = ["not separable from the best", "clearly worse"],
                    Caption = "Both are scored on the same documents, so a difference is surer than two scores apart.",
                },
            ],
        };
    }

    private static ReportSection Losses(StrictJson rank, StrictJson[] rows)
    {
        string[] domains = [.. rank.Require("domains").SomeItems().Select(d => d.RequireString("domain"))];
        double[] seed = [.. rank.Require("domains").Items().Select(d => d.RequireDouble("seed_loss"))];
        double[][] losses = [.. rows.Select(r => r.Require("losses").Items(domains.Length).Select(l => l.AsDouble()).ToArray())];
        int most = Enumerable.Range(0, domains.Length).MaxBy(d => losses.Max(l => l[d]) - losses.Min(l => l[d]));
        return new ReportSection(
            "Where do the mixtures differ?",
            $"Most in {domains[most]}: from {ReportNumber.Short(losses.Min(l => l[most]))} to {ReportNumber.Short(losses.Max(l => l[most]))} nats a token, where the seed model has {ReportNumber.Short(seed[most])}.")
        {
            Figures =
            [
                new HeatFigure
                {
                    Name = "losses", Title = "Loss above the best mixture's in each domain", RowName = "mixture", ColumnName = "domain", ValueName = "nats a token above the least in the column",
                    Rows = [.. rows.Take(MostMixtures).Select(r => r.RequireString("mixture"))], Columns = domains, Value = (r, d) => losses[r][d] - losses.Take(MostMixtures).Min(l => l[d]),
                    Show = v => v.ToString("0.00", CultureInfo.InvariantCulture),
                },
            ],
        };
    }

    private static ReportSection Worth(StrictJson worth)
    {
        var units = worth.Require("units").SomeItems().OrderByDescending(u => Maybe(u, "shapley")).ToArray();
        return new ReportSection(
            "What is each unit worth?",
            $"{units[0].RequireString("unit")} lowers the score most, by {ReportNumber.Short(Maybe(units[0], "shapley"))} on average over the sets it may join; {units[^1].RequireString("unit")} least, by {ReportNumber.Short(Maybe(units[^1], "shapley"))}.")
        {
            Figures =
            [
                new BarFigure
                {
                    Name = "worth", Title = "Shapley value of each unit", RowName = "unit", ValueName = "score lowered by", Dots = true, MostRows = MostUnits,
                    Rows = [.. units.Select(u => Row(u, "shapley", "shapley_interval", 0, "unit"))],
                },
            ],
        };
    }

    private static ReportSection Confirmed(StrictJson confirm, StrictJson average)
    {
        var mixtures = confirm.Require("mixtures").Items().ToArray();
        var standIn = confirm.Require("stand_ins").SomeItems()[0];
        double[] scores = [.. standIn.Require("scores").Items(mixtures.Length).Select(s => s.Kind == JsonValueKind.Null ? double.NaN : s.AsDouble())];
        var points = mixtures.Select((m, i) => (X: scores[i], Y: Maybe(m, "true_score"), Tell: m.RequireString("mixture"))).Where(p => double.IsFinite(p.X) && double.IsFinite(p.Y)).ToArray();
        var additivity = confirm.Require("additivity");
        string[] pairs = [.. additivity.Require("pairs").Items().Select(p => $"{p.RequireString("first")} with {p.RequireString("second")}")];
        string answer = $"{mixtures.Length} mixtures were truly trained. The average of parameters correlates with the truth by {ReportNumber.Short(Maybe(average, "pearson"))}"
            + (double.IsFinite(End(average, "pearson_interval", 0)) ? $" ({ReportNumber.Short(End(average, "pearson_interval", 0))} to {ReportNumber.Short(End(average, "pearson_interval", 1))})" : "")
            + $" and orders {ReportNumber.Percent(Maybe(average, "decision_accuracy"))} of the pairs rightly; trusting its first choice costs {ReportNumber.Short(Maybe(average, "regret_at_1"))}. "
            + (pairs.Length == 0 ? "No pair of units breaks additivity." : $"Additivity fails for {string.Join(", ", pairs)}: do not trust mixtures of them.");
        var rows = confirm.Require("stand_ins").Items().Select(s => (Name: s.RequireString("stand_in"), Last: s.Require("agreement").SomeItems()[^1])).ToArray();
        return new ReportSection("How well did merging predict true trainings?", answer)
        {
            Figures =
            [
                new ScatterFigure
                {
                    Name = "truth", Title = "True score against the score predicted by merging", XName = "score by merging", YName = "true score", PointName = "mixture",
                    Classes = [new PointClass("truly trained mixtures", points, Strong: true)], Caption = "What counts is the order, not the level: a line through the points corrects the level.",
                },
            ],
            Tables =
            [
                new DataTable(
                    "stand-ins", "Stand-ins and baselines against the truth, by the score",
                    DataColumn.Of("stand-in", [.. rows.Select(r => r.Name)]), DataColumn.Of("Pearson", [.. rows.Select(r => Maybe(r.Last, "pearson"))]),
                    DataColumn.Of("Spearman", [.. rows.Select(r => Maybe(r.Last, "spearman"))]), DataColumn.Of("regret at 1", [.. rows.Select(r => Maybe(r.Last, "regret_at_1"))]),
                    DataColumn.Of("pairs right", [.. rows.Select(r => Maybe(r.Last, "decision_accuracy"))])),
            ],
        };
    }

    private static ReportSection Safety(StrictJson rank)
    {
        var safety = rank.Require("merge_safety");
        string[] units = [.. rank.Require("units").Items().Select(u => u.RequireString("unit"))], warnings = [.. safety.Require("warnings").Items().Select(w => w.AsString())];
        double[][] cosines = [.. safety.Require("cosines").Items(units.Length).Select(row => row.Items(units.Length).Select(c => c.Kind == JsonValueKind.Null ? double.NaN : c.AsDouble()).ToArray())];
        return new ReportSection(
            "May these models be averaged?",
            $"The average gains {ReportNumber.Short(Maybe(safety, "gain_over_seed"))} over the seed model; the barrier between models is {ReportNumber.Short(Maybe(safety, "barrier"))}, their updates have a mean cosine of {ReportNumber.Short(Maybe(safety, "mean_cosine"))}. "
            + (warnings.Length == 0 ? "Nothing speaks against it." : string.Join(" ", warnings.Select(w => w.TrimEnd('.') + "."))))
        {
            Figures = units.Length is < 2 or > MostUnits ? [] :
            [
                new HeatFigure
                {
                    Name = "cosines", Title = "Cosine between the units' updates", RowName = "unit", ColumnName = "unit", ValueName = "cosine", Darkest = 1, Rows = units, Columns = units,
                    Value = (i, j) => i == j ? double.NaN : cosines[i][j], Show = v => v.ToString("0.00", CultureInfo.InvariantCulture),
                },
            ],
        };
    }

    private static BarRow Row(StrictJson row, string value, string interval, int kind, string name = "mixture") =>
        new(row.RequireString(name), Maybe(row, value), Low: End(row, interval, 0), High: End(row, interval, 1), Kind: kind);

    private static double Maybe(StrictJson row, string name) => row.Optional(name) is { Kind: JsonValueKind.Number } value ? value.AsDouble() : double.NaN;

    private static double End(StrictJson row, string name, int end) => row.Optional(name) is { Kind: JsonValueKind.Array } ends ? ends.Items(2)[end].AsDouble() : double.NaN;
}
