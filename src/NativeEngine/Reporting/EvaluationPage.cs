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
