using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Devices.Gpu;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Devices.Gpu;

/// <summary>One OpenCL device for all tests of the class: its programs are built once.</summary>
public sealed class OpenClFixture : IDisposable
{
    private readonly Lazy<GpuDevice> _device = new(OpenCl.Open);

    internal GpuDevice Device => _device.Value;

    public void Dispose()
    {
        if (_device.IsValueCreated)
        {
            _device.Value.Dispose();
        }
    }
}

/// <summary>Every row of the kernel table on a real OpenCL implementation: the source, not the PTX, through a vendor's compiler.</summary>
public sealed class OpenClKernelTests(OpenClFixture fixture) : IClassFixture<OpenClFixture>
{
    public static TheoryData<string> RowNames => [.. KernelTable.All.Select(row => row.Name)];

    [TheoryWithOpenCl]
    [MemberData(nameof(RowNames))]
    public void Run_AwkwardSizes_BitsOfTheCpu(string name)
    {
        var row = KernelTable.All.Single(r => r.Name == name);
        using var cpu = new CpuDevice(2);
        foreach (var size in row.TestSizes)
        {
            KernelRun.On(fixture.Device, row, size).AssertSameBits(KernelRun.On(cpu, row, size), "on OpenCL from the CPU");
        }
        Assert.Equal(fixture.Device.Memory.Live(MemoryUse.Scratch), fixture.Device.Memory.LiveBytes);
    }
}
