using System.Buffers;

namespace NativeEngine.Selection;

/// <summary>How the budget is shared among the candidate sources.</summary>
public enum QuotaRule
{
    /// <summary>In proportion to the sources' candidates; left-overs by <see cref="QuotaRounding"/>.</summary>
    Proportional,
    /// <summary>Proportional, floor, and the left-overs at random among the sources whose share is not whole.</summary>
    Balanced,
    /// <summary>No quotas: all candidates compete in one selection.</summary>
    None,
}

/// <summary>Where proportional shares that are not whole are started from.</summary>
public enum QuotaRounding
{
    /// <summary>Floors; the missing ones go to the smallest shares first, equal shares by lowest id.</summary>
    Floor,
    /// <summary>Ceilings; the surplus is taken from the largest shares first, equal shares by highest id.</summary>
    Ceil,
}

/// <summary>
/// Step G: integer quotas that sum to the budget. Everything is integer arithmetic (s b div n), so quotas are exact: 30 and 14 of 44 candidates
/// with a budget of 22 get 15 and 7, where floating point gives 14 and 8.
/// </summary>
public static class SourceBudget
{
    /// <summary>
    /// Quotas c_q with sum c_q = budget and 0 &lt;= c_q &lt;= s_q; with <see cref="QuotaRounding.Floor"/> also floor &lt;= c_q &lt;= floor + 1. The
    /// order in which left-overs are handed out is fixed at the start.
    /// </summary>
    /// <param name="sizes">Candidates s_q per source, sources ascending.</param>
    /// <param name="budget">At most the sum of the sizes.</param>
    /// <param name="quota">Proportional or balanced.</param>
    /// <param name="rounding">Start of the proportional rule.</param>
    /// <param name="random">Draws the balanced left-overs.</param>
    public static int[] Share(
        ReadOnlySpan<int> sizes, int budget, QuotaRule quota = QuotaRule.Proportional, QuotaRounding rounding = QuotaRounding.Floor,
        CounterRandom random = default)
    {
        var counts = new int[sizes.Length];
        Share(sizes, budget, quota, rounding, random, counts);
        return counts;
    }

    /// <summary>The same into memory of the caller's.</summary>
    internal static void Share(
        ReadOnlySpan<int> sizes, int budget, QuotaRule quota, QuotaRounding rounding, CounterRandom random, Span<int> counts)
    {
        long total = 0;
        foreach (int size in sizes)
        {
            total += size;
        }
        if (budget < 0 || budget > total || quota == QuotaRule.None)
        {
            throw new ArgumentException($"a budget of {budget} cannot be shared among {sizes.Length} sources of {total} candidates by {quota}");
        }
        counts.Clear();
        if (total == 0)
        {
            return;
        }
        bool up = quota == QuotaRule.Proportional && rounding == QuotaRounding.Ceil;
        int missing = budget;
        for (int q = 0; q < counts.Length; q++)
        {
            counts[q] = (int)((((long)sizes[q] * budget) + (up ? total - 1 : 0)) / total);
            missing -= counts[q];
        }
        // Fewer than one correction a source, in an order that is fixed before the first: by share and id, or as drawn.
        long[] rented = ArrayPool<long>.Shared.Rent(counts.Length);
        var order = rented.AsSpan(0, counts.Length);
        if (quota == QuotaRule.Balanced)
        {
            random.Permute(order);
        }
        else
        {
            for (int q = 0; q < counts.Length; q++)
            {
                order[q] = ((long)counts[q] << 32) | (uint)q;
            }
            order.Sort();
        }
        int left = Math.Abs(missing);
        for (int i = 0; i < order.Length && left > 0; i++)
        {
            int q = (int)(uint)order[up ? order.Length - 1 - i : i];
            bool takesPart = quota == QuotaRule.Balanced ? (long)sizes[q] * budget % total != 0 : sizes[q] > 0;
            if (takesPart)
            {
                counts[q] += up ? -1 : 1;
                left--;
            }
        }
        ArrayPool<long>.Shared.Return(rented);
    }
}
