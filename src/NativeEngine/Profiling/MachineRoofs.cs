using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Devices.Gpu;

namespace NativeEngine.Profiling;

/// <summary>How fast memory of one size is walked, in bytes per second read and written together.</summary>
/// <param name="Footprint">Bytes touched by all threads together, an equal and separate part each.</param>
/// <param name="Read">Sum of an array.</param>
/// <param name="Write">An array set to a constant.</param>
/// <param name="Copy">One array to another.</param>
/// <param name="Update">An array added to another, or scaled in place, whichever moves more.</param>
public sealed record BandwidthPoint(long Footprint, double Read, double Write, double Copy, double Update)
{
    /// <summary>The fastest pattern that reads.</summary>
    public double Best => Math.Max(Read, Math.Max(Copy, Update));

    internal BandwidthPoint Max(BandwidthPoint other) => new(
        Footprint, Math.Max(Read, other.Read), Math.Max(Write, other.Write), Math.Max(Copy, other.Copy), Math.Max(Update, other.Update));
}

/// <summary>
/// What this machine can do at most with some threads and a register width, measured by loops that do nothing else: bandwidth by the size of
/// what is touched (from a part of the first-level cache to far beyond the last level), and peaks of arithmetic. Each figure is the best of
/// several samples, since a roof must not be lowered by whatever else the machine does. Source: Williams, Waterman and Patterson, CACM 2009.
/// </summary>
public sealed record MachineRoofs
{
    private const long SmallestPart = 8 << 10;

    /// <summary>Threads that took part.</summary>
    public required int Threads { get; init; }

    /// <summary>Register width, as NENGINE_SIMD spells it; empty on a GPU.</summary>
    public required string Width { get; init; }

    /// <summary>Who was measured, in words.</summary>
    public string Who => Device ?? $"{Threads} thread{(Threads == 1 ? "" : "s")}, {Width} registers";

    /// <summary>The GPU's name, or null for the CPU.</summary>
    public string? Device { get; init; }

    /// <summary>Data caches as the system describes them; may be empty.</summary>
    public required IReadOnlyList<CacheLevel> Caches { get; init; }

    /// <summary>Bandwidths by footprint, ascending by powers of 2; the last is far beyond the caches.</summary>
    public required IReadOnlyList<BandwidthPoint> Bandwidths { get; init; }

    /// <summary>Operations per second of fused multiply-adds alone (two each).</summary>
    public required double FusedMultiplyAdd { get; init; }

    /// <summary>Terms per second of a minimum and an addition (or a fused multiply-add, if faster).</summary>
    public required double MinimumAddTerms { get; init; }

    /// <summary>Operations per second of a subtraction and a fused multiply-add (three each).</summary>
    public required double SubtractMultiplyAdd { get; init; }

    /// <summary>Bytes per second, read and written, of copying arrays far larger than the caches.</summary>
    public double CopyBandwidth => Bandwidths[^1].Copy;

    /// <summary>
    /// Most bytes per second a kernel can move whose data has this size: the fastest pattern at the largest measured footprint that is not
    /// larger, or at any above. Data that lies partly in a cache is so held against the cache. What is only written has a roof of its own,
    /// since memory may take writes faster than it gives.
    /// </summary>
    public double Bandwidth(double workingSet, bool writesOnly = false)
    {
        int at = Bandwidths.Count - 1;
        while (at > 0 && Bandwidths[at].Footprint > workingSet)
        {
            at--;
        }
        return Bandwidths.Skip(at).Max(point => writesOnly ? Math.Max(point.Write, point.Best) : point.Best);
    }

    /// <summary>Most operations per second of a kind of arithmetic; a minimum and an addition count two a term.</summary>
    public double Peak(ArithmeticKind kind) => kind switch
    {
        ArithmeticKind.MinimumAdd => 2 * MinimumAddTerms,
        ArithmeticKind.SubtractMultiplyAdd => SubtractMultiplyAdd,
        _ => FusedMultiplyAdd,
    };

    /// <summary>
    /// The lines to draw: for each known cache the bandwidth of half its size on every thread, and memory.
    /// </summary>
    public IReadOnlyList<(string Name, double BytesPerSecond)> Levels()
    {
        var levels = new List<(string, double)>();
        foreach (var cache in Caches)
        {
            bool shared = cache == Caches[^1] && Caches.Count > 2;
            long footprint = cache.Bytes / 2 * (shared ? 1 : Threads);
            if (footprint < Bandwidths[^1].Footprint)
            {
                levels.Add(($"L{cache.Level}", Bandwidth(footprint)));
            }
        }
        levels.Add(("memory", Bandwidths[^1].Best));
        return levels;
    }

