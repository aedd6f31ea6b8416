using System.Globalization;
using NativeEngine.Profiling;

namespace NativeEngine.Reporting;

/// <summary>
/// The roofline figure of a profile as a standalone SVG: above, operations per second against operations per byte with the machine's roofs; below,
/// one line for every kernel with its share of the roof at each size. The same profile gives the same bytes.
/// </summary>
public static class RooflineFigure
{
    /// <summary>Width of the figure by itself.</summary>
    public const double DefaultWidth = 640;

    private const double PlotLeft = 58, LineHeight = 19;

    private static readonly (string Css, string Text)[] _kinds = [("fma", "bound by fma"), ("minadd", "min+add"), ("subfma", "sub+fma"), ("cache", "a cache"), ("memory", "memory")];

    private const string Style = """
        .roof{fill:none;stroke:var(--quiet);stroke-width:1.6}.roof.dashed{stroke-dasharray:5 4}
        .fma circle{fill:var(--a)}.minadd circle{fill:var(--b)}.subfma circle{fill:var(--d)}.memory circle{fill:var(--c)}.cache circle{fill:var(--e)}
        circle{stroke:var(--ground);stroke-width:1}

        """;

    /// <summary>The figure. Kernels without arithmetic appear in the list only, where bandwidth alone counts.</summary>
    public static string Draw(KernelProfile profile, double width = DefaultWidth)
    {
        var kernels = profile.Measurements.GroupBy(m => m.Row.Name).Select(g => g.ToArray()).ToArray();
        string title = $"Roofline: {kernels.Length} kernels on {profile.Roofs.Who}";
        string[] heading = Figure.Wrap(title, width - 24, 16.5);
        double legendTop = 30 + (20 * heading.Length), plotTop = Legend(null, legendTop, width) + 42, plotBottom = plotTop + (width < 500 ? 300 : 400);
        double listTop = plotBottom + 96, listBottom = listTop + (LineHeight * Math.Max(1, kernels.Length));
        var svg = new SvgDocument(width, listBottom + 48, title, Describe(profile), Style);
        for (int i = 0; i < heading.Length; i++)
        {
            svg.Text("heading", 16, 28 + (20 * i), heading[i]);
        }
        Legend(svg, legendTop, width);
        Roofline(svg, profile, new Box(PlotLeft, plotTop, width - 16, plotBottom));
        Shares(svg, profile.Roofs, kernels, new Box(Math.Min(190, 0.36 * width), listTop, width - 16, listBottom));
        return svg.Finish();
    }

