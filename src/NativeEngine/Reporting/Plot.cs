namespace NativeEngine.Reporting;

/// <summary>The rectangle of a plot with its two axes: grid lines, ticks and names.</summary>
internal sealed class Plot(SvgDocument svg, AxisScale x, AxisScale y)
{
    /// <summary>Left edge.</summary>
    public double Left => x.Start;

    /// <summary>Right edge.</summary>
    public double Right => x.Stop;

    /// <summary>Upper edge.</summary>
    public double Top => y.Stop;

    /// <summary>Lower edge.</summary>
    public double Bottom => y.Start;

    /// <summary>Vertical grid lines, values and name of the horizontal axis, at its lower edge.</summary>
    public void DrawX(string name, IReadOnlyList<AxisTick> ticks)
    {
        foreach (var tick in ticks)
        {
            svg.Line("grid", x.At(tick.Value), Top, x.At(tick.Value), Bottom);
            if (tick.Label is { } label)
            {
                svg.Text("small quiet", x.At(tick.Value), Bottom + 16, label, "middle");
            }
        }
        svg.Line("axis", Left, Bottom, Right, Bottom);
        svg.Text("small quiet", (Left + Right) / 2, Bottom + 33, name, "middle");
    }

    /// <summary>Horizontal grid lines, values, and the name above the axis, where it reads without turning the head.</summary>
    public void DrawY(string name, IReadOnlyList<AxisTick> ticks)
    {
        foreach (var tick in ticks)
        {
            svg.Line("grid", Left, y.At(tick.Value), Right, y.At(tick.Value));
            if (tick.Label is { } label)
            {
                svg.Text("small quiet", Left - 6, y.At(tick.Value) + 4, label, "end");
            }
        }
        svg.Line("axis", Left, Bottom, Left, Top);
        svg.Text("small quiet", Left - 6, Top - 9, name);
    }
}
