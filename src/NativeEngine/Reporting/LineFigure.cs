namespace NativeEngine.Reporting;

/// <summary>How a series is drawn.</summary>
public enum SeriesStyle
{
    /// <summary>A line; a missing value breaks it.</summary>
    Line,
    /// <summary>A thin, faint line: single values behind their average.</summary>
    Faint,
    /// <summary>A dashed line: a bound, a goal.</summary>
    Dashed,
    /// <summary>A line on a filled ground down to zero, or to the series before it when the figure is stacked.</summary>
    Area,
    /// <summary>One dot a value.</summary>
    Dots,
    /// <summary>One column a value, as wide as the step to the next: a histogram.</summary>
    Columns,
}

/// <summary>A curve.</summary>
/// <param name="Name">For the legend and the column of the data.</param>
/// <param name="X">Positions, ascending.</param>
/// <param name="Y">Values; NaN where there is none.</param>
/// <param name="Style">How it is drawn.</param>
public sealed record LineSeries(string Name, IReadOnlyList<double> X, IReadOnlyList<double> Y, SeriesStyle Style = SeriesStyle.Line);

/// <summary>
/// Curves over a common axis. More points than pixels are thinned to the first, least, greatest and last of every pixel, which looks the same:
/// a million points take less than 100 KB.
/// </summary>
public sealed class LineFigure : Figure
{
    /// <summary>The curves, at least one.</summary>
    public required IReadOnlyList<LineSeries> Series { get; init; }

    /// <summary>Name and unit of the horizontal axis.</summary>
    public required string XName { get; init; }

    /// <summary>Name and unit of the vertical axis.</summary>
    public required string YName { get; init; }

    /// <summary>Equal ratios of x have equal lengths; values that are not positive are left out.</summary>
    public bool LogX { get; init; }

    /// <summary>Equal ratios of y have equal lengths; values that are not positive are left out.</summary>
    public bool LogY { get; init; }

    /// <summary>Whether the vertical axis begins at zero.</summary>
    public bool FromZero { get; init; }

    /// <summary>Whether areas stand on each other; all series then have the same positions.</summary>
    public bool Stacked { get; init; }

    /// <summary>Vertical marks with a word: an event on the axis.</summary>
    public IReadOnlyList<(double X, string Word)> Marks { get; init; } = [];

    /// <summary>Values as bytes on the vertical axis.</summary>
    public bool YBytes { get; init; }

    /// <inheritdoc/>
    public override DataTable Data
    {
        get
        {
            var first = Series[0].X;
            if (Series.All(s => ReferenceEquals(s.X, first) || s.X.SequenceEqual(first)))
            {
                return new DataTable(Name, Title, [DataColumn.Of(XName, first), .. Series.Select(s => DataColumn.Of(s.Name, s.Y))]);
            }
            // A position that a series has twice, as where a line ends and another begins, has as many rows.
            double[] all = [.. Series.SelectMany(s => s.X.GroupBy(x => x).Select(g => (X: g.Key, Count: g.Count()))).GroupBy(g => g.X).OrderBy(g => g.Key)
                .SelectMany(g => Enumerable.Repeat(g.Key, g.Max(x => x.Count)))];
            var columns = Series.Select(s =>
            {
                var values = new double[all.Length];
                Array.Fill(values, double.NaN);
                for (int i = 0, row = 0; i < s.X.Count; i++, row++)
                {
                    while (all[row] != s.X[i])
                    {
                        row++;
                    }
                    values[row] = s.Y[i];
                }
                return DataColumn.Of(s.Name, values);
            });
            return new DataTable(Name, Title, [DataColumn.Of(XName, all), .. columns]);
        }
    }

