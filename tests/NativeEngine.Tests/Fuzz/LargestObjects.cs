using System.Diagnostics.Tracing;

namespace NativeEngine.Tests.Fuzz;

/// <summary>
/// The largest single object that a call allocates, from the runtime's own events: every object of 100 KiB and more is told by one (AllocationTick, with its size and thread),
/// smaller ones now and then. Events arrive later and from all threads, so each call stands between two marks: arrays whose size is its number.
/// </summary>
internal sealed class LargestObjects : EventListener
{
    /// <summary>Every object of this size is seen.</summary>
    public const long Seen = 128 << 10;

    private const int Batch = 256, AllocationTick = 10;
    private const EventKeywords Collector = (EventKeywords)1;

    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(60);

    // Marks of two listeners would be taken for each other's.
    private static readonly Lock _one = new();

    private readonly long[] _largest = new long[Batch];
    private readonly ManualResetEventSlim _done = new();
    private long _thread = -1;
    private int _call = -1, _last;

    private LargestObjects()
    {
    }

    /// <summary>
    /// Bytes of the largest object of each of <paramref name="count"/> calls, which run on this thread one after the other; less than <see cref="Seen"/> says only that there was none so large.
    /// </summary>
    public static long[] Of(int count, Action<int> call)
    {
        var largest = new long[count];
        lock (_one)
        {
            for (int first = 0; first < count; first += Batch)
            {
                int calls = Math.Min(Batch, count - first);
                using var listener = new LargestObjects { _last = calls - 1 };
                for (int i = 0; i < calls; i++)
                {
                    Mark(2 * i);
                    call(first + i);
                    Mark((2 * i) + 1);
                }
                if (!listener._done.Wait(_patience))
                {
                    throw new InvalidOperationException($"the runtime told nothing of call {listener._call + 1} of {calls} within {_patience.TotalSeconds} s");
                }
                Array.Copy(listener._largest, 0, largest, first, calls);
            }
        }
        return largest;
    }

    protected override void OnEventSourceCreated(EventSource source)
    {
        if (source.Name == "Microsoft-Windows-DotNETRuntime")
        {
            EnableEvents(source, EventLevel.Verbose, Collector);
        }
    }

    protected override void OnEventWritten(EventWrittenEventArgs e)
    {
        // The base class calls this before the fields are there.
        if (e.EventId != AllocationTick || _largest is null || e.PayloadNames is not { } names || e.Payload is not { } values)
        {
            return;
        }
        long size = Convert.ToInt64(values[names.IndexOf("ObjectSize")]);
        if (values[names.IndexOf("TypeName")] is string type && type.Contains(nameof(MarkedByte), StringComparison.Ordinal))
        {
            int number = (int)((size - Seen) / 64);
            (_thread, _call) = number % 2 == 0 ? (e.OSThreadId, number / 2) : (-1, number / 2);
            if (number == (2 * _last) + 1)
            {
                _done.Set();
            }
        }
        else if (e.OSThreadId == _thread)
        {
            _largest[_call] = Math.Max(_largest[_call], size);
        }
    }

    // An array's head takes less than the 64 bytes between two numbers.
    private static void Mark(int number) => GC.KeepAlive(GC.AllocateUninitializedArray<MarkedByte>((int)Seen + (64 * number)));

    private enum MarkedByte : byte;
}
