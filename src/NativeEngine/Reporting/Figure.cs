namespace NativeEngine.Reporting;

/// <summary>
/// A figure of a report: numbers and how they are drawn. It is drawn twice, for a desk and for a phone, and the same numbers give the same bytes.
/// </summary>
public abstract class Figure
{
    /// <summary>Width of the drawing for a desk, a page and a file of its own.</summary>
    public const double WideWidth = 720;

    /// <summary>Width of the drawing for a phone.</summary>
    public const double NarrowWidth = 350;

    /// <summary>The file's name without ending: lower-case words joined by hyphens.</summary>
    public required string Name { get; init; }

    /// <summary>What it shows.</summary>
    public required string Title { get; init; }

    /// <summary>What can be seen in it, for who cannot; the page shows it below the figure.</summary>
    public string Caption { get; init; } = "";

    /// <summary>The numbers it is drawn from.</summary>
    public abstract DataTable Data { get; }

    /// <summary>One standalone SVG of the given width.</summary>
    public abstract string Draw(double width);

    /// <summary>A document with the heading, wrapped; Top is where the rest may begin.</summary>
    private protected (SvgDocument Svg, double Top) Begin(double width, Func<double, double> height)
    {
        string[] lines = Wrap(Title, width - 16, 16.5);
        double top = 10 + (20 * lines.Length);
        var svg = new SvgDocument(width, height(top), Title, Caption.Length > 0 ? Caption : Title);
        for (int i = 0; i < lines.Length; i++)
        {
            svg.Text("heading", 8, 22 + (20 * i), lines[i]);
        }
        return (svg, top);
    }

    /// <summary>Colour classes of series, in order.</summary>
    private protected static string Colour(int series) => ((char)('a' + (series % 6))).ToString();

    /// <summary>Lines of words that fit a width.</summary>
    internal static string[] Wrap(string text, double width, double size)
    {
        var lines = new List<string>();
        string line = "";
        foreach (string word in text.Split(' '))
        {
            string longer = line.Length == 0 ? word : line + " " + word;
            if (line.Length > 0 && FigureStyle.TextWidth(longer, size) > width)
            {
                lines.Add(line);
                longer = word;
            }
            line = longer;
        }
        lines.Add(line);
        return [.. lines];
    }

    /// <summary>The beginning of a text that fits a width, with an ellipsis where it was cut.</summary>
    private protected static string Fit(string text, double width, double size)
    {
        if (FigureStyle.TextWidth(text, size) <= width)
        {
            return text;
        }
        int length = text.Length;
        while (length > 1 && FigureStyle.TextWidth(text[..length], size) + (0.9 * size) > width)
        {
            length--;
        }
        return text[..(char.IsHighSurrogate(text[length - 1]) ? length - 1 : length)].TrimEnd() + "…";
    }

    /// <summary>Height of a line of a folded name.</summary>
    private protected const double NameLine = 12;

    /// <summary>
    /// A name as at most so many lines that fit a width, broken after spaces and joints (+ , ; / _ - . = :), else within a word. What does not fit ends in an ellipsis.
    /// </summary>
    internal static string[] Fold(string name, double width, double size, int most)
    {
        var lines = new List<string>();
        int start = 0;
        while (start < name.Length && lines.Count < most - 1 && FigureStyle.TextWidth(name[start..], size) > width)
        {
            int end = start + 1;
            while (end < name.Length && FigureStyle.TextWidth(name[start..(end + 1)].TrimEnd(), size) <= width)
            {
                end++;
            }
            // Between the parts of a name rather than within one, unless that leaves most of the line empty.
            int joint = name.LastIndexOfAny([' ', '+', ',', ';'], end - 1, end - start);
            if (joint - start < 0.3 * (end - start))
            {
                joint = name.LastIndexOfAny([' ', '+', ',', ';', '/', '_', '-', '.', '=', ':'], end - 1, end - start);
            }
            end = joint > start ? joint + 1 : char.IsHighSurrogate(name[end - 1]) ? end + 1 : end;
            lines.Add(name[start..end].TrimEnd());
            start = end + (name.AsSpan(end).Length - name.AsSpan(end).TrimStart().Length);
        }
        lines.Add(Fit(name[start..], width, size));
        return [.. lines];
    }

    /// <summary>A folded name that ends at a position, its lines around a height; where it was cut a tooltip tells the whole.</summary>
    private protected static void WriteName(SvgDocument svg, double right, double middle, string[] lines, string name)
    {
        bool cut = lines[^1].EndsWith('…') && !name.EndsWith('…');
        if (cut)
        {
            svg.Group("hint", name);
        }
        for (int i = 0; i < lines.Length; i++)
        {
            svg.Text("small", right, middle + 4 + ((i - ((lines.Length - 1) / 2.0)) * NameLine), lines[i], "end");
        }
        if (cut)
        {
            svg.End();
        }
    }

    /// <summary>Swatches with names, wrapped; returns the height used. Draws nothing without a document.</summary>
    private protected static double Legend(SvgDocument? svg, double top, double width, IReadOnlyList<(string Css, string Name)> entries)
    {
        double x = 8, y = top + 12;
        foreach (var (css, name) in entries)
        {
            string text = Fit(name, width - 40, FigureStyle.SmallSize);
            double wide = 18 + FigureStyle.TextWidth(text, FigureStyle.SmallSize) + 14;
            if (x > 8 && x + wide - 14 > width - 4)
            {
                (x, y) = (8, y + 17);
            }
            if (svg is not null)
            {
                svg.Rectangle("swatch " + css, x, y - 9, 12, 10);
                svg.Text("small", x + 18, y, text);
            }
            x += wide;
        }
        return entries.Count == 0 ? 0 : y + 6 - top;
    }
}

/// <summary>A figure that is drawn elsewhere, with its numbers.</summary>
/// <param name="data">The numbers.</param>
/// <param name="draw">The SVG of a width.</param>
public sealed class DrawnFigure(DataTable data, Func<double, string> draw) : Figure
{
    /// <inheritdoc/>
    public override DataTable Data => data;

    /// <inheritdoc/>
    public override string Draw(double width) => draw(width);
}
