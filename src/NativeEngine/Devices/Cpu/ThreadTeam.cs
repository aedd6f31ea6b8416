using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;

namespace NativeEngine.Devices.Cpu;

/// <summary>A piece of parallel work: runs for a range of indices; ranges of different calls may run on different threads.</summary>
internal interface IRangeJob
{
    /// <summary>Does the work of indices first .. last - 1 on thread <paramref name="worker"/> (0-based).</summary>
    void Run(long first, long last, int worker);
}

/// <summary>
/// A team of threads that share one job at a time: the caller is worker 0. Chunks are handed out by a counter, so a slow core gets
/// fewer; a job must therefore give the same result for any cut of its range. A thread that is not there in time is not waited for: the caller waits for those
/// that have joined only, so a machine that is busy with others does the work on the cores it has. No allocation per call. One caller at a time.
/// </summary>
internal sealed unsafe class ThreadTeam : IDisposable
{
    // Back-to-back kernels find their threads awake: waking one takes about 5 us. First without a pause for others, then giving way to them, then asleep.
    private const int SpinIterations = 200, YieldIterations = 2000;

    // The job: its number in the upper half, whether it can be joined, and below that how many threads have.
    private const long Next = 1L << 32, Open = 1L << 31, Joined = Open - 1;

    private readonly Thread[] _threads;
    private readonly SemaphoreSlim _wake = new(0);
    private void* _job;
    private delegate*<void*, long, long, int, void> _invoke;
    private long _count, _grain;
    private long _next;
    private long _state;
    private int _sleepers;
    private Exception? _failure;
    private volatile bool _stop;

    public ThreadTeam(int size)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        Size = size;
        _threads = new Thread[size - 1];
        for (int i = 0; i < _threads.Length; i++)
        {
            int worker = i + 1;
            _threads[i] = new Thread(() => Work(worker), 4 << 20) { IsBackground = true, Name = $"kernel {worker}" };
            _threads[i].Start();
        }
    }

    /// <summary>Number of threads, the caller included.</summary>
    public int Size { get; }

    /// <summary>
    /// Runs the job over 0 .. count - 1 in chunks of <paramref name="grain"/> and waits. The first exception of any chunk is thrown
    /// here after all chunks ended.
    /// </summary>
    public void For<TJob>(in TJob job, long count, long grain)
        where TJob : struct, IRangeJob
    {
        if (count <= 0)
        {
            return;
        }
        if (Size == 1 || count <= grain)
        {
            for (long first = 0; first < count; first += grain)
            {
                Unsafe.AsRef(in job).Run(first, Math.Min(first + grain, count), 0);
            }
            return;
        }
        // Nobody can have joined: the last job is closed.
        _job = Unsafe.AsPointer(ref Unsafe.AsRef(in job));
        _invoke = &Invoke<TJob>;
        (_count, _grain, _next, _failure) = (count, grain, 0, null);
        Publish((_state + Next) | Open);
        Drain(0);
        Interlocked.And(ref _state, ~Open);
        SpinWait spin = default;
        while ((Volatile.Read(ref _state) & Joined) != 0)
        {
            spin.SpinOnce(sleep1Threshold: -1);
        }
        if (_failure is { } failure)
        {
            ExceptionDispatchInfo.Throw(failure);
        }
    }

    public void Dispose()
    {
        _stop = true;
        Publish(_state + Next);
        foreach (var thread in _threads)
        {
            thread.Join();
        }
        _wake.Dispose();
    }

    private static void Invoke<TJob>(void* job, long first, long last, int worker)
        where TJob : struct, IRangeJob => Unsafe.AsRef<TJob>(job).Run(first, last, worker);

    /// <summary>Tells the threads of a new state, and wakes those that sleep.</summary>
    private void Publish(long state)
    {
        Interlocked.Exchange(ref _state, state);
        if (Interlocked.Exchange(ref _sleepers, 0) is > 0 and var sleepers)
        {
            _wake.Release(sleepers);
        }
    }

    private void Work(int worker)
    {
        long number = 0;
        while (true)
        {
            AwaitAfter(number);
            if (_stop)
            {
                return;
            }
            long state = Volatile.Read(ref _state);
            number = state & ~(Next - 1);
            while ((state & Open) != 0 && (state & ~(Next - 1)) == number)
            {
                long seen = Interlocked.CompareExchange(ref _state, state + 1, state);
                if (seen == state)
                {
                    Drain(worker);
                    Interlocked.Decrement(ref _state);
                    break;
                }
                state = seen;
            }
        }
    }

    /// <summary>Returns when there is a job after this number.</summary>
    private void AwaitAfter(long number)
    {
        for (int i = 0; (Volatile.Read(ref _state) & ~(Next - 1)) == number; i++)
        {
            if (i < SpinIterations)
            {
                Thread.SpinWait(10);
            }
            else if (i < YieldIterations)
            {
                Thread.SpinWait(10);
                Thread.Yield();
            }
            else
            {
                Sleep(number);
            }
        }
    }

    // Announced sleepers and tickets of the semaphore are together as many as threads that are in here. Announced before the look at the state: whoever changes
    // the state looks at the announcements after it.
    private void Sleep(long number)
    {
        Interlocked.Increment(ref _sleepers);
        if ((Volatile.Read(ref _state) & ~(Next - 1)) != number)
        {
            int sleepers = Volatile.Read(ref _sleepers);
            while (sleepers > 0)
            {
                int seen = Interlocked.CompareExchange(ref _sleepers, sleepers - 1, sleepers);
                if (seen == sleepers)
                {
                    return;
                }
                sleepers = seen;
            }
        }
        _wake.Wait();
    }

    private void Drain(int worker)
    {
        try
        {
            while (true)
            {
                long first = Interlocked.Add(ref _next, _grain) - _grain;
                if (first >= _count)
                {
                    return;
                }
                _invoke(_job, first, Math.Min(first + _grain, _count), worker);
            }
        }
        catch (Exception e) when (worker != 0 || Size > 1)
        {
            Interlocked.CompareExchange(ref _failure, e, null);
            Volatile.Write(ref _next, _count);
        }
    }
}
