using System.Globalization;
using System.Text;

namespace NativeEngine.Reporting;

/// <summary>
/// Builds one standalone SVG: no script, no fonts or files from elsewhere, the same bytes for the same calls. Coordinates have at most two
/// decimals. Colours are CSS variables that follow the reader's light or dark preference; a page that embeds the figure may set them.
/// </summary>
internal sealed class SvgDocument
{
    private readonly StringBuilder _text = new();
    private readonly Stack<string> _open = new();

    /// <param name="width">Width of the drawing in its own units, which are pixels where there is room.</param>
    /// <param name="height">Height.</param>
    /// <param name="title">What it shows, read aloud and shown as a tooltip.</param>
    /// <param name="description">What can be seen in it, for who cannot.</param>
    /// <param name="style">CSS rules besides <see cref="FigureStyle.Common"/>.</param>
    public SvgDocument(double width, double height, string title, string description, string style = "")
    {
        // The width is relative, up to half as large again: a phone shrinks the figure, a desk enlarges it.
        _text.Append(CultureInfo.InvariantCulture,
            $"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {Number(width)} {Number(height)}\" width=\"100%\" style=\"max-width:{Number(1.5 * width)}px\" role=\"img\" aria-labelledby=\"figure-title figure-description\">\n");
        _open.Push("svg");
        Element("title", title, ("id", "figure-title"));
        Element("desc", description, ("id", "figure-description"));
        Element("style", FigureStyle.Common + style);
        Rectangle("ground", 0, 0, width, height);
    }

    /// <summary>Opens a group; end it with <see cref="End"/>. With a title it has a tooltip.</summary>
    public void Group(string cssClass, string? title = null)
    {
        Indent().Append(CultureInfo.InvariantCulture, $"<g class=\"{cssClass}\">\n");
        _open.Push("g");
        if (title is not null)
        {
            Element("title", title);
        }
    }

    /// <summary>Ends the innermost group.</summary>
    public void End()
    {
        string name = _open.Pop();
        Indent().Append(CultureInfo.InvariantCulture, $"</{name}>\n");
    }

    /// <summary>A straight line.</summary>
    public void Line(string cssClass, double x1, double y1, double x2, double y2) =>
        Element("line", null, ("class", cssClass), ("x1", Number(x1)), ("y1", Number(y1)), ("x2", Number(x2)), ("y2", Number(y2)));

    /// <summary>An open line through points.</summary>
    public void Path(string cssClass, IEnumerable<(double X, double Y)> points) => Element(
        "path", null, ("class", cssClass), ("d", string.Concat(points.Select((p, i) => $"{(i == 0 ? "M" : "L")}{Number(p.X)} {Number(p.Y)}"))));

    /// <summary>A rectangle, with a tooltip and an opacity of its filling where they are given.</summary>
    public void Rectangle(string cssClass, double x, double y, double width, double height, string? title = null, double? opacity = null)
    {
        if (title is not null)
        {
            Group("hint", title);
        }
        Element(
            "rect", null, ("class", cssClass), ("x", Number(x)), ("y", Number(y)), ("width", Number(width)), ("height", Number(height)),
            ("fill-opacity", opacity is { } value ? Number(value) : null));
        if (title is not null)
        {
            End();
        }
    }

    /// <summary>Separate straight lines as one path.</summary>
    public void Segments(string cssClass, IEnumerable<((double X, double Y) From, (double X, double Y) To)> segments) => Element(
        "path", null, ("class", cssClass),
        ("d", string.Concat(segments.Select(s => s.From == s.To
            ? $"M{Number(s.From.X)} {Number(s.From.Y)}h0" : $"M{Number(s.From.X)} {Number(s.From.Y)}L{Number(s.To.X)} {Number(s.To.Y)}"))));

    /// <summary>A dot with a tooltip.</summary>
    public void Dot(string cssClass, double x, double y, double radius, string title)
    {
        Group(cssClass, title);
        Element("circle", null, ("cx", Number(x)), ("cy", Number(y)), ("r", Number(radius)));
        End();
    }

    /// <summary>Text whose anchor is start, middle or end; turned by degrees around its anchor.</summary>
    public void Text(string cssClass, double x, double y, string text, string anchor = "start", double degrees = 0) => Element(
        "text", text, ("class", cssClass), ("x", Number(x)), ("y", Number(y)), ("text-anchor", anchor),
        ("transform", degrees == 0 ? null : $"rotate({Number(degrees)} {Number(x)} {Number(y)})"));

    /// <summary>Ends everything and gives the document.</summary>
    public string Finish()
    {
        while (_open.Count > 0)
        {
            End();
        }
        return _text.ToString();
    }

    /// <summary>A number as SVG reads it, with at most two decimals.</summary>
    public static string Number(double value)
    {
        if (!double.IsFinite(value))
        {
            throw new ArgumentOutOfRangeException(nameof(value), value, "a coordinate of a figure must be finite");
        }
        string text = Math.Round(value, 2).ToString("0.##", CultureInfo.InvariantCulture);
        return text == "-0" ? "0" : text;
    }

    private void Element(string name, string? content, params ReadOnlySpan<(string Name, string? Value)> attributes)
    {
        Indent().Append('<').Append(name);
        foreach (var (attribute, value) in attributes)
        {
            if (value is not null)
            {
                _text.Append(' ').Append(attribute).Append("=\"").Append(Escape(value)).Append('"');
            }
        }
        if (content is null)
        {
            _text.Append("/>\n");
        }
        else
        {
            _text.Append('>').Append(Escape(content)).Append("</").Append(name).Append(">\n");
        }
    }

    private StringBuilder Indent() => _text.Append(' ', 2 * _open.Count);

    // What XML 1.0 cannot hold at all becomes a replacement character.
    private static string Escape(string text)
    {
        var escaped = new StringBuilder(text.Length);
        foreach (char c in text)
        {
            _ = c switch
            {
                '&' => escaped.Append("&amp;"),
                '<' => escaped.Append("&lt;"),
                '>' => escaped.Append("&gt;"),
                '"' => escaped.Append("&quot;"),
                '\n' or '\t' => escaped.Append(c),
                < ' ' or '\uFFFE' or '\uFFFF' => escaped.Append('\uFFFD'),
                _ => escaped.Append(c),
            };
        }
        return escaped.ToString();
    }
}
