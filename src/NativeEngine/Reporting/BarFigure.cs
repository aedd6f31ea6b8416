using System.Globalization;

namespace NativeEngine.Reporting;

/// <summary>One line of a <see cref="BarFigure"/>.</summary>
/// <param name="Label">Its name.</param>
/// <param name="Value">Its value; NaN draws nothing.</param>
/// <param name="Whole">What the value is a part of, drawn behind it; NaN without.</param>
/// <param name="Low">Lower end of the value's interval; NaN without.</param>
/// <param name="High">Upper end of the value's interval.</param>
/// <param name="Kind">Which of the figure's kinds it is, for its colour.</param>
/// <param name="Note">A word after the value.</param>
public sealed record BarRow(
    string Label, double Value, double Whole = double.NaN, double Low = double.NaN, double High = double.NaN, int Kind = 0, string Note = "");

/// <summary>Horizontal bars from zero, or dots with intervals, one row for every name, each with its value written out.</summary>
public sealed class BarFigure : Figure
{
    private const double RowHeight = 21;
    private const int MostNameLines = 5;

    /// <summary>The rows, from above.</summary>
    public required IReadOnlyList<BarRow> Rows { get; init; }

    /// <summary>What the rows are.</summary>
    public required string RowName { get; init; }

    /// <summary>Name and unit of the axis.</summary>
    public required string ValueName { get; init; }

    /// <summary>What a row's whole is.</summary>
    public string WholeName { get; init; } = "";

    /// <summary>Names of the kinds of rows; fewer than two need no legend.</summary>
    public IReadOnlyList<string> Kinds { get; init; } = [];

    /// <summary>Dots with intervals on an axis that need not begin at zero, in place of bars.</summary>
    public bool Dots { get; init; }

    /// <summary>Whether the axis is logarithmic; dots only.</summary>
    public bool Log { get; init; }

    /// <summary>How a value is written.</summary>
    public Func<double, string> Show { get; init; } = ReportNumber.Short;

    /// <summary>Most rows drawn; the data has all.</summary>
    public int MostRows { get; init; } = 40;

    /// <inheritdoc/>
    public override DataTable Data
    {
        get
        {
            var columns = new List<DataColumn> { DataColumn.Of(RowName, [.. Rows.Select(r => r.Label)]), DataColumn.Of(ValueName, [.. Rows.Select(r => r.Value)]) };
            if (Rows.Any(r => double.IsFinite(r.Whole)))
            {
                columns.Add(DataColumn.Of(WholeName, [.. Rows.Select(r => r.Whole)]));
            }
            if (Rows.Any(r => double.IsFinite(r.Low)))
            {
                columns.Add(DataColumn.Of("low", [.. Rows.Select(r => r.Low)]));
                columns.Add(DataColumn.Of("high", [.. Rows.Select(r => r.High)]));
            }
            if (Kinds.Count > 1)
            {
                columns.Add(DataColumn.Of("kind", [.. Rows.Select(r => Kinds[r.Kind])]));
            }
            return new DataTable(Name, Title, columns);
        }
    }

