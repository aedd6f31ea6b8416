using System.Globalization;

namespace NativeEngine.Reporting;

/// <summary>One process of a disturbed run, from its start to its end.</summary>
/// <param name="Begin">Seconds since the first process began.</param>
/// <param name="End">The same at its end.</param>
/// <param name="From">Steps done when it began: 0, or those of the checkpoint that it took.</param>
/// <param name="To">Steps done when it ended.</param>
/// <param name="Trouble">The kind of what befell it, for the legend; null for the one that came to the end.</param>
/// <param name="Event">What befell it in words.</param>
/// <param name="ExitCode">How it ended; 137: killed.</param>
/// <param name="Said">What it said of what it found and of its end.</param>
public sealed record ChaosAttempt(double Begin, double End, long From, long To, string? Trouble, string Event, int ExitCode, IReadOnlyList<string> Said);

/// <summary>The report of a run that was disturbed on purpose.</summary>
public static class ChaosPage
{
    /// <summary>The report; <paramref name="difference"/> is null where the run ended as the undisturbed one.</summary>
    public static Report Of(IReadOnlyList<ChaosAttempt> attempts, long steps, ulong seed, string hash, string? difference, IReadOnlyList<(string, string)> origin)
    {
        long repeated = Repeated(attempts, steps);
        string end = difference is null
            ? "The model, the metrics of every step and the last checkpoints are those of the undisturbed run, to the bit."
            : $"It did not end as the undisturbed run: {difference}";
        return new Report
        {
            Kind = "chaos",
            Title = "A training that was disturbed, and how it ended",
            Subtitle = string.Create(CultureInfo.InvariantCulture, $"Seed {seed}: {steps} steps of a small model, {attempts.Count} processes one after the other on one folder. {end}"),
            Facts =
            [
                new("the same as undisturbed", difference is null ? "yes" : "no"),
                new("disturbances", Whole(attempts.Count(a => a.Trouble is not null)), attempts.Count(a => a.Trouble is not null)),
                new("steps done twice", Whole(repeated), repeated),
                new("SHA-256 of the model", hash[..12]),
            ],
            Sections =
            [
                new ReportSection(
                    "What befell it, and where did it go on?",
                    $"Every line is a process; it ends where something befell it, and the next one begins with the newest checkpoint that is whole. {Whole(repeated)} steps were done more than once.")
                {
                    Figures = [Steps(attempts)],
                    Tables = [List(attempts)],
                },
            ],
            Origin = origin,
        };
    }

    /// <summary>Steps that were done again because what came after the last whole checkpoint was lost.</summary>
    public static long Repeated(IReadOnlyList<ChaosAttempt> attempts, long steps) => attempts.Sum(a => a.To - a.From) - steps;

    private static LineFigure Steps(IReadOnlyList<ChaosAttempt> attempts)
    {
        var x = new List<double>();
        var y = new List<double>();
        foreach (var a in attempts)
        {
            x.AddRange(a.Begin, a.End, a.End);
            y.AddRange(a.From, a.To, double.NaN);
        }
        return new LineFigure
        {
            Name = "chaos",
            Title = "Steps done",
            XName = "seconds",
            YName = "steps",
            FromZero = true,
            Series =
            [
                new("a process", x, y),
                .. attempts.Where(a => a.Trouble is not null).GroupBy(a => a.Trouble!)
                    .Select(kind => new LineSeries(kind.Key, [.. kind.Select(a => a.End)], [.. kind.Select(a => (double)a.To)], SeriesStyle.Dots)),
            ],
        };
    }

    private static DataTable List(IReadOnlyList<ChaosAttempt> attempts) => new(
        "processes", "The processes",
        DataColumn.Of("begins at (s)", [.. attempts.Select(a => Math.Round(a.Begin, 2))]),
        DataColumn.Of("from step", [.. attempts.Select(a => (double)a.From)]),
        DataColumn.Of("to step", [.. attempts.Select(a => (double)a.To)]),
        DataColumn.Of("what befell it", [.. attempts.Select(a => a.Event)]),
        DataColumn.Of("exit code", [.. attempts.Select(a => (double)a.ExitCode)]),
        DataColumn.Of("what it said", [.. attempts.Select(a => string.Join("; ", a.Said))]));

    private static string Whole(long n) => n.ToString("N0", CultureInfo.InvariantCulture);
}
