using System.Numerics;

namespace NativeEngine.Ablation.Statistics;

/// <summary>
/// The accounting of the method, in trainings on one base unit: modular costs n whatever the number of candidates, naive costs the sizes of
/// all candidates together. Exact integers of any size.
/// </summary>
public static class TrainingCost
{
    /// <summary>2^n - 1 non-empty subsets.</summary>
    public static BigInteger AllSubsets(int units) => BigInteger.Pow(2, units) - 1;

    /// <summary>n 2^(n-1): training every subset from the seed.</summary>
    public static BigInteger NaiveAllSubsets(int units) => units * BigInteger.Pow(2, units - 1);

    /// <summary>Number of k-subsets.</summary>
    public static BigInteger Subsets(int units, int k)
    {
        BigInteger count = 1;
        for (int i = 0; i < k; i++)
        {
            count = count * (units - i) / (i + 1);
        }
        return count;
    }

    /// <summary>k C(n, k): training every k-subset from the seed.</summary>
    public static BigInteger NaiveSubsets(int units, int k) => k * Subsets(units, k);

    /// <summary>How many times fewer trainings the pool needs than candidates of these sizes trained one by one.</summary>
    public static double Saving(int units, IEnumerable<int> candidateSizes) => candidateSizes.Sum(size => (double)size) / units;

    /// <summary>The smallest number of candidates of this mean size from which the pool is cheaper: m k &gt; n.</summary>
    public static long BreakEven(int units, double meanSize) => (long)Math.Floor(units / meanSize) + 1;

    /// <summary>About 6 operations a parameter and token for a training (2 forward, 4 backward).</summary>
    public static double TrainingOperations(double parameters, double tokens) => 6 * parameters * tokens;
}
