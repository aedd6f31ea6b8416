using System.Diagnostics;
using System.Globalization;
using NativeEngine.Devices.Cpu;

namespace NativeEngine.Devices.Gpu;

/// <summary>What a self-test found.</summary>
/// <param name="Problem">What disagrees or failed, or null.</param>
/// <param name="Kernels">Rows of the kernel table that agreed.</param>
/// <param name="Seconds">How long it took, the opening of the device included where it was.</param>
public sealed record SelfTestResult(string? Problem, int Kernels, double Seconds)
{
    /// <summary>self-test passed: 6 kernels agree with the CPU, 0.31 s.</summary>
    public override string ToString() => Problem is null
        ? string.Create(CultureInfo.InvariantCulture, $"self-test passed: {Kernels} kernels agree with the CPU, {Seconds:0.00} s")
        : $"self-test FAILED: {Problem}";
}

/// <summary>
/// A few rows of the kernel table at small sizes on a device and on the CPU: enough to notice a driver that does not load the kernels, copies
/// that go astray and arithmetic that differs. Well under a second where the kernels are compiled already.
/// </summary>
public static class GpuSelfTest
{
    /// <summary>How far an element may lie from the CPU's, relative to 1 + its magnitude: what differently ordered float32 sums of this length allow.</summary>
    private const double Tolerance = 1e-4;

    private static readonly string[] _rows = ["matmul_nn", "rms_norm", "adamw", "top_k", "similarity_l1", "facility_location"];

    /// <summary>Runs the rows. Errors of the device are the result's problem, not thrown.</summary>
    public static SelfTestResult Run(Device device)
    {
        long start = Stopwatch.GetTimestamp();
        int agreed = 0;
        string? problem = null;
        try
        {
            using var cpu = new CpuDevice(1);
            foreach (string name in _rows)
            {
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
        return new SelfTestResult(problem, agreed, Stopwatch.GetElapsedTime(start).TotalSeconds);
    }
}
