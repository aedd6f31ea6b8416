namespace NativeEngine.Ablation.Mixtures;

/// <summary>How far a difference of scores on some documents may be from the difference on all of them.</summary>
public static class SamplingNoise
{
    /// <summary>
    /// Standard error of score(a) − score(b) on the first documents of a table, both mixtures scored on the same ones: √Σ_d w_d² (1 − n/N) n/(n − 1) Σᵢ (Δᵢ − r tᵢ)² / (Σ tᵢ)², the
    /// ratio estimator (Cochran 1977, chapter 6), with Δᵢ the difference of a document's summed losses, tᵢ its tokens, r = ΣΔ/Σt, n of the domain's N documents. A domain with
    /// one document of several has no estimate: it counts as the mean of the others, NaN where there are none.
    /// </summary>
    /// <param name="a">Summed loss of each of the first documents.</param>
    /// <param name="b">The same of the other mixture.</param>
    /// <param name="table">The documents.</param>
    /// <param name="weights">Of the domains in the score, as they are used (a mean: summing to 1).</param>
    public static double OfDifference(ReadOnlySpan<double> a, ReadOnlySpan<double> b, DocumentTable table, IReadOnlyList<double> weights)
    {
        double variance = 0;
        int told = 0, untold = 0;
        for (int d = 0; d < weights.Count; d++)
        {
            if (weights[d] == 0)
            {
                continue;
            }
            var all = table.OfDomain(d);
            double difference = 0, tokens = 0;
            int n = 0;
            for (; n < all.Count && all[n] < a.Length; n++)
            {
                difference += a[all[n]] - b[all[n]];
                tokens += table[all[n]].Tokens;
            }
            if (n == all.Count)
            {
                told++;
                continue;
            }
            if (n < 2 || tokens == 0)
            {
                untold++;
                continue;
            }
            double squares = 0;
            for (int i = 0; i < n; i++)
            {
                double rest = a[all[i]] - b[all[i]] - (difference / tokens * table[all[i]].Tokens);
                squares += rest * rest;
            }
            told++;
            variance += weights[d] * weights[d] * (1 - ((double)n / all.Count)) * n / (n - 1) * squares / (tokens * tokens);
        }
        return Math.Sqrt(untold == 0 ? variance : told == 0 ? double.NaN : variance * (told + untold) / told);
    }
}
