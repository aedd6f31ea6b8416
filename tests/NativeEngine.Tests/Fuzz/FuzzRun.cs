using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using NativeEngine.Training;

namespace NativeEngine.Tests.Fuzz;

/// <summary>What a mutant did that it may not.</summary>
internal sealed record FuzzFailure(long Index, string What);

/// <summary>
/// Reads mutants of one format and holds the reader to what is promised. All that a read allocates is counted; where that is more than 4 × input + 1 MiB,
/// the largest single object is measured.
/// </summary>
internal sealed partial class FuzzRun(FuzzFormat format, ulong seed, double slowMilliseconds)
{
    private const int Factor = 4;
    private const long Slack = 1 << 20;
    private const int MostFailures = 8, MostReasons = 500;

    // Taken for a second look; the goal itself is measured in processor time.
    private static readonly TimeSpan _suspicious = TimeSpan.FromMilliseconds(20);

    private readonly ConcurrentQueue<FuzzFailure> _failures = new();
    private readonly Dictionary<string, int> _reasons = new(StringComparer.Ordinal);
    private readonly List<long> _beyond = [];
    private readonly Lock _lock = new();
    private long _mostAllocated, _largestObject;
    private double _slowest;

    public long Accepted { get; private set; }

    public long Refused { get; private set; }

    public IReadOnlyCollection<FuzzFailure> Failures => _failures;

    /// <summary>Reads the mutants [first, first + count).</summary>
    public void Read(long first, long count, int threads)
    {
        const int Chunk = 1000;
        long chunks = (count + Chunk - 1) / Chunk;
        var options = new ParallelOptions { MaxDegreeOfParallelism = threads };
        Parallel.For(0, chunks, options, () => new Share(format, seed), (chunk, state, share) =>
        {
            for (long i = first + (chunk * Chunk); i < first + Math.Min(count, (chunk + 1) * Chunk) && _failures.Count < MostFailures; i++)
            {
                Try(i, share.Mutator.Make(i), share);
            }
            return share;
        }, Add);
        MeasureLargestObjects(new Mutator(format, seed).Make);
    }

    /// <summary>Reads given bytes, as mutant number -1.</summary>
    public void Read(byte[] bytes)
    {
        var share = new Share(format, seed);
        Try(-1, bytes, share);
        Add(share);
        MeasureLargestObjects(_ => bytes);
    }

    /// <summary>One line for people: a row of the table in docs/reliability.md.</summary>
    public override string ToString()
    {
        string slow = _slowest < _suspicious.TotalMilliseconds ? "none over 20 ms" : string.Create(CultureInfo.InvariantCulture, $"slowest {_slowest:0.0} ms");
        string largest = _beyond.Count == 0 ? "less than in all"
            : _largestObject < LargestObjects.Seen ? string.Create(CultureInfo.InvariantCulture, $"under {LargestObjects.Seen / 1024} KiB")
            : string.Create(CultureInfo.InvariantCulture, $"{_largestObject / 1024.0:0} KiB");
        return string.Create(CultureInfo.InvariantCulture,
            $"| {format.Name} | {Accepted + Refused:N0} | {100.0 * Accepted / Math.Max(1, Accepted + Refused):0.0} % | {(_reasons.Count <= MostReasons ? $"{_reasons.Count}" : $"over {MostReasons}")} | {_mostAllocated / 1024.0:0} KiB | {_beyond.Count:N0} | {largest} | {slow} | {_failures.Count} | {RunManifest.Commit?[..7] ?? "unknown"} |");
    }

    public string Reasons() => string.Join('\n', _reasons.OrderByDescending(r => r.Value).Select(r => string.Create(CultureInfo.InvariantCulture, $"{r.Value,9} {r.Key}")));

