namespace NativeEngine.Ablation.Statistics;

/// <summary>
/// An interval with the share of repetitions it is meant to cover. Undefined (both ends NaN) where the data do not determine it; an
/// undefined number is never shown as 0.
/// </summary>
/// <param name="Low">Lower end.</param>
/// <param name="High">Upper end.</param>
/// <param name="Confidence">The stated coverage, for example 0.9.</param>
public readonly record struct Interval(double Low, double High, double Confidence)
{
    /// <summary>Whether both ends are numbers.</summary>
    public bool IsDefined => !double.IsNaN(Low) && !double.IsNaN(High);

    /// <summary>Whether a value lies inside; false when undefined.</summary>
    public bool Contains(double value) => value >= Low && value <= High;

    /// <summary>No interval.</summary>
    public static Interval Undefined(double confidence) => new(double.NaN, double.NaN, confidence);
}
