using NativeEngine.Ablation.Mixtures;
using NativeEngine.Ablation.Statistics;

namespace NativeEngine.Ablation.Ranking;

/// <summary>A mixture that was scored on all documents.</summary>
public sealed record RankedMixture
{
    /// <summary>The mixture.</summary>
    public required Mixture Mixture { get; init; }

    /// <summary>"candidate", "forward", "descent", ….</summary>
    public required string Origin { get; init; }

    /// <summary>What its losses are found by in the loss cache.</summary>
    public required string Key { get; init; }

    /// <summary>Mean loss of each domain.</summary>
    public required IReadOnlyList<double> DomainLosses { get; init; }

    /// <summary>What it is ranked by.</summary>
    public required double Score { get; init; }

    /// <summary>Of the score, over documents.</summary>
    public required Interval ScoreInterval { get; init; }

    /// <summary>Of the score minus that of the best, on the same documents.</summary>
    public required Interval Difference { get; init; }

    /// <summary>Share of resamples in which it is the best.</summary>
    public required double ProbabilityOfBest { get; init; }

    /// <summary>Share of resamples in which the best beats it.</summary>
    public required double ProbabilityWorse { get; init; }

    /// <summary>Whether another of the mixtures beats it in every domain.</summary>
    public required bool Dominated { get; init; }

    /// <summary>Mean losses of the ensemble, or null.</summary>
    public required IReadOnlyList<double>? EnsembleLosses { get; init; }

    /// <summary>Their score; NaN without.</summary>
    public required double EnsembleScore { get; init; }

    /// <summary>Mean losses at each level of the study.</summary>
    public required IReadOnlyList<(LevelRule Level, double[] Losses)> Levels { get; init; }

    /// <summary>Whether documents separate it from the best one: the interval of the difference does not reach 0.</summary>
    public bool Separated => Difference.Low > 0;

    /// <summary>
    /// About how many times as many documents would separate it from the best, (half the interval's width / the difference)^2; infinite where there is no difference.
    /// </summary>
    /// <param name="best">The best mixture's score.</param>
    public double DocumentsToSeparate(double best) => Score > best ? Math.Pow((Score - best - Difference.Low) / (Score - best), 2) : double.PositiveInfinity;
}

/// <summary>A fitted surrogate with its measured error and its lowest point.</summary>
public sealed record SurrogateResult(QuadraticSurrogate Fit, SurrogateError Error, Mixture Minimum);

/// <summary>Everything ranking found. Contains no time and nothing that depends on the machine.</summary>
public sealed record RankResult
{
    /// <summary>Of the study.</summary>
    public required string Identity { get; init; }

    /// <summary>The units' names.</summary>
    public required IReadOnlyList<string> Units { get; init; }

    /// <summary>Their cache keys.</summary>
    public required IReadOnlyList<string> UnitKeys { get; init; }

    /// <summary>The seed model's.</summary>
    public required string SeedKey { get; init; }

    /// <summary>The documents.</summary>
    public required DocumentTable Table { get; init; }

    /// <summary>Hashes of their blocks.</summary>
    public required IReadOnlyList<string> BlockKeys { get; init; }

    /// <summary>The score.</summary>
    public required MixtureScore Score { get; init; }

    /// <summary>Mean losses of the seed model.</summary>
    public required IReadOnlyList<double> SeedLosses { get; init; }

    /// <summary>Coverage of all intervals.</summary>
    public required double Confidence { get; init; }

    /// <summary>Mixtures scored on all documents, best first.</summary>
    public required IReadOnlyList<RankedMixture> Rows { get; init; }

    /// <summary>Candidates that left the race, best first: mixture, last score, rounds.</summary>
    public required IReadOnlyList<(Mixture Mixture, double Score, int Rounds)> Others { get; init; }

    /// <summary>The screening before the race, or null.</summary>
    public required ScreenResult? Screen { get; init; }

    /// <summary>The race.</summary>
    public required IReadOnlyList<RaceRound> Rounds { get; init; }

    /// <summary>Candidates of the study.</summary>
    public required int Candidates { get; init; }

    /// <summary>Unit budgets that training each of them would have taken.</summary>
    public required double CandidateBudgets { get; init; }

    /// <summary>Searches over sets.</summary>
    public required IReadOnlyList<(string Method, SearchResult Result)> Searches { get; init; }

    /// <summary>The descent, or null.</summary>
    public required DescentResult? Descent { get; init; }

    /// <summary>The surrogate, or null.</summary>
    public required SurrogateResult? Surrogate { get; init; }

    /// <summary>Worth of units, or null.</summary>
    public required WorthResult? Worth { get; init; }

    /// <summary>The merge-safety gauge.</summary>
    public required MergeSafetyReport Safety { get; init; }

    /// <summary>How far scores move with the RNG seed alone, or null with one seed.</summary>
    public required NoiseFloor? Noise { get; init; }

    /// <summary>Tokens that searches, worth and safety used.</summary>
    public required long SearchTokens { get; init; }

    /// <summary>Hidden units and heads moved by alignment, by unit; empty without.</summary>
    public required IReadOnlyList<int> Moved { get; init; }
}