    /// <summary>The name of the level that holds a working set: L1, L2, L3 or memory.</summary>
    public string LevelOf(double workingSet)
    {
        foreach (var cache in Caches)
        {
            bool shared = cache == Caches[^1] && Caches.Count > 2;
            if (workingSet <= cache.Bytes * (shared ? 1.0 : Threads))
            {
                return $"L{cache.Level}";
            }
        }
        return "memory";
    }

    /// <summary>The higher of two measurements of one machine, figure by figure. Errors: measurements of different things.</summary>
    public MachineRoofs Max(MachineRoofs other)
    {
        if (Who != other.Who || Bandwidths.Count != other.Bandwidths.Count)
        {
            throw new ArgumentException("roofs of different devices, thread counts or widths cannot be joined", nameof(other));
        }
        return this with
        {
            Bandwidths = [.. Bandwidths.Zip(other.Bandwidths, (a, b) => a.Max(b))],
            FusedMultiplyAdd = Math.Max(FusedMultiplyAdd, other.FusedMultiplyAdd),
            MinimumAddTerms = Math.Max(MinimumAddTerms, other.MinimumAddTerms),
            SubtractMultiplyAdd = Math.Max(SubtractMultiplyAdd, other.SubtractMultiplyAdd),
        };
    }

    /// <summary>
    /// Measures, with all threads of the device: two to five seconds, and memory of eight times the last-level cache (at least 64 MiB, at most
    /// a quarter of what the device may still use). Quick takes shorter and fewer samples.
    /// </summary>
    public static MachineRoofs Measure(Device device, bool quick = false, CancellationToken cancellation = default) => device switch
    {
        CpuDevice cpu => Measure(cpu, quick, cancellation),
        GpuDevice gpu => GpuRoofs.Measure(gpu, quick, cancellation),
        _ => throw new EngineException(ErrorKind.DeviceUnavailable, $"the roofs of {device.Name} cannot be measured"),
    };

    private static MachineRoofs Measure(CpuDevice device, bool quick, CancellationToken cancellation) => device.Width switch
    {
        SimdWidth.Bits512 => Measure<Lanes512>(device, quick, cancellation),
        SimdWidth.Bits256 => Measure<Lanes256>(device, quick, cancellation),
        SimdWidth.Bits128 => Measure<Lanes128>(device, quick, cancellation),
        _ => Measure<LanesScalar>(device, quick, cancellation),
    };

    private static unsafe MachineRoofs Measure<L>(CpuDevice device, bool quick, CancellationToken cancellation)
        where L : unmanaged, ILanes<L>
    {
        var caches = CacheLevel.Read();
        int threads = device.Threads, samples = quick ? 9 : 15;
        // Many short samples: on a busy machine some of them are left alone.
        double length = quick ? 3e-4 : 1e-3;
        long wanted = Math.Max(64 << 20, 8 * (caches.Count > 0 ? caches[^1].Bytes : 32L << 20));
        long largest = Math.Min(wanted, (device.MemoryLimit - device.Memory.LiveBytes) / 4) / threads;
        using var buffer = device.Allocate<float>(Math.Max(largest, SmallestPart) * threads / sizeof(float), MemoryUse.Data);
        float* memory = buffer.View.Pointer;
        var points = new List<BandwidthPoint>();
        for (long part = SmallestPart; part <= Math.Max(largest, SmallestPart); part *= 2)
        {
            double read = Rate(StreamPattern.Read), write = Math.Max(Rate(StreamPattern.Write), Rate(StreamPattern.Fill));
            double copy = Math.Max(Rate(StreamPattern.Copy), Rate(StreamPattern.Move));
            points.Add(new BandwidthPoint(part * threads, read, write, copy, Math.Max(1.5 * Rate(StreamPattern.Update), 2 * Rate(StreamPattern.Scale))));

            double Rate(StreamPattern pattern)
            {
                cancellation.ThrowIfCancellationRequested();
                return part * threads / RoofProbes<L>.Stream(device.Team, pattern, memory, part / sizeof(float), length, samples);
            }
        }
        return new MachineRoofs
        {
            Threads = threads,
            Width = CpuDevice.NameOf(device.Width),
            Caches = caches,
            Bandwidths = points,
            FusedMultiplyAdd = 2 * Terms(ArithmeticKind.FusedMultiplyAdd),
            MinimumAddTerms = Enum.GetValues<TermForm>().Max(form => Terms(ArithmeticKind.MinimumAdd, form)),
            SubtractMultiplyAdd = 3 * Terms(ArithmeticKind.SubtractMultiplyAdd),
        };

        double Terms(ArithmeticKind kind, TermForm form = TermForm.Plain)
        {
            cancellation.ThrowIfCancellationRequested();
            return RoofProbes<L>.TermsPerRound * threads / RoofProbes<L>.Compute(device.Team, kind, form, memory, length, samples);
        }
    }
}
