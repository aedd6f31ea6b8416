using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Devices.Gpu;
using NativeEngine.Tests.Devices;

namespace NativeEngine.Tests.Ptx;

/// <summary>Every row of the kernel table on the interpreted PTX: against the reference, and with the very bits of the CPU.</summary>
public class GpuKernelTests
{
    public static TheoryData<string> RowNames => [.. KernelTable.All.Select(row => row.Name)];

    [Theory]
    [MemberData(nameof(RowNames))]
    public void Run_AwkwardSizes_MatchesReferenceAndHasTheBitsOfTheCpu(string name)
    {
        var row = KernelTable.All.Single(r => r.Name == name);
        using var cpu = new CpuDevice(threads: 1);
        var driver = new InterpretedDriver();
        using var device = new GpuDevice(driver, d => new GpuKernels(d));
        foreach (var size in row.TestSizes)
        {
            var run = KernelRun.On(device, row, size);
            run.AssertMatches(KernelRun.Expected(row, size));
            run.AssertSameBits(KernelRun.On(cpu, row, size), "from the CPU");
        }
    }
}
