using System.Globalization;
using NativeEngine.Selection;

namespace NativeEngine.Reporting;

/// <summary>What a report of clusters is made of.</summary>
/// <param name="Clusters">The groups.</param>
/// <param name="Rows">The features [n, d].</param>
/// <param name="Dimension">d.</param>
/// <param name="Labels">The source that each example names itself, or null when there is only one.</param>
/// <param name="Examples">For each group the texts of its most typical examples.</param>
/// <param name="Drift">The comparison with another data set, or null.</param>
/// <param name="Other">The other data set's name.</param>
public sealed record ClusterFindings(
    KMeans Clusters, float[] Rows, int Dimension, IReadOnlyList<string>? Labels, IReadOnlyList<IReadOnlyList<string>> Examples, ClusterDrift? Drift, string Other);

/// <summary>The report of clusters: how large they are, what is in them, how they agree with labels, how another data set differs.</summary>
public static class ClusterPage
{
    private const int MostPoints = 2500;
    private const int MostColours = 6;

    /// <summary>The report.</summary>
    public static Report Of(ClusterFindings found, string data, string model, IReadOnlyList<(string, string)> origin)
    {
        var k = found.Clusters;
        int[] sizes = Sizes(k);
        var sections = new List<ReportSection> { Contents(found, sizes) };
        if (found.Labels is not null)
        {
            sections.Add(Agreement(found, sizes));
        }
        if (found.Drift is { } drift)
        {
            sections.Add(Drift(drift, found.Other));
        }
        return new Report
        {
            Kind = "cluster",
            Title = $"{k.Clusters} clusters of {data}",
            Subtitle = string.Create(CultureInfo.InvariantCulture, $"{k.Assignment.Length:N0} examples by the last hidden states ({found.Dimension} numbers) of {model}."),
            Facts =
            [
                new("examples", k.Assignment.Length.ToString("N0", CultureInfo.InvariantCulture), k.Assignment.Length),
                new("largest cluster", sizes[0].ToString("N0", CultureInfo.InvariantCulture), sizes[0]),
                new("smallest cluster", sizes[^1].ToString("N0", CultureInfo.InvariantCulture), sizes[^1]),
                new("variance between clusters", ReportNumber.Percent(k.Explained), k.Explained),
                .. found.Drift is { } d ? (ReportFact[])[new("changed share", ReportNumber.Percent(d.Distance), d.Distance)] : [],
            ],
            Sections = sections,
            Origin = origin,
        };
    }

    /// <summary>Examples of each cluster.</summary>
    public static int[] Sizes(KMeans k)
    {
        var sizes = new int[k.Clusters];
        foreach (int c in k.Assignment)
        {
            sizes[c]++;
        }
        return sizes;
    }

