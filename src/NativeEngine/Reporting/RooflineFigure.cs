using System.Globalization;
using NativeEngine.Profiling;

namespace NativeEngine.Reporting;

/// <summary>
/// The roofline figure of a profile as a standalone SVG: above, operations per second against operations per byte with the machine's roofs; below,
/// one line for every kernel with its share of the roof at each size. The same profile gives the same bytes.
/// </summary>
public static class RooflineFigure
{
    private const double Width = 640, PlotLeft = 58, PlotRight = 624, PlotTop = 92, PlotHeight = 400, LineHeight = 19, ListLeft = 190;

    private const string Style = """
        .roof{fill:none;stroke:var(--quiet);stroke-width:1.6}.roof.dashed{stroke-dasharray:5 4}
        .fma circle{fill:var(--a)}.minadd circle{fill:var(--b)}.subfma circle{fill:var(--d)}.memory circle{fill:var(--c)}.cache circle{fill:var(--e)}
        circle{stroke:var(--ground);stroke-width:1}

        """;

    /// <summary>The figure. Kernels without arithmetic appear in the list only, where bandwidth alone counts.</summary>
    public static string Draw(KernelProfile profile)
    {
        var kernels = profile.Measurements.GroupBy(m => m.Row.Name).Select(g => g.ToArray()).ToArray();
        double listTop = PlotTop + PlotHeight + 96, listBottom = listTop + (LineHeight * Math.Max(1, kernels.Length));
        string title = $"Roofline: {kernels.Length} kernels on {profile.Roofs.Who}";
        var svg = new SvgDocument(Width, listBottom + 48, title, Describe(profile), Style);
        svg.Text("heading", 16, 28, title);
        Legend(svg, 16, 50);
        Roofline(svg, profile);
        Shares(svg, profile.Roofs, kernels, listTop, listBottom);
        return svg.Finish();
    }

    private static void Roofline(SvgDocument svg, KernelProfile profile)
    {
        var roofs = profile.Roofs;
        var points = profile.Measurements.Where(m => m.Flops > 0).ToArray();
        double peak = Math.Max(Math.Max(roofs.FusedMultiplyAdd, 2 * roofs.MinimumAddTerms), roofs.SubtractMultiplyAdd);
        double ridge = peak / roofs.Bandwidths[^1].Best;
        var x = AxisScale.AroundLog(
            points.Select(m => m.Intensity).Append(0.1).Min(), points.Select(m => m.Intensity).Append(2 * ridge).Max(), PlotLeft, PlotRight);
        double lowest = points.Select(m => m.FlopsPerSecond).Append(peak / 100).Min() / 1e9;
        // A label needs room above the highest roof.
        var y = new AxisScale(Math.Pow(10, Math.Floor(Math.Log10(lowest))), peak / 1e9 * 2.2, PlotTop + PlotHeight, PlotTop, Logarithmic: true);
        var plot = new Plot(svg, x, y);
        plot.DrawX("operations per byte", x.Ticks());
        plot.DrawY("G operations/s", y.Ticks());
        var labels = new LabelPlacer(new Box(PlotLeft + 2, PlotTop, PlotRight, PlotTop + PlotHeight - 2));
        DrawRoofs(svg, roofs, x, y, peak, labels);
        foreach (var m in points)
        {
            labels.Reserve(Around(x.At(m.Intensity), y.At(m.FlopsPerSecond / 1e9), 4));
        }
        foreach (var m in points)
        {
            svg.Dot(Colour(m, roofs), x.At(m.Intensity), y.At(m.FlopsPerSecond / 1e9), 4, Tell(m, roofs));
        }
        // The first size of a kernel is the one of practical interest; where a name finds no room the list below has it.
        foreach (var m in points.GroupBy(m => m.Row.Name).Select(g => g.First()).OrderByDescending(m => m.Flops))
        {
            if (labels.Place(x.At(m.Intensity), y.At(m.FlopsPerSecond / 1e9), 6, m.Row.Name, FigureStyle.SmallSize) is { } label)
            {
                svg.Text("small halo", label.X, label.Y, m.Row.Name, label.Anchor);
            }
        }
    }

