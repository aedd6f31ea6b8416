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
    /// The places (0 to the count) of the selected examples that a rank trains, ascending: the longest example first, each goes to the rank with the
    /// fewest tokens so far (ties: to the one with fewer examples, then to the lower rank), so that no rank waits long for another.
    /// </summary>
    public static int[] Balance(ReadOnlySpan<int> lengths, int rank, int ranks)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rank);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(rank, ranks);
        int[] all = lengths.ToArray();
        var share = new List<int>((lengths.Length / ranks) + 1);
        var load = new (long Tokens, int Examples)[ranks];
        foreach (int place in Enumerable.Range(0, all.Length).OrderByDescending(i => all[i]))
        {
            int least = 0;
            for (int r = 1; r < ranks; r++)
            {
                least = load[r].CompareTo(load[least]) < 0 ? r : least;
            }
            load[least] = (load[least].Tokens + all[place], load[least].Examples + 1);
            if (least == rank)
            {
                share.Add(place);
            }
        }
        share.Sort();
        return [.. share];
    }

    /// <summary>
    /// Cuts examples into one stretch of consecutive ones for each rank, of about the same number of tokens: stretch r ends with the first example that
    /// takes the running sum to (r + 1) / W of the whole. Some may be empty.
    /// </summary>
    public static Range[] Stretches(ReadOnlySpan<int> lengths, int ranks)
    {
        long total = 0, sum = 0;
        foreach (int length in lengths)
        {
            total += length;
        }
        var stretches = new Range[ranks];
        int at = 0;
        for (int r = 0; r < ranks; r++)
        {
            int start = at;
            while (at < lengths.Length && (r == ranks - 1 || sum * ranks < total * (r + 1)))
            {
                sum += lengths[at++];
            }
            stretches[r] = start..at;
        }
        return stretches;
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
