using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;

namespace NativeEngine.Tests.Fuzz;

/// <summary>What a mutant did that it may not.</summary>
internal sealed record FuzzFailure(long Index, string What);

/// <summary>Reads mutants of one format and holds the reader to what is promised.</summary>
internal sealed partial class FuzzRun(FuzzFormat format, ulong seed, double slowMilliseconds)
{
    private const long Slack = 1 << 20;
    private const int MostFailures = 8, MostReasons = 500;

    // Taken for a second look; the goal itself is measured in processor time.
    private static readonly TimeSpan _suspicious = TimeSpan.FromMilliseconds(20);

    private readonly ConcurrentDictionary<string, int> _reasons = new(StringComparer.Ordinal);
    private readonly ConcurrentQueue<FuzzFailure> _failures = new();
    private readonly Lock _lock = new();
    private long _accepted, _refused, _mostAllocated, _mostAt;
    private double _slowest;
    private long _slowestAt = -1;

    public long Accepted => _accepted;

    public long Refused => _refused;

    public IReadOnlyCollection<FuzzFailure> Failures => _failures;

    /// <summary>Reads the mutants [first, first + count).</summary>
    public void Read(long first, long count, int threads)
    {
        const int Chunk = 1000;
        long chunks = (count + Chunk - 1) / Chunk;
        var options = new ParallelOptions { MaxDegreeOfParallelism = threads };
        Parallel.For(0, chunks, options, () => (Mutator: new Mutator(format, seed), Reader: format.Open()), (chunk, state, local) =>
        {
            for (long i = first + (chunk * Chunk); i < first + Math.Min(count, (chunk + 1) * Chunk) && _failures.Count < MostFailures; i++)
            {
                Try(i, local.Mutator.Make(i), local.Reader);
            }
            return local;
        }, _ => { });
    }

    /// <summary>Reads given bytes, as mutant number -1.</summary>
    public void Read(byte[] bytes) => Try(-1, bytes, format.Open());

    /// <summary>One line for people.</summary>
    public override string ToString()
    {
        long all = Math.Max(1, _accepted + _refused);
        string slow = _slowest < _suspicious.TotalMilliseconds ? "none over 20 ms" : string.Create(CultureInfo.InvariantCulture, $"slowest {_slowest:0.0} ms");
        return string.Create(CultureInfo.InvariantCulture, $"| {format.Name} | {all:N0} | {100.0 * _accepted / all:0.0} % | {_reasons.Count} | {_mostAllocated / 1024.0:0} KiB | {slow} | {_failures.Count} |");
    }

    public string Reasons() => string.Join('\n', _reasons.OrderByDescending(r => r.Value).Select(r => string.Create(CultureInfo.InvariantCulture, $"{r.Value,9} {r.Key}")));

    private void Try(long index, byte[] bytes, Action<byte[]> reader)
    {
        long limit = (format.Factor * format.Size(bytes)) + Slack;
        long before = GC.GetAllocatedBytesForCurrentThread(), clock = Stopwatch.GetTimestamp();
        Exception? thrown = Run(reader, bytes);
        var took = Stopwatch.GetElapsedTime(clock);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        if (allocated > limit)
        {
            // What the runtime makes once for a type or a method is not the reader's.
            before = GC.GetAllocatedBytesForCurrentThread();
            Run(reader, bytes);
            allocated = Math.Min(allocated, GC.GetAllocatedBytesForCurrentThread() - before);
        }
        double milliseconds = took < _suspicious ? 0 : ProcessorTime(reader, bytes);
        string? wrong = thrown is null ? null
            : thrown is not EngineException e ? $"{thrown}"
            : !format.Kinds.Contains(e.Kind) ? $"refused with {e.Kind}: {e.Message}"
            : e.Message.Length < 12 ? $"refused without a reason: {e.Message}" : null;
        wrong ??= allocated > limit ? $"allocated {allocated:N0} bytes for {bytes.Length:N0}, at most {limit:N0} are allowed" : null;
        wrong ??= milliseconds > slowMilliseconds ? $"took {milliseconds:0.0} ms of processor time for {bytes.Length:N0} bytes, at most {slowMilliseconds} are allowed" : null;
        if (wrong is not null)
        {
            _failures.Enqueue(new FuzzFailure(index, wrong));
        }
        if (thrown is null)
        {
            Interlocked.Increment(ref _accepted);
        }
        else
        {
            Interlocked.Increment(ref _refused);
            _reasons.AddOrUpdate(_reasons.Count < MostReasons ? Reason(thrown.Message) : "others", 1, static (_, n) => n + 1);
        }
        if (allocated > _mostAllocated || milliseconds > _slowest)
        {
            lock (_lock)
            {
                (_mostAllocated, _mostAt) = allocated > _mostAllocated ? (allocated, index) : (_mostAllocated, _mostAt);
                (_slowest, _slowestAt) = milliseconds > _slowest ? (milliseconds, index) : (_slowest, _slowestAt);
            }
        }
    }

    private static Exception? Run(Action<byte[]> reader, byte[] bytes)
    {
        try
        {
            reader(bytes);
            return null;
        }
        catch (Exception e)
        {
            return e;
        }
    }

    // The least of three: what other programs and the collector take is not the reader's.
    private static double ProcessorTime(Action<byte[]> reader, byte[] bytes)
    {
        double least = double.PositiveInfinity;
        for (int i = 0; i < 3; i++)
        {
            double before = ThreadMilliseconds();
            Run(reader, bytes);
            least = Math.Min(least, ThreadMilliseconds() - before);
        }
        return least;
    }

    private static double ThreadMilliseconds()
    {
        const int ThreadClock = 3;
        return OperatingSystem.IsLinux() && ReadClock(ThreadClock, out var time) == 0
            ? (time.Seconds * 1e3) + (time.Nanoseconds / 1e6) : Stopwatch.GetTimestamp() * 1e3 / Stopwatch.Frequency;
    }

    /// <summary>The sentence without its values, so that reasons can be counted.</summary>
    private static string Reason(string message)
    {
        var text = new StringBuilder(80);
        bool quoted = false;
        foreach (char c in message)
        {
            bool quote = c is '"' or '\'';
            if (quote || quoted)
            {
                quoted ^= quote;
                continue;
            }
            text.Append(char.IsAsciiDigit(c) ? '#' : c);
            if (text.Length == 80)
            {
                break;
            }
        }
        return text.Replace("####", "#").Replace("###", "#").Replace("##", "#").ToString();
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    private static partial int ReadClock(int clock, out ClockTime time);

    [StructLayout(LayoutKind.Sequential)]
    private struct ClockTime
    {
        public long Seconds;
        public long Nanoseconds;
    }
}
