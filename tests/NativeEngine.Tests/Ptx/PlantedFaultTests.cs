using System.Text.RegularExpressions;
using NativeEngine.Devices;
using NativeEngine.Devices.Gpu;
using NativeEngine.Tests.Devices;

namespace NativeEngine.Tests.Ptx;

/// <summary>Kernels broken on purpose, and small wrong ones: the interpreter must tell, or its silence about the others would mean nothing.</summary>
public class PlantedFaultTests
{
    [Theory]
    [InlineData("rms_norm", "rms_norm")]
    [InlineData("matmul_nn", "matmul_32")]
    [InlineData("similarity_l1", "distance_l1")]
    [InlineData("top_k", "topk_write")]
    public void Launch_ABarrierRemoved_IsARace(string row, string kernel)
    {
        string before = "";
        var driver = new InterpretedDriver(text => Edit(text, kernel, body =>
        {
            before = body;
            // The first barrier that stands between a store and a load of shared memory.
            int store = body.IndexOf("st.shared", StringComparison.Ordinal), barrier = body.IndexOf("bar.sync", store, StringComparison.Ordinal);
            return body.Remove(barrier, body.IndexOf('\n', barrier) - barrier);
        }));
        Assert.Contains("without a barrier", Fault(driver, row), StringComparison.Ordinal);
        Assert.Contains("bar.sync", before, StringComparison.Ordinal);
    }

