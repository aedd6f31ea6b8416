using NativeEngine.Devices;
using NativeEngine.Devices.Gpu;

namespace NativeEngine.Tests.Devices.Gpu;

public sealed class CudaDriverTests
{
    [Fact]
    public void CopyInCopyOut_LargerThanTheStaging_SameBytes()
    {
        var api = new FakeCuda();
        using (var driver = Open(api))
        {
            // More than the ring holds, so that slots come round while earlier copies are still under way.
            byte[] bytes = new byte[(37 << 20) + 13];
            new Random(1).NextBytes(bytes);
            nint block = driver.TryAllocate(bytes.Length + 64L);
            byte[] changing = [.. bytes];
            driver.CopyIn(block, 64, changing);
            Array.Clear(changing);
            byte[] back = new byte[bytes.Length];
            driver.CopyOut(block, 64, back);
            Assert.True(bytes.AsSpan().SequenceEqual(back));
            byte[] before = new byte[64];
            driver.CopyOut(block, 0, before);
            Assert.All(before, b => Assert.Equal(0, b));
            driver.Free(block);
        }
        Assert.Equal("", api.Leaks);
    }

    [Fact]
    public void CopyIn_ManySmallOnes_NeverMixed()
    {
        var api = new FakeCuda();
        using var driver = Open(api);
        const int Count = 5000, Size = 4099;
        nint block = driver.TryAllocate(Count * (long)Size);
        byte[] piece = new byte[Size];
        for (int i = 0; i < Count; i++)
        {
            Array.Fill(piece, (byte)(i * 7));
            driver.CopyIn(block, i * (long)Size, piece);
        }
        byte[] back = new byte[Count * Size];
        driver.CopyOut(block, 0, back);
        for (int i = 0; i < Count; i++)
        {
            Assert.False(back.AsSpan(i * Size, Size).ContainsAnyExcept((byte)(i * 7)), $"piece {i}");
        }
        driver.Free(block);
    }

    [Theory]
    [InlineData(FakeCuda.IllegalAddress)]
    [InlineData(FakeCuda.OutOfMemory)]
    [InlineData(999)]
    public void AnyCall_Fails_ASentenceAndNothingLeftBehind(int code)
    {
        for (int n = 1; ; n++)
        {
            var api = new FakeCuda { FailAt = n, FailCode = code };
            var error = Record.Exception(() => Work(api));
            Assert.Equal("", api.Leaks);
            if (api.Failed is null)
            {
                Assert.Null(error);
                Assert.True(n > 40, $"only {n} calls were made");
                return;
            }
            if (error is null)
            {
                // A failed answer of what only describes the device, or while everything is given back, stops nothing.
                Assert.Contains(api.Failed, (string[])
                [
                    "cuDeviceGetName", "cuDeviceTotalMem", "cuDriverGetVersion", "cuDeviceGetAttribute", "cuMemFree", "cuMemFreeHost", "cuEventDestroy", "cuModuleUnload",
                    "cuStreamDestroy", "cuDevicePrimaryCtxRelease", "cuStreamSynchronize", "cuCtxSetCurrent", "cuMemAlloc",
                ]);
                continue;
            }
            var engine = Assert.IsType<EngineException>(error);
            bool memory = api.Failed == "cuMemAlloc" && code == FakeCuda.OutOfMemory;
            Assert.Equal(memory ? ErrorKind.WillNotFit : ErrorKind.DeviceUnavailable, engine.Kind);
            Assert.Contains("cuda:0", engine.Message, StringComparison.Ordinal);
            Assert.NotNull(engine.Hint);
        }
    }

    [Fact]
    public void Launch_Fails_NamesTheKernelItsSizesTheCodeAndTheDevice()
    {
        int calls = 0;
        for (int n = 1; ; n++)
        {
            var api = new FakeCuda { FailAt = n };
            var error = Record.Exception(() => Work(api)) as EngineException;
            if (api.Failed == "cuLaunchKernel")
            {
                Assert.Contains("Fake GPU", error!.Message, StringComparison.Ordinal);
                Assert.Contains("cuLaunchKernel (some_kernel, 3 x 2 x 1 groups of 256 threads) failed with CUDA_ERROR_ILLEGAL_ADDRESS (700): an illegal memory access was encountered", error.Message, StringComparison.Ordinal);
                calls++;
            }
            else if (api.Failed == "cuModuleLoadDataEx")
            {
                Assert.Contains("some.ptx; the compiler says: ptxas fatal : a planted fault", error!.Message, StringComparison.Ordinal);
                calls++;
            }
            else if (api.Failed is null)
            {
                break;
            }
        }
        Assert.Equal(2, calls);
    }

