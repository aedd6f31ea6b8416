using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Devices.Gpu;

namespace NativeEngine.GpuCheck;

/// <summary>
/// Every row of the kernel table at its test sizes, and at its benchmark sizes where the CPU answers in reasonable time: against the CPU, where the
/// same bits are promised, and twice on the device.
/// </summary>
internal static class KernelSection
{
    // Past this an answer differs by more than another order of operations in float32 could.
    private const double Tolerance = 1e-4;

    public static void Run(CheckReport report, GpuDevice device, CheckOptions options)
    {
        using var cpu = new CpuDevice();
        foreach (var row in KernelTable.All)
        {
            int same = 0, sizes = 0;
            string? problem = null;
            try
            {
                foreach (var size in row.TestSizes.Concat(row.BenchmarkSizes).Where(s => IsSmall(row, s, options)))
                {
                    sizes++;
                    var once = KernelComparison.Run(row, size, device);
                    var difference = KernelComparison.Run(row, size, cpu).Against(once);
                    same += difference.SameBits ? 1 : 0;
                    problem ??= difference.Largest <= Tolerance ? null : $"{size}: {difference}";
                    var again = once.Against(KernelComparison.Run(row, size, device));
                    problem ??= again.SameBits ? null : $"{size}: two runs differ: {again}";
                }
            }
            catch (EngineException error)
            {
                report.Add("kernel", row.Name, false, error.Message);
                throw;
            }
            report.Add("kernel", row.Name, problem is null, problem ?? (same == sizes ? $"{sizes} sizes, the CPU's bits, twice" : $"{sizes} sizes within {Tolerance}, {same} with the CPU's bits, the same twice"));
        }
    }

    private static bool IsSmall(KernelRow row, KernelSize size, CheckOptions options) =>
        KernelComparison.Elements(row, size) <= (options.Quick ? 30_000 : 40_000_000) && row.Flops(size) <= (options.Quick ? 3e6 : 2e10);
}
