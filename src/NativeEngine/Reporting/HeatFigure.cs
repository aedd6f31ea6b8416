using System.Globalization;

namespace NativeEngine.Reporting;

/// <summary>A matrix of cells, darker for larger values.</summary>
public sealed class HeatFigure : Figure
{
    private const int MostNameLines = 3;

    /// <summary>Names of the rows, from above.</summary>
    public required IReadOnlyList<string> Rows { get; init; }

    /// <summary>Names of the columns.</summary>
    public required IReadOnlyList<string> Columns { get; init; }

    /// <summary>Value of row r and column c; NaN where there is none.</summary>
    public required Func<int, int, double> Value { get; init; }

    /// <summary>What the rows are.</summary>
    public required string RowName { get; init; }

    /// <summary>What the columns are.</summary>
    public required string ColumnName { get; init; }

    /// <summary>What a cell says, with its unit.</summary>
    public required string ValueName { get; init; }

    /// <summary>Value of the darkest cell; NaN: the greatest there is.</summary>
    public double Darkest { get; init; } = double.NaN;

    /// <summary>How a value is written.</summary>
    public Func<double, string> Show { get; init; } = ReportNumber.Short;

    /// <inheritdoc/>
    public override DataTable Data => new(
        Name, Title,
        [
            DataColumn.Of(RowName, Rows),
            .. Enumerable.Range(0, Columns.Count).Select(c => DataColumn.Of(
                $"{ColumnName} {Columns[c]}", [.. Enumerable.Range(0, Rows.Count).Select(r => Value(r, c))])),
        ]);

    /// <inheritdoc/>
    public override string Draw(double width)
    {
        double most = Math.Min(0.36 * width, 240);
        double left = 16 + Math.Min(most, Rows.Select(r => FigureStyle.TextWidth(r, FigureStyle.SmallSize)).DefaultIfEmpty(20).Max());
        bool many = Rows.Count > 30;
        string[][] rowNames = [.. Rows.Select(r => Fold(r, left - 14, FigureStyle.SmallSize, many ? 1 : MostNameLines))];
        double cell = (width - 14 - left) / Math.Max(1, Columns.Count), rowHeight = many ? 14 : 22;
        double[] heights = [.. rowNames.Select(n => rowHeight + (NameLine * (n.Length - 1)))];
        double height = Math.Max(rowHeight, heights.Sum()), y = 0;
        double darkest = double.IsFinite(Darkest) ? Darkest : Cells().Where(double.IsFinite).Select(Math.Abs).DefaultIfEmpty(1).Max();
        darkest = darkest > 0 ? darkest : 1;
        bool written = Cells().Where(double.IsFinite).Select(v => FigureStyle.TextWidth(Show(v), FigureStyle.SmallSize)).DefaultIfEmpty(0).Max() + 6 < cell && rowHeight > 15;
        double longest = Columns.Select(c => FigureStyle.TextWidth(c, FigureStyle.SmallSize)).DefaultIfEmpty(0).Max();
        bool turned = longest + 8 > cell && !Columns.All(c => double.TryParse(c, NumberStyles.Float, CultureInfo.InvariantCulture, out _));
        string[] names = [.. Columns.Select(c => turned ? Fit(c, 110, FigureStyle.SmallSize) : c)];
        double below = turned ? 10 + names.Select(n => FigureStyle.TextWidth(n, FigureStyle.SmallSize)).DefaultIfEmpty(0).Max() : 18;
        var (svg, top) = Begin(width, t => t + 30 + height + below + 22);
        Scale(svg, top + 14, width, darkest, Cells().Any(v => v < 0));
        double plotTop = top + 26;
        y = plotTop;
        for (int r = 0; r < Rows.Count; r++)
        {
            WriteName(svg, left - 8, y + (heights[r] / 2), rowNames[r], Rows[r]);
            for (int c = 0; c < Columns.Count; c++)
            {
                Cell(svg, r, c, left + (c * cell), y, cell, heights[r], darkest, written);
            }
            y += heights[r];
        }
        double last = double.NegativeInfinity;
        for (int c = 0; c < Columns.Count; c++)
        {
            double middle = left + ((c + 0.5) * cell), wide = FigureStyle.TextWidth(names[c], FigureStyle.SmallSize);
            if (turned)
            {
                if (cell >= 9 || c % (int)Math.Ceiling(12 / cell) == 0)
                {
                    svg.Text("small quiet", middle + 4, plotTop + height + 6, names[c], "end", -90);
                }
            }
            else if (middle - (wide / 2) > last + 8 && middle + (wide / 2) < width)
            {
                svg.Text("small quiet", middle, plotTop + height + 14, names[c], "middle");
                last = middle + (wide / 2);
            }
        }
        svg.Text("small quiet", left, plotTop + height + below + 14, ColumnName);
        return svg.Finish();
    }

    private IEnumerable<double> Cells() => Enumerable.Range(0, Rows.Count).SelectMany(r => Enumerable.Range(0, Columns.Count).Select(c => Value(r, c)));

    private void Cell(SvgDocument svg, int r, int c, double x, double y, double cell, double rowHeight, double darkest, bool written)
    {
        double value = Value(r, c);
        double gap = cell > 6 ? 1 : 0;
        if (!double.IsFinite(value))
        {
            svg.Rectangle("none", x, y, cell - gap, rowHeight - 1);
            return;
        }
        string? tell = Rows.Count * Columns.Count <= 900 ? $"{Rows[r]}, {ColumnName} {Columns[c]}: {ReportNumber.Exact(value)}" : null;
        svg.Rectangle(value < 0 ? "cell b" : "cell a", x, y, cell - gap, rowHeight - 1, tell, Opacity(value, darkest));
        if (written)
        {
            svg.Text("small", x + (cell / 2), y + (rowHeight / 2) + 4, Show(value), "middle");
        }
    }

    private static double Opacity(double value, double darkest) => Math.Round(0.06 + (0.94 * Math.Min(1, Math.Abs(value) / darkest)), 2);

    private void Scale(SvgDocument svg, double y, double width, double darkest, bool negative)
    {
        string least = negative ? Show(-darkest) : "0";
        double most = FigureStyle.TextWidth(Show(darkest), FigureStyle.SmallSize), wide = FigureStyle.TextWidth(least, FigureStyle.SmallSize);
        string name = Fit(ValueName, width - 110 - most - wide, FigureStyle.SmallSize);
        svg.Text("small quiet", 8, y, name);
        double x = 8 + FigureStyle.TextWidth(name, FigureStyle.SmallSize) + 10;
        svg.Text("small quiet", x, y, least);
        x += wide + 5;
        for (int i = 0; i < 5; i++)
        {
            double share = negative ? (i - 2) / 2.0 : i / 4.0;
            svg.Rectangle(share < 0 ? "cell b" : "cell a", x + (i * 14), y - 9, 13, 10, null, Opacity(share, 1));
        }
        svg.Text("small quiet", x + 76, y, Show(darkest));
    }
}
