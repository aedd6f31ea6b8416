using System.Globalization;

namespace NativeEngine.Reporting;

/// <summary>A tick of an axis.</summary>
/// <param name="Value">Where.</param>
/// <param name="Label">What is written, or null for a grid line alone.</param>
internal readonly record struct AxisTick(double Value, string? Label);

/// <summary>Maps values to positions on an axis, linearly or by their logarithm, and chooses its ticks.</summary>
/// <param name="Low">Value at <paramref name="Start"/>.</param>
/// <param name="High">Value at <paramref name="Stop"/>; more than Low.</param>
/// <param name="Start">Position of Low.</param>
/// <param name="Stop">Position of High; less than Start for an axis that points up.</param>
/// <param name="Logarithmic">Whether equal ratios have equal lengths; Low is then positive.</param>
internal sealed record AxisScale(double Low, double High, double Start, double Stop, bool Logarithmic)
{
    /// <summary>The position of a value; values outside are placed outside.</summary>
    public double At(double value) => Start + ((Stop - Start) * (Logarithmic
        ? (Math.Log10(value) - Math.Log10(Low)) / (Math.Log10(High) - Math.Log10(Low))
        : (value - Low) / (High - Low)));

    /// <summary>
    /// Round values within the range: multiples of 1, 2 or 5 times a power of ten, about <paramref name="wanted"/> of them; on a logarithmic axis
    /// powers of ten with labels, and between them 2 and 5 (labelled where there are fewer than three decades). Never so few that a value between them
    /// cannot be read: two, or on a logarithmic axis three, below which it takes steps as a linear one does.
    /// </summary>
    public IReadOnlyList<AxisTick> Ticks(int wanted = 6)
    {
        var ticks = Logarithmic ? Decades() : Steps(wanted);
        for (int least = Logarithmic ? 3 : 2; ticks.Count(t => t.Label is not null) < least; wanted++)
        {
            ticks = Steps(wanted);
        }
        return ticks;
    }

    /// <summary>A logarithmic axis whose ends are powers of ten around the values.</summary>
    public static AxisScale AroundLog(double low, double high, double start, double stop)
    {
        double bottom = Math.Floor(Math.Log10(low) + 1e-9), top = Math.Ceiling(Math.Log10(high) - 1e-9);
        return new AxisScale(Math.Pow(10, bottom), Math.Pow(10, Math.Max(top, bottom + 1)), start, stop, Logarithmic: true);
    }

    /// <summary>A value as short as it can be told: 0.01, 250, 20k, 3M.</summary>
    public static string Label(double value)
    {
        var (scaled, suffix) = Math.Abs(value) switch
        {
            >= 1e9 => (value / 1e9, "G"),
            >= 1e6 => (value / 1e6, "M"),
            >= 1e4 => (value / 1e3, "k"),
            _ => (value, ""),
        };
        return scaled.ToString("0.######", CultureInfo.InvariantCulture) + suffix;
    }

    private List<AxisTick> Steps(int wanted)
    {
        double rough = (High - Low) / Math.Max(1, wanted), power = Math.Pow(10, Math.Floor(Math.Log10(rough)));
        double step = power * ((rough / power) switch { <= 1.0000001 => 1, <= 2.0000001 => 2, <= 5.0000001 => 5, _ => 10 });
        var ticks = new List<AxisTick>();
        for (long i = (long)Math.Ceiling((Low / step) - 1e-9); i * step <= High + (step * 1e-9); i++)
        {
            // A multiple of the step has the step's decimals and no more.
            double value = Math.Round(i * step, Math.Clamp((int)Math.Ceiling(-Math.Log10(step)) + 1, 0, 15));
            ticks.Add(new AxisTick(value, Label(value)));
        }
        return ticks;
    }

    private List<AxisTick> Decades()
    {
        bool few = Math.Log10(High / Low) < 3;
        var ticks = new List<AxisTick>();
        for (int exponent = (int)Math.Floor(Math.Log10(Low) - 1e-9); exponent <= Math.Log10(High) + 1e-9; exponent++)
        {
            foreach (int factor in (int[])[1, 2, 5])
            {
                double value = double.Parse($"{factor}e{exponent}", CultureInfo.InvariantCulture);
                if (value >= Low * (1 - 1e-9) && value <= High * (1 + 1e-9))
                {
                    ticks.Add(new AxisTick(value, factor == 1 || few ? Label(value) : null));
                }
            }
        }
        return ticks;
    }
}
