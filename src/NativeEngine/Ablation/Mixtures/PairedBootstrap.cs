using NativeEngine.Ablation.Statistics;

namespace NativeEngine.Ablation.Mixtures;

/// <summary>What resampling documents says about a set of mixtures that were scored on the same documents.</summary>
public sealed record PairedBootstrap
{
    /// <summary>Interval of each mixture's score.</summary>
    public required IReadOnlyList<Interval> Scores { get; init; }

    /// <summary>Interval of each mixture's score minus that of the best one (which has 0).</summary>
    public required IReadOnlyList<Interval> Differences { get; init; }

    /// <summary>The share of resamples in which each mixture is the best; ties to the lowest index.</summary>
    public required IReadOnlyList<double> ProbabilityOfBest { get; init; }

    /// <summary>The share of resamples in which the best mixture beats each (0.5 for itself).</summary>
    public required IReadOnlyList<double> ProbabilityWorse { get; init; }

    /// <summary>
    /// Draws the documents of every domain with replacement (so that each keeps its number of documents), the same draw for all mixtures, and
    /// scores each mixture again. Documents are the unit of chance, because losses within one hang together. Cost: resamples times mixtures
    /// times documents multiply-adds.
    /// </summary>
    /// <param name="losses">Summed loss of each document under each mixture [mixtures][documents].</param>
    /// <param name="table">The documents.</param>
    /// <param name="score">How domains make one score.</param>
    /// <param name="seed">Of the draws.</param>
    /// <param name="resamples">How many.</param>
    /// <param name="confidence">Of the intervals.</param>
    public static PairedBootstrap Of(
        IReadOnlyList<double[]> losses, DocumentTable table, MixtureScore score, ulong seed, int resamples = 1000, double confidence = 0.9)
    {
        int mixtures = losses.Count;
        int best = SelectionQuality.Best([.. losses.Select(l => score.Of(table.DomainLosses(l)))]);
        var values = new double[mixtures][];
        for (int m = 0; m < mixtures; m++)
        {
            values[m] = new double[resamples];
        }
        var wins = new int[mixtures];
        var random = new CounterRandom(seed, RandomPurpose.Resampling);
        var counts = new double[table.Count];
        var sums = new double[table.Domains.Count];
        var tokens = new double[table.Domains.Count];
        ulong draw = 0;
        for (int r = 0; r < resamples; r++)
        {
            Array.Clear(counts);
            Array.Clear(tokens);
            for (int d = 0; d < table.Domains.Count; d++)
            {
                var members = table.OfDomain(d);
                for (int i = 0; i < members.Count; i++)
                {
                    int document = members[(int)random.Below(draw++, members.Count)];
                    counts[document]++;
                    tokens[d] += table[document].Tokens;
                }
            }
            int winner = 0;
            for (int m = 0; m < mixtures; m++)
            {
                Array.Clear(sums);
                double[] loss = losses[m];
                for (int i = 0; i < loss.Length; i++)
                {
                    sums[table[i].Domain] += counts[i] * loss[i];
                }
                for (int d = 0; d < sums.Length; d++)
                {
                    sums[d] /= tokens[d];
                }
                values[m][r] = score.Of(sums);
                winner = values[m][r] < values[winner][r] ? m : winner;
            }
            wins[winner]++;
        }
        var differences = new Interval[mixtures];
        var worse = new double[mixtures];
        for (int m = 0; m < mixtures; m++)
        {
            double[] difference = [.. values[m].Zip(values[best], (a, b) => a - b)];
            worse[m] = m == best ? 0.5 : (difference.Count(v => v > 0) + (0.5 * difference.Count(v => v == 0))) / resamples;
            differences[m] = Quantiles.Central(difference, confidence);
        }
        return new PairedBootstrap
        {
            Scores = [.. values.Select(v => Quantiles.Central((double[])v.Clone(), confidence))],
            Differences = differences,
            ProbabilityOfBest = [.. wins.Select(w => (double)w / resamples)],
            ProbabilityWorse = worse,
        };
    }
}