    /// <inheritdoc/>
    public override string Draw(double width)
    {
        double plotHeight = width < 500 ? 210 : 260;
        var entries = Series.Count == 1 ? [] : Series.Select((s, i) => ($"{Css(s)} {Colour(i)}", s.Name)).ToList();
        double legend = Legend(null, 0, width, entries);
        var (svg, top) = Begin(width, t => t + legend + plotHeight + 66);
        Legend(svg, top, width, entries);
        double plotTop = top + legend + 26, bottom = plotTop + plotHeight;
        double[][] tops = Tops();
        var (low, high) = Range(tops.SelectMany(y => y), LogY, FromZero || Stacked || Series.Any(s => s.Style is SeriesStyle.Area or SeriesStyle.Columns));
        var y = LogY ? AxisScale.AroundLog(low, high, bottom, plotTop) : new AxisScale(low, high, bottom, plotTop, false);
        var yTicks = Ticks(y);
        double left = 14 + yTicks.Select(t => FigureStyle.TextWidth(t.Label ?? "", FigureStyle.SmallSize)).DefaultIfEmpty(10).Max();
        var (xLow, xHigh) = Range(Series.SelectMany(s => s.X), LogX, false, pad: false);
        double half = Series.Where(s => s.Style == SeriesStyle.Columns).Select(s => Spacing(s.X) / 2).DefaultIfEmpty(0).Max();
        var x = new AxisScale(xLow - half, xHigh + half, left, width - 18, LogX);
        var plot = new Plot(svg, x, y);
        plot.DrawX(XName, x.Ticks(width < 500 ? 4 : 7));
        plot.DrawY(YName, yTicks);
        for (int i = Series.Count - 1; i >= 0; i--)
        {
            Curve(svg, x, y, Series[i], tops[i], Stacked && i > 0 ? tops[i - 1] : null, Colour(i));
        }
        var labels = new LabelPlacer(new Box(left + 2, plotTop, width - 4, bottom));
        foreach (var (at, word) in Marks.Where(m => m.X >= x.Low && m.X <= x.High))
        {
            svg.Line("mark", x.At(at), plotTop, x.At(at), bottom);
            if (labels.Place(x.At(at), plotTop + 8, 4, word, FigureStyle.SmallSize) is { } label)
            {
                svg.Text("small halo", label.X, label.Y, word, label.Anchor);
            }
        }
        return svg.Finish();
    }

    private IReadOnlyList<AxisTick> Ticks(AxisScale y)
    {
        if (!YBytes || LogY)
        {
            return y.Ticks(5);
        }
        // Steps that are round in the unit they are told in.
        double unit = Math.Max(Math.Abs(y.Low), y.High) switch { >= 1L << 30 => 1L << 30, >= 1L << 20 => 1L << 20, >= 1L << 10 => 1L << 10, _ => 1 };
        return [.. new AxisScale(y.Low / unit, y.High / unit, y.Start, y.Stop, false).Ticks(5).Select(t => new AxisTick(t.Value * unit, ReportNumber.Bytes(t.Value * unit)))];
    }

    private double[][] Tops()
    {
        var tops = Series.Select(s => s.Y.ToArray()).ToArray();
        for (int i = 1; Stacked && i < tops.Length; i++)
        {
            for (int k = 0; k < tops[i].Length; k++)
            {
                tops[i][k] += tops[i - 1][k];
            }
        }
        return tops;
    }

    private void Curve(SvgDocument svg, AxisScale x, AxisScale y, LineSeries series, double[] tops, double[]? floor, string colour)
    {
        string css = $"{Css(series)} {colour}";
        if (series.Style == SeriesStyle.Columns)
        {
            double half = Spacing(series.X) / 2;
            for (int i = 0; i < tops.Length; i++)
            {
                if (tops[i] > 0)
                {
                    double l = x.At(series.X[i] - half), r = x.At(series.X[i] + half), t = y.At(tops[i]);
                    svg.Rectangle(css, l + 0.5, t, Math.Max(0.5, r - l - 1), y.Start - t, $"{ReportNumber.Exact(series.X[i])}: {ReportNumber.Exact(tops[i])}");
                }
            }
            return;
        }
        if (series.Style == SeriesStyle.Dots || Lone(tops))
        {
            for (int i = 0; i < tops.Length; i++)
            {
                if (Drawn(series.X[i], tops[i]))
                {
                    svg.Dot("dot " + colour, x.At(series.X[i]), y.At(tops[i]), 3.5, $"{series.Name}, {XName} {ReportNumber.Exact(series.X[i])}: {ReportNumber.Exact(series.Y[i])}");
                }
            }
            return;
        }
        svg.Group("series", series.Name);
        foreach (var (first, count) in Runs(series.X, tops))
        {
            var line = Thin(x, y, series.X, tops, first, count);
            if (series.Style == SeriesStyle.Area)
            {
                IEnumerable<(double X, double Y)> below = floor is null
                    ? [(line[^1].X, y.At(y.Low)), (line[0].X, y.At(y.Low))]
                    : Thin(x, y, series.X, floor, first, count).AsEnumerable().Reverse();
                svg.Path("fill " + colour, [.. line, .. below]);
            }
            svg.Path(css, line);
        }
        svg.End();
    }

