using System.Text.Json;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Profiling;

namespace NativeEngine.Tests.Profiling;

public sealed class TraceTests
{
    public static TheoryData<string> Rows() => [.. KernelTable.All.Select(row => row.Name)];

    [Theory]
    [MemberData(nameof(Rows))]
    public void TimedKernels_EveryRow_RecordsOneCallWithTheTablesCounts(string name)
    {
        var recorder = new KernelRecorder { Enabled = true };
        using var device = new CpuDevice(2, decorate: recorder.Wrap);
        var row = KernelTable.All.Single(r => r.Name == name);
        foreach (var size in row.TestSizes)
        {
            int before = recorder.Events.Count;
            using var bench = new KernelBench(device, row, size);
            _ = bench.Time(1);
            var call = Assert.Single(recorder.Events.Skip(before));
            Assert.Equal(name == "attention_cached" ? "attention" : name, call.Name);
            Assert.Equal(row.Flops(size), call.Flops, 1e-6 * (1 + row.Flops(size)));
            Assert.Equal(row.Bytes(size), call.Bytes, 1e-6 * (1 + row.Bytes(size)));
            Assert.True(call.Duration >= 0);
        }
    }

    [Fact]
    public void TimedKernels_SwitchedOff_RecordsNothing()
    {
        var recorder = new KernelRecorder();
        using var device = new CpuDevice(1, decorate: recorder.Wrap);
        using var x = device.Allocate<float>(8, MemoryUse.Data);
        device.Kernels.Fill(2, x.View);
        recorder.AddPart("part", 0, 1);
        Assert.Empty(recorder.Events);
        Assert.Equal(2f, device.Download(x.View)[0]);
    }

    [Fact]
    public void Totals_SumByName_LongestFirst()
    {
        var size = new KernelSize(("n", 4));
        var recorder = new KernelRecorder { Enabled = true };
        recorder.AddCall("copy", size, 0, 32, 0, 1000);
        recorder.AddCall("axpy", size, 8, 48, 1000, 3000);
        recorder.AddCall("copy", size, 0, 32, 3000, 3500);
        recorder.AddPart("step 1", 0, 4000);
        Assert.Equal(
            [new KernelTotal("axpy", 1, 2000 * 1e-9, 8, 48), new KernelTotal("copy", 2, 1500 * 1e-9, 0, 64)], recorder.Totals());
    }

    [Fact]
    public void Write_Parts_AreNestedWithMetadataAndMicroseconds()
    {
        var size = new KernelSize(("n", 4));
        TraceEvent[] events =
        [
            new("copy", size, 0, 32, 1_234, 1_000), new("fill", size, 0, 16, 2_234, 66), new("choose", null, 0, 0, 1_000, 1_300),
            new("step 1", null, 0, 0, 1_000, 4_001),
        ];
        using var document = Written(events);
        var items = document.RootElement.GetProperty("traceEvents").EnumerateArray().ToArray();
        Assert.Equal(["process_name", "thread_name", "step 1", "choose", "copy", "fill"], items.Select(i => i.GetProperty("name").GetString()));
        Assert.All(items, item => Assert.Equal((1, 1), (item.GetProperty("pid").GetInt32(), item.GetProperty("tid").GetInt32())));
        Assert.Equal((1.234m, 1m), (items[4].GetProperty("ts").GetDecimal(), items[4].GetProperty("dur").GetDecimal()));
        Assert.Equal("n=4", items[4].GetProperty("args").GetProperty("size").GetString());
        AssertNested(document);
    }

    [Fact]
    public void Write_OverlappingEvents_AreRefused()
    {
        TraceEvent[] events = [new("a", null, 0, 0, 0, 10), new("b", null, 0, 0, 5, 10)];
        Assert.Throws<ArgumentException>(() => Written(events));
    }

    /// <summary>Every complete event of a track begins and ends within the one that is open when it begins.</summary>
    internal static void AssertNested(JsonDocument document)
    {
        var open = new Stack<decimal>();
        decimal last = 0;
        foreach (var item in document.RootElement.GetProperty("traceEvents").EnumerateArray().Where(i => i.GetProperty("ph").GetString() == "X"))
        {
            decimal start = item.GetProperty("ts").GetDecimal(), end = start + item.GetProperty("dur").GetDecimal();
            Assert.True(start >= last);
            last = start;
            while (open.Count > 0 && open.Peek() <= start)
            {
                open.Pop();
            }
            Assert.True(open.Count == 0 || end <= open.Peek(), $"{item} sticks out of the event around it");
            open.Push(end);
        }
    }

    private static JsonDocument Written(TraceEvent[] events)
    {
        using var stream = new MemoryStream();
        ChromeTrace.Write(stream, events, "nengine", "cpu");
        return JsonDocument.Parse(stream.ToArray());
    }
}
