namespace NativeEngine.Selection;

/// <summary>
/// How the shares of groups differ between two data sets. Distance is the total variation distance, half the sum of |share a - share b|: the part of
/// the data that would have to change. Likelihood is the share of random splits of both together that are as far apart: small when the difference is real.
/// </summary>
/// <param name="A">Examples of each group in the first data set.</param>
/// <param name="B">Examples of each group in the second.</param>
/// <param name="Distance">Total variation distance, 0 to 1.</param>
/// <param name="Likelihood">(1 + splits at least as far apart) / (1 + splits tried).</param>
public sealed record ClusterDrift(IReadOnlyList<int> A, IReadOnlyList<int> B, double Distance, double Likelihood)
{
    private const int Splits = 999;

    /// <summary>Compares groups 0 to k - 1 of two data sets.</summary>
    public static ClusterDrift Of(IReadOnlyList<int> a, IReadOnlyList<int> b, int k, ulong seed)
    {
        var (ca, cb) = (Count(a, k), Count(b, k));
        double distance = Between(ca, cb);
        int[] all = [.. a, .. b];
        var random = new CounterRandom(seed, RandomPurpose.Clustering, uint.MaxValue);
        int asFar = 0;
        ulong index = 0;
        for (int split = 0; split < Splits; split++)
        {
            var first = new int[k];
            // The first a.Count of a shuffle.
            for (int i = 0; i < a.Count; i++)
            {
                int j = i + (int)(random.Bits(index++) % (ulong)(all.Length - i));
                (all[i], all[j]) = (all[j], all[i]);
                first[all[i]]++;
            }
            asFar += Between(first, [.. Enumerable.Range(0, k).Select(c => ca[c] + cb[c] - first[c])]) >= distance - 1e-12 ? 1 : 0;
        }
        return new ClusterDrift(ca, cb, distance, (1.0 + asFar) / (1 + Splits));
    }

    private static int[] Count(IReadOnlyList<int> groups, int k)
    {
        var counts = new int[k];
        foreach (int group in groups)
        {
            counts[group]++;
        }
        return counts;
    }

    private static double Between(int[] a, int[] b)
    {
        double na = Math.Max(1, a.Sum()), nb = Math.Max(1, b.Sum());
        return a.Zip(b, (x, y) => Math.Abs((x / na) - (y / nb))).Sum() / 2;
    }
}