    private void Try(long index, byte[] bytes, Share share)
    {
        long goal = (Factor * format.Size(bytes)) + Slack;
        long before = GC.GetAllocatedBytesForCurrentThread(), clock = Stopwatch.GetTimestamp();
        Exception? thrown = Run(share.Reader, bytes);
        var took = Stopwatch.GetElapsedTime(clock);
        long allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        if (allocated > goal)
        {
            // What the runtime makes once for a type or a method is not the reader's.
            before = GC.GetAllocatedBytesForCurrentThread();
            Run(share.Reader, bytes);
            allocated = Math.Min(allocated, GC.GetAllocatedBytesForCurrentThread() - before);
        }
        double milliseconds = took < _suspicious ? 0 : ProcessorTime(share.Reader, bytes);
        string? wrong = thrown is null ? null
            : thrown is not EngineException e ? $"{thrown}"
            : !format.Kinds.Contains(e.Kind) ? $"refused with {e.Kind}: {e.Message}"
            : e.Message.Length < 12 ? $"refused without a reason: {e.Message}" : null;
        long most = (format.TotalFactor * format.Size(bytes)) + Slack;
        wrong ??= allocated > most ? $"allocated {allocated:N0} bytes in all for {bytes.Length:N0}, at most {most:N0} are allowed" : null;
        wrong ??= milliseconds > slowMilliseconds ? $"took {milliseconds:0.0} ms of processor time for {bytes.Length:N0} bytes, at most {slowMilliseconds} are allowed" : null;
        if (wrong is not null)
        {
            _failures.Enqueue(new FuzzFailure(index, wrong));
        }
        share.Count(thrown, allocated, milliseconds);
        if (allocated > goal)
        {
            share.Beyond.Add(index);
        }
    }

    private void Add(Share share)
    {
        lock (_lock)
        {
            (Accepted, Refused) = (Accepted + share.Accepted, Refused + share.Refused);
            (_mostAllocated, _slowest) = (Math.Max(_mostAllocated, share.MostAllocated), Math.Max(_slowest, share.Slowest));
            _beyond.AddRange(share.Beyond);
            foreach (var (reason, count) in share.Reasons)
            {
                string name = _reasons.ContainsKey(reason) || _reasons.Count < MostReasons ? reason : "others";
                _reasons[name] = _reasons.GetValueOrDefault(name) + count;
            }
        }
    }

    private void MeasureLargestObjects(Func<long, byte[]> make)
    {
        if (_beyond.Count == 0)
        {
            return;
        }
        _beyond.Sort();
        var reader = format.Open();
        long[] largest = LargestObjects.Of(_beyond.Count, i => Run(reader, make(_beyond[i])));
        for (int i = 0; i < largest.Length; i++)
        {
            _largestObject = Math.Max(_largestObject, largest[i]);
            byte[] bytes = make(_beyond[i]);
            long goal = (Factor * format.Size(bytes)) + Slack;
            if (largest[i] > goal)
            {
                _failures.Enqueue(new FuzzFailure(_beyond[i], $"allocated {largest[i]:N0} bytes at once for {bytes.Length:N0}, at most {goal:N0} are allowed"));
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

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    private static partial int ReadClock(int clock, out ClockTime time);

    [StructLayout(LayoutKind.Sequential)]
    private struct ClockTime
    {
        public long Seconds;
        public long Nanoseconds;
    }

    /// <summary>What one thread reads, and what came of it.</summary>
    private sealed class Share(FuzzFormat format, ulong seed)
    {
        private readonly StringBuilder _text = new(80);

        public Mutator Mutator { get; } = new(format, seed);

        public Action<byte[]> Reader { get; } = format.Open();

        public Dictionary<string, int> Reasons { get; } = new(StringComparer.Ordinal);

        /// <summary>The mutants for which more was allocated in all than may be at once.</summary>
        public List<long> Beyond { get; } = [];

        public long Accepted { get; private set; }

        public long Refused { get; private set; }

        public long MostAllocated { get; private set; }

        public double Slowest { get; private set; }

        public void Count(Exception? thrown, long allocated, double milliseconds)
        {
            (MostAllocated, Slowest) = (Math.Max(MostAllocated, allocated), Math.Max(Slowest, milliseconds));
            if (thrown is null)
            {
                Accepted++;
                return;
            }
            Refused++;
            string reason = Reason(thrown.Message);
            reason = Reasons.Count < MostReasons || Reasons.ContainsKey(reason) ? reason : "others";
            Reasons[reason] = Reasons.GetValueOrDefault(reason) + 1;
        }

        /// <summary>The sentence without its values, so that reasons can be counted.</summary>
        private string Reason(string message)
        {
            _text.Clear();
            bool quoted = false;
            foreach (char c in message)
            {
                bool quote = c is '"' or '\'';
                if (quote || quoted)
                {
                    quoted ^= quote;
                }
                else if (char.IsAsciiDigit(c))
                {
                    _ = _text.Length > 0 && _text[^1] == '#' ? _text : _text.Append('#');
                }
                else
                {
                    _text.Append(c);
                }
                if (_text.Length == 80)
                {
                    break;
                }
            }
            return _text.ToString();
        }
    }
}
