using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Profiling;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Profiling;

public sealed class MachineRoofsTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Measure_Quick_RoofsArePositiveAndOrdered(int threads)
    {
        using var device = new CpuDevice(threads) { MemoryLimit = 512 << 20 };
        var roofs = MachineRoofs.Measure(device, quick: true);
        Assert.Equal(threads, roofs.Threads);
        Assert.All(roofs.Bandwidths, p => Assert.True(p.Read > 0 && p.Write > 0 && p.Copy > 0 && p.Update > 0, p.ToString()));
        Assert.Equal(roofs.Bandwidths.OrderBy(p => p.Footprint), roofs.Bandwidths);
        Assert.True(roofs.Bandwidths[0].Best > roofs.Bandwidths[^1].Best, "the first-level cache is not faster than memory");
        // A fused multiply-add is two operations and one instruction, a term of min+add two instructions.
        Assert.True(roofs.FusedMultiplyAdd > roofs.MinimumAddTerms && roofs.MinimumAddTerms > 0);
        Assert.True(roofs.SubtractMultiplyAdd > roofs.MinimumAddTerms);
        Assert.Equal(0, device.Memory.LiveBytes);
    }

    [Theory]
    [InlineData(SimdWidth.Scalar)]
    [InlineData(SimdWidth.Bits128)]
    [InlineData(SimdWidth.Bits256)]
    [InlineData(SimdWidth.Bits512)]
    public void Measure_EveryWidth_GivesFiniteRoofs(SimdWidth width)
    {
        if (width > CpuDevice.Widest)
        {
            Assert.Throws<EngineException>(() => new CpuDevice(1, width));
            return;
        }
        using var device = new CpuDevice(1, width) { MemoryLimit = 4 << 20 };
        var roofs = MachineRoofs.Measure(device, quick: true);
        Assert.Equal(CpuDevice.NameOf(width), roofs.Width);
        Assert.All(Enum.GetValues<ArithmeticKind>(), kind => Assert.True(double.IsFinite(roofs.Peak(kind)) && roofs.Peak(kind) > 1e6));
    }

    [Fact]
    public void Bandwidth_BetweenFootprints_IsThatOfTheSmallerOne()
    {
        var roofs = SyntheticProfile.Roofs;
        Assert.Equal(1000e9, roofs.Bandwidth(100));
        Assert.Equal(1000e9, roofs.Bandwidth((1 << 17) - 1));
        Assert.Equal(500e9, roofs.Bandwidth(1 << 20));
        Assert.Equal(40e9, roofs.Bandwidth(1e12));
        Assert.Equal(60e9, roofs.Bandwidth(1e12, writesOnly: true));
        Assert.Equal(["L1", "L2", "memory"], roofs.Levels().Select(level => level.Name));
        Assert.Equal(["L1", "L2", "memory"], new[] { 1e4, 1e6, 1e9 }.Select(roofs.LevelOf));
    }

    [Fact]
    public void Max_TakesTheHigherFigureOfEach()
    {
        var a = SyntheticProfile.Roofs;
        var b = a with { FusedMultiplyAdd = 2 * a.FusedMultiplyAdd, MinimumAddTerms = a.MinimumAddTerms / 2 };
        Assert.Equal((b.FusedMultiplyAdd, a.MinimumAddTerms), (a.Max(b).FusedMultiplyAdd, a.Max(b).MinimumAddTerms));
        Assert.Throws<ArgumentException>(() => a.Max(a with { Threads = 9 }));
    }

    [Fact]
    public void CacheLevel_Read_TakesDataAndUnifiedCaches()
    {
        using var folder = new TemporaryFolder();
        foreach (var (index, level, type, size) in new[] { (0, "1", "Data", "48K"), (1, "1", "Instruction", "32K"), (2, "2", "Unified", "1024K"), (3, "3", "Unified", "junk") })
        {
            folder.Write($"index{index}/level", level + "\n");
            folder.Write($"index{index}/type", type + "\n");
            folder.Write($"index{index}/size", size + "\n");
        }
        Assert.Equal([new CacheLevel(1, 48 << 10), new CacheLevel(2, 1 << 20)], CacheLevel.Read(folder.Path));
        Assert.Empty(CacheLevel.Read(folder.File("missing")));
    }
}
