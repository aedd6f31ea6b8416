using System.Globalization;
using NativeEngine.Devices;
using NativeEngine.Selection;

namespace NativeEngine.Reporting;

/// <summary>The report of a selection: what was kept, what it covers, who represents whom, what was left out, where the time went.</summary>
public static class SelectionPage
{
    private const int MostCurves = 6;
    private const int MostPoints = 3000;
    private const int MostPicksShown = 400;
    private const int MostBins = 40;

    /// <summary>
    /// The report of a document. With features (as they are on disk; normalised in place here when Adam was used) it also shows distances and a map.
    /// </summary>
    public static Report Of(SelectionDocument document, Tensor<float>? features, IGradientNormalizer normalizer, IReadOnlyList<(string, string)> origin)
    {
        SelectionBookkeeping.Require(document);
        var sections = new List<ReportSection> { Kept(document), Covered(document) };
        if (features is { } rows)
        {
            if (rows.Rows != document.N || rows.RowLength != document.Dimension)
            {
                throw new EngineException(ErrorKind.BadInput, $"the selection is of {document.N} x {document.Dimension} features, these are {rows.Shape}", "name the features that the selection was made from");
            }
            if (!normalizer.IsIdentity)
            {
                normalizer.Normalize(rows, document.Step, rows);
            }
            sections.Add(Represented(document, Distances(document, rows), rows));
        }
        else
        {
            sections.Add(new ReportSection("Who stands for most?", MostText(document)) { Figures = [Weights(document)] });
        }
        if (document.Dropped.Count > 0)
        {
            sections.Add(Dropped(document));
        }
        // A document that was read back does not tell times.
        double time = document.ReadTime + document.Timing.Total;
        if (time > 0)
        {
            sections.Add(Times(document));
        }
        return new Report
        {
            Kind = "select",
            Title = $"Selection: {document.Indices.Count} of {document.N} examples",
            Subtitle = $"{Count(document.Sources.Count, "source")}, features of {document.Dimension} numbers compared by {document.Metric.ToString().ToLowerInvariant()} distance{(document.Adam ? ", normalised like Adam's updates" : "")}. {Numbering(document)}",
            Facts =
            [
                new("selected", Number(document.Indices.Count), document.Indices.Count),
                new("kept whole", Number(document.Kept.Count), document.Kept.Count),
                new("dropped", Number(document.Dropped.Count), document.Dropped.Count),
                new("objective", ReportNumber.Short(document.Objective), document.Objective),
                new("of the best possible, at least", ReportNumber.Percent(document.Certificate.Ratio), document.Certificate.Ratio),
                .. time > 0
                    ? (ReportFact[])[new("time", ReportNumber.Seconds(time / 1e3), time / 1e3), new("peak memory", ReportNumber.Bytes(document.PeakBytes), document.PeakBytes)]
                    : [],
            ],
            Sections = sections,
            Origin = origin,
        };
    }

    private static string Numbering(SelectionDocument d) => d.Data is null || d.Lines is null ? "Examples are the rows of the features, counted from 0."
        : d.Indices.Zip(d.Lines).All(p => p.First + 1L == p.Second) ? $"Example i is line i + 1 of {d.Data}."
        : $"Examples are counted from 0 in the order of {d.Data}, without lines that are empty or were left out; the selection's \"lines\" are the lines of its picks.";

    private static ReportSection Kept(SelectionDocument d)
    {
        var rows = d.Sources.Select(s => new BarRow(s.Source == "*" ? "all sources" : s.Source, s.Selected, s.Size, Kind: s.Kept ? 1 : s.Selected == s.Size ? 2 : 0)).ToArray();
        var none = d.Sources.Where(s => s.Selected == 0).Select(s => s.Source).ToArray();
        string answer = $"{d.Indices.Count} of {d.N} examples are selected, {ReportNumber.Percent(d.Indices.Count / (double)Math.Max(1, d.N))}. "
            + (d.Sources.Any(s => s.Kept) ? $"Kept whole: {Some([.. d.Sources.Where(s => s.Kept).Select(s => s.Source)])}. " : "No source is kept whole. ")
            + (none.Length > 0 ? $"Nothing of {Some(none)} is selected." : "Every source has at least one.");
        return new ReportSection("Which sources were kept, and how much of each?", answer)
        {
            Figures =
            [
                new BarFigure
                {
                    Name = "sources", Title = "Selected examples of each source", RowName = "source", ValueName = "selected", WholeName = "examples", Rows = rows,
                    Kinds = ["chosen by the objective", "kept whole", "all taken"], Show = Number,
                },
            ],
        };
    }

