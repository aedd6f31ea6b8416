namespace NativeEngine.Data;

/// <summary>
/// Who has which examples when several ranks (processes) form one pool. The pool is rank-major: local example i of rank r is example
/// r P + i of the pool, P examples a rank, so one rank with the whole pool sees the same order.
/// </summary>
public static class RankShares
{
    /// <summary>The pool position of a rank's local example.</summary>
    public static int PoolIndex(int rank, int perRank, int local)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rank);
        ArgumentOutOfRangeException.ThrowIfNegative(local);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(local, perRank);
        return checked((rank * perRank) + local);
    }

    /// <summary>
    /// The selected examples a rank trains: those at places r, r + W, r + 2W, ... of the training order. Kept examples come first in that order,
    /// so contiguous slices (as the released code has them) would give the first ranks almost only kept ones.
    /// </summary>
    public static int[] Deal(ReadOnlySpan<int> selected, int rank, int ranks)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rank);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(rank, ranks);
        var share = new List<int>((selected.Length / ranks) + 1);
        for (int i = rank; i < selected.Length; i += ranks)
        {
            share.Add(selected[i]);
        }
        return [.. share];
    }
}
