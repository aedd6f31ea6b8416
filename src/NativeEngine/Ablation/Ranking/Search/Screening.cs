using NativeEngine.Ablation.Mixtures;

namespace NativeEngine.Ablation.Ranking;

/// <summary>What a screening did.</summary>
/// <param name="Fitted">Candidates the quadratic was fitted to.</param>
/// <param name="Documents">Documents they were scored on.</param>
/// <param name="Blocks">The blocks of those documents.</param>
/// <param name="Tokens">Their tokens.</param>
/// <param name="Error">Of the quadratic, at candidates it was not fitted to.</param>
/// <param name="Noise">Standard error of a difference of scores, from these documents being only some of all (<see cref="SamplingNoise"/>).</param>
/// <param name="Margin">How far behind the finalists' predictions a candidate may be predicted and still race.</param>
/// <param name="Kept">Candidates that race, ascending.</param>
/// <param name="Left">The others, best prediction first.</param>
/// <param name="Predicted">The score of every candidate on these documents: predicted, or found where it was evaluated.</param>
public sealed record ScreenResult(
    int Fitted, int Documents, int Blocks, long Tokens, SurrogateError Error, double Noise, double Margin, IReadOnlyList<int> Kept, IReadOnlyList<int> Left, IReadOnlyList<double> Predicted)
{
    /// <summary>
    /// The block a race of those kept begins with: where these documents end, which have sorted them already; earlier where so many are kept that scoring them there
    /// would cost more than twice the screening.
    /// </summary>
    public int RaceFrom => Kept.Count <= 2 * (Fitted + Screening.Checks) ? Blocks : 1;
}

/// <summary>
/// A first round for many candidates: a quadratic in the weights (<see cref="QuadraticSurrogate"/>) is fitted to a sample of them and measured on another, and those that it
/// predicts to be far behind do not race. The worse the measured error, and the more a difference on these documents may differ from that on all, the more candidates race;
/// with more candidates the cost stays the same.
/// </summary>
public static class Screening
{
    /// <summary>Candidates scored to measure the error.</summary>
    public const int Checks = 32;

    /// <summary>A candidate races unless it is predicted so many times √(error² + noise²) behind the last finalist's prediction.</summary>
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
        // As many documents as the second round of a race would have: the fit averages what is peculiar to a candidate. At least two of every domain, to tell their noise.
        var rounds = Racing.Plan(evaluator.Table, candidates.Count, finalists, keep);
        int blocks = rounds[Math.Min(1, rounds.Count - 1)].Blocks;
        for (int d = 0; d < score.DomainWeights.Count; d++)
        {
            var all = evaluator.Table.OfDomain(d);
            while (score.DomainWeights[d] > 0 && all.Count > 0 && all[Math.Min(1, all.Count - 1)] >= evaluator.Table.BlockEnds[blocks - 1])
            {
                blocks++;
            }
        }
        int documents = evaluator.Table.BlockEnds[blocks - 1];
        int[] sample = new CounterRandom(seed, RandomPurpose.Candidates, uint.MaxValue - 1).Permutation(candidates.Count)[..(fitted + Checks)];
        int done = 0;
        evaluator.Prepare([.. sample.Select(c => candidates[c])], blocks, _ => progress?.Invoke(++done, sample.Length), cancellation);
        double[] values = [.. sample.Select(c => score.Of(evaluator.DomainLosses(candidates[c], blocks, cancellation)))];
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
        double noise = Noise(evaluator, score, [.. sample.Zip(values).OrderBy(p => p.Second).ThenBy(p => p.First).Select(p => candidates[p.First])], blocks, cancellation);
        double margin = Errors * Math.Sqrt((error.RootMeanSquare * error.RootMeanSquare) + (noise * noise));
        int least = (int)Math.Ceiling(finalists * keep);
        int kept = order.TakeWhile((c, place) => place < least || predicted[c] <= predicted[order[finalists - 1]] + margin).Count();
        return new ScreenResult(fitted, documents, blocks, evaluator.Table.TokensUpTo(blocks), error, noise, margin, [.. order.Take(kept).Order()], [.. order.Skip(kept)], predicted);
    }

    // Of the better half of what was scored, each against the best: those that the margin is to decide on.
    private static double Noise(MixtureEvaluator evaluator, MixtureScore score, IReadOnlyList<Mixture> best, int blocks, CancellationToken cancellation)
    {
        double sum = 0;
        int half = best.Count / 2;
        for (int i = 1; i <= half; i++)
        {
            double error = SamplingNoise.OfDifference(
                evaluator.Losses(best[i], blocks, cancellation), evaluator.Losses(best[0], blocks, cancellation), evaluator.Table, score.DomainWeights);
            sum += error * error;
        }
        return Math.Sqrt(sum / half);
    }

    private static int[] Units(IReadOnlyList<Mixture> candidates) => [.. Enumerable.Range(0, candidates[0].PoolSize).Where(u => candidates.Any(c => c.Weights[u] > 0))];
}
