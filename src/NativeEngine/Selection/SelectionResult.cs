namespace NativeEngine.Selection;

/// <summary>One source's part in a selection.</summary>
/// <param name="Source">Source id, <see cref="SelectionPlan.AllSources"/> where sources competed together.</param>
/// <param name="Size">Examples of the source in the pool that took part.</param>
/// <param name="Budget">Its quota.</param>
/// <param name="Selected">Examples selected.</param>
/// <param name="Kept">Whether it was kept whole (as far as the budget went).</param>
/// <param name="Objective">F of its picks; 0 where nothing was chosen by the objective (kept, taken whole, quota 0, random).</param>
/// <param name="Algorithm">How it was maximised; null where nothing was chosen by the objective.</param>
public sealed record SourceShare(int Source, int Size, int Budget, int Selected, bool Kept, double Objective, SelectionAlgorithm? Algorithm = null);

/// <summary>
/// How good a selection provably is: no selection with the same quotas has an objective above <paramref name="UpperBound"/>. Ratio = objective /
/// bound (1 when both are 0). For exact greedy it is at least 1 - 1/e. Always of the whole source, never of a part.
/// </summary>
public sealed record SelectionCertificate(double UpperBound, double Ratio);

/// <summary>Milliseconds of each part of a selection.</summary>
public sealed record SelectionTiming(double Normalize, double TopK, double Distance, double Greedy, double Total);

/// <summary>
/// The selected examples and the reasons. Positions are those of the pool. Kept + taken part + dropped = pool.
/// </summary>
public sealed record SelectionResult
{
    /// <summary>Selected positions in training order: kept ascending, then for each source ascending its picks in greedy order.</summary>
    public required IReadOnlyList<int> Indices { get; init; }

    /// <summary>How many examples each selected one stands for, itself included: cluster size, 1 for kept ones.</summary>
    public required IReadOnlyList<int> Weights { get; init; }

    /// <summary>
    /// Gain of every pick; null for kept examples, sources taken whole, and random picks. In the objective with the exact algorithm, in the truncated
    /// objective with sparse and stochastic, in its part's objective with partitioned.
    /// </summary>
    public required IReadOnlyList<double?> Gains { get; init; }

    /// <summary>Sum over the sources of F(A) = sum over members i of max(0, max over picks j of S[i,j]), of those that ran the greedy.</summary>
    public required double Objective { get; init; }

    /// <summary>Selected positions that belong to kept sources, ascending.</summary>
    public required IReadOnlyList<int> Kept { get; init; }

    /// <summary>Positions that took no part, and why.</summary>
    public required IReadOnlyList<DroppedExample> Dropped { get; init; }

    /// <summary>Every source of the pool, ascending.</summary>
    public required IReadOnlyList<SourceShare> Sources { get; init; }

    /// <summary>For every position of the pool the selected position that represents it; -1 where none does.</summary>
    public required IReadOnlyList<int> Owners { get; init; }

    /// <summary>The proof of quality; null for random selections.</summary>
    public SelectionCertificate? Certificate { get; init; }

    /// <summary>How the largest source was selected, and why; null where nothing was chosen by the objective.</summary>
    public SelectionChoice? Choice { get; init; }

    /// <summary>What a lower precision did for the picks, which are float32's; null where none was asked for.</summary>
    public SelectionScreening? Screening { get; init; }

    /// <summary>Where the time went.</summary>
    public required SelectionTiming Timing { get; init; }

    /// <summary>What a run came to, as a document of its own.</summary>
    internal static SelectionResult Of(SelectionPlan plan, PickedExamples picked, SelectionTiming timing)
    {
        var largest = picked.Greedy.Count == 0
            ? null
            : picked.Greedy.Select(g => SelectionChoice.For(plan.Options, g.Size, g.Budget)).MaxBy(c => (c.Algorithm != SelectionAlgorithm.Exact, c.Neighbours, c.Parts));
        return Of(plan, picked.Indices, picked.Weights, picked.Gains, picked.Owners.ToArray()) with
        {
            Objective = picked.Objective,
            Sources = [.. Shares(plan).Select(share => picked.Greedy.FirstOrDefault(g => g.Source == share.Source) is { Size: > 0 } greedy
                ? share with { Objective = greedy.Objective, Algorithm = greedy.Algorithm }
                : share)],
            Certificate = new SelectionCertificate(picked.UpperBound, picked.UpperBound == 0 ? 1 : picked.Objective / picked.UpperBound),
            Timing = timing,
            Choice = largest,
            Screening = SelectionScreening.Sum(plan.Options.Precision, picked.Greedy),
        };
    }

    /// <summary>A selection without an objective.</summary>
    internal static SelectionResult Of(
        SelectionPlan plan, IEnumerable<int> indices, IEnumerable<int> weights, IEnumerable<double?> gains, IReadOnlyList<int> owners) => new()
        {
            Indices = [.. indices],
            Weights = [.. weights],
            Gains = [.. gains],
            Objective = 0,
            Kept = plan.Kept,
            Dropped = plan.Dropped,
            Sources = [.. Shares(plan)],
            Owners = owners,
            Timing = new SelectionTiming(0, 0, 0, 0, 0),
        };

    private static IEnumerable<SourceShare> Shares(SelectionPlan plan) => plan.Groups.GroupBy(g => g.Source).Select(parts => new SourceShare(
        parts.Key, parts.Sum(g => g.Members.Count), parts.Sum(g => g.Budget), parts.Sum(g => g.Budget), parts.First().Kept, 0));
}
