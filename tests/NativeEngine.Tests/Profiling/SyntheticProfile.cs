using NativeEngine.Devices;
using NativeEngine.Profiling;

namespace NativeEngine.Tests.Profiling;

/// <summary>A profile of the whole kernel table on an invented machine: nothing is timed, so figures and documents of it never change.</summary>
internal static class SyntheticProfile
{
    public static MachineRoofs Roofs { get; } = new()
    {
        Threads = 2,
        Width = "512-bit",
        Caches = [new CacheLevel(1, 32 << 10), new CacheLevel(2, 1 << 20)],
        Bandwidths =
        [
            new BandwidthPoint(1 << 14, 1000e9, 400e9, 800e9, 900e9), new BandwidthPoint(1 << 17, 500e9, 200e9, 400e9, 450e9),
            new BandwidthPoint(1 << 28, 40e9, 60e9, 30e9, 35e9),
        ],
        FusedMultiplyAdd = 400e9,
        MinimumAddTerms = 100e9,
        SubtractMultiplyAdd = 450e9,
    };

    /// <summary>Every row at every benchmark size, at shares of the roof between 1/8 and 1.</summary>
    public static KernelProfile Whole() => new(
        Roofs, null,
        [
            .. KernelTable.All.SelectMany(row => row.BenchmarkSizes.Select(size => (row, size)))
                .Select((item, i) => At(item.row, item.size, 1.0 / (1 + (i % 8)))),
        ],
        [], []);

    /// <summary>A measurement that reaches a share of its roof.</summary>
    public static KernelMeasurement At(KernelRow row, KernelSize size, double share)
    {
        var any = new KernelMeasurement(row, size, 1, 0.01, 7);
        return any with { Seconds = any.RoofSeconds(Roofs) / share };
    }
}
