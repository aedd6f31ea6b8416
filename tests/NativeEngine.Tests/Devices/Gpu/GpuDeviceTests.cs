using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Devices.Gpu;

namespace NativeEngine.Tests.Devices.Gpu;

public sealed class GpuDeviceTests
{
    [Fact]
    public void Allocate_AgainAndAgain_TheDriverIsAskedOnce()
    {
        var api = new FakeCuda();
        using (var device = Open(api))
        {
            for (int i = 0; i < 100; i++)
            {
                using var a = device.Allocate<float>(1000 + (i % 20), MemoryUse.Data);
                using var b = device.Allocate<int>([1, 2, 3], MemoryUse.Data);
                Assert.Equal(new float[1000 + (i % 20)], device.Download(a.View));
                device.Upload<float>([.. Enumerable.Repeat(1f, 1000 + (i % 20))], a.View);
            }
            Assert.Equal(2, device.DriverAllocations);
            Assert.Equal(0, device.Memory.LiveBytes);
            Assert.Equal(api.LiveBytes, device.HeldBytes);
        }
        Assert.Equal("", api.Leaks);
    }

    [Fact]
    public void Allocate_WhenFull_WhatIsKeptGoesBackFirst()
    {
        var api = new FakeCuda { Memory = 8 << 20 };
        using (var device = Open(api))
        {
            using (device.Allocate<byte>(5 << 20, MemoryUse.Data))
            {
            }
            Assert.Equal(6 << 20, device.HeldBytes);
            using (device.Allocate<byte>(8 << 20, MemoryUse.Data))
            {
                var error = Assert.Throws<EngineException>(() => device.Allocate<byte>(1, MemoryUse.Selection));
                Assert.Equal(ErrorKind.WillNotFit, error.Kind);
                Assert.Contains("cuda:0: the device refused 1 B for Selection", error.Message, StringComparison.Ordinal);
            }
            using var small = device.Allocate<byte>(1, MemoryUse.Data);
            Assert.Equal(512, device.HeldBytes);
        }
        Assert.Equal("", api.Leaks);
    }

    [Fact]
    public void Allocate_PastTheLimit_IsRefusedBeforeTheDriverIsAsked()
    {
        var api = new FakeCuda();
        using var device = new GpuDevice(new CudaDriver(api, 0, GpuModules.Ptx), _ => null!) { MemoryLimit = 1000 };
        Assert.Equal(ErrorKind.WillNotFit, Assert.Throws<EngineException>(() => device.Allocate<byte>(1001, MemoryUse.Data)).Kind);
        Assert.Equal(0, api.Allocations);
    }

    [Fact]
    public void SelfTest_TimeIsUp_OneKernelIsTriedAllTheSame()
    {
        using var cpu = new CpuDevice(1);
        var all = GpuSelfTest.Run(cpu);
        Assert.Equal((null, 0), (all.Problem, all.Skipped));
        var one = GpuSelfTest.Run(cpu, TimeSpan.Zero);
        Assert.Equal((null, 1, all.Kernels - 1), (one.Problem, one.Kernels, one.Skipped));
        Assert.StartsWith("self-test passed: 1 kernel agrees with the CPU", one.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Allocate_MuchSmallerThanWhatIsKept_TakesNewMemory()
    {
        var api = new FakeCuda();
        using var device = Open(api);
        using (device.Allocate<byte>(100 << 20, MemoryUse.Data))
        {
        }
        using var small = device.Allocate<byte>(10 << 20, MemoryUse.Data);
        Assert.Equal(2, device.DriverAllocations);
    }

    [Fact]
    public void Create_KernelsThatCannotBeMade_TheDriverIsClosed()
    {
        var api = new FakeCuda();
        Assert.Throws<InvalidOperationException>(() => new GpuDevice(new CudaDriver(api, 0, GpuModules.Ptx), _ => throw new InvalidOperationException()));
        Assert.Equal("", api.Leaks);
    }

    [Fact]
    public void Dispose_BuffersAfterTheDevice_DoNoHarm()
    {
        var api = new FakeCuda();
        var device = Open(api);
        var buffer = device.Allocate<float>(10, MemoryUse.Data);
        device.Dispose();
        buffer.Dispose();
        Assert.Equal("", api.Leaks);
    }

    private static GpuDevice Open(FakeCuda api) => new(new CudaDriver(api, 0, GpuModules.Ptx), _ => null!);
}
