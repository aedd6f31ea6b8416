using NativeEngine.Devices;
using NativeEngine.Devices.Gpu;
using NativeEngine.Native;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Devices.Gpu;

public sealed class OpenClDriverTests
{
    [TheoryWithOpenCl]
    [InlineData(-4, "CL_MEM_OBJECT_ALLOCATION_FAILURE")]
    [InlineData(-36, "CL_INVALID_COMMAND_QUEUE")]
    public void AnyCall_Fails_ASentenceAndNothingLeftBehind(int status, string name)
    {
        var library = OpenClLibrary.Open(OpenClLibrary.Search());
        for (int n = 1; ; n++)
        {
            var api = new FailingOpenCl(library, n, status);
            var error = Record.Exception(() => Work(api));
            Assert.Equal("", api.Leaks);
            if (api.Failed is null)
            {
                Assert.Null(error);
                Assert.True(n > 20, $"only {n} calls were made");
                return;
            }
            if (error is null)
            {
                // The wait while everything is given back, and a refused block that fitted after the kept ones went back.
                Assert.Contains(api.Failed, (string[])["clFinish", "clCreateBuffer"]);
                continue;
            }
            var engine = Assert.IsType<EngineException>(error);
            if (api.Failed == "clCreateBuffer" && status == -4)
            {
                Assert.Equal(ErrorKind.WillNotFit, engine.Kind);
                continue;
            }
            Assert.Equal(ErrorKind.DeviceUnavailable, engine.Kind);
            Assert.Contains(api.Failed, engine.Message, StringComparison.Ordinal);
            Assert.Contains(name, engine.Message, StringComparison.Ordinal);
            Assert.Contains(OpenCl.Name, engine.Message, StringComparison.Ordinal);
        }
    }

    [FactWithOpenCl]
    public void Function_SourceThatDoesNotCompile_TheCompilersLogIsInTheError()
    {
        var library = OpenClLibrary.Open(OpenClLibrary.Search());
        var api = new FailingOpenCl(library, 0, 0);
        using (var driver = Open(api, "__kernel void broken(__global float* x) { x[0] = no_such_function(1); }"))
        {
            var error = Assert.Throws<EngineException>(() => driver.Function("broken"));
            Assert.Equal(ErrorKind.DeviceUnavailable, error.Kind);
            Assert.Contains("clBuildProgram (some.cu; the compiler says: ", error.Message, StringComparison.Ordinal);
            Assert.Contains("no_such_function", error.Message, StringComparison.Ordinal);
        }
        Assert.Equal("", api.Leaks);
    }

    [TheoryWithOpenCl]
    [InlineData(true, true, "")]
    [InlineData(false, true, ", divides with more than one rounding: results may differ from the CPU's in the last bits")]
    [InlineData(true, false, ", has no subnormal numbers: results may differ from the CPU's in the last bits")]
    public void Function_DivisionOfTheDevice_IsAskedForWhereItIsExactAndToldWhereNot(bool exact, bool subnormals, string told)
    {
        var api = new FailingOpenCl(OpenClLibrary.Open(OpenClLibrary.Search()), 0, 0);
        var facts = OpenClFacts.ReadAll(api).Devices.First(d => d.Problem is null) with { ExactDivision = exact, HasSubnormals = subnormals };
        using var driver = new OpenClDriver(api, facts, _ => new GpuModule("some.cu", "__kernel void half_of(__global float* x) { x[0] = x[0] / 2.0f; }"));
        driver.Function("half_of");
        Assert.Equal(exact, api.Options.Contains("-cl-fp32-correctly-rounded-divide-sqrt", StringComparison.Ordinal));
        Assert.EndsWith("a CPU" + told, driver.Description, StringComparison.Ordinal);
    }

    [FactWithOpenCl]
    public void Allocate_MoreThanOnePieceMayHave_TellsTheLimit()
    {
        using var device = OpenCl.Open();
        var error = Assert.Throws<EngineException>(() => device.Allocate<byte>(1L << 45, MemoryUse.Data));
        Assert.Equal(ErrorKind.WillNotFit, error.Kind);
        Assert.Contains("the device gives at most", error.Message, StringComparison.Ordinal);
        using var usable = device.Allocate<float>([1, 2], MemoryUse.Data);
        Assert.Equal([1, 2], device.Download(usable.View));
    }

    private static OpenClDriver Open(OpenClApi api, string source)
    {
        var (status, devices) = OpenClFacts.ReadAll(api);
        Assert.Equal(0, status);
        return new OpenClDriver(api, devices.First(d => d.Problem is null), _ => new GpuModule("some.cu", source));
    }

    private static void Work(OpenClApi api)
    {
        const string Source = "__kernel void twice(__global char* x, long offset, int n) { __global float* y = (__global float*)(x + offset); int i = get_global_id(0); if (i < n) y[i] *= 2; }";
        using var device = new GpuDevice(Open(api, Source), _ => null!);
        var driver = device.Driver;
        using var a = device.Allocate<float>([1, 2, 3], MemoryUse.Data);
        using (var b = device.Allocate<float>(100, MemoryUse.Data))
        {
            Assert.Equal(new float[100], device.Download(b.View));
        }
        using (var c = device.Allocate<float>([5, 6], MemoryUse.Data))
        {
            Assert.Equal([5, 6], device.Download(c.View));
        }
        int from = device.Mark();
        driver.Launch(driver.Function("twice"), 1, 1, 1, 256, [GpuArgument.Buffer(a.Handle, 4), GpuArgument.Of(2)]);
        Assert.True(device.Seconds(from, device.Mark()) >= 0);
        device.ForgetMarks();
        Assert.Equal([1, 4, 6], device.Download(a.View));
        device.Synchronize();
    }
}