    private static void DrawRoofs(SvgDocument svg, MachineRoofs roofs, AxisScale x, AxisScale y, double peak, LabelPlacer labels)
    {
        double decade = x.At(10) - x.At(1), rise = y.At(1) - y.At(10), degrees = -Math.Atan2(rise, decade) * 180 / Math.PI;
        double lastEnd = double.NegativeInfinity;
        foreach (var (name, bytesPerSecond) in roofs.Levels().OrderByDescending(level => level.BytesPerSecond))
        {
            double speed = bytesPerSecond / 1e9;
            // From where the line enters the plot to the highest arithmetic roof.
            double from = Math.Max(x.Low, y.Low / speed), to = peak / 1e9 / speed;
            svg.Path("roof", [(x.At(from), y.At(speed * from)), (x.At(to), y.At(speed * to))]);
            string label = FormattableString.Invariant($"{name} {speed:0} GB/s");
            double width = FigureStyle.TextWidth(label, FigureStyle.SmallSize), slope = rise / decade;
            double start = x.At(from) + 8, level = y.At(speed * from) - (8 * slope);
            // Lines of similar speed: the label of the lower one goes below its line.
            bool below = lastEnd - level > -16;
            lastEnd = level;
            double dx = below ? 7 : -3, dy = below ? 11 : -4;
            svg.Text("small quiet halo", start + dx, level + dy, label, "start", degrees);
            for (double along = 0; along < width; along += 6)
            {
                double cx = start + dx + (along * Math.Cos(-degrees * Math.PI / 180)), cy = level + dy - (along * Math.Sin(-degrees * Math.PI / 180));
                labels.Reserve(Around(cx, cy - 4, 7));
            }
        }
        double fastest = roofs.Levels().Max(level => level.BytesPerSecond);
        double lastY = double.NegativeInfinity;
        int crowded = 0;
        foreach (var (name, rate, dashed) in new[]
        {
            ("fma", roofs.FusedMultiplyAdd, false), ("min+add", 2 * roofs.MinimumAddTerms, true), ("sub+fma", roofs.SubtractMultiplyAdd, true),
        }.OrderByDescending(roof => roof.Item2))
        {
            double at = y.At(rate / 1e9);
            svg.Path(dashed ? "roof dashed" : "roof", [(x.At(Math.Max(x.Low, rate / fastest)), at), (PlotRight, at)]);
            string label = FormattableString.Invariant($"{name} {rate / 1e9:0}");
            double width = FigureStyle.TextWidth(label, FigureStyle.SmallSize);
            // Where the roof above is near, the label goes below its own line, and beside a third one.
            bool near = at - lastY < 16;
            crowded = near ? crowded + 1 : 0;
            lastY = at;
            double right = PlotRight - (crowded > 1 ? 90 : 0), baseline = near ? at + 13 : at - 4;
            svg.Text("small quiet halo", right, baseline, label, "end");
            labels.Reserve(new Box(right - width, baseline - 11, right, baseline + 4));
        }
    }

    private static void Shares(SvgDocument svg, MachineRoofs roofs, KernelMeasurement[][] kernels, double top, double bottom)
    {
        double longest = kernels.SelectMany(k => k).Select(m => m.Share(roofs)).Append(1).Max();
        var x = new AxisScale(0, Math.Max(1.05, longest * 1.05) * 100, ListLeft, PlotRight, Logarithmic: false);
        var y = new AxisScale(0, 1, bottom, top, Logarithmic: false);
        svg.Text("heading", 16, top - 30, "Share of the roof");
        svg.Text("small quiet", 16, top - 12, "one dot a size; the largest dot is the first size of the table");
        new Plot(svg, x, y).DrawX("% of the roof that bounds it", x.Ticks());
        for (int i = 0; i < kernels.Length; i++)
        {
            double at = top + ((i + 0.5) * LineHeight);
            svg.Text("small", ListLeft - 8, at + 4, kernels[i][0].Row.Name, "end");
            svg.Line("grid", ListLeft, at, PlotRight, at);
            for (int s = kernels[i].Length - 1; s >= 0; s--)
            {
                var m = kernels[i][s];
                svg.Dot(Colour(m, roofs), x.At(100 * m.Share(roofs)), at, s == 0 ? 5.5 : 3.5, Tell(m, roofs));
            }
        }
    }

    private static void Legend(SvgDocument svg, double x, double y)
    {
        foreach (var (css, text) in new[]
        {
            ("fma", "bound by fma"), ("minadd", "min+add"), ("subfma", "sub+fma"), ("cache", "a cache"), ("memory", "memory"),
        })
        {
            svg.Dot(css, x + 5, y - 4, 5, text);
            svg.Text("small", x + 15, y, text);
            x += 15 + FigureStyle.TextWidth(text, FigureStyle.SmallSize) + 16;
        }
    }

    private static string Colour(KernelMeasurement m, MachineRoofs roofs) => m.Bound(roofs) switch
    {
        "fma" => "fma",
        "min+add" => "minadd",
        "sub+fma" => "subfma",
        "memory" => "memory",
        _ => "cache",
    };

    private static string Tell(KernelMeasurement m, MachineRoofs roofs) => string.Create(
        CultureInfo.InvariantCulture,
        $"{m.Row.Name} {m.Size}: {m.Seconds * 1e3:G4} ms, {m.BytesPerSecond / 1e9:G3} GB/s, {m.FlopsPerSecond / 1e9:G3} G operations/s, {100 * m.Share(roofs):0} % of {m.Bound(roofs)}");

    private static string Describe(KernelProfile profile)
    {
        var roofs = profile.Roofs;
        var best = profile.Measurements.MaxBy(m => m.Share(roofs));
        return string.Create(
            CultureInfo.InvariantCulture,
            $"Measured roofs: {string.Join(", ", roofs.Levels().Select(l => string.Create(CultureInfo.InvariantCulture, $"{l.Name} {l.BytesPerSecond / 1e9:0} GB/s")))}; fused multiply-add {roofs.FusedMultiplyAdd / 1e9:0}, minimum and addition {2 * roofs.MinimumAddTerms / 1e9:0}, subtraction and fused multiply-add {roofs.SubtractMultiplyAdd / 1e9:0} G operations/s. {profile.Measurements.Count} measurements{(best is null ? "" : $"; the nearest to its roof is {best.Row.Name} {best.Size} with {100 * best.Share(roofs):0} %")}.");
    }

    private static Box Around(double x, double y, double radius) => new(x - radius, y - radius, x + radius, y + radius);
}