    private static ReportSection Covered(SelectionDocument d)
    {
        var gains = d.Indices.Select((index, i) => (Group: d.Groups[index], Gain: d.Gains[i])).Where(g => g.Gain is not null).Select(g => (g.Group, Gain: g.Gain!.Value)).ToArray();
        string ratio = $"The selection reaches at least {ReportNumber.Percent(d.Certificate.Ratio)} of the best objective that any selection with the same quotas can have "
            + $"({ReportNumber.Short(d.Objective)} of at most {ReportNumber.Short(d.Certificate.UpperBound)}).";
        if (gains.Length == 0)
        {
            return new ReportSection("What does the selection cover?", "Nothing was chosen by the objective: every source is kept whole, taken whole, or has no share of the budget.");
        }
        double[] sorted = [.. gains.Select(g => g.Gain).OrderDescending()];
        double sum = sorted.Sum(), scale = sum > 0 ? d.Objective / sum : 1, running = 0;
        var (objective, at) = (new double[sorted.Length + 1], new double[sorted.Length + 1]);
        for (int k = 0; k < sorted.Length; k++)
        {
            running += sorted[k];
            (objective[k + 1], at[k + 1]) = (running, k + 1);
        }
        // Gains of truncated and partitioned objectives do not add up to the whole one.
        bool exact = Math.Abs(scale - 1) < 1e-3;
        int half = Array.FindIndex(objective, o => o >= 0.9 * sum);
        double[] bound = [.. at.Select(_ => d.Certificate.UpperBound)];
        var curve = new LineFigure
        {
            Name = "objective",
            Title = "Objective by number of picks",
            XName = "picks, the largest gain first",
            YName = exact ? "objective" : "sum of gains",
            FromZero = true,
            Series = exact ? [new("objective", at, objective), new("no selection of this size can have more", at, bound, SeriesStyle.Dashed)] : [new("sum of gains", at, objective)],
            Caption = exact ? "The dashed line is the certificate's bound for all picks together." : "Gains in the objective that was maximised, a part of the whole one, so the bound does not apply here.",
        };
        var largest = gains.GroupBy(g => g.Group).OrderByDescending(g => g.Count()).ThenBy(g => g.Key).Take(MostCurves).OrderBy(g => g.Key).ToArray();
        var marginal = new LineFigure
        {
            Name = "gains",
            Title = "Gain of each pick",
            XName = "pick within its source",
            YName = "gain",
            LogY = true,
            Series = [.. largest.Select(g => new LineSeries(NameOf(d.Sources[g.Key].Source), [.. Enumerable.Range(1, g.Count()).Select(i => (double)i)], [.. g.Select(x => x.Gain)]))],
            Caption = largest.Length < gains.Select(g => g.Group).Distinct().Count() ? $"The {largest.Length} sources with the most picks." : "",
        };
        return new ReportSection("What does the selection cover?", $"{ratio} The first {half} of {Count(sorted.Length, "pick")} bring nine tenths of it; the last brings {ReportNumber.Short(sorted[^1])}.")
        {
            Figures = [curve, marginal],
        };
    }

    private static BarFigure Weights(SelectionDocument d) => new()
    {
        Name = "representatives",
        Title = "Picks that stand for most examples",
        RowName = "pick",
        ValueName = "examples it stands for",
        MostRows = 20,
        Show = Number,
        Rows =
        [
            .. d.Indices.Select((index, i) => (index, weight: d.Weights[i])).OrderByDescending(p => p.weight).ThenBy(p => p.index).Take(200)
                .Select(p => new BarRow($"{p.index} ({NameOf(SourceOf(d, p.index))})", p.weight)),
        ],
    };

