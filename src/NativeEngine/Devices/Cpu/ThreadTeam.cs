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
/// fewer; a job must therefore give the same result for any cut of its range. No allocation per call. One caller at a time.
/// </summary>
internal sealed unsafe class ThreadTeam : IDisposable
{
    // Spinning this long before sleeping keeps back-to-back kernels from paying a wake-up (about 5 us) each.
    private const int SpinIterations = 2000;

    private readonly Thread[] _threads;
    private readonly SemaphoreSlim _wake = new(0);
    private void* _job;
    private delegate*<void*, long, long, int, void> _invoke;
    private long _count, _grain;
    private long _next;
    private int _running;
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
        _job = Unsafe.AsPointer(ref Unsafe.AsRef(in job));
        _invoke = &Invoke<TJob>;
        _count = count;
        _grain = grain;
        _failure = null;
        Volatile.Write(ref _next, 0);
        Volatile.Write(ref _running, _threads.Length);
        _wake.Release(_threads.Length);
        Drain(0);
        SpinWait spin = default;
        while (Volatile.Read(ref _running) > 0)
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
        if (_threads.Length > 0)
        {
            _wake.Release(_threads.Length);
        }
        foreach (var thread in _threads)
        {
            thread.Join();
        }
        _wake.Dispose();
    }

    private static void Invoke<TJob>(void* job, long first, long last, int worker)
        where TJob : struct, IRangeJob => Unsafe.AsRef<TJob>(job).Run(first, last, worker);

    private void Work(int worker)
    {
        while (true)
        {
            for (int i = 0; i < SpinIterations && _wake.CurrentCount == 0; i++)
            {
                Thread.SpinWait(10);
            }
            _wake.Wait();
            if (_stop)
            {
                return;
            }
            Drain(worker);
            Interlocked.Decrement(ref _running);
        }
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
