namespace NativeEngine.Reporting;

/// <summary>A rectangle that something occupies.</summary>
internal readonly record struct Box(double Left, double Top, double Right, double Bottom)
{
    /// <summary>Whether the interiors have a point in common.</summary>
    public bool Overlaps(Box other) => Left < other.Right && other.Left < Right && Top < other.Bottom && other.Top < Bottom;

    /// <summary>Whether another lies inside.</summary>
    public bool Holds(Box other) => other.Left >= Left && other.Right <= Right && other.Top >= Top && other.Bottom <= Bottom;
}

/// <summary>Where a label's text is to be written.</summary>
internal readonly record struct PlacedLabel(double X, double Y, string Anchor, Box Box);

/// <summary>
/// Puts labels beside points so that none leaves the area or covers another label or a point: first come, first served, right of the point
/// if possible, then left, above, below and the corners, then the same farther away. A label without room is not placed.
/// </summary>
internal sealed class LabelPlacer(Box area)
{
    private readonly List<Box> _taken = [];

    /// <summary>Keeps a place free of labels.</summary>
    public void Reserve(Box box) => _taken.Add(box);

    /// <summary>Whether nothing is there.</summary>
    public bool IsFree(Box box) => !_taken.Exists(box.Overlaps);

    /// <summary>Finds room for a label of a text beside a point, and takes it; null when there is none.</summary>
    public PlacedLabel? Place(double x, double y, double gap, string text, double size)
    {
        double width = FigureStyle.TextWidth(text, size), ascent = 0.8 * size, descent = 0.25 * size, middle = (ascent - descent) / 2;
        foreach (double distance in (double[])[gap, gap + 6, gap + 14])
        {
            (double X, double Y, string Anchor)[] candidates =
            [
                (x + distance, y + middle, "start"), (x - distance, y + middle, "end"), (x, y - distance - descent, "middle"),
                (x, y + distance + ascent, "middle"), (x + distance, y - distance, "start"), (x + distance, y + distance + middle, "start"),
                (x - distance, y - distance, "end"), (x - distance, y + distance + middle, "end"),
            ];
            foreach (var (left, baseline, anchor) in candidates)
            {
                double start = anchor switch { "start" => left, "end" => left - width, _ => left - (width / 2) };
                var box = new Box(start, baseline - ascent, start + width, baseline + descent);
                if (area.Holds(box) && !_taken.Exists(box.Overlaps))
                {
                    _taken.Add(box);
                    return new PlacedLabel(left, baseline, anchor, box);
                }
            }
        }
        return null;
    }
}
