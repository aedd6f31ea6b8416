using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Tests.Reference;

namespace NativeEngine.Tests.Devices;

public class CpuKernelTests
{
    public static TheoryData<string> RowNames => [.. KernelTable.All.Select(row => row.Name)];

    [Fact]
    public void Table_EveryRow_HasReferenceAndSizes()
    {
        Assert.Equal(KernelTable.All.Select(r => r.Name).Order(), ReferenceKernels.All.Keys.Order());
        Assert.All(KernelTable.All, row => Assert.True(row.TestSizes.Count > 0 && row.BenchmarkSizes.Count > 0));
    }

    [Theory]
    [MemberData(nameof(RowNames))]
    public void Run_AwkwardSizes_MatchesReference(string name)
    {
        var row = KernelTable.All.Single(r => r.Name == name);
        using var device = new CpuDevice(threads: 2);
        foreach (var size in row.TestSizes)
        {
            KernelRun.On(device, row, size).AssertMatches(KernelRun.Expected(row, size));
        }
    }

    [Theory]
    [MemberData(nameof(RowNames))]
    public void Run_AnyWidthAndThreads_SameBits(string name)
    {
        var row = KernelTable.All.Single(r => r.Name == name);
        using var judge = new CpuDevice(threads: 1, CpuDevice.Widest);
        foreach (var width in Enum.GetValues<SimdWidth>().Where(w => w <= CpuDevice.Widest))
        {
            foreach (int threads in width == CpuDevice.Widest ? new[] { 2, 3, 7 } : [3])
            {
                using var device = new CpuDevice(threads, width);
                foreach (var size in row.TestSizes)
                {
                    KernelRun.On(device, row, size).AssertSameBits(KernelRun.On(judge, row, size), $"with {threads} threads at {CpuDevice.NameOf(width)} from 1 thread at {CpuDevice.NameOf(judge.Width)}");
                }
            }
        }
    }
}
