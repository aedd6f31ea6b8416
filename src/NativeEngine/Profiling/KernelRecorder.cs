using System.Diagnostics;
using NativeEngine.Devices;

namespace NativeEngine.Profiling;

/// <summary>One thing that took time: a kernel call, or a part of the work that holds kernel calls.</summary>
/// <param name="Name">Kernel, with the mode that its row of the kernel table has, or the part's name.</param>
/// <param name="Size">Extents of the call; null for a part of the work.</param>
/// <param name="Flops">Operations of the call.</param>
/// <param name="Bytes">Bytes the call must move.</param>
/// <param name="Start">Nanoseconds since the recorder was made.</param>
/// <param name="Duration">Nanoseconds.</param>
public sealed record TraceEvent(string Name, KernelSize? Size, double Flops, double Bytes, long Start, long Duration)
{
    /// <summary>Nanoseconds since the recorder was made.</summary>
    public long End => Start + Duration;
}

/// <summary>Kernel calls of one name together.</summary>
public sealed record KernelTotal(string Name, long Calls, double Seconds, double Flops, double Bytes);

/// <summary>
/// Remembers when each kernel call began and how long it took, and the parts of the work around them. Put it into a device with
/// <c>new CpuDevice(threads, decorate: recorder.Wrap)</c>. Recording costs well under a microsecond of the measured time a call, and an allocation; it starts
/// switched off. For one thread that issues work, as devices demand. A device that runs kernels later than the call (a GPU) is attached with
/// <see cref="Attach"/>: then the times are those of its own events.
/// </summary>
public sealed class KernelRecorder
{
    private readonly List<TraceEvent> _events = [];
    private readonly long _origin = Stopwatch.GetTimestamp();
    private readonly List<(int Event, int From, int To)> _marked = [];
    private Device? _device;
    private long _deviceOrigin;
    private int _originMark = -1;

    /// <summary>Whether calls are recorded.</summary>
    public bool Enabled { get; set; }

    /// <summary>Kernel calls and parts, in the order they ended.</summary>
    public IReadOnlyList<TraceEvent> Events
    {
        get
        {
            Resolve();
            return _events;
        }
    }

    /// <summary>Kernels that record here and do the same.</summary>
    public IKernels Wrap(IKernels kernels) => new TimedKernels(kernels, this);

    /// <summary>Nanoseconds since the recorder was made.</summary>
    public long Now => (long)Stopwatch.GetElapsedTime(_origin).TotalNanoseconds;

    /// <summary>Takes the times of kernels from the device's own events, where it has any.</summary>
    public void Attach(Device device)
    {
        device.Synchronize();
        int mark = device.Mark();
        if (mark >= 0)
        {
            device.Synchronize();
            (_device, _originMark, _deviceOrigin) = (device, mark, Now);
        }
    }

    /// <summary>Records a part of the work that began at <paramref name="start"/> and ended at <paramref name="end"/> (see <see cref="Now"/>).</summary>
    public void AddPart(string name, long start, long end)
    {
        if (Enabled)
        {
            _events.Add(new TraceEvent(name, null, 0, 0, start, end - start));
        }
    }

    /// <summary>Times by kernel name, longest first; equal times by name.</summary>
    public IReadOnlyList<KernelTotal> Totals() =>
    [
        .. Events.Where(e => e.Size is not null).GroupBy(e => e.Name)
            .Select(g => new KernelTotal(g.Key, g.Count(), g.Sum(e => e.Duration) * 1e-9, g.Sum(e => e.Flops), g.Sum(e => e.Bytes)))
            .OrderByDescending(t => t.Seconds).ThenBy(t => t.Name, StringComparer.Ordinal),
    ];

    /// <summary>This moment on the clock of <see cref="AddCall"/>: nanoseconds, or the number of the device's mark.</summary>
    internal long Stamp() => _device?.Mark() ?? Now;

    internal void AddCall(string name, KernelSize size, double flops, double bytes, long start, long end)
    {
        if (_device is not null)
        {
            _marked.Add((_events.Count, (int)start, (int)end));
        }
        _events.Add(new TraceEvent(name, size, flops, bytes, start, end - start));
    }

    private void Resolve()
    {
        if (_device is null || _marked.Count == 0)
        {
            return;
        }
        foreach (var (at, from, to) in _marked)
        {
            long start = _deviceOrigin + (long)(_device.Seconds(_originMark, from) * 1e9);
            _events[at] = _events[at] with { Start = start, Duration = (long)(_device.Seconds(from, to) * 1e9) };
        }
        _marked.Clear();
    }
}
