using System.Runtime.InteropServices;

namespace NativeEngine.Native;

/// <summary>
/// Processes that work on one run, numbered from 0. All make the same calls in the same order; a call returns when every rank has made it. Sums
/// are taken in the order of the ranks, so they have the same bits on all of them and in every run.
/// </summary>
public abstract class RankGroup : IDisposable
{
    // Elements of a vector that travel at once; every rank holds so many again to add them up.
    private const int Block = 1 << 22;

    /// <summary>This process's number.</summary>
    public abstract int Rank { get; }

    /// <summary>How many there are.</summary>
    public abstract int Count { get; }

    /// <summary>Puts the bytes of all ranks one after another into <paramref name="all"/>; <paramref name="counts"/> are those of each rank.</summary>
    public abstract void Gather(ReadOnlySpan<byte> mine, ReadOnlySpan<int> counts, Span<byte> all);

    /// <summary>Sends stretch r of <paramref name="values"/> to rank r and receives this rank's stretch of every rank, one after another.</summary>
    protected abstract void Exchange(ReadOnlySpan<float> values, ReadOnlySpan<int> counts, Span<float> received);

    /// <inheritdoc/>
    public abstract void Dispose();

    /// <summary>One value of every rank, in their order.</summary>
    public T[] GatherOne<T>(T value)
        where T : unmanaged
    {
        var all = new T[Count];
        var counts = new int[Count];
        counts.AsSpan().Fill(Marshal.SizeOf<T>());
        Gather(MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)), counts, MemoryMarshal.AsBytes(all.AsSpan()));
        return all;
    }

    /// <summary>Whether any rank says so; all get the same answer.</summary>
    public bool Any(bool mine) => Count == 1 ? mine : GatherOne(mine ? 1 : 0).Contains(1);

    /// <summary>Returns when every rank has come here.</summary>
    public void Barrier() => Any(false);

    /// <summary>
    /// Replaces a vector by the sum over all ranks: each rank adds up one stretch of every block, in double, in the order of the ranks, and gives the
    /// rounded sum to the others. Two transfers of the vector; memory: a block.
    /// </summary>
    public void Sum(Span<float> values)
    {
        if (Count == 1)
        {
            return;
        }
        var counts = new int[Count];
        var bytes = new int[Count];
        var received = new float[(Math.Min(Block, values.Length) + Count - 1) / Count * Count];
        for (int at = 0; at < values.Length; at += Block)
        {
            var block = values.Slice(at, Math.Min(Block, values.Length - at));
            int start = 0;
            for (int r = 0; r < Count; r++)
            {
                counts[r] = (block.Length / Count) + (r < block.Length % Count ? 1 : 0);
                bytes[r] = counts[r] * sizeof(float);
                start += r < Rank ? counts[r] : 0;
            }
            int own = counts[Rank];
            Exchange(block, counts, received);
            var sums = block.Slice(start, own);
            for (int i = 0; i < own; i++)
            {
                double sum = 0;
                for (int r = 0; r < Count; r++)
                {
                    sum += received[(r * own) + i];
                }
                sums[i] = (float)sum;
            }
            Gather(MemoryMarshal.AsBytes(sums.ToArray().AsSpan()), bytes, MemoryMarshal.AsBytes(block));
        }
    }
}

/// <summary>A process on its own.</summary>
public sealed class SingleRank : RankGroup
{
    /// <inheritdoc/>
    public override int Rank => 0;

    /// <inheritdoc/>
    public override int Count => 1;

    /// <inheritdoc/>
    public override void Gather(ReadOnlySpan<byte> mine, ReadOnlySpan<int> counts, Span<byte> all) => mine.CopyTo(all);

    /// <inheritdoc/>
    public override void Dispose()
    {
    }

    /// <inheritdoc/>
    protected override void Exchange(ReadOnlySpan<float> values, ReadOnlySpan<int> counts, Span<float> received) => values.CopyTo(received);
}