    private static ReportSection Contents(ClusterFindings found, int[] sizes)
    {
        var k = found.Clusters;
        int n = k.Assignment.Length;
        int[] shown = n <= MostPoints ? [.. Enumerable.Range(0, n)] : [.. Enumerable.Range(0, MostPoints).Select(i => (int)((long)i * n / MostPoints))];
        var axes = PrincipalAxes.Of([.. shown.SelectMany(i => found.Rows[(i * found.Dimension)..((i + 1) * found.Dimension)])], found.Dimension);
        int colours = Math.Min(MostColours, k.Clusters <= MostColours ? k.Clusters : MostColours - 1);
        var classes = Enumerable.Range(0, colours).Select(c => Class($"cluster {c}", a => a == c)).ToList();
        if (k.Clusters > colours)
        {
            classes.Add(Class("the others", a => a >= colours));
        }
        return new ReportSection(
            "What are the clusters?",
            $"The largest holds {ReportNumber.Percent(sizes[0] / (double)n)} of the examples, the smallest {sizes[^1]}. {ReportNumber.Percent(k.Explained)} of the variance of the hidden states lies between clusters.")
        {
            Figures =
            [
                new BarFigure
                {
                    Name = "sizes", Title = "Examples in each cluster", RowName = "cluster", ValueName = "examples", Show = v => v.ToString("N0", CultureInfo.InvariantCulture),
                    Rows = [.. sizes.Select((size, c) => new BarRow($"cluster {c}", size))], MostRows = 60,
                },
                new ScatterFigure
                {
                    Name = "map", Title = "Examples in the two directions in which hidden states vary most", PointName = "example", Classes = classes,
                    XName = $"first direction ({ReportNumber.Percent(axes.ShareX)} of the variance)", YName = $"second direction ({ReportNumber.Percent(axes.ShareY)})",
                },
            ],
            Tables =
            [
                new DataTable(
                    "examples", "The examples nearest to each centre",
                    DataColumn.Of("cluster", [.. found.Examples.SelectMany((texts, c) => texts.Select(_ => c.ToString(CultureInfo.InvariantCulture)))]),
                    DataColumn.Of("text", [.. found.Examples.SelectMany(texts => texts)])),
            ],
        };

        PointClass Class(string name, Func<int, bool> of) => new(
            name, [.. shown.Select((example, i) => (example, i)).Where(p => of(k.Assignment[p.example])).Select(p => (axes.X[p.i], axes.Y[p.i], p.example.ToString(CultureInfo.InvariantCulture)))]);
    }

    private static ReportSection Agreement(ClusterFindings found, int[] sizes)
    {
        var k = found.Clusters;
        string[] labels = [.. found.Labels!.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal)];
        var counts = new int[labels.Length, k.Clusters];
        for (int i = 0; i < k.Assignment.Length; i++)
        {
            counts[Array.IndexOf(labels, found.Labels![i]), k.Assignment[i]]++;
        }
        int pure = Enumerable.Range(0, k.Clusters).Sum(c => Enumerable.Range(0, labels.Length).Max(l => counts[l, c]));
        return new ReportSection(
            "Do the clusters agree with the sources that the data names?",
            $"{ReportNumber.Percent(pure / (double)k.Assignment.Length)} of the examples are of the source that is the most frequent in their cluster.")
        {
            Figures =
            [
                new HeatFigure
                {
                    Name = "agreement", Title = "Share of each cluster that is of each source", RowName = "source", ColumnName = "cluster", ValueName = "share of the cluster", Darkest = 1,
                    Rows = labels, Columns = [.. Enumerable.Range(0, k.Clusters).Select(c => c.ToString(CultureInfo.InvariantCulture))],
                    Value = (l, c) => counts[l, c] / (double)sizes[c], Show = ReportNumber.Percent,
                },
            ],
        };
    }

    private static ReportSection Drift(ClusterDrift drift, string other)
    {
        double na = Math.Max(1, drift.A.Sum()), nb = Math.Max(1, drift.B.Sum());
        double[] change = [.. drift.A.Zip(drift.B, (a, b) => 100 * ((b / nb) - (a / na)))];
        int most = Array.IndexOf(change, change.MaxBy(Math.Abs));
        return new ReportSection(
            $"How does {other} differ?",
            $"{ReportNumber.Percent(drift.Distance)} of the examples would have to move to other clusters. "
            + (drift.Likelihood < 0.01 ? $"That is no accident: {ReportNumber.Percent(drift.Likelihood)} or less of random splits are as far apart." : $"{ReportNumber.Percent(drift.Likelihood)} of random splits are as far apart, so it may be chance.")
            + $" Cluster {most} changed most, by {ReportNumber.Short(change[most])} percentage points.")
        {
            Figures =
            [
                new BarFigure
                {
                    Name = "drift", Title = $"Change of each cluster's share in {other}", RowName = "cluster", ValueName = "percentage points", MostRows = 60,
                    Rows = [.. change.Select((v, c) => new BarRow($"cluster {c}", v, Kind: v < 0 ? 1 : 0))], Kinds = ["gained", "lost"],
                },
            ],
        };
    }
}