    private static string MostText(SelectionDocument d)
    {
        int most = d.Weights.DefaultIfEmpty(0).Max(), alone = d.Weights.Count(w => w == 1);
        return d.Indices.Count == 0 ? "Nothing is selected."
            : $"Pick {d.Indices[d.Weights.ToList().IndexOf(most)]} stands for {Count(most, "example")}, itself included; {alone} of {Count(d.Indices.Count, "pick")} stand for themselves alone.";
    }

    private static ReportSection Represented(SelectionDocument d, double[] distances, Tensor<float> rows)
    {
        var others = Enumerable.Range(0, d.N).Where(i => d.Owners[i] >= 0 && d.Owners[i] != i).ToArray();
        var figures = new List<Figure> { Weights(d), Map(d, rows) };
        var tables = new List<DataTable>();
        string answer = MostText(d);
        if (others.Length > 0)
        {
            double[] sorted = [.. others.Select(i => distances[i]).Order()];
            answer += $" Half of those that are represented lie within {ReportNumber.Short(sorted[sorted.Length / 2])} of their representative, the farthest at {ReportNumber.Short(sorted[^1])}.";
            figures.Add(Histogram(sorted, d.Metric == DistanceMetric.Cosine));
            int[] far = [.. others.OrderByDescending(i => distances[i]).ThenBy(i => i).Take(15)];
            tables.Add(new DataTable(
                "farthest", "Represented least well: the examples farthest from their representative",
                DataColumn.Of("example", [.. far.Select(i => (double)i)]), DataColumn.Of("source", [.. far.Select(i => NameOf(SourceOf(d, i)))]),
                DataColumn.Of("represented by", [.. far.Select(i => (double)d.Owners[i])]), DataColumn.Of("distance", [.. far.Select(i => distances[i])])));
        }
        return new ReportSection("Who represents whom?", answer) { Figures = figures, Tables = tables };
    }

    private static LineFigure Histogram(double[] sorted, bool cosine)
    {
        double low = cosine ? sorted[0] : 0, high = sorted[^1] > low ? sorted[^1] : low + 1;
        int bins = Math.Clamp((int)Math.Sqrt(sorted.Length), 1, MostBins);
        var (counts, middles) = (new double[bins], new double[bins]);
        foreach (double value in sorted)
        {
            counts[Math.Min(bins - 1, (int)(bins * (value - low) / (high - low)))]++;
        }
        for (int b = 0; b < bins; b++)
        {
            middles[b] = low + ((b + 0.5) * (high - low) / bins);
        }
        return new LineFigure
        {
            Name = "distances",
            Title = "How far examples lie from their representative",
            XName = cosine ? "negative cosine similarity" : "distance",
            YName = "examples",
            Series = [new("examples", middles, counts, SeriesStyle.Columns)],
        };
    }

    private static ScatterFigure Map(SelectionDocument d, Tensor<float> rows)
    {
        var selected = d.Indices.ToHashSet();
        int[] picks = Spread([.. d.Indices.Order()], MostPicksShown), rest = Spread([.. Enumerable.Range(0, d.N).Where(i => !selected.Contains(i) && d.Groups[i] >= 0)], MostPoints - picks.Length);
        int[] shown = [.. picks, .. rest];
        var device = rows.Buffer.Device;
        using var indices = device.Allocate<int>(shown, MemoryUse.Selection);
        using var gathered = device.Allocate<float>((long)shown.Length * rows.RowLength, MemoryUse.Selection);
        device.Kernels.GatherRows(rows, indices.View, gathered.View.Reshape(shown.Length, rows.RowLength));
        var axes = PrincipalAxes.Of(device.Download(gathered.View), d.Dimension);
        var place = shown.Select((example, i) => (example, i)).ToDictionary(p => p.example, p => (axes.X[p.i], axes.Y[p.i]));
        return new ScatterFigure
        {
            Name = "map",
            Title = "Examples in the two directions in which features vary most",
            PointName = "example",
            XName = $"first direction ({ReportNumber.Percent(axes.ShareX)} of the variance)",
            YName = $"second direction ({ReportNumber.Percent(axes.ShareY)})",
            Links = [.. rest.Where(i => d.Owners[i] >= 0 && place.ContainsKey(d.Owners[i])).Select(i => (place[i], place[d.Owners[i]]))],
            Classes =
            [
                new("not selected", [.. rest.Select(i => (place[i].Item1, place[i].Item2, $"{i} ({NameOf(SourceOf(d, i))})"))]),
                new("selected", [.. picks.Select(i => (place[i].Item1, place[i].Item2, $"{i} ({NameOf(SourceOf(d, i))})"))], Strong: true),
            ],
            Caption = "A line joins an example to the pick that represents it."
                + (shown.Length < d.N - d.Dropped.Count ? string.Create(CultureInfo.InvariantCulture, $" {shown.Length} of {d.N} examples are drawn.") : ""),
        };
    }

