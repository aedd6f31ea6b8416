using System.Globalization;
using NativeEngine.Ablation.Mixtures;

namespace NativeEngine.Ablation.Ranking;

/// <summary>
/// A level correction: the stand-in is seed + lambda (average - seed) with lambda = factor k^power for a mixture of k effective units,
/// k = 1 / sum of w^2. An average of k units has moved 1/k as far for each of them, while the true training takes k times the steps; lambda 1
/// is the plain average, lambda k the sum of all changes.
/// </summary>
/// <param name="Factor">Positive.</param>
/// <param name="Power">0 for a constant level.</param>
public readonly record struct LevelRule(double Factor, double Power)
{
    /// <summary>The plain average.</summary>
    public static LevelRule Plain { get; } = new(1, 0);

    /// <summary>lambda for a mixture.</summary>
    public double Of(Mixture mixture) => Power == 0 ? Factor : Factor * Math.Pow(1 / mixture.Units.Sum(u => mixture.Weights[u] * mixture.Weights[u]), Power);

    /// <summary>Reads "1.5", "k", "k^0.5" or "0.8*k^0.5"; null when it is none of these.</summary>
    public static LevelRule? Parse(string text)
    {
        string[] parts = text.Replace(" ", "", StringComparison.Ordinal).Split('*');
        double factor = 1, power = 0;
        foreach (string part in parts)
        {
            if (part == "k")
            {
                power = 1;
            }
            else if (part.StartsWith("k^", StringComparison.Ordinal) && double.TryParse(part.AsSpan(2), NumberStyles.Float, CultureInfo.InvariantCulture, out double p))
            {
                power = p;
            }
            else if (double.TryParse(part, NumberStyles.Float, CultureInfo.InvariantCulture, out double f))
            {
                factor = f;
            }
            else
            {
                return null;
            }
        }
        return parts.Length <= 2 && factor > 0 && double.IsFinite(factor) && double.IsFinite(power) ? new LevelRule(factor, power) : null;
    }

    /// <summary>As it is read.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{(Power == 0 || Factor != 1 ? $"{Factor}" : "")}{(Power != 0 && Factor != 1 ? "*" : "")}{(Power == 0 ? "" : Power == 1 ? "k" : $"k^{Power}")}");
}
