using NativeEngine.Ablation.Mixtures;

namespace NativeEngine.Ablation.Ranking;

/// <summary>What a screening did.</summary>
/// <param name="Fitted">Candidates the quadratic was fitted to.</param>
/// <param name="Documents">Documents they were scored on.</param>
/// <param name="Tokens">Their tokens.</param>
/// <param name="Error">Of the quadratic, at candidates it was not fitted to.</param>
/// <param name="Margin">How far behind the finalists' predictions a candidate may be predicted and still race.</param>
/// <param name="Kept">Candidates that race, ascending.</param>
/// <param name="Left">The others, best prediction first.</param>
/// <param name="Predicted">The score of every candidate on these documents: predicted, or found where it was evaluated.</param>
public sealed record ScreenResult(
    int Fitted, int Documents, long Tokens, SurrogateError Error, double Margin, IReadOnlyList<int> Kept, IReadOnlyList<int> Left, IReadOnlyList<double> Predicted);

/// <summary>
/// A first round for many candidates: a quadratic in the weights (<see cref="QuadraticSurrogate"/>) is fitted to a sample of them and measured on another, and those that it
/// predicts to be far behind do not race. The worse the measured error, the more candidates race; with more candidates the cost stays the same.
/// </summary>
public static class Screening
{
    /// <summary>Candidates scored to measure the error.</summary>
    public const int Checks = 32;

    /// <summary>A candidate races unless it is predicted so many times the error behind the last finalist's prediction.</summary>
    public const double Errors = 3;

    // Enough for pairs of units that no sampled candidate has together, too little to bias the others.
    private const double Ridge = 1e-6;

    // Least squares over n(n+1)/2 coefficients take seconds at 40 units and minutes at 80.
    private const int MostUnits = 40;

    /// <summary>
    /// Candidates that the quadratic is fitted to: two for each of the n(n+1)/2 coefficients of the n units they have; 0 where a screening does not pay, which takes four
    /// times as many candidates as it scores, and finalists that are a fraction of them.
    /// </summary>
    public static int FitSize(IReadOnlyList<Mixture> candidates, int finalists, double keep)
    {
        int units = Units(candidates).Length, fitted = units * (units + 1);
        return units <= MostUnits && 4L * (fitted + Checks) <= candidates.Count && finalists * keep * 2 <= candidates.Count ? fitted : 0;
    }

    /// <summary>Screens; null where it does not pay. Only means of domains: the worst domain is no quadratic. Errors as for the evaluator.</summary>
    public static ScreenResult? Run(
        MixtureEvaluator evaluator, MixtureScore score, IReadOnlyList<Mixture> candidates, int finalists, double keep, ulong seed,
        Action<long, long>? progress = null, CancellationToken cancellation = default)
    {
        int fitted = score.Kind == ScoreKind.Mean ? FitSize(candidates, finalists, keep) : 0;
        if (fitted == 0)
        {
            return null;
        }
        // As many documents as the second round of a race would have: the fit averages what is peculiar to a candidate.
        var rounds = Racing.Plan(evaluator.Table, candidates.Count, finalists, keep);
        var documents = rounds[Math.Min(1, rounds.Count - 1)];
        int[] sample = new CounterRandom(seed, RandomPurpose.Candidates, uint.MaxValue - 1).Permutation(candidates.Count)[..(fitted + Checks)];
        int done = 0;
        evaluator.Prepare([.. sample.Select(c => candidates[c])], documents.Blocks, _ => progress?.Invoke(++done, sample.Length), cancellation);
        double[] values = [.. sample.Select(c => score.Of(evaluator.DomainLosses(candidates[c], documents.Blocks, cancellation)))];
        int[] units = Units(candidates);
        Mixture[] inUnits = [.. candidates.Select(c => Mixture.Exactly([.. units.Select(u => c.Weights[u])]))];
        var fit = QuadraticSurrogate.Fit([.. sample.Take(fitted).Select(c => inUnits[c])], values[..fitted], Ridge);
        var error = fit.Measure([.. sample.Skip(fitted).Select(c => inUnits[c])], values[fitted..]);
        double[] predicted = [.. inUnits.Select(m => fit.Predict(m.Weights))];
        for (int i = 0; i < sample.Length; i++)
        {
            predicted[sample[i]] = values[i];
        }
        int[] order = [.. Enumerable.Range(0, candidates.Count).OrderBy(c => predicted[c]).ThenBy(c => c)];
        double margin = Errors * error.RootMeanSquare;
        int least = (int)Math.Ceiling(finalists * keep);
        int kept = order.TakeWhile((c, place) => place < least || predicted[c] <= predicted[order[finalists - 1]] + margin).Count();
        return new ScreenResult(fitted, documents.Documents, documents.Tokens, error, margin, [.. order.Take(kept).Order()], [.. order.Skip(kept)], predicted);
    }

    private static int[] Units(IReadOnlyList<Mixture> candidates) => [.. Enumerable.Range(0, candidates[0].PoolSize).Where(u => candidates.Any(c => c.Weights[u] > 0))];
}
