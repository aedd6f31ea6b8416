using System.Globalization;

namespace NativeEngine.Selection;

/// <summary>How it is decided that a source is small, so that all its examples in a pool are kept.</summary>
public enum SmallSourceKind
{
    /// <summary>No source is small.</summary>
    None,
    /// <summary>Size strictly below the mean size (the paper's rule).</summary>
    BelowMean,
    /// <summary>Size strictly below a fraction of the mean size.</summary>
    FractionOfMean,
    /// <summary>Size strictly below a quantile of the sizes.</summary>
    Quantile,
    /// <summary>Expected number of examples in a pool strictly below a threshold.</summary>
    ExpectedCount,
    /// <summary>An explicit list of source ids.</summary>
    Listed,
}

/// <summary>
/// The rule for small sources (arXiv 2407.19580, section 4.1, and the variants its reviewers asked for). All comparisons are strict and exact
/// (decimal arithmetic): sizes [10, 20, 30] have the small source 0 only, equal sizes none.
/// </summary>
public sealed record SmallSourceRule
{
    private SmallSourceRule(SmallSourceKind kind, decimal threshold = 0, IReadOnlyList<int>? listed = null) =>
        (Kind, Threshold, Sources) = (kind, threshold, listed ?? []);

    /// <summary>The kind of rule.</summary>
    public SmallSourceKind Kind { get; }

    /// <summary>The fraction, quantile or count of the rule; 0 where it has none.</summary>
    public decimal Threshold { get; }

    /// <summary>The ids of <see cref="SmallSourceKind.Listed"/>.</summary>
    public IReadOnlyList<int> Sources { get; }

    /// <summary>No small source.</summary>
    public static SmallSourceRule None { get; } = new(SmallSourceKind.None);

    /// <summary>size * c &lt; total, c the number of sources.</summary>
    public static SmallSourceRule BelowMean { get; } = new(SmallSourceKind.BelowMean);

    /// <summary>size * c &lt; fraction * total.</summary>
    public static SmallSourceRule FractionOfMean(decimal fraction) => new(SmallSourceKind.FractionOfMean, fraction);

    /// <summary>size &lt; the entry floor(q (c - 1)) of the ascending sizes, q in [0, 1].</summary>
    public static SmallSourceRule Quantile(decimal q) => new(SmallSourceKind.Quantile, q);

    /// <summary>size * poolSize &lt; count * total.</summary>
    public static SmallSourceRule ExpectedCount(decimal count) => new(SmallSourceKind.ExpectedCount, count);

    /// <summary>Exactly these ids.</summary>
    public static SmallSourceRule Listed(params IReadOnlyList<int> sources) => new(SmallSourceKind.Listed, listed: sources);

    /// <summary>
    /// Reads a rule as the command line writes it: none, small, mean:0.5, quantile:0.25, expected:4, or ids like 0,3. Errors: Usage.
    /// </summary>
    public static SmallSourceRule Parse(string text)
    {
        string[] parts = text.Split(':', 2);
        if (parts.Length == 2 && decimal.TryParse(parts[1], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out decimal value))
        {
            switch (parts[0])
            {
                case "mean": return FractionOfMean(value);
                case "quantile" when value <= 1: return Quantile(value);
                case "expected": return ExpectedCount(value);
            }
        }
        if (text is "none" or "small")
        {
            return text == "none" ? None : BelowMean;
        }
        var ids = new List<int>();
        foreach (string piece in text.Split(',', StringSplitOptions.TrimEntries))
        {
            if (!int.TryParse(piece, NumberStyles.None, CultureInfo.InvariantCulture, out int id))
            {
                throw new EngineException(
                    ErrorKind.Usage, $"the rule for kept sources is \"{text}\"",
                    "write none, small, mean:FRACTION, quantile:Q with Q at most 1, expected:COUNT, or source ids like 0,3");
            }
            ids.Add(id);
        }
        return Listed(ids);
    }

    /// <summary>
    /// The ids of the small sources, ascending. Sizes are examples per source in the whole data set; a source without examples is never small.
    /// </summary>
    /// <param name="sizes">Examples of each source.</param>
    /// <param name="poolSize">Examples in a pool; only <see cref="SmallSourceKind.ExpectedCount"/> uses it.</param>
    public int[] Apply(ReadOnlySpan<int> sizes, int poolSize = 0)
    {
        decimal total = 0;
        foreach (int size in sizes)
        {
            total += size;
        }
        int[] ascending = sizes.ToArray();
        Array.Sort(ascending);
        var small = new List<int>();
        for (int id = 0; id < sizes.Length; id++)
        {
            decimal size = sizes[id];
            bool isSmall = Kind switch
            {
                SmallSourceKind.None => false,
                SmallSourceKind.BelowMean => size * sizes.Length < total,
                SmallSourceKind.FractionOfMean => size * sizes.Length < Threshold * total,
                SmallSourceKind.Quantile => size < ascending[(int)(Threshold * (sizes.Length - 1))],
                SmallSourceKind.ExpectedCount => size * poolSize < Threshold * total,
                _ => Sources.Contains(id),
            };
            if (isSmall && size > 0)
            {
                small.Add(id);
            }
        }
        return [.. small];
    }

    /// <summary>The rule as <see cref="Parse"/> reads it.</summary>
    public override string ToString() => Kind switch
    {
        SmallSourceKind.None => "none",
        SmallSourceKind.BelowMean => "small",
        SmallSourceKind.FractionOfMean => "mean:" + Threshold.ToString(CultureInfo.InvariantCulture),
        SmallSourceKind.Quantile => "quantile:" + Threshold.ToString(CultureInfo.InvariantCulture),
        SmallSourceKind.ExpectedCount => "expected:" + Threshold.ToString(CultureInfo.InvariantCulture),
        _ => string.Join(',', Sources),
    };
}
