using NativeEngine.Ablation.Mixtures;
using NativeEngine.Ablation.Statistics;

namespace NativeEngine.Ablation.Confirming;

/// <summary>A mixture that was truly trained.</summary>
/// <param name="Mixture">The mixture.</param>
/// <param name="Key">Cache key of its true training.</param>
/// <param name="TrueLosses">Mean loss of each domain of the truly trained model.</param>
/// <param name="TrueScore">Its score.</param>
public sealed record ConfirmedMixture(Mixture Mixture, string Key, IReadOnlyList<double> TrueLosses, double TrueScore);

/// <summary>How well one stand-in follows the truth in one domain, or in the score.</summary>
/// <param name="Domain">The domain; "score" for the score.</param>
/// <param name="Correlation">Pearson, Spearman, Kendall.</param>
/// <param name="Line">true = a + b stand-in.</param>
/// <param name="LevelError">Mean of |stand-in - true|: how far it is off as a predictor without calibration.</param>
/// <param name="Regret1">True loss given away by trusting its first choice.</param>
/// <param name="Regret3">By training its first three and taking the best.</param>
/// <param name="Decision">Share of pairs it orders rightly.</param>
/// <param name="Coverage">Share of the truths inside the prediction interval of a line fitted without them; NaN with too few.</param>
/// <param name="ConformalCoverage">The same for the conformal interval.</param>
public sealed record Agreement(
    string Domain, Correlation Correlation, Calibration Line, double LevelError, double Regret1, double Regret3, double Decision, double Coverage, double ConformalCoverage);

/// <summary>A stand-in or a baseline against the truth.</summary>
/// <param name="Name">"average", "ensemble", "average at level k^0.5", "mean of the stand-ins above", "average at 0.25 of the budget", "mean of the units' own losses", "best unit's own loss".</param>
/// <param name="Losses">Mean losses [mixtures][domains].</param>
/// <param name="Scores">Scores.</param>
/// <param name="Domains">Agreement in each domain.</param>
/// <param name="Score">Agreement of the score.</param>
/// <param name="IsBaseline">Whether it is a baseline that merges nothing.</param>
public sealed record StandInReport(
    string Name, IReadOnlyList<double[]> Losses, IReadOnlyList<double> Scores, IReadOnlyList<Agreement> Domains, Agreement Score, bool IsBaseline)
{
    /// <summary>Pearson averaged over the domains where it is defined.</summary>
    public double MeanPearson => Domains.Select(d => d.Correlation.Pearson).Where(r => !double.IsNaN(r)).DefaultIfEmpty(double.NaN).Average();

    /// <summary>Spearman averaged over the domains where it is defined.</summary>
    public double MeanSpearman => Domains.Select(d => d.Correlation.Spearman).Where(r => !double.IsNaN(r)).DefaultIfEmpty(double.NaN).Average();
}

/// <summary>Everything confirming found.</summary>
public sealed record ConfirmResult
{
    /// <summary>Of the study.</summary>
    public required string Identity { get; init; }

    /// <summary>The units' names.</summary>
    public required IReadOnlyList<string> Units { get; init; }

    /// <summary>The domains.</summary>
    public required IReadOnlyList<string> Domains { get; init; }

    /// <summary>Coverage of intervals.</summary>
    public required double Confidence { get; init; }

    /// <summary>The truly trained mixtures.</summary>
    public required IReadOnlyList<ConfirmedMixture> Mixtures { get; init; }

    /// <summary>Stand-ins and baselines, the average first.</summary>
    public required IReadOnlyList<StandInReport> StandIns { get; init; }

    /// <summary>Where additivity fails, by the score.</summary>
    public required AdditivityAlarm Alarm { get; init; }

    /// <summary>Predicted true scores of ranked mixtures: mixture, stand-in score, prediction, interval, conformal interval.</summary>
    public required IReadOnlyList<(Mixture Mixture, double Score, double Predicted, Interval Interval, Interval Conformal)> Predictions { get; init; }
}