    private static void Roofline(SvgDocument svg, KernelProfile profile, Box area)
    {
        var roofs = profile.Roofs;
        var points = profile.Measurements.Where(m => m.Flops > 0).ToArray();
        double peak = Math.Max(Math.Max(roofs.FusedMultiplyAdd, 2 * roofs.MinimumAddTerms), roofs.SubtractMultiplyAdd);
        double ridge = peak / roofs.Bandwidths[^1].Best;
        var x = AxisScale.AroundLog(
            points.Select(m => m.Intensity).Append(0.1).Min(), points.Select(m => m.Intensity).Append(2 * ridge).Max(), area.Left, area.Right);
        double lowest = points.Select(m => m.FlopsPerSecond).Append(peak / 100).Min() / 1e9;
        // A label needs room above the highest roof.
        var y = new AxisScale(Math.Pow(10, Math.Floor(Math.Log10(lowest))), peak / 1e9 * 2.2, area.Bottom, area.Top, Logarithmic: true);
        var plot = new Plot(svg, x, y);
        plot.DrawX("operations per byte", x.Ticks());
        plot.DrawY("G operations/s", y.Ticks());
        var labels = new LabelPlacer(new Box(area.Left + 2, area.Top, area.Right, area.Bottom - 2));
        foreach (var m in points)
        {
            labels.Reserve(Around(x.At(m.Intensity), y.At(m.FlopsPerSecond / 1e9), 4));
        }
        DrawRoofs(svg, roofs, x, y, peak, labels, area.Right);
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

    private static void DrawRoofs(SvgDocument svg, MachineRoofs roofs, AxisScale x, AxisScale y, double peak, LabelPlacer labels, double right)
    {
        double decade = x.At(10) - x.At(1), rise = y.At(1) - y.At(10), degrees = -Math.Atan2(rise, decade) * 180 / Math.PI;
        (string Name, double Speed, double From)[] levels = [.. roofs.Levels().OrderByDescending(level => level.BytesPerSecond).Select(level => (level.Name, level.BytesPerSecond / 1e9, Math.Max(x.Low, y.Low / (level.BytesPerSecond / 1e9))))];
        foreach (var (_, speed, from) in levels)
        {
            // From where the line enters the plot to the highest arithmetic roof.
            svg.Path("roof", [(x.At(from), y.At(speed * from)), (x.At(peak / 1e9 / speed), y.At(peak / 1e9))]);
        }
        // Lines of similar speed have one label, above the fastest of them.
        for (int i = 0, next; i < levels.Length; i = next)
        {
            next = i + 1;
            while (next < levels.Length && Height(next) - Height(next - 1) < 16)
            {
                next++;
            }
            // The longest that ends below the highest roof, and where on its line no point is.
            double slope = rise / decade, startX = x.At(levels[i].From) + 5, startY = y.At(levels[i].Speed * levels[i].From) - (8 * slope) - 4;
            double cosine = Math.Cos(degrees * Math.PI / 180), sine = Math.Sin(degrees * Math.PI / 180), room = (startY - y.At(peak / 1e9)) / -sine;
            var (first, last) = (levels[i], levels[next - 1]);
            string each = string.Join(", ", levels[i..next].Select(level => FormattableString.Invariant($"{level.Name} {level.Speed:0}")));
            string range = next - i == 1 ? each : FormattableString.Invariant($"{first.Name}–{last.Name} {first.Speed:0}–{last.Speed:0}");
            string label = ((string[])[each + " GB/s", range + " GB/s", range]).FirstOrDefault(l => FigureStyle.TextWidth(l, FigureStyle.SmallSize) <= room) ?? first.Name;
            double width = FigureStyle.TextWidth(label, FigureStyle.SmallSize), shift = 0;
            while (shift + 6 + width <= room && !Boxes(shift).All(labels.IsFree))
            {
                shift += 6;
            }
            shift = Boxes(shift).All(labels.IsFree) ? shift : 0;
            svg.Text("small quiet halo", startX + (shift * cosine), startY + (shift * sine), label, "start", degrees);
            foreach (var box in Boxes(shift).ToArray())
            {
                labels.Reserve(box);
            }

            IEnumerable<Box> Boxes(double from) => Enumerable.Range(0, (int)Math.Ceiling(width / 6)).Select(k => from + (6 * k)).Select(along => Around(startX + (along * cosine), startY + (along * sine) - 4, 7));
        }
        double Height(int level) => y.At(levels[level].Speed * levels[level].From);
        double fastest = roofs.Levels().Max(level => level.BytesPerSecond);
        var peaks = new (string Name, double Rate, bool Dashed)[] { ("fma", roofs.FusedMultiplyAdd, false), ("min+add", 2 * roofs.MinimumAddTerms, true), ("sub+fma", roofs.SubtractMultiplyAdd, true) }
            .OrderByDescending(roof => roof.Rate).Select(roof => (roof.Name, roof.Rate, roof.Dashed, At: y.At(roof.Rate / 1e9))).ToArray();
        foreach (var (_, rate, dashed, at) in peaks)
        {
            svg.Path(dashed ? "roof dashed" : "roof", [(x.At(Math.Max(x.Low, rate / fastest)), at), (right, at)]);
        }
        for (int i = 0; i < peaks.Length; i++)
        {
            // Above its line where there is room, else below it, else above it, beside the others.
            var (name, rate, _, at) = peaks[i];
            bool above = i == 0 || at - peaks[i - 1].At >= 16, below = i + 1 == peaks.Length || peaks[i + 1].At - at >= 18;
            string label = FormattableString.Invariant($"{name} {rate / 1e9:0}");
            double end = right - (above || below ? 0 : 84), baseline = above || !below ? at - 4 : at + 13;
            svg.Text("small quiet halo", end, baseline, label, "end");
            labels.Reserve(new Box(end - FigureStyle.TextWidth(label, FigureStyle.SmallSize), baseline - 11, end, baseline + 4));
        }
    }

    private static void Shares(SvgDocument svg, MachineRoofs roofs, KernelMeasurement[][] kernels, Box area)
    {
        double top = area.Top;
        double longest = kernels.SelectMany(k => k).Select(m => m.Share(roofs)).Append(1).Max();
        var x = new AxisScale(0, Math.Max(1.05, longest * 1.05) * 100, area.Left, area.Right, Logarithmic: false);
        var y = new AxisScale(0, 1, area.Bottom, top, Logarithmic: false);
        svg.Text("heading", 16, top - 30, "Share of the roof");
        svg.Text("small quiet", 16, top - 12, "one dot a size; the largest dot is the first size of the table");
        new Plot(svg, x, y).DrawX("% of the roof that bounds it", x.Ticks());
        for (int i = 0; i < kernels.Length; i++)
        {
            double at = top + ((i + 0.5) * LineHeight);
            svg.Text("small", area.Left - 8, at + 4, kernels[i][0].Row.Name, "end");
            svg.Line("grid", area.Left, at, area.Right, at);
            for (int s = kernels[i].Length - 1; s >= 0; s--)
            {
                var m = kernels[i][s];
                svg.Dot(Colour(m, roofs), x.At(100 * m.Share(roofs)), at, s == 0 ? 5.5 : 3.5, Tell(m, roofs));
            }
        }
    }

    /// <summary>Dots with names, wrapped; returns the last baseline. Draws nothing without a document.</summary>
    private static double Legend(SvgDocument? svg, double y, double width)
    {
        double x = 16;
        foreach (var (css, text) in _kinds)
        {
            double wide = 15 + FigureStyle.TextWidth(text, FigureStyle.SmallSize);
            if (x > 16 && x + wide > width - 8)
            {
                (x, y) = (16, y + 18);
            }
            svg?.Dot(css, x + 5, y - 4, 5, text);
            svg?.Text("small", x + 15, y, text);
            x += wide + 16;
        }
        return y;
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