    [Fact]
    public void Use_AfterAnError_IsRefusedWithTheFirstError()
    {
        var api = new FailingKernel();
        using (var driver = Open(api))
        {
            driver.Launch(driver.Function("some_kernel"), 1, 1, 1, 256, []);
            var first = Assert.Throws<EngineException>(driver.Synchronize);
            Assert.Contains("the last kernel launched was some_kernel", first.Message, StringComparison.Ordinal);
            var later = Assert.Throws<EngineException>(() => driver.TryAllocate(4));
            Assert.Equal(ErrorKind.DeviceUnavailable, later.Kind);
            Assert.Contains("is not used any more after an error: " + first.Message, later.Message, StringComparison.Ordinal);
            int calls = api.Calls;
            Assert.Throws<EngineException>(() => driver.CopyIn(0, 0, [1]));
            Assert.Equal(calls, api.Calls);
        }
        Assert.Equal("", api.Leaks);
    }

    [Fact]
    public void Open_OldCard_SaysWhatItLacks()
    {
        var backend = CudaBackend.Over(new FakeCuda { Capability = 75 });
        Assert.Null(backend.Problem);
        var error = Assert.Throws<EngineException>(() => backend.Open("cuda"));
        Assert.Equal(ErrorKind.DeviceUnavailable, error.Kind);
        Assert.Contains("compute capability is 7.5, the kernels of this build need 8.0", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Backend_NoDevice_ASentence()
    {
        var backend = CudaBackend.Over(new FakeCuda { DeviceCount = 0 });
        Assert.Equal("the NVIDIA driver lists no device", backend.Problem);
        Assert.Equal(ErrorKind.DeviceUnavailable, Assert.Throws<EngineException>(() => backend.Open("cuda:0")).Kind);
    }

    [Fact]
    public void Backend_DriverThatDoesNotStart_TellsItsCode()
    {
        var backend = CudaBackend.Over(new FakeCuda { FailAt = 1, FailCode = 100 });
        Assert.Equal("cuInit failed with an unknown error (100)", backend.Problem);
        Assert.Empty(backend.Devices);
    }

    [Fact]
    public void Backend_WrongOrdinal_NamesWhatThereIs()
    {
        var error = Assert.Throws<EngineException>(() => CudaBackend.Over(new FakeCuda { DeviceCount = 2 }).Open("cuda:5"));
        Assert.Contains("there is no device 'cuda:5', there are cuda:0, cuda:1", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Mark_TwoPoints_TheDevicesOwnTime()
    {
        var api = new FakeCuda();
        using (var driver = Open(api))
        {
            for (int round = 0; round < 2; round++)
            {
                int from = driver.Mark();
                driver.Launch(driver.Function("some_kernel"), 1, 1, 1, 256, []);
                driver.Launch(driver.Function("some_kernel"), 1, 1, 1, 256, []);
                int to = driver.Mark();
                Assert.Equal((0, 1), (from, to));
                // The fake counts a millisecond for every piece of work.
                Assert.Equal(2e-3, driver.Seconds(from, to), 1e-9);
                driver.ForgetMarks();
            }
        }
        Assert.Equal("", api.Leaks);
    }

    private static CudaDriver Open(FakeCuda api) => new(api, 0, _ => new GpuModule("some.ptx", ".version 7.0"));

    /// <summary>Everything a device does: memory, copies both ways, a kernel, a wait.</summary>
    private static void Work(FakeCuda api)
    {
        using var device = new GpuDevice(Open(api), _ => null!);
        var driver = device.Driver;
        using var a = device.Allocate<float>(1000, MemoryUse.Data);
        using (var b = device.Allocate<int>([1, 2, 3], MemoryUse.Data))
        {
            driver.Launch(driver.Function("some_kernel"), 3, 2, 1, 256, [GpuArgument.Buffer(b.Handle, 0), GpuArgument.Of(1f)]);
            Assert.Equal([1, 2, 3], device.Download(b.View));
        }
        using (var c = device.Allocate<int>([4, 5, 6], MemoryUse.Data))
        {
            device.Synchronize();
            Assert.Equal([4, 5, 6], device.Download(c.View));
        }
        device.Upload<float>(new float[1000], a.View);
        int from = device.Mark(), to = device.Mark();
        Assert.Equal(0, device.Seconds(from, to));
        Assert.Equal(new float[1000], device.Download(a.View));
    }

    private sealed class FailingKernel : FakeCuda
    {
        protected override unsafe Action Kernel(nint function, int gridX, int gridY, int gridZ, int threads, void** parameters) => FailKernel;
    }
}
