using System.Globalization;
using NativeEngine.Devices;
using NativeEngine.Selection;

namespace NativeEngine.Reporting;

/// <summary>The report of two selections of one pool: which sources gained or lost, what they have in common beside chance, what they cover, which examples moved.</summary>
public static class SelectionDifferencePage
{
    private const int MostBars = 60;

    /// <summary>The report; coverage is what <see cref="SelectionCoverage"/> measured, or null without features.</summary>
    public static Report Of(
        string nameA, string nameB, SelectionDocument a, SelectionDocument b, SelectionDifference difference, IReadOnlyList<SourceCoverage>? coverage, IReadOnlyList<(string, string)> origin)
    {
        var d = difference;
        return new Report
        {
            Kind = "diff-selections",
            Title = $"Two selections of {Number(d.N)} examples",
            Subtitle = $"The first is {nameA}, the second {nameB}. Examples are counted from 0.",
            Facts =
            [
                new("in the first", Number(d.A), d.A),
                new("in the second", Number(d.B), d.B),
                new("in both", Number(d.Both), d.Both),
                new("Jaccard", ReportNumber.Short(d.Jaccard), d.Jaccard),
                new("Jaccard by chance", ReportNumber.Short(d.ExpectedJaccard), d.ExpectedJaccard),
            ],
            Sections = [Sources(d), Overlap(d), coverage is null ? Claimed(a, b, d) : Covered(a, d, coverage), Examples(d)],
            Origin = origin,
        };
    }

    /// <summary>What random picks of the same quotas have in common, in a sentence.</summary>
    public static string Chance(SelectionDifference d)
    {
        int low = d.Random.Quantile(0.025), high = d.Random.Quantile(0.975);
        string mean = string.Create(CultureInfo.InvariantCulture, $"random picks of the same quotas have {d.Random.Mean:F1} in common (Jaccard {d.ExpectedJaccard:F3})");
        if (d.Random.Probabilities.Count == 1)
        {
            return $"{mean}, always: the quotas leave no choice";
        }
        bool more = d.Both >= d.Random.Mean;
        double probability = more ? d.Random.AtLeast(d.Both) : d.Random.AtMost(d.Both);
        string often = probability < 1e-30 ? "less than 1e-30" : probability.ToString("G2", CultureInfo.InvariantCulture);
        return $"{mean}, {low} to {high} in 95 % of cases; {d.Both} or {(more ? "more" : "fewer")} has the probability {often}";
    }

    private static ReportSection Sources(SelectionDifference d)
    {
        var (most, least) = (d.Sources.MaxBy(s => s.B - s.A), d.Sources.MinBy(s => s.B - s.A));
        string answer = d.Sources.All(s => s.A == s.B) ? "None: every source has as many picks in both."
            : string.Join(" ", new[]
            {
                most is { } up && up.B > up.A ? $"{NameOf(up)} gained most, from {up.A} to {up.B}." : "None gained.",
                least is { } down && down.B < down.A ? $"{NameOf(down)} lost most, from {down.A} to {down.B}." : "None lost.",
            });
        string[] starved = [.. d.Sources.Where(s => s.A > 0 && s.B == 0).Select(NameOf)];
        return new ReportSection("Which sources gained or lost?", answer + (starved.Length > 0 ? $" The second has nothing of {string.Join(", ", starved)}." : ""))
        {
            // Bars of nothing show nothing; the table has the numbers.
            Figures = d.Sources.All(s => s.A == s.B) ? [] :
            [
                new BarFigure
                {
                    Name = "change", Title = "Picks that each source gained or lost", RowName = "source", ValueName = "picks", Kinds = ["gained", "lost"], MostRows = MostBars, Show = Signed,
                    Rows = [.. d.Sources.Select(s => new BarRow(NameOf(s), s.B - s.A, Kind: s.B < s.A ? 1 : 0, Note: $"({s.A} to {s.B} of {s.Size})"))],
                },
            ],
            Tables =
            [
                new DataTable(
                    "sources", "Picks of each source", DataColumn.Of("source", [.. d.Sources.Select(NameOf)]), Column("size", s => s.Size), Column("first", s => s.A), Column("second", s => s.B),
                    Column("both", s => s.Both), Column("both by chance", s => s.Expected), Column("Jaccard", s => s.Jaccard),
                    DataColumn.Of("kept whole", [.. d.Sources.Select(s => (s.KeptA, s.KeptB) switch { (true, true) => "in both", (true, false) => "in the first", (false, true) => "in the second", _ => "no" })])),
            ],
        };

        DataColumn Column(string name, Func<SourceDifference, double> of) => DataColumn.Of(name, [.. d.Sources.Select(of)]);
    }

    private static ReportSection Overlap(SelectionDifference d)
    {
        string chance = Chance(d);
        return new ReportSection(
            "How much do they have in common?",
            (d.Same ? "They select the same examples" : $"{Number(d.Both)} examples are in both, {ReportNumber.Percent(d.Jaccard)} of those in either") + $"; {chance}.")
        {
            Figures =
            [
                new BarFigure
                {
                    Name = "overlap", Title = "Picks of each source that are in both", RowName = "source", ValueName = "picks in both", Kinds = ["these two", "by chance"], MostRows = MostBars,
                    Rows = [.. d.Sources.SelectMany(s => (BarRow[])[new(NameOf(s), s.Both), new($"{NameOf(s)}, by chance", s.Expected, Kind: 1)])],
                    Caption = "By chance: what two random picks of as many examples of the source have in common on average.",
                },
            ],
        };
    }

