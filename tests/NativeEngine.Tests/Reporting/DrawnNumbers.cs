using System.Globalization;
using System.Xml.Linq;
using NativeEngine.Reporting;

namespace NativeEngine.Tests.Reporting;

/// <summary>Reads numbers back out of a drawn figure by its own axes: where ticks stand and what their labels say, not how it was made.</summary>
internal sealed class DrawnNumbers
{
    private static readonly XNamespace _svg = "http://www.w3.org/2000/svg";
    private readonly XElement _root;

    public DrawnNumbers(string svg) => _root = XDocument.Parse(svg).Root!;

    public XElement Root => _root;

    public IEnumerable<XElement> Elements(string name, string css) =>
        _root.Descendants(_svg + name).Where(e => ((string?)e.Attribute("class") ?? "").Split(' ').Intersect(css.Split(' ')).Count() == css.Split(' ').Length);

    /// <summary>The tooltip of a mark.</summary>
    public static string Tooltip(XElement mark) => mark.Parent!.Element(_svg + "title")?.Value ?? "";

    /// <summary>The value at a position of the horizontal axis, or of the vertical one.</summary>
    public double Value(double position, bool vertical, bool log)
    {
        // Labels of the horizontal axis hang below the plot on one line; those of the vertical one end at its left edge.
        var ticks = new List<(double At, double Value)>();
        var labels = Elements("text", "small quiet").Where(t => (string)t.Attribute("text-anchor")! == (vertical ? "end" : "middle")).ToArray();
        foreach (var label in labels)
        {
            if (Parse(label.Value) is { } value)
            {
                ticks.Add(((double)label.Attribute(vertical ? "y" : "x")! - (vertical ? 4 : 0), value));
            }
        }
        Assert.True(ticks.Count >= 2, "an axis has fewer than two labels");
        var (first, last) = (ticks.MinBy(t => t.Value), ticks.MaxBy(t => t.Value));
        double share = (position - first.At) / (last.At - first.At);
        return log ? first.Value * Math.Pow(last.Value / first.Value, share) : first.Value + (share * (last.Value - first.Value));
    }

    /// <summary>The points of a path.</summary>
    public static (double X, double Y)[] Points(XElement path) =>
    [
        .. ((string)path.Attribute("d")!).Split(['M', 'L'], StringSplitOptions.RemoveEmptyEntries).Select(p => p.Split(' '))
            .Select(p => (double.Parse(p[0], CultureInfo.InvariantCulture), double.Parse(p[1], CultureInfo.InvariantCulture))),
    ];

    /// <summary>Fails when a text leaves the drawing or covers another one.</summary>
    public void AssertTextsAreApart()
    {
        double[] view = [.. ((string)_root.Attribute("viewBox")!).Split(' ').Select(v => double.Parse(v, CultureInfo.InvariantCulture))];
        var boxes = _root.Descendants(_svg + "text").Where(t => t.Attribute("transform") is null).Select(t => (t.Value, Box: BoxOf(t))).ToArray();
        for (int i = 0; i < boxes.Length; i++)
        {
            Assert.True(boxes[i].Box.Left >= -1 && boxes[i].Box.Right <= view[2] + 1 && boxes[i].Box.Bottom <= view[3], $"'{boxes[i].Value}' leaves the figure: {boxes[i].Box} in {view[2]} x {view[3]}");
            foreach (var other in boxes.Skip(i + 1))
            {
                Assert.False(boxes[i].Box.Overlaps(other.Box), $"'{boxes[i].Value}' covers '{other.Value}'");
            }
        }
    }

    private static Box BoxOf(XElement text)
    {
        double size = ((string)text.Attribute("class")!).Contains("small", StringComparison.Ordinal) ? 11 : 15;
        double x = (double)text.Attribute("x")!, y = (double)text.Attribute("y")!, width = 0.93 * FigureStyle.TextWidth(text.Value, size);
        double left = (string)text.Attribute("text-anchor")! switch { "end" => x - width, "middle" => x - (width / 2), _ => x };
        return new Box(left, y - (0.7 * size), left + width, y + (0.15 * size));
    }

    private static double? Parse(string label)
    {
        string[] words = label.Split(' ');
        double scale = words is [_, "KiB"] ? 1 << 10 : words is [_, "MiB"] ? 1 << 20 : words is [_, "GiB"] ? 1L << 30 : words is [_, "B"] ? 1 : double.NaN;
        string number = double.IsNaN(scale) ? label : words[0];
        scale = double.IsNaN(scale) ? 1 : scale;
        (number, scale) = number[^1] switch { 'k' => (number[..^1], 1e3), 'M' => (number[..^1], 1e6), 'G' => (number[..^1], 1e9), _ => (number, scale) };
        return double.TryParse(number, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) ? value * scale : null;
    }
}
