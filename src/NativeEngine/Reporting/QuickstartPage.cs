using NativeEngine.Training;

namespace NativeEngine.Reporting;

/// <summary>What the tour's report is made of.</summary>
/// <param name="Random">The run on random mini-batches.</param>
/// <param name="Colm">The run on CoLM mini-batches.</param>
/// <param name="Ablation">The report of the data ablation.</param>
/// <param name="Winner">Its best mixture.</param>
/// <param name="Before">Held-out loss of each source before the mixture was trained on: of the CoLM run's model.</param>
/// <param name="After">The same of the merged model.</param>
public sealed record QuickstartParts(
    MetricsHistory Random, MetricsHistory Colm, Report Ablation, string Winner, IReadOnlyDictionary<string, double> Before, IReadOnlyDictionary<string, double> After);

/// <summary>The report of the tour.</summary>
public static class QuickstartPage
{
    /// <summary>The report.</summary>
    public static Report Of(QuickstartParts parts, IReadOnlyList<(string, string)> origin)
    {
        var (random, colm) = (parts.Random.Evaluations[^1], parts.Colm.Evaluations[^1]);
        double before = parts.Before.Values.Average(), after = parts.After.Values.Average();
        return new Report
        {
            Kind = "quickstart",
            Title = "The tour: what happened, and what it shows",
            Subtitle = "A generated mixture of eight sources, one small model; everything was computed on this machine. Losses are natural logarithms a token, lower is better. One seed: read it as an example, not as evidence.",
            Facts =
            [
                new("random batches, mean held-out loss", ReportNumber.Short(random.MacroLoss), random.MacroLoss),
                new("CoLM batches, mean held-out loss", ReportNumber.Short(colm.MacroLoss), colm.MacroLoss),
                new("best mixture to add", parts.Winner),
                new("after merging it in", ReportNumber.Short(after), after),
            ],
            Sections = [Arms(parts), Picks(parts.Colm), .. parts.Ablation.Sections.Where(s => s.Figures.Count > 0), Merged(parts, before, after)],
            Origin = origin,
        };
    }

    private static ReportSection Arms(QuickstartParts parts)
    {
        var (random, colm) = (parts.Random.Evaluations[^1], parts.Colm.Evaluations[^1]);
        string[] names = [.. random.Sources.Keys.Intersect(colm.Sources.Keys).OrderByDescending(n => random.Sources[n])];
        int better = names.Count(n => colm.Sources[n] < random.Sources[n]);
        double seconds = parts.Colm.Steps.Sum(s => s.Seconds), other = parts.Random.Steps.Sum(s => s.Seconds);
        return new ReportSection(
            "Random batches or chosen ones?",
            $"After {colm.Step} steps of 64 examples the mean held-out loss over the sources is {ReportNumber.Short(random.MacroLoss)} with random batches and {ReportNumber.Short(colm.MacroLoss)} with CoLM's; CoLM's is lower on {better} of {names.Length} sources. "
            + $"Choosing has a price: its steps took {ReportNumber.Seconds(seconds)} in all, those with random batches {ReportNumber.Seconds(other)}.")
        {
            Figures =
            [
                new LineFigure
                {
                    Name = "arms", Title = "Mean held-out loss over the sources", XName = "step", YName = "nats a token",
                    Series = [Series("random batches", parts.Random), Series("CoLM batches", parts.Colm)],
                },
                new BarFigure
                {
                    Name = "arms-by-source", Title = "Held-out loss of each source, 95 % intervals", RowName = "source and batches", ValueName = "nats a token", Dots = true, Kinds = ["random batches", "CoLM batches"],
                    Rows = [.. names.SelectMany(n => (BarRow[])[Row(n, "random", random, 0), Row(n, "CoLM", colm, 1)])],
                },
            ],
        };
    }

    private static BarRow Row(string source, string arm, LoggedEvaluation e, int kind)
    {
        double half = EvaluationPage.Normal95 * e.Errors.GetValueOrDefault(source, double.NaN);
        return new BarRow($"{source}, {arm}", e.Sources[source], Low: e.Sources[source] - half, High: e.Sources[source] + half, Kind: kind);
    }

    private static LineSeries Series(string name, MetricsHistory history) =>
        new(name, [.. history.Evaluations.Select(e => (double)e.Step)], [.. history.Evaluations.Select(e => e.MacroLoss)]);

    private static ReportSection Picks(MetricsHistory colm)
    {
        var section = TrainingPage.Of(colm, "colm", []).Sections.First(s => s.Figures.Any(f => f.Name == "picks"));
        return section with { Question = "What did CoLM pick?" };
    }

    private static ReportSection Merged(QuickstartParts parts, double before, double after)
    {
        string[] names = [.. parts.Before.Keys.Intersect(parts.After.Keys).OrderByDescending(n => parts.Before[n])];
        var most = names.MaxBy(n => parts.Before[n] - parts.After[n])!;
        return new ReportSection(
            "What did the best mixture bring?",
            $"The average of the models of {parts.Winner} has a mean held-out loss of {ReportNumber.Short(after)}, against {ReportNumber.Short(before)} of the model they began with. It gained most on {most}: {ReportNumber.Short(parts.Before[most])} to {ReportNumber.Short(parts.After[most])}.")
        {
            Figures =
            [
                new BarFigure
                {
                    Name = "merged", Title = "Held-out loss of each source before and after", RowName = "source and model", ValueName = "nats a token", Dots = true, Kinds = ["before", "merged"],
                    Rows = [.. names.SelectMany(n => (BarRow[])[new($"{n}, before", parts.Before[n]), new($"{n}, merged", parts.After[n], Kind: 1)])],
                },
            ],
        };
    }
}
