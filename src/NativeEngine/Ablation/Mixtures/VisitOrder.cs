namespace NativeEngine.Ablation.Mixtures;

/// <summary>
/// The order in which candidates are merged: by the rank of their set of units in the binary reflected Gray code, so that all subsets follow
/// each other with one unit changed, and k-subsets with one exchanged (the revolving-door order); mixtures of the same set by their weights.
/// </summary>
public static class VisitOrder
{
    /// <summary>Indices of the candidates in visiting order. Cost: a sort.</summary>
    public static int[] Of(IReadOnlyList<Mixture> candidates)
    {
        string[] keys = new string[candidates.Count];
        for (int c = 0; c < keys.Length; c++)
        {
            // Inverse Gray code: every bit is the parity of itself and all higher bits; the highest unit is the highest bit.
            int n = candidates[c].PoolSize, parity = 0;
            keys[c] = string.Create(n, candidates[c], (bits, mixture) =>
            {
                for (int u = bits.Length - 1; u >= 0; u--)
                {
                    parity ^= mixture.Weights[u] > 0 ? 1 : 0;
                    bits[bits.Length - 1 - u] = (char)('0' + parity);
                }
            });
        }
        return [.. Enumerable.Range(0, keys.Length).OrderBy(c => keys[c], StringComparer.Ordinal)
            .ThenBy(c => candidates[c].Weights, _byWeights).ThenBy(c => c)];
    }

    private static readonly Comparer<IReadOnlyList<double>> _byWeights = Comparer<IReadOnlyList<double>>.Create((a, b) =>
    {
        for (int u = 0; u < a.Count; u++)
        {
            int order = a[u].CompareTo(b[u]);
            if (order != 0)
            {
                return order;
            }
        }
        return 0;
    });
}
