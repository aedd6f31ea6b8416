namespace NativeEngine.Reporting;

/// <summary>A class of points of a <see cref="ScatterFigure"/>.</summary>
/// <param name="Name">For the legend.</param>
/// <param name="Points">The points, with what their tooltip says.</param>
/// <param name="Strong">Large dots with tooltips, or many small ones without.</param>
public sealed record PointClass(string Name, IReadOnlyList<(double X, double Y, string Tell)> Points, bool Strong = false);

/// <summary>Points on a plane, in classes, with faint lines between those that belong together.</summary>
public sealed class ScatterFigure : Figure
{
    /// <summary>The classes, the first at the bottom.</summary>
    public required IReadOnlyList<PointClass> Classes { get; init; }

    /// <summary>Name of the horizontal axis.</summary>
    public required string XName { get; init; }

    /// <summary>Name of the vertical axis.</summary>
    public required string YName { get; init; }

    /// <summary>Pairs of points to join.</summary>
    public IReadOnlyList<((double X, double Y) From, (double X, double Y) To)> Links { get; init; } = [];

    /// <summary>Draws the line where both values are equal.</summary>
    public bool Diagonal { get; init; }

    /// <summary>Name of the data's column with each point's text.</summary>
    public string PointName { get; init; } = "point";

    /// <inheritdoc/>
    public override DataTable Data => new(
        Name, Title,
        DataColumn.Of(PointName, [.. Classes.SelectMany(c => c.Points.Select(p => p.Tell))]),
        DataColumn.Of("class", [.. Classes.SelectMany(c => c.Points.Select(_ => c.Name))]),
        DataColumn.Of(XName, [.. Classes.SelectMany(c => c.Points.Select(p => p.X))]),
        DataColumn.Of(YName, [.. Classes.SelectMany(c => c.Points.Select(p => p.Y))]));

    /// <inheritdoc/>
    public override string Draw(double width)
    {
        double plotHeight = width < 500 ? 280 : 420;
        var entries = Classes.Select((c, i) => ($"bar {Colour(i)}", c.Name)).ToList();
        double legend = Legend(null, 0, width, entries);
        var (svg, top) = Begin(width, t => t + legend + plotHeight + 66);
        Legend(svg, top, width, entries);
        double plotTop = top + legend + 26, bottom = plotTop + plotHeight;
        var points = Classes.SelectMany(c => c.Points).ToArray();
        var (yLow, yHigh) = LineFigure.Range(points.Select(p => p.Y), false, false);
        var (xLow, xHigh) = LineFigure.Range(points.Select(p => p.X), false, false);
        if (Diagonal)
        {
            (xLow, xHigh) = (yLow, yHigh) = (Math.Min(xLow, yLow), Math.Max(xHigh, yHigh));
        }
        var y = new AxisScale(yLow, yHigh, bottom, plotTop, false);
        var yTicks = y.Ticks(5);
        double left = 14 + yTicks.Select(t => FigureStyle.TextWidth(t.Label ?? "", FigureStyle.SmallSize)).DefaultIfEmpty(10).Max();
        var x = new AxisScale(xLow, xHigh, left, width - 14, false);
        var plot = new Plot(svg, x, y);
        plot.DrawX(XName, x.Ticks(width < 500 ? 4 : 7));
        plot.DrawY(YName, yTicks);
        if (Diagonal)
        {
            svg.Line("line dashed f", x.At(xLow), y.At(yLow), x.At(xHigh), y.At(yHigh));
        }
        if (Links.Count > 0)
        {
            svg.Segments("link", Links.Select(l => ((x.At(l.From.X), y.At(l.From.Y)), (x.At(l.To.X), y.At(l.To.Y)))));
        }
        for (int i = 0; i < Classes.Count; i++)
        {
            if (Classes[i].Strong)
            {
                foreach (var (px, py, tell) in Classes[i].Points)
                {
                    svg.Dot("dot " + Colour(i), x.At(px), y.At(py), width < 500 ? 3 : 4, tell);
                }
            }
            else if (Classes[i].Points.Count > 0)
            {
                // A line of no length with round ends is a dot.
                svg.Segments("points " + Colour(i), Classes[i].Points.Select(p => ((x.At(p.X), y.At(p.Y)), (x.At(p.X), y.At(p.Y)))));
            }
        }
        return svg.Finish();
    }
}
