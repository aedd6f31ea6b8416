using NativeEngine.Ablation.Statistics;

namespace NativeEngine.Ablation.Mixtures;

/// <summary>
/// Enumerations of candidates. Sets come by size, then lexicographically; counts are known before anything is made, and more than
/// <see cref="Most"/> are refused.
/// </summary>
public static class MixtureCandidates
{
    /// <summary>Most candidates of one enumeration.</summary>
    public const int Most = 1 << 20;

    /// <summary>All non-empty subsets of 0..n-1 with at least and at most so many members.</summary>
    public static IEnumerable<int[]> AllSubsets(int n, int minUnits = 1, int maxUnits = int.MaxValue)
    {
        maxUnits = Math.Min(maxUnits, n);
        System.Numerics.BigInteger count = 0;
        for (int k = minUnits; k <= maxUnits; k++)
        {
            count += TrainingCost.Subsets(n, k);
        }
        Require(count, $"all subsets of {n} units", "give k_of_n, a Dirichlet sample, or a search in place of all subsets");
        return Enumerable.Range(minUnits, Math.Max(0, maxUnits - minUnits + 1)).SelectMany(k => Combinations(n, k));
    }

    /// <summary>All subsets of k members.</summary>
    public static IEnumerable<int[]> Subsets(int n, int k)
    {
        if (k < 1 || k > n)
        {
            throw new EngineException(ErrorKind.Usage, $"candidates of {k} of {n} units do not exist", $"k may be 1 to {n}");
        }
        Require(TrainingCost.Subsets(n, k), $"the subsets of {k} of {n} units", "choose another k, or a sample");
        return Combinations(n, k);
    }

    /// <summary>The full set, and the full set without each unit in turn.</summary>
    public static IEnumerable<int[]> LeaveOneOut(int n) =>
        Enumerable.Range(-1, n + 1).Select(left => Enumerable.Range(0, n).Where(u => u != left).ToArray()).Where(set => set.Length > 0);

    /// <summary>A base set, and the base set with each other unit added in turn.</summary>
    public static IEnumerable<int[]> AddOne(int n, IReadOnlyCollection<int> start) =>
        Enumerable.Range(-1, n + 1).Where(u => u < 0 ? start.Count > 0 : !start.Contains(u))
            .Select(u => start.Concat(u < 0 ? [] : [u]).Order().ToArray());

    /// <summary>All points with coordinates that are multiples of 1/m and sum to 1, as counts out of m, lexicographically ascending.</summary>
    public static IEnumerable<int[]> Lattice(int parts, int m)
    {
        if (parts < 1 || m < 1)
        {
            throw new EngineException(ErrorKind.Usage, $"a lattice of {parts} parts and step 1/{m} does not exist", "the step's divisor must be at least 1");
        }
        Require(TrainingCost.Subsets(parts + m - 1, parts - 1), $"the lattice of step 1/{m} over {parts} units", "use a coarser step, or a Dirichlet sample");
        return Walk(new int[parts], 0, m);

        static IEnumerable<int[]> Walk(int[] point, int at, int left)
        {
            if (at == point.Length - 1)
            {
                point[at] = left;
                yield return (int[])point.Clone();
                yield break;
            }
            for (int count = 0; count <= left; count++)
            {
                point[at] = count;
                foreach (int[] rest in Walk(point, at + 1, left - count))
                {
                    yield return rest;
                }
            }
        }
    }

    /// <summary>Keeps the first of equal mixtures.</summary>
    public static List<Mixture> Distinct(IEnumerable<Mixture> mixtures)
    {
        var seen = new HashSet<Mixture>();
        return [.. mixtures.Where(seen.Add)];
    }

    private static IEnumerable<int[]> Combinations(int n, int k)
    {
        int[] set = [.. Enumerable.Range(0, k)];
        while (true)
        {
            yield return (int[])set.Clone();
            int at = k - 1;
            while (at >= 0 && set[at] == n - k + at)
            {
                at--;
            }
            if (at < 0)
            {
                yield break;
            }
            set[at]++;
            for (int i = at + 1; i < k; i++)
            {
                set[i] = set[i - 1] + 1;
            }
        }
    }

    private static void Require(System.Numerics.BigInteger count, string what, string hint)
    {
        if (count > Most)
        {
            throw new EngineException(ErrorKind.Usage, $"{what} are {count:N0} candidates; at most {Most:N0} are made", hint);
        }
    }
}