    private static ReportSection Covered(SelectionDocument a, SelectionDifference d, IReadOnlyList<SourceCoverage> coverage)
    {
        double before = coverage.Sum(c => c.ObjectiveA), after = coverage.Sum(c => c.ObjectiveB);
        bool cosine = a.Metric == DistanceMetric.Cosine;
        string what = cosine ? "negative cosine similarity" : "distance";
        var changes = d.Sources.Zip(coverage).Select(p => (Source: NameOf(p.First), Change: p.Second.DistanceB - p.Second.DistanceA)).ToArray();
        string answer = $"On the same features the objective is {ReportNumber.Short(before)} for the first and {ReportNumber.Short(after)} for the second"
            + (before > 0 ? string.Create(CultureInfo.InvariantCulture, $", a change of {100 * ((after / before) - 1):+0.00;-0.00;0.00} %.") : ".")
            + (changes.Where(c => c.Change > 0).OrderByDescending(c => c.Change).Select(c => c.Source).FirstOrDefault() is { } worse ? $" The examples of {worse} lie farther from their nearest pick than before, by the most." : "")
            + (d.SameMeasure ? "" : " The two compare features in different ways; both are measured as the first does.");
        return new ReportSection("What do they cover?", answer)
        {
            Figures = changes.All(c => c.Change is null or 0) ? [] :
            [
                new BarFigure
                {
                    Name = "coverage", Title = $"Change of the mean {what} to the nearest pick of the source", RowName = "source", ValueName = what, MostRows = MostBars,
                    Kinds = ["nearer: covered better", "farther: covered less"], Rows = [.. changes.Select(c => new BarRow(c.Source, c.Change ?? double.NaN, Kind: c.Change > 0 ? 1 : 0))],
                },
            ],
            Tables =
            [
                new DataTable(
                    "objectives", "Objective, and mean distance to the nearest pick", DataColumn.Of("source", [.. d.Sources.Select(NameOf)]), Column("examples", c => c.Examples),
                    Column("objective of the first", c => c.ObjectiveA), Column("of the second", c => c.ObjectiveB),
                    Column($"{what}, first", c => c.DistanceA), Column($"{what}, second", c => c.DistanceB)),
            ],
        };

        DataColumn Column(string name, Func<SourceCoverage, double?> of) => DataColumn.Of(name, [.. coverage.Select(c => of(c) ?? double.NaN)]);
    }

    private static ReportSection Claimed(SelectionDocument a, SelectionDocument b, SelectionDifference d) => new(
        "What do they cover?",
        $"The first says {ReportNumber.Short(a.Objective)}, at least {ReportNumber.Percent(a.Certificate.Ratio)} of the best possible, the second {ReportNumber.Short(b.Objective)}, at least "
        + $"{ReportNumber.Percent(b.Certificate.Ratio)}, each on the features it was made from. With --features both are measured on the same.")
    {
        Tables =
        [
            new DataTable(
                "objectives", "Objective as each says, where something was chosen by it", DataColumn.Of("source", [.. d.Sources.Select(NameOf)]),
                DataColumn.Of("first", [.. d.Sources.Select(s => s.ObjectiveA ?? double.NaN)]), DataColumn.Of("second", [.. d.Sources.Select(s => s.ObjectiveB ?? double.NaN)])),
        ],
    };

    private static ReportSection Examples(SelectionDifference d) => new(
        "Which examples entered, and which left?", d.Same ? "None." : $"{Number(d.Entered.Count)} entered and {Number(d.Left.Count)} left.")
    {
        Tables = [.. new[] { Table("entered", "In the second only", d.Entered), Table("left", "In the first only", d.Left) }.Where(t => t.Rows > 0)],
    };

    private static DataTable Table(string name, string title, IReadOnlyList<MovedExample> moved)
    {
        var columns = new List<DataColumn> { DataColumn.Of("example", [.. moved.Select(m => (double)m.Index)]), DataColumn.Of("source", [.. moved.Select(m => NameOf(m.Source))]) };
        if (moved.Any(m => m.Line is not null))
        {
            columns.Add(DataColumn.Of("line", [.. moved.Select(m => m.Line ?? double.NaN)]));
        }
        if (moved.Any(m => m.Id is not null))
        {
            columns.Add(DataColumn.Of("id", [.. moved.Select(m => m.Id ?? "")]));
        }
        return new DataTable(name, title, columns);
    }

    private static string NameOf(SourceDifference s) => NameOf(s.Source);

    private static string NameOf(string source) => source == "*" ? "all sources" : source;

    private static string Number(int n) => n.ToString("N0", CultureInfo.InvariantCulture);

    private static string Signed(double n) => n.ToString("+0;-0;0", CultureInfo.InvariantCulture);
}
