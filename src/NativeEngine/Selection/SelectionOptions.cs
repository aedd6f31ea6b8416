using NativeEngine.Devices;

namespace NativeEngine.Selection;

/// <summary>Which examples of the kept sources are taken when they exceed the budget.</summary>
public enum OverflowPolicy
{
    /// <summary>The first in pool order.</summary>
    First,
    /// <summary>A random sample, in pool order.</summary>
    Random,
}

/// <summary>How facility location is maximised.</summary>
public enum SelectionAlgorithm
{
    /// <summary>Exact, sparse or partitioned by the number of candidates and picks; see <see cref="SelectionChoice.For"/>.</summary>
    Auto,
    /// <summary>Greedy over all candidates of a source, with an n x n matrix.</summary>
    Exact,
    /// <summary>
    /// Stochastic greedy over the lists of <see cref="Sparse"/>: every pick is the best of a random sample of (n / k) ln 20 candidates. In expectation at
    /// least 1 - 1/e - 0.05 of the best truncated objective (Mirzasoleiman et al. 2015); gains may increase from one pick to the next.
    /// </summary>
    Stochastic,
    /// <summary>
    /// Exact greedy within random parts that share the quota in proportion: no n x n matrix for the greedy. With F_p the objective of part p alone and A its
    /// picks, F(A) is at least the sum of F_p(A_p), each at least (1 - 1/e) of the best within its part; nothing is promised against the best of the
    /// whole, whose share the certificate measures. Parts lose neighbours: where few rows resemble each other, sparse does better (docs/selection.md).
    /// Objective, owners and certificate are those of the whole source, from one more pass over all pairs.
    /// </summary>
    Partitioned,
    /// <summary>Greedy over the nearest neighbours of each candidate, without an n x n matrix: the objective truncated at the last neighbour.</summary>
    Sparse,
}

/// <summary>
/// What pairs of rows are first compared in where only the nearest are needed (<see cref="ScreenedNeighbours"/>). Every distance that decides is float32's, so
/// the picks are the same.
/// </summary>
public enum SelectionPrecision
{
    /// <summary>float32 for all pairs.</summary>
    Fp32,
    /// <summary>
    /// 16 bits: integers evenly spaced over the features' range. Sums of |a - b| of bfloat16 values, with 8 significant bits, would err a hundred times as much and are not quicker.
    /// </summary>
    Bf16,
    /// <summary>8-bit integers.</summary>
    Int8,
}

/// <summary>Which columns of the features distances are taken over.</summary>
public enum ColumnMode
{
    /// <summary>Largest absolute mean (the method).</summary>
    Largest,
    /// <summary>Smallest absolute mean.</summary>
    Smallest,
    /// <summary>A random set, the same for all sources of a step.</summary>
    Random,
    /// <summary>Drawn without replacement, in proportion to the absolute mean.</summary>
    Sampling,
    /// <summary>Half smallest, then half largest.</summary>
    LargestSmallest,
}

/// <summary>Everything that decides a selection except the features, the sources and the history.</summary>
public sealed record SelectionOptions
{
    /// <summary>Examples to select from a pool, kept ones included (B).</summary>
    public required int Budget { get; init; }

    /// <summary>Ids of the sources whose examples are kept whole (see <see cref="SmallSourceRule.Apply"/>).</summary>
    public IReadOnlyCollection<int> KeptSources { get; init; } = [];

    /// <summary>How rows are compared.</summary>
    public DistanceMetric Metric { get; init; } = DistanceMetric.L1;

    /// <summary>Columns kept per source (h); 0 or more than there are: all.</summary>
    public int Top { get; init; }

    /// <summary>Which columns.</summary>
    public ColumnMode TopMode { get; init; } = ColumnMode.Largest;

    /// <summary>How the budget is shared.</summary>
    public QuotaRule Quota { get; init; } = QuotaRule.Proportional;

    /// <summary>Rounding of proportional shares.</summary>
    public QuotaRounding Rounding { get; init; } = QuotaRounding.Floor;

    /// <summary>What to take when kept examples exceed the budget.</summary>
    public OverflowPolicy Overflow { get; init; } = OverflowPolicy.First;

    /// <summary>How the objective is maximised.</summary>
    public SelectionAlgorithm Algorithm { get; init; } = SelectionAlgorithm.Auto;

    /// <summary>Candidates of a source up to which auto is exact: a matrix of 1 GiB.</summary>
    public int ExactLimit { get; init; } = 16_384;

    /// <summary>Largest part of <see cref="SelectionAlgorithm.Partitioned"/>, where <see cref="Parts"/> does not say.</summary>
    public int PartSize { get; init; } = 16_384;

    /// <summary>Parts of <see cref="SelectionAlgorithm.Partitioned"/>; 0: as few as <see cref="PartSize"/> allows.</summary>
    public int Parts { get; init; }

    /// <summary>Neighbours kept of each candidate where there is no matrix; 0: eight times the candidates for each pick, from 64 to 1024.</summary>
    public int Neighbours { get; init; }

    /// <summary>What pairs are first compared in.</summary>
    public SelectionPrecision Precision { get; init; } = SelectionPrecision.Fp32;

    /// <summary>Candidates of a source from which on comparing in integers first saves time.</summary>
    public int ScreenFrom { get; init; } = 16_384;

    /// <summary>Seed of everything random: overflow, balanced quotas, random columns and arms.</summary>
    public ulong Seed { get; init; }

    /// <summary>Refuses what this build does not have and values out of range. Errors: Usage.</summary>
    public void Validate()
    {
        if (Budget < 1)
        {
            throw new EngineException(ErrorKind.Usage, $"a budget of {Budget} selects nothing", "give a budget of at least 1");
        }
        if (Top < 0)
        {
            throw new EngineException(ErrorKind.Usage, $"{Top} columns cannot be kept", "give a number of at least 1, or leave it out to keep all");
        }
        if (Parts < 0 || Neighbours < 0)
        {
            throw new EngineException(ErrorKind.Usage, $"{Parts} parts and {Neighbours} neighbours were asked for", "give positive numbers, or 0 for the default");
        }
        if (PartSize < 2)
        {
            throw new EngineException(ErrorKind.Usage, $"parts of {PartSize} candidates leave nothing to choose", "give a part size of at least 2");
        }
    }

    /// <summary>Why the pairs of n candidates would not be screened with these options although <see cref="Precision"/> asks for it; null when they are.</summary>
    public string? WhyNotScreened(long n) =>
        Metric != DistanceMetric.L1 ? $"{Metric.ToString().ToLowerInvariant()} has no integer bounds, so everything was computed in float32"
        : n < ScreenFrom ? FormattableString.Invariant($"below {ScreenFrom} candidates float32 is quicker")
        : null;
}
