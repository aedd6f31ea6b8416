using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Cli;

/// <summary>What --device answers on a machine without any GPU or OpenCL library: sentences, exit code 5, and auto that takes the CPU.</summary>
public sealed class DeviceTests
{
    [Theory]
    [InlineData("cuda", "no NVIDIA driver was found")]
    [InlineData("cuda:1", "no NVIDIA driver was found")]
    [InlineData("opencl", "no OpenCL library was found")]
    [InlineData("opencl:0.1", "no OpenCL library was found")]
    public void Device_LibraryNowhere_ExitsWith5AndSaysWhereItLooked(string device, string reason)
    {
        foreach (string[] verb in (string[][])[["doctor"], ["eval", "--model", "m", "--data", "d"], ["data", "inspect", "d.jsonl"], ["merge", "--linear", "a=1", "--output", "o"]])
        {
            var run = NEngine.Run([.. verb, "--device", device]).Expect(5);
            Assert.Contains($"the device '{device}' cannot be used: {reason} ({NEngine.Nowhere} was tried)", run.StdErr, StringComparison.Ordinal);
            Assert.Contains("--device cpu needs none", run.StdErr, StringComparison.Ordinal);
            Assert.DoesNotContain("   at ", run.StdErr, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void MatMul_Bf16WithoutACudaDevice_IsAUsageError()
    {
        Assert.Contains("need the tensor cores of a CUDA device, the device is 'auto'", NEngine.Run("doctor", "--matmul", "bf16").Expect(2).StdErr, StringComparison.Ordinal);
        Assert.Contains("--matmul expects one of float32, bf16, got 'half'", NEngine.Run("doctor", "--matmul", "half").Expect(2).StdErr, StringComparison.Ordinal);
    }

    [Fact]
    public void Device_LibraryThatIsNone_SaysWhyItDoesNotLoad()
    {
        using var folder = new TemporaryFolder();
        string file = folder.Write("libcuda.so.1", "this is no library");
        var env = new Dictionary<string, string?> { ["NENGINE_CUDA_LIBRARY"] = file };
        Assert.Contains(file, NEngine.Run(["doctor", "--device", "cuda"], null, env).Expect(5).StdErr, StringComparison.Ordinal);
        Assert.Contains($"cuda: {file}: does not load", NEngine.Run(["doctor"], null, env).Expect(0).StdOut, StringComparison.Ordinal);
    }

    [Fact]
    public void Doctor_LibrariesNowhere_ListsThePlaces()
    {
        var run = NEngine.Run("doctor").Expect(0);
        Assert.Contains($"cuda: no NVIDIA driver was found ({NEngine.Nowhere} was tried)", run.StdOut, StringComparison.Ordinal);
        Assert.Contains($"opencl: {NEngine.Nowhere}: not found", run.StdOut, StringComparison.Ordinal);
        Assert.Empty(run.StdErr);
    }

    [FactWithOpenCl]
    public void Auto_OnlyACpuBehindOpenCl_TakesTheCpuItself()
    {
        var env = new Dictionary<string, string?> { ["NENGINE_OPENCL_LIBRARY"] = null };
        Assert.Contains("auto chose cpu", NEngine.Run(["doctor", "--verbose", "--device", "auto"], null, env).Expect(0).StdErr, StringComparison.Ordinal);
    }

    [FactWithOpenCl]
    public void Device_ThatThePlatformLacks_NamesWhatThereIs()
    {
        var env = new Dictionary<string, string?> { ["NENGINE_OPENCL_LIBRARY"] = null };
        Assert.Contains("there is no device 'opencl:9.0', there", NEngine.Run(["doctor", "--device", "opencl:9.0"], null, env).Expect(5).StdErr, StringComparison.Ordinal);
    }
}
