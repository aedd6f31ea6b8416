namespace NativeEngine.Ablation.Statistics;

/// <summary>Whether a stand-in picks good mixtures, lower values being better. Ties go to the lowest index.</summary>
public static class SelectionQuality
{
    /// <summary>The index of the lowest value.</summary>
    public static int Best(ReadOnlySpan<double> values)
    {
        int best = 0;
        for (int i = 1; i < values.Length; i++)
        {
            best = values[i] < values[best] ? i : best;
        }
        return best;
    }

    /// <summary>Indices by ascending value.</summary>
    public static int[] Order(ReadOnlySpan<double> values)
    {
        double[] copy = values.ToArray();
        return [.. Enumerable.Range(0, copy.Length).OrderBy(i => copy[i]).ThenBy(i => i)];
    }

    /// <summary>regret@k: the best true value among the k lowest by the stand-in, minus the best of all. Never negative.</summary>
    public static double Regret(ReadOnlySpan<double> proxy, ReadOnlySpan<double> truth, int k = 1)
    {
        Require(proxy, truth, k);
        double among = double.PositiveInfinity;
        foreach (int i in Order(proxy).AsSpan(0, k))
        {
            among = Math.Min(among, truth[i]);
        }
        return among - truth[Best(truth)];
    }

    /// <summary>recall@k: the share of the k truly best that are among the k lowest by the stand-in.</summary>
    public static double Recall(ReadOnlySpan<double> proxy, ReadOnlySpan<double> truth, int k)
    {
        Require(proxy, truth, k);
        return Order(proxy).Take(k).Intersect(Order(truth).Take(k)).Count() / (double)k;
    }

    /// <summary>The share of pairs with different true values that the stand-in puts in the same order; NaN when there is none.</summary>
    public static double DecisionAccuracy(ReadOnlySpan<double> proxy, ReadOnlySpan<double> truth)
    {
        Require(proxy, truth, 1);
        long right = 0, pairs = 0;
        for (int i = 0; i < truth.Length; i++)
        {
            for (int j = i + 1; j < truth.Length; j++)
            {
                int order = truth[i].CompareTo(truth[j]);
                pairs += order != 0 ? 1 : 0;
                right += order != 0 && proxy[i].CompareTo(proxy[j]) == order ? 1 : 0;
            }
        }
        return pairs > 0 ? right / (double)pairs : double.NaN;
    }

    private static void Require(ReadOnlySpan<double> proxy, ReadOnlySpan<double> truth, int k)
    {
        if (proxy.Length != truth.Length || k < 1 || k > truth.Length)
        {
            throw new ArgumentException($"selection quality: {proxy.Length} stand-in values, {truth.Length} true values, k = {k}");
        }
    }
}
