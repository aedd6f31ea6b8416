using NativeEngine.Ablation.Mixtures;

namespace NativeEngine.Ablation.Ranking;

/// <summary>How far the units' changes pull apart in one tensor, or in all.</summary>
/// <param name="Name">The tensor; "all" for the whole model.</param>
/// <param name="SignConflict">Share of the mass of changes that points against the majority sign: sum of the smaller side / sum of both.</param>
/// <param name="MeanCosine">Mean cosine between the changes of two units.</param>
/// <param name="Movement">Root mean square change relative to the root mean square of the seed's weights, averaged over units.</param>
public sealed record TensorConflict(string Name, double SignConflict, double MeanCosine, double Movement);

/// <summary>Whether parameters of these units may be averaged at all.</summary>
/// <param name="Cosines">Cosine between the changes theta_u - theta_0 of two units [n, n]; NaN for a unit that did not move.</param>
/// <param name="Tensors">Per tensor.</param>
/// <param name="Whole">Over all tensors.</param>
/// <param name="Barrier">score(average of all) - mean of score(unit) on all domains: above 0 the units do not lie in one basin.</param>
/// <param name="Gain">score(seed) - score(average of all): what the average learnt.</param>
public sealed record MergeSafetyReport(double[,] Cosines, IReadOnlyList<TensorConflict> Tensors, TensorConflict Whole, double Barrier, double Gain)
{
    /// <summary>Sentences to warn with; empty when nothing is unusual.</summary>
    public IReadOnlyList<string> Warnings(IReadOnlyList<string> names)
    {
        var warnings = new List<string>();
        if (Barrier > 0)
        {
            warnings.Add(FormattableString.Invariant($"the average of all units has a loss {Barrier:0.0000} above the mean of the units' own: they are not in one basin, do not trust the ranking; lower the learning rate or the budget"));
        }
        if (Gain < 0)
        {
            warnings.Add(FormattableString.Invariant($"the average of all units has a loss {-Gain:0.0000} above the seed's: the units have unlearnt more than they learnt on these domains; lower the learning rate or the budget, or mix a part of the seed's data into every unit"));
        }
        for (int i = 0; i < names.Count; i++)
        {
            for (int j = i + 1; j < names.Count; j++)
            {
                if (Cosines[i, j] < -0.1)
                {
                    warnings.Add(FormattableString.Invariant($"{names[i]} and {names[j]} pull in opposite directions (cosine {Cosines[i, j]:0.00})"));
                }
            }
        }
        return warnings;
    }
}

/// <summary>
/// The gauge to read before a stand-in is trusted: loss barrier, cosines of the units' changes, conflict of signs. One pass over the weights
/// in double (n^2/2 operations each; every s-th weight of a tensor where all would be more than 10^10), and one evaluation more than the units' own.
/// </summary>
public static class MergeSafety
{
    /// <summary>Measures a pool with a score over the first so many blocks.</summary>
    public static MergeSafetyReport Measure(
        UnitPool pool, MixtureEvaluator evaluator, MixtureScore score, ReadOnlySpan<double> seedLosses, int blocks, CancellationToken cancellation = default)
    {
        int n = pool.Count;
        var gram = new double[n, n];
        var tensors = new List<TensorConflict>();
        double minority = 0, mass = 0, seedSquare = 0;
        // Odd, so that it meets every column of a matrix of even width.
        int stride = (int)Math.Min(int.MaxValue / 2, 1 + (2 * (long)(pool.Layout.Count * (double)n * n / 4e10)));
        foreach (var entry in pool.Layout.Entries)
        {
            cancellation.ThrowIfCancellationRequested();
            var part = Scan(pool, entry, stride);
            tensors.Add(Conflict(entry.Name, part.Minority, part.Mass, part.Gram, part.SeedSquare));
            minority += part.Minority;
            mass += part.Mass;
            seedSquare += part.SeedSquare;
            for (int i = 0; i < n; i++)
            {
                for (int j = 0; j < n; j++)
                {
                    gram[i, j] += part.Gram[i, j];
                }
            }
        }
        var cosines = new double[n, n];
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j < n; j++)
            {
                cosines[i, j] = Cosine(gram, i, j);
            }
        }
        double all = score.Of(evaluator.DomainLosses(Mixture.Uniform(n, Enumerable.Range(0, n)), blocks, cancellation));
        double own = Enumerable.Range(0, n).Average(u => score.Of(evaluator.DomainLosses(Mixture.Uniform(n, [u]), blocks, cancellation)));
        double seed = score.Of(evaluator.Table.DomainLosses(seedLosses[..evaluator.Table.BlockEnds[blocks - 1]]));
        return new MergeSafetyReport(cosines, tensors, Conflict("all", minority, mass, gram, seedSquare), all - own, seed - all);
    }

    private static unsafe (double Minority, double Mass, double[,] Gram, double SeedSquare) Scan(UnitPool pool, Model.ParameterEntry entry, int stride)
    {
        int n = pool.Count, count = (int)entry.Shape.Count;
        var gram = new double[n, n];
        var delta = new double[n];
        double minority = 0, mass = 0, seedSquare = 0;
        int place = pool.Layout.Entries.TakeWhile(e => e != entry).Count();
        float*[] units = new float*[n];
        for (int u = 0; u < n; u++)
        {
            units[u] = (float*)pool.Address(u, place);
        }
        var seed = pool.Weights(n, entry);
        for (int i = 0; i < count; i += stride)
        {
            double up = 0, down = 0;
            seedSquare += (double)seed[i] * seed[i];
            for (int u = 0; u < n; u++)
            {
                double d = (double)units[u][i] - seed[i];
                delta[u] = d;
                up += d > 0 ? d : 0;
                down -= d < 0 ? d : 0;
            }
            minority += Math.Min(up, down);
            mass += up + down;
            for (int u = 0; u < n; u++)
            {
                for (int v = 0; v <= u; v++)
                {
                    gram[u, v] += delta[u] * delta[v];
                }
            }
        }
        for (int u = 0; u < n; u++)
        {
            for (int v = 0; v < u; v++)
            {
                gram[v, u] = gram[u, v];
            }
        }
        return (minority, mass, gram, seedSquare);
    }

    private static TensorConflict Conflict(string name, double minority, double mass, double[,] gram, double seedSquare)
    {
        int n = gram.GetLength(0);
        double sum = 0, movement = 0;
        int pairs = 0;
        for (int i = 0; i < n; i++)
        {
            movement += Math.Sqrt(gram[i, i] / seedSquare) / n;
            for (int j = i + 1; j < n; j++)
            {
                double cosine = Cosine(gram, i, j);
                sum += double.IsNaN(cosine) ? 0 : cosine;
                pairs += double.IsNaN(cosine) ? 0 : 1;
            }
        }
        return new TensorConflict(name, mass > 0 ? minority / mass : double.NaN, pairs > 0 ? sum / pairs : double.NaN, seedSquare > 0 ? movement : double.NaN);
    }

    private static double Cosine(double[,] gram, int i, int j)
    {
        double norms = Math.Sqrt(gram[i, i]) * Math.Sqrt(gram[j, j]);
        return norms > 0 ? gram[i, j] / norms : double.NaN;
    }
}