    private static double[] Distances(SelectionDocument d, Tensor<float> rows)
    {
        var distances = new double[d.N];
        foreach (var group in Enumerable.Range(0, d.N).Where(i => d.Groups[i] >= 0 && d.Owners[i] >= 0 && d.Owners[i] != i).GroupBy(i => d.Groups[i]))
        {
            int[] members = [.. Enumerable.Range(0, d.N).Where(i => d.Groups[i] == group.Key)];
            var compared = VerifiedRows.Of(d, rows, members);
            foreach (int i in group)
            {
                distances[i] = compared.Value(Array.BinarySearch(members, i), Array.BinarySearch(members, d.Owners[i]));
            }
        }
        return distances;
    }

    private static ReportSection Dropped(SelectionDocument d)
    {
        var shown = d.Dropped.OrderBy(x => x.Index).ToArray();
        return new ReportSection("What took no part, and why?", $"{Count(shown.Length, "example")}: {string.Join("; ", shown.GroupBy(x => x.Reason).Select(g => $"{g.Count()} for {g.Key}"))}.")
        {
            Tables = [new DataTable("dropped", "Dropped examples", DataColumn.Of("example", [.. shown.Select(x => (double)x.Index)]), DataColumn.Of("reason", [.. shown.Select(x => x.Reason)]))],
        };
    }

    private static ReportSection Times(SelectionDocument d)
    {
        BarRow[] rows =
        [
            new("read", d.ReadTime), new("normalise", d.Timing.Normalize), new("sparsify", d.Timing.TopK), new("distances", d.Timing.Distance), new("greedy", d.Timing.Greedy),
        ];
        var longest = rows.MaxBy(r => r.Value)!;
        return new ReportSection(
            "Where did the time go?", $"{ReportNumber.Seconds((d.ReadTime + d.Timing.Total) / 1e3)} on {d.Device}, most of it in {longest.Label} ({ReportNumber.Seconds(longest.Value / 1e3)}).")
        {
            Figures = [new BarFigure { Name = "time", Title = "Time of each part", RowName = "part", ValueName = "milliseconds", Rows = rows }],
        };
    }

    private static string SourceOf(SelectionDocument d, int example) => d.Groups[example] < 0 ? "-" : d.Sources[d.Groups[example]].Source;

    private static string NameOf(string source) => source == "*" ? "all sources" : source;

    private static int[] Spread(int[] all, int most) => all.Length <= most ? all : [.. Enumerable.Range(0, Math.Max(0, most)).Select(i => all[(int)((long)i * all.Length / most)])];

    private static string Some(string[] names) => string.Join(", ", names.Take(8)) + (names.Length > 8 ? $" and {names.Length - 8} more" : "");

    private static string Count(int n, string what) => $"{Number(n)} {what}{(n == 1 ? "" : "s")}";

    private static string Number(int n) => n.ToString("N0", CultureInfo.InvariantCulture);

    private static string Number(double n) => n.ToString("N0", CultureInfo.InvariantCulture);
}