    [Fact]
    public void Launch_AnIndexShifted_IsOutsideTheBuffer()
    {
        var driver = new InterpretedDriver(text => Edit(text, "copy", body => Regex.Replace(body, @"st\.global\.v4\.f32(\s+)\[(%rd\d+)\]", "st.global.v4.f32$1[$2+16]")));
        using var device = new GpuDevice(driver, d => new GpuKernels(d));
        using var x = device.Allocate<float>(1024, MemoryUse.Data);
        using var y = device.Allocate<float>(1024, MemoryUse.Data);
        var fault = Assert.Throws<PtxFaultException>(() => device.Kernels.Copy(x.View, y.View));
        Assert.Contains("copy: 16 bytes outside every buffer: the nearest buffer has 4096 bytes and ends 0 bytes before", fault.Message, StringComparison.Ordinal);
        Assert.Contains("thread 255", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Launch_AnIndexShiftedByOneElement_IsMisaligned()
    {
        var driver = new InterpretedDriver(text => Edit(text, "copy", body => Regex.Replace(body, @"ld\.global\.v4\.f32(\s+\{[^}]*\}, )\[(%rd\d+)\]", "ld.global.v4.f32$1[$2+4]")));
        using var device = new GpuDevice(driver, d => new GpuKernels(d));
        using var x = device.Allocate<float>(1024, MemoryUse.Data);
        using var y = device.Allocate<float>(1024, MemoryUse.Data);
        Assert.Contains("misaligned access of 16 bytes", Assert.Throws<PtxFaultException>(() => device.Kernels.Copy(x.View, y.View)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Launch_SharedMemoryNobodyWrote_IsTold()
    {
        var driver = new InterpretedDriver(text => Edit(text, "sum_of_squares_blocks", body => Regex.Replace(body, @"st\.shared\.f64[^\n]*\n", "")));
        Assert.Contains("read before anything is written", Fault(driver, "sum_of_squares"), StringComparison.Ordinal);
    }

    [Fact]
    public void Run_ABarrierSomeThreadsPassBy_IsTold()
    {
        // Half a warp, one warp of two, and threads that have left.
        Assert.Contains("never reach", Small("setp.lt.u32 %p1, %r1, 16;\n@%p1 bra $L1;\nret;\n$L1:\nbar.sync 0;\nret;"), StringComparison.Ordinal);
        Assert.Contains("different barriers", Small("setp.lt.u32 %p1, %r1, 32;\n@%p1 bra $L1;\nbar.sync 0;\nret;\n$L1:\nbar.sync 0;\nret;"), StringComparison.Ordinal);
        Assert.Contains("different barriers", Small("setp.lt.u32 %p1, %r1, 16;\n@%p1 bra $L1;\nbar.sync 0;\nret;\n$L1:\nbar.sync 0;\nret;"), StringComparison.Ordinal);
        Assert.Equal("", Small("bar.sync 0;\nsetp.lt.u32 %p1, %r1, 5;\n@%p1 bra $L1;\nadd.s32 %r2, %r1, 1;\n$L1:\nbar.sync 0;\nret;"));
    }

    [Fact]
    public void Run_TwoThreadsThatWriteAWord_IsTold()
    {
        Assert.Contains("is written by thread 0 too", Small("st.shared.u32 [s], %r1;\nret;"), StringComparison.Ordinal);
        Assert.Equal("", Small("setp.eq.u32 %p1, %r1, 3;\n@%p1 st.shared.u32 [s], %r1;\nbar.sync 0;\nld.shared.u32 %r2, [s];\nret;"));
        Assert.Contains("read before anything", Small("ld.shared.u32 %r2, [s];\nret;"), StringComparison.Ordinal);
        Assert.Contains("bytes of shared memory", Small("st.shared.u32 [s+64], %r1;\nret;"), StringComparison.Ordinal);
    }

    [Fact]
    public void Create_EveryAllocationRefused_NothingLeaks()
    {
        for (int refused = 0; refused < 8; refused++)
        {
            var driver = new InterpretedDriver { RefuseAllocation = refused };
            var row = KernelTable.All.Single(r => r.Name == "cross_entropy");
            using (var device = new GpuDevice(driver, d => new GpuKernels(d)))
            {
                var error = Record.Exception(() => KernelRun.On(device, row, row.TestSizes[3]));
                Assert.Equal(device.Memory.Live(MemoryUse.Scratch), device.Memory.LiveBytes);
                Assert.True(error is null or EngineException { Kind: ErrorKind.WillNotFit }, error?.ToString());
            }
            Assert.Equal(0, driver.LiveBlocks);
        }
    }

    [Fact]
    public void GatherRows_AnIndexOutOfRange_IsToldAtTheNextWait()
    {
        using var device = new GpuDevice(new InterpretedDriver(), d => new GpuKernels(d));
        using var x = device.Allocate<float>([1, 2, 3, 4], MemoryUse.Data);
        using var rows = device.Allocate<int>([1, 0, 7, 9], MemoryUse.Data);
        using var y = device.Allocate<float>(8, MemoryUse.Data);
        device.Kernels.GatherRows(x.View.Reshape(2, 2), rows.View, y.View.Reshape(4, 2));
        var error = Assert.Throws<ArgumentException>(device.Synchronize);
        Assert.Equal("interpreted: gather rows: the index at 2 is not in 0..1", error.Message);
        device.Synchronize();
    }

    /// <summary>The message of the fault that a row of the table meets at one of its sizes.</summary>
    private static string Fault(InterpretedDriver driver, string name)
    {
        using var device = new GpuDevice(driver, d => new GpuKernels(d));
        var row = KernelTable.All.Single(r => r.Name == name);
        var error = row.TestSizes.Select(size => Record.Exception(() => KernelRun.On(device, row, size))).FirstOrDefault(e => e is not null);
        return Assert.IsType<PtxFaultException>(error).Message;
    }

    private static string Edit(string text, string kernel, Func<string, string> edit)
    {
        int start = text.IndexOf($".entry {kernel}(", StringComparison.Ordinal);
        if (start < 0)
        {
            return text;
        }
        int end = text.IndexOf("\n}", start, StringComparison.Ordinal);
        string body = text[start..end], edited = edit(body);
        Assert.NotEqual(body, edited);
        return text[..start] + edited + text[end..];
    }

    /// <summary>Runs a body on 64 threads: the fault's message, or nothing. %r1 is the thread, s 32 bytes of shared memory.</summary>
    private static string Small(string body)
    {
        var kernel = PtxKernel.Parse($".visible .entry small()\n{{\n.shared .align 4 .b8 s[32];\nmov.u32 %r1, %tid.x;\n{body}\n}}\n")["small"];
        using var memory = new PtxMemory();
        using var group = new PtxGroup(kernel, memory, 64);
        group.Prepare([], 1, 1, 1);
        return Record.Exception(() => group.Run(0, 0, 0)) is { } error ? Assert.IsType<PtxFaultException>(error).Message : "";
    }
}