    // A single value has no line.
    private static bool Lone(double[] y) => y.Count(double.IsFinite) == 1;

    private bool Drawn(double x, double y) => double.IsFinite(x) && double.IsFinite(y) && (!LogY || y > 0) && (!LogX || x > 0);

    private IEnumerable<(int First, int Count)> Runs(IReadOnlyList<double> x, double[] y)
    {
        int first = -1;
        for (int i = 0; i <= y.Length; i++)
        {
            bool drawn = i < y.Length && Drawn(x[i], y[i]);
            if (drawn && first < 0)
            {
                first = i;
            }
            else if (!drawn && first >= 0)
            {
                yield return (first, i - first);
                first = -1;
            }
        }
    }

    /// <summary>The points of a run in the drawing: of every column of pixels at most the first, least, greatest and last.</summary>
    private static List<(double X, double Y)> Thin(AxisScale x, AxisScale y, IReadOnlyList<double> xs, double[] ys, int first, int count)
    {
        var line = new List<(double, double)>(Math.Min(count, 4096));
        if (count <= 2 * (x.Stop - x.Start))
        {
            for (int i = first; i < first + count; i++)
            {
                line.Add((x.At(xs[i]), y.At(ys[i])));
            }
            return line;
        }
        for (int i = first; i < first + count;)
        {
            double column = Math.Floor(x.At(xs[i]));
            int last = i, least = i, greatest = i;
            for (int k = i + 1; k < first + count && Math.Floor(x.At(xs[k])) == column; k++)
            {
                last = k;
                least = ys[k] < ys[least] ? k : least;
                greatest = ys[k] > ys[greatest] ? k : greatest;
            }
            foreach (int k in (SortedSet<int>)[i, least, greatest, last])
            {
                line.Add((x.At(xs[k]), y.At(ys[k])));
            }
            i = last + 1;
        }
        return line;
    }

    private static double Spacing(IReadOnlyList<double> x) => x.Count < 2 ? 1 : (x[^1] - x[0]) / (x.Count - 1);

    private static string Css(LineSeries series) => series.Style switch
    {
        SeriesStyle.Columns => "bar",
        SeriesStyle.Dots => "dotted",
        SeriesStyle.Faint => "line faint",
        SeriesStyle.Dashed => "line dashed",
        _ => "line",
    };

    /// <summary>The ends of an axis around values: with some air above and below, or from zero, never empty.</summary>
    internal static (double Low, double High) Range(IEnumerable<double> values, bool log, bool fromZero, bool pad = true)
    {
        double[] usable = [.. values.Where(v => double.IsFinite(v) && (!log || v > 0))];
        if (usable.Length == 0)
        {
            return log ? (0.1, 1) : (0, 1);
        }
        double low = usable.Min(), high = usable.Max();
        if (log)
        {
            return high > low ? (low, high) : (low / 2, high * 2);
        }
        (low, high) = fromZero ? (Math.Min(0, low), Math.Max(0, high)) : (low, high);
        if (low == high)
        {
            double around = low == 0 ? 1 : Math.Abs(low) * 0.1;
            return fromZero && low == 0 ? (0, 1) : (low - around, high + around);
        }
        double air = pad ? 0.05 * (high - low) : 0;
        return (fromZero && low == 0 ? 0 : low - air, fromZero && high == 0 ? 0 : high + air);
    }
}
