using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;

namespace NativeEngine.Profiling;

/// <summary>How long and how much is measured.</summary>
public sealed record ProfileOptions
{
    /// <summary>Fewest samples whose median is taken.</summary>
    public int Samples { get; init; } = 7;

    /// <summary>Shortest sum of the samples of one kernel at one size.</summary>
    public TimeSpan MinimumTime { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Sizes whose arguments take more bytes are left out.</summary>
    public long LargestArguments { get; init; } = long.MaxValue;

    /// <summary>A share of the roof above 1 plus this cannot be noise: a count is wrong.</summary>
    public double Tolerance { get; init; } = 0.05;

    /// <summary>Everything within about fifteen seconds: shorter samples, no argument sets above 64 MiB.</summary>
    public static ProfileOptions Quick { get; } = new() { MinimumTime = TimeSpan.FromMilliseconds(15), LargestArguments = 64 << 20 };

    internal bool IsQuick => MinimumTime < TimeSpan.FromMilliseconds(50);
}

/// <summary>A size that was not measured, and why.</summary>
public sealed record SkippedSize(KernelRow Row, KernelSize Size, string Reason);

/// <summary>Kernels against the roofs of one machine.</summary>
/// <param name="Roofs">The roofs with the threads of the profile, as high as they were ever seen during it.</param>
/// <param name="SingleThread">The roofs of one thread, or null when the profile itself had one or was quick.</param>
/// <param name="Measurements">In the order of the kernel table.</param>
/// <param name="Skipped">What did not fit.</param>
/// <param name="AboveRoof">Measurements beyond the roof also when measured again: proof of a wrong count. Empty in an honest table.</param>
public sealed record KernelProfile(
    MachineRoofs Roofs, MachineRoofs? SingleThread, IReadOnlyList<KernelMeasurement> Measurements, IReadOnlyList<SkippedSize> Skipped,
    IReadOnlyList<KernelMeasurement> AboveRoof);

/// <summary>
/// Times rows of the kernel table on one device and holds them against roofs measured in the same process. A point above its roof is measured
/// again, and so are the roofs, before it counts as impossible: then the row's operations or bytes are counted wrongly.
/// </summary>
public sealed class KernelProfiler(Device device, ProfileOptions options)
{
    private const double ShortestSample = 2e-4;
    private const int MostSamples = 101;

    /// <summary>
    /// Measures the rows at their benchmark sizes. <paramref name="progress"/> is told each row and size before its turn. The time is that of the
    /// kernels: about a minute for the whole table, 15 s with <see cref="ProfileOptions.Quick"/>.
    /// </summary>
    public KernelProfile Run(IReadOnlyList<KernelRow> rows, Action<string>? progress = null, CancellationToken cancellation = default)
    {
        progress?.Invoke("roofs");
        var roofs = MachineRoofs.Measure(device, options.IsQuick, cancellation);
        var single = !options.IsQuick && device is CpuDevice { Threads: > 1 } cpu ? SingleThreadRoofs(cpu, cancellation) : null;
        var measurements = new List<KernelMeasurement>();
        var skipped = new List<SkippedSize>();
        foreach (var row in rows)
        {
            foreach (var size in row.BenchmarkSizes)
            {
                cancellation.ThrowIfCancellationRequested();
                long bytes = KernelBench.ArgumentBytes(row, size);
                if (bytes > options.LargestArguments || bytes > device.MemoryLimit - device.Memory.LiveBytes)
                {
                    string reason = bytes > options.LargestArguments ? "more than a quick run allows" : "more than the memory limit leaves";
                    skipped.Add(new SkippedSize(row, size, $"arguments of {bytes:N0} bytes, {reason}"));
                    continue;
                }
                progress?.Invoke($"{row.Name} {size}");
                measurements.Add(Measure(row, size));
            }
        }
        (roofs, var above) = Audit(roofs, measurements, cancellation);
        return new KernelProfile(roofs, single, measurements, skipped, above);
    }

    /// <summary>Bytes of all arguments of a row at a size.</summary>
    public static long ArgumentBytes(KernelRow row, KernelSize size) => KernelBench.ArgumentBytes(row, size);

    /// <summary>Times one row at one size: warm-up, then samples of at least 0.2 ms until there are enough of them and they took long enough.</summary>
    public KernelMeasurement Measure(KernelRow row, KernelSize size)
    {
        using var bench = new KernelBench(device, row, size);
        _ = bench.Time(1);
        double once = bench.Time(1);
        long perSample = Math.Max(1, (long)Math.Ceiling(ShortestSample / Math.Max(once, 1e-8)));
        for (int warm = 0; warm < 3 && once * perSample < 0.05; warm++)
        {
            once = bench.Time(perSample);
        }
        perSample = Math.Max(1, (long)Math.Ceiling(ShortestSample / Math.Max(once, 1e-8)));
        var samples = new List<double>();
        double total = 0;
        while (samples.Count < options.Samples || (total < options.MinimumTime.TotalSeconds && samples.Count < MostSamples))
        {
            double seconds = bench.Time(perSample);
            samples.Add(seconds);
            total += seconds * perSample;
        }
        samples.Sort();
        double median = samples[samples.Count / 2];
        double spread = (samples[samples.Count * 9 / 10] - samples[samples.Count / 10]) / median;
        return new KernelMeasurement(row, size, median, spread, samples.Count);
    }

    /// <summary>
    /// The measurements that lie above their roof, after the roofs and those measurements were taken up to three times more. Joins the roofs
    /// by their maximum and replaces a measurement by a slower one.
    /// </summary>
    internal (MachineRoofs Roofs, IReadOnlyList<KernelMeasurement> Above) Audit(
        MachineRoofs roofs, List<KernelMeasurement> measurements, CancellationToken cancellation)
    {
        for (int attempt = 0; ; attempt++)
        {
            KernelMeasurement[] above = [.. measurements.Where(m => m.Share(roofs) > 1 + options.Tolerance)];
            if (above.Length == 0 || attempt == 3)
            {
                return (roofs, above);
            }
            roofs = roofs.Max(MachineRoofs.Measure(device, options.IsQuick, cancellation));
            foreach (var suspect in above)
            {
                var again = Measure(suspect.Row, suspect.Size);
                int at = measurements.IndexOf(suspect);
                measurements[at] = again.Seconds > suspect.Seconds ? again : suspect;
            }
        }
    }

    private MachineRoofs SingleThreadRoofs(CpuDevice cpu, CancellationToken cancellation)
    {
        using var single = new CpuDevice(1, cpu.Width) { MemoryLimit = device.MemoryLimit - device.Memory.LiveBytes };
        return MachineRoofs.Measure(single, options.IsQuick, cancellation);
    }
}
