using System.Text.Json;
using NativeEngine.Cli;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Profiling;

namespace NativeEngine.Tests.Profiling;

public sealed class KernelProfilerTests
{
    private static readonly ProfileOptions _short = ProfileOptions.Quick with { MinimumTime = TimeSpan.FromMilliseconds(2) };

    [Fact]
    public void Run_HonestRows_MeasuresEverySizeBelowTheRoof()
    {
        using var device = new CpuDevice(2) { MemoryLimit = 64 << 20 };
        var rows = KernelTable.All.Where(row => row.Name is "matmul_nn" or "fill" or "copy" or "axpy" or "top_k").Select(Small).ToArray();
        var profile = new KernelProfiler(device, _short).Run(rows);
        Assert.Equal(rows.Sum(row => row.BenchmarkSizes.Count), profile.Measurements.Count);
        Assert.Empty(profile.Skipped);
        Assert.Empty(profile.AboveRoof);
        Assert.All(profile.Measurements, m => Assert.True(m.Seconds > 0 && m.Samples >= 7 && m.Share(profile.Roofs) > 0, m.Row.Name));
        Assert.Equal(0, device.Memory.LiveBytes);
    }

    [Fact]
    public void Run_PlantedCount_FailsNamingTheRow()
    {
        // One thread, since waking another can take longer than the product on a machine busy with other things.
        using var device = new CpuDevice(1) { MemoryLimit = 16 << 20 };
        var honest = KernelTable.All.Single(row => row.Name == "matmul_nn");
        var planted = honest with { BenchmarkSizes = [new(("m", 192), ("n", 192), ("k", 192))], Flops = size => 10 * honest.Flops(size) };
        var profile = new KernelProfiler(device, _short).Run([planted]);
        var above = Assert.Single(profile.AboveRoof);
        Assert.Equal("matmul_nn", above.Row.Name);
        Assert.Contains("matmul_nn m=192", ProfileReport.Impossible(above, profile.Roofs), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("matmul_nn")]
    [InlineData("similarity_l1")]
    [InlineData("similarity_l2")]
    public void Share_TenfoldFlops_IsAboveTheRoofWhereverTheHonestOneIsNearIt(string name)
    {
        var honest = KernelTable.All.Single(row => row.Name == name);
        var m = SyntheticProfile.At(honest, honest.BenchmarkSizes[^1] is var size && name == "matmul_nn" ? honest.BenchmarkSizes[0] : size, 0.6);
        Assert.Equal(0.6, m.Share(SyntheticProfile.Roofs), 9);
        var planted = m with { Row = honest with { Flops = s => 10 * honest.Flops(s) } };
        Assert.Equal(6, planted.Share(SyntheticProfile.Roofs), 9);
        var doubled = SyntheticProfile.At(honest, m.Size, 0.9) with { Row = honest with { Bytes = s => 1e6 * honest.Bytes(s) } };
        Assert.True(doubled.Share(SyntheticProfile.Roofs) > 1.05);
    }

    [Fact]
    public void Run_SizesThatDoNotFit_AreSkippedWithTheReason()
    {
        using var device = new CpuDevice(1) { MemoryLimit = 4 << 20 };
        var copy = KernelTable.All.Single(row => row.Name == "copy") with { BenchmarkSizes = [new(("n", 1 << 24)), new(("n", 1024))] };
        var profile = new KernelProfiler(device, _short).Run([copy]);
        Assert.Equal(1024, Assert.Single(profile.Measurements).Size["n"]);
        Assert.Contains("134,217,728 bytes", Assert.Single(profile.Skipped).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_Cancelled_Stops()
    {
        using var device = new CpuDevice(1) { MemoryLimit = 4 << 20 };
        Assert.Throws<OperationCanceledException>(() => new KernelProfiler(device, _short).Run(KernelTable.All, null, new CancellationToken(true)));
    }

    [Fact]
    public void Document_OfTheWholeTable_TellsEveryRow()
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            ProfileDocument.Write(json, SyntheticProfile.Whole());
            json.WriteEndObject();
        }
        using var document = JsonDocument.Parse(stream.ToArray());
        var rows = document.RootElement.GetProperty("rows").EnumerateArray().ToArray();
        Assert.Equal(KernelTable.All.Sum(row => row.BenchmarkSizes.Count), rows.Length);
        Assert.All(rows, row => Assert.InRange(row.GetProperty("share").GetDouble(), 0.12, 1.001));
        Assert.All(rows.Where(row => row.GetProperty("kernel").GetString() == "similarity_l1"), row =>
            Assert.Equal(row.GetProperty("flops_per_second").GetDouble() / 2, row.GetProperty("terms_per_second").GetDouble()));
    }

    private static KernelRow Small(KernelRow row) => row with { BenchmarkSizes = [.. row.BenchmarkSizes.Where(s => KernelProfiler.ArgumentBytes(row, s) < 6 << 20)] };
}