    /// <inheritdoc/>
    public override string Draw(double width)
    {
        var rows = Rows.Take(MostRows).ToArray();
        var entries = Kinds.Count > 1 ? Kinds.Select((k, i) => ($"bar {Colour(i)}", k)).ToList() : [];
        double legend = Legend(null, 0, width, entries);
        double most = Math.Min(0.38 * width, 260);
        double left = 16 + Math.Min(most, rows.Select(r => FigureStyle.TextWidth(r.Label, FigureStyle.SmallSize)).DefaultIfEmpty(20).Max());
        string[][] names = [.. rows.Select(r => Fold(r.Label, left - 14, FigureStyle.SmallSize, MostNameLines))];
        double[] heights = [.. names.Select(n => RowHeight + ((n.Length - 1) * NameLine))];
        double height = Math.Max(RowHeight, heights.Sum()), rest = rows.Length < Rows.Count ? 18 : 0;
        var (svg, top) = Begin(width, t => t + legend + 10 + height + rest + 38);
        Legend(svg, top, width, entries);
        double plotTop = top + legend + 8, bottom = plotTop + height;
        string[] texts = [.. rows.Select(Text)];
        double right = width - 14 - Math.Min(0.34 * width, texts.Select(t => FigureStyle.TextWidth(t, FigureStyle.SmallSize)).DefaultIfEmpty(0).Max());
        var x = Axis(rows, left, right);
        new Plot(svg, x, new AxisScale(0, 1, bottom, plotTop, false)).DrawX(ValueName, x.Ticks(width < 500 ? 3 : 6));
        double y = plotTop;
        for (int i = 0; i < rows.Length; i++)
        {
            double middle = y + (heights[i] / 2);
            WriteName(svg, left - 8, middle, names[i], rows[i].Label);
            Row(svg, x, rows[i], middle, left, width, texts[i]);
            y += heights[i];
        }
        if (rest > 0)
        {
            svg.Text("small quiet", 8, bottom + 50, string.Create(CultureInfo.InvariantCulture, $"and {Rows.Count - rows.Length} more, in the data"));
        }
        return svg.Finish();
    }

    private AxisScale Axis(BarRow[] rows, double left, double right)
    {
        var values = rows.SelectMany(r => (double[])[r.Value, r.Whole, r.Low, r.High]);
        var (low, high) = LineFigure.Range(values, Log, !Dots);
        return Log ? new AxisScale(low / 1.1, high * 1.1, left, right, true) : new AxisScale(low, high, left, right, false);
    }

    private void Row(SvgDocument svg, AxisScale x, BarRow row, double at, double left, double width, string text)
    {
        string tell = $"{row.Label}: {ReportNumber.Exact(row.Value)}" + (double.IsFinite(row.Whole) ? $" of {ReportNumber.Exact(row.Whole)}" : "")
            + (double.IsFinite(row.Low) ? $" ({ReportNumber.Exact(row.Low)} to {ReportNumber.Exact(row.High)})" : "") + (row.Note.Length > 0 ? $", {row.Note}" : "");
        string colour = Colour(row.Kind);
        double end = left;
        if (Dots)
        {
            svg.Line("grid", left, at, x.Stop, at);
            if (double.IsFinite(row.Low) && double.IsFinite(row.High) && (!Log || row.Low > 0))
            {
                svg.Line("whisker " + colour, x.At(row.Low), at, x.At(row.High), at);
            }
            if (double.IsFinite(row.Value) && (!Log || row.Value > 0))
            {
                svg.Dot("dot " + colour, x.At(row.Value), at, 4.5, tell);
            }
            end = x.Stop;
        }
        else
        {
            double zero = x.At(0);
            if (double.IsFinite(row.Whole))
            {
                svg.Rectangle("whole", zero, at - 7, Math.Max(0, x.At(row.Whole) - zero), 14);
                end = Math.Max(end, x.At(row.Whole));
            }
            if (double.IsFinite(row.Value))
            {
                double tip = x.At(row.Value);
                svg.Rectangle("bar " + colour, Math.Min(zero, tip), at - 7, Math.Abs(tip - zero), 14, tell);
                end = Math.Max(end, Math.Max(zero, tip));
            }
            if (double.IsFinite(row.Low) && double.IsFinite(row.High))
            {
                svg.Line("error", x.At(row.Low), at, x.At(row.High), at);
                end = Math.Max(end, x.At(row.High));
            }
        }
        svg.Text("small halo", end + 6, at + 4, Fit(text, width - end - 8, FigureStyle.SmallSize));
    }

    private string Text(BarRow row) => !double.IsFinite(row.Value) ? (row.Note.Length > 0 ? row.Note : "-")
        : Show(row.Value) + (double.IsFinite(row.Whole) ? $" of {Show(row.Whole)}" : "") + (row.Note.Length > 0 ? $" {row.Note}" : "");
}
