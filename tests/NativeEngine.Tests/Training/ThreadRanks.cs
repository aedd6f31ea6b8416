using System.Runtime.InteropServices;
using NativeEngine.Native;

namespace NativeEngine.Tests.Training;

/// <summary>Ranks that are threads of this process: the group without MPI.</summary>
internal sealed class ThreadRanks : RankGroup
{
    private readonly Shared _shared;

    private ThreadRanks(Shared shared, int rank) => (_shared, Rank) = (shared, rank);

    private sealed class Shared(int count)
    {
        public byte[][] Slots { get; } = new byte[count][];

        public Barrier Barrier { get; } = new(count);
    }

    public override int Rank { get; }

    public override int Count => _shared.Slots.Length;

    /// <summary>Runs the work once for every rank, each on a thread, and returns what they returned.</summary>
    public static T[] Run<T>(int count, Func<RankGroup, T> work)
    {
        var shared = new Shared(count);
        var results = new T[count];
        Exception? failure = null;
        var threads = Enumerable.Range(0, count).Select(rank => new Thread(() =>
        {
            try
            {
                results[rank] = work(new ThreadRanks(shared, rank));
            }
            catch (Exception e)
            {
                failure ??= e;
                shared.Barrier.RemoveParticipant();
            }
        })).ToList();
        threads.ForEach(t => t.Start());
        threads.ForEach(t => t.Join());
        return failure is null ? results : throw new InvalidOperationException("a rank failed", failure);
    }

    public override void Gather(ReadOnlySpan<byte> mine, ReadOnlySpan<int> counts, Span<byte> all)
    {
        Assert.Equal(counts[Rank], mine.Length);
        _shared.Slots[Rank] = mine.ToArray();
        _shared.Barrier.SignalAndWait();
        int at = 0;
        for (int r = 0; r < Count; r++)
        {
            Assert.Equal(counts[r], _shared.Slots[r].Length);
            _shared.Slots[r].CopyTo(all[at..]);
            at += counts[r];
        }
        _shared.Barrier.SignalAndWait();
    }

    public override void Dispose()
    {
    }

    protected override void Exchange(ReadOnlySpan<float> values, ReadOnlySpan<int> counts, Span<float> received)
    {
        _shared.Slots[Rank] = MemoryMarshal.AsBytes(values).ToArray();
        int start = 0;
        for (int r = 0; r < Rank; r++)
        {
            start += counts[r];
        }
        _shared.Barrier.SignalAndWait();
        for (int r = 0; r < Count; r++)
        {
            MemoryMarshal.Cast<byte, float>(_shared.Slots[r]).Slice(start, counts[Rank]).CopyTo(received[(r * counts[Rank])..]);
        }
        _shared.Barrier.SignalAndWait();
    }
}
