using System.Diagnostics;
using System.Globalization;
using NativeEngine.Devices.Cpu;

namespace NativeEngine.Devices.Gpu;

/// <summary>What a self-test found.</summary>
/// <param name="Problem">What disagrees or failed, or null.</param>
/// <param name="Kernels">Rows of the kernel table that agreed.</param>
/// <param name="Skipped">Rows that were not tried because the time was up.</param>
/// <param name="Seconds">How long it took.</param>
public sealed record SelfTestResult(string? Problem, int Kernels, int Skipped, double Seconds)
{
    /// <summary>self-test passed: 6 kernels agree with the CPU, 0.31 s.</summary>
    public override string ToString() => Problem is not null ? $"self-test FAILED: {Problem}"
        : string.Create(CultureInfo.InvariantCulture, $"self-test passed: {Kernels} kernel{(Kernels == 1 ? " agrees" : "s agree")} with the CPU, {Seconds:0.00} s");
}

/// <summary>
/// A few rows of the kernel table at small sizes on a device and on the CPU: enough to notice a driver that does not load the kernels, copies
/// that go astray and arithmetic that differs. Well under a second where the kernels are compiled already; a compiler that starts from nothing may take ten.
/// </summary>
public static class GpuSelfTest
{
    /// <summary>How far an element may lie from the CPU's, relative to 1 + its magnitude: what differently ordered float32 sums of this length allow.</summary>
    private const double Tolerance = 1e-4;

    // What compiles fast comes first.
    private static readonly string[] _rows = ["adamw", "rms_norm", "top_k", "facility_location", "matmul_nn", "similarity_l1"];

    /// <summary>
    /// Runs the rows; once <paramref name="limit"/> has passed no further one is begun. Errors of the device are the result's problem, not thrown.
    /// </summary>
    public static SelfTestResult Run(Device device, TimeSpan? limit = null)
    {
        long start = Stopwatch.GetTimestamp();
        int agreed = 0, skipped = 0;
        string? problem = null;
        try
        {
            using var cpu = new CpuDevice(1);
            foreach (string name in _rows)
            {
                if (agreed > 0 && Stopwatch.GetElapsedTime(start) >= limit)
                {
                    skipped++;
                    continue;
                }
                var row = KernelTable.All.First(r => r.Name == name);
                var size = row.TestSizes.Where(s => KernelComparison.Elements(row, s) < 100_000).MaxBy(s => KernelComparison.Elements(row, s))!;
                var difference = KernelComparison.Compare(row, size, cpu, device);
                if (!(difference.Largest <= Tolerance))
                {
                    problem = $"{name} {size}: {difference}";
                    break;
                }
                agreed++;
            }
        }
        catch (EngineException error)
        {
            problem = error.Message;
        }
        return new SelfTestResult(problem, agreed, skipped, Stopwatch.GetElapsedTime(start).TotalSeconds);
    }
}
