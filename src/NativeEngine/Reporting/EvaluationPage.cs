using System.Globalization;
using NativeEngine.Evaluation;

namespace NativeEngine.Reporting;

/// <summary>The report of an evaluation: perplexity per source with intervals.</summary>
public static class EvaluationPage
{
    /// <summary>Half width of a 95 % interval in standard errors.</summary>
    internal const double Normal95 = 1.959964;

    /// <summary>The report.</summary>
    public static Report Of(EvaluationResult result, string model, string data, IReadOnlyList<(string, string)> origin) => new()
    {
        Kind = "eval",
        Title = $"Evaluation of {model}",
        Subtitle = string.Create(CultureInfo.InvariantCulture, $"{result.Total.Examples:N0} examples, {result.Total.Tokens:N0} tokens of {data}."),
        Facts =
        [
            new("perplexity", ReportNumber.Short(result.Total.Perplexity), result.Total.Perplexity),
            new("loss, nats a token", ReportNumber.Short(result.Total.MeanLoss), result.Total.MeanLoss),
            new("bits a byte", ReportNumber.Short(result.Total.BitsPerByte), result.Total.BitsPerByte),
            new("mean loss over sources", ReportNumber.Short(result.MacroLoss), result.MacroLoss),
            new("loss on completions", ReportNumber.Short(result.Total.CompletionLoss), result.Total.CompletionLoss),
        ],
        Sections = [PerSource(result, "perplexity")],
        Origin = origin,
    };

    /// <summary>The report of multiple choice: accuracy per source, by likelihood and by likelihood per byte, against guessing.</summary>
    public static Report Of(ChoiceResult result, string model, string data, IReadOnlyList<(string, string)> origin)
    {
        var scored = result.Sources.Where(s => s.Plain.Trials > 0).OrderByDescending(s => s.Normalized.Value).ThenBy(s => s.Source, StringComparer.Ordinal).ToArray();
        var macro = Proportion.Mean([.. result.Sources.Select(s => s.Normalized)]);
        int leftOut = result.TooLong + result.NoToken;
        string[] surely = [.. scored.Where(s => s.Normalized.Interval().Low > s.Chance).Select(s => s.Source)];
        string answer = scored.Length == 0 ? "Nothing was scored."
            : (surely.Length == 0 ? "No source is surely answered better than by guessing." : $"Surely better than guessing: {string.Join(", ", surely)}.")
                + $" Best is {scored[0].Source} with {ReportNumber.Percent(scored[0].Normalized.Value)} right, where guessing gives {ReportNumber.Percent(scored[0].Chance)}.";
        return new Report
        {
            Kind = "eval",
            Title = $"Multiple choice by {model}",
            Subtitle = string.Create(CultureInfo.InvariantCulture, $"{result.Questions:N0} questions of {data}{(leftOut > 0 ? $"; {leftOut} left out, too long or with a choice that has no token of its own" : "")}."),
            Facts =
            [
                new("accuracy per byte", ReportNumber.Percent(result.Total.Normalized.Value), result.Total.Normalized.Value),
                new("accuracy", ReportNumber.Percent(result.Total.Plain.Value), result.Total.Plain.Value),
                new("guessing", ReportNumber.Percent(result.Total.Chance), result.Total.Chance),
                new("mean over sources, per byte", ReportNumber.Percent(macro.Value), macro.Value),
                new("questions", result.Questions.ToString("N0", CultureInfo.InvariantCulture), result.Questions),
            ],
            Sections =
            [
                new ReportSection("How many questions of each source are answered rightly, and how sure is that?", answer)
                {
                    Figures = scored.Length == 0 ? [] : [Accuracy("accuracy-per-byte", "Right by likelihood per byte, 95 % intervals", scored, s => s.Normalized), Accuracy("accuracy", "Right by likelihood, 95 % intervals", scored, s => s.Plain)],
                    Tables =
                    [
                        new DataTable(
                            "choice-table", "Every source",
                            DataColumn.Of("source", [.. result.Sources.Select(s => s.Source)]), DataColumn.Of("questions", [.. result.Sources.Select(s => (double)s.Plain.Trials)]),
                            DataColumn.Of("accuracy", [.. result.Sources.Select(s => s.Plain.Value)]), DataColumn.Of("accuracy per byte", [.. result.Sources.Select(s => s.Normalized.Value)]),
                            DataColumn.Of("guessing", [.. result.Sources.Select(s => s.Chance)])),
                    ],
                },
            ],
            Origin = origin,
        };
    }

    private static BarFigure Accuracy(string name, string title, IReadOnlyList<ChoiceAccuracy> sources, Func<ChoiceAccuracy, Proportion> of) => new()
    {
        Name = name,
        Title = title,
        RowName = "source",
        ValueName = "% right",
        Dots = true,
        Rows = [.. sources.Select(s => new BarRow(s.Source, 100 * of(s).Value, Low: 100 * of(s).Interval().Low, High: 100 * of(s).Interval().High))],
        Caption = "Wilson's score intervals: what the number of questions leaves open.",
    };

    /// <summary>Perplexity per source, the hardest first.</summary>
    internal static ReportSection PerSource(EvaluationResult result, string name)
    {
        var scored = result.Sources.Where(s => s.Tokens > 0).OrderByDescending(s => s.MeanLoss).ToArray();
        string answer = scored.Length == 0 ? "Nothing was scored."
            : $"{scored[0].Source} is the hardest with a perplexity of {ReportNumber.Short(scored[0].Perplexity)}, {scored[^1].Source} the easiest with {ReportNumber.Short(scored[^1].Perplexity)}."
                + " The intervals hold the value with 95 % confidence when other examples of the same kind are drawn.";
        return new ReportSection("How well is each source predicted, and how sure is that?", answer)
        {
            Figures = scored.Length == 0 ? [] :
            [
                new BarFigure
                {
                    Name = name, Title = "Perplexity of each source, 95 % intervals", RowName = "source", ValueName = "perplexity", Dots = true, Log = true,
                    Rows = [.. scored.Select(s => new BarRow(s.Source, s.Perplexity, Low: Bound(s, -1), High: Bound(s, 1)))],
                },
            ],
            Tables =
            [
                new DataTable(
                    name + "-table", "Every source",
                    DataColumn.Of("source", [.. result.Sources.Select(s => s.Source)]), DataColumn.Of("examples", [.. result.Sources.Select(s => (double)s.Examples)]),
                    DataColumn.Of("tokens", [.. result.Sources.Select(s => (double)s.Tokens)]), DataColumn.Of("loss", [.. result.Sources.Select(s => s.MeanLoss)]),
                    DataColumn.Of("standard error", [.. result.Sources.Select(s => s.StandardError)]), DataColumn.Of("perplexity", [.. result.Sources.Select(s => s.Perplexity)]),
                    DataColumn.Of("bits a byte", [.. result.Sources.Select(s => s.BitsPerByte)]), DataColumn.Of("completion loss", [.. result.Sources.Select(s => s.CompletionLoss)])),
            ],
        };
    }

    private static double Bound(SourceLoss source, int side) => Math.Exp(source.MeanLoss + (side * Normal95 * source.StandardError));
}
