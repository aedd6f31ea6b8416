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

    [Theory]
    [InlineData("matmul_nn", 128)]
    [InlineData("matmul_nn", 64)]
    [InlineData("matmul_nt", 128)]
    [InlineData("matmul_tn_add", 128)]
    [InlineData("matmul_tn_add", 64)]
    [InlineData("matmul_tt", 64)]
    public void MatMul_EverySquare_BitsOfTheCpu(string name, int square)
    {
        var row = KernelTable.All.Single(r => r.Name == name);
        using var cpu = new CpuDevice(threads: 1);
        var driver = new InterpretedDriver();
        using var device = new GpuDevice(driver, d => new GpuKernels(d) { FixedSquare = square });
        foreach (var size in row.TestSizes)
        {
            KernelRun.On(device, row, size).AssertSameBits(KernelRun.On(cpu, row, size), $"from the CPU in squares of {square}");
        }
        Assert.Equal([$"matmul_{square}"], driver.Launches.Keys);
    }

    /// <summary>
    /// The tensor cores against the portable product of the rounded operands: both add exact products in float32, in different orders, so they
    /// differ by some roundings of a sum of up to 443 terms of size 1.
    /// </summary>
    [Theory]
    [InlineData("matmul_nn")]
    [InlineData("matmul_nt")]
    [InlineData("matmul_tn_add")]
    [InlineData("matmul_tt")]
    public void MatMul_BFloat16_MatchesThePortableKernelOnRoundedOperands(string name)
    {
        var row = KernelTable.All.Single(r => r.Name == name);
        var rounded = row with { Arguments = [.. row.Arguments.Select(a => a.Name == "c" ? a : a with { Floats = (size, random) => Array.ConvertAll(a.Floats!(size, random), RoundToBFloat16) })] };
        var driver = new InterpretedDriver();
        using var portable = new GpuDevice(new InterpretedDriver(), d => new GpuKernels(d));
        using var tensor = new GpuDevice(driver, d => new GpuKernels(d) { Precision = MatMulPrecision.BFloat16 });
        KernelSize[] sizes = [new(("m", 16), ("n", 16), ("k", 16)), new(("m", 129), ("n", 67), ("k", 33)), new(("m", 31), ("n", 130), ("k", 443)), new(("m", 256), ("n", 257), ("k", 96))];
        foreach (var size in sizes)
        {
            float[] got = KernelRun.On(tensor, row, size).Floats["c"], want = KernelRun.On(portable, rounded, size).Floats["c"];
            for (int i = 0; i < want.Length; i++)
            {
                Assert.True(Math.Abs(got[i] - want[i]) <= 2e-5 * (1 + Math.Abs(want[i])), $"{name} {size} c[{i}]: got {got[i]:R}, expected {want[i]:R}");
            }
        }
        Assert.Equal(sizes.Length, driver.Launches["tensor_matmul"]);
        Assert.EndsWith(", matrix products of bfloat16", tensor.Description, StringComparison.Ordinal);
        Assert.Equal(2 * sizes.Length, driver.Launches["tensor_round"]);
    }

    [Theory]
    [InlineData("auto")]
    [InlineData("cpu")]
    [InlineData("opencl:0.0")]
    public void Choice_BFloat16_OnlyWithANamedCudaDevice(string name)
    {
        var error = Assert.Throws<EngineException>(() => new DeviceChoice(name, MatMulPrecision.BFloat16));
        Assert.Equal((ErrorKind.Usage, $"matrix products of bfloat16 need the tensor cores of a CUDA device, the device is '{name}'"), (error.Kind, error.Message));
    }

    private static float RoundToBFloat16(float value)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value);
        return BitConverter.UInt32BitsToSingle((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000);
    }
}
