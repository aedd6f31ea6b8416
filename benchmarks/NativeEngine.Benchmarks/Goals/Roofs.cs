using NativeEngine.Devices.Cpu;
using NativeEngine.Profiling;

namespace NativeEngine.Benchmarks.Goals;

/// <summary>What this machine can do at best, measured in the same run by the profiler's probes.</summary>
/// <param name="FmaGflops">float32 operations a second of independent fused multiply-adds in registers, 10^9.</param>
/// <param name="MinFmaGterms">Pairs of one minimum and one fused multiply-add (or addition) a second, 10^9 elements.</param>
/// <param name="CopyGigabytes">Bytes read and written a second by copying arrays larger than the caches, 10^9.</param>
internal sealed record Roofs(double FmaGflops, double MinFmaGterms, double CopyGigabytes)
{
    /// <summary>The best of several short runs of each.</summary>
    public static Roofs Measure(int threads, bool quick)
    {
        using var device = new CpuDevice(threads);
        var roofs = MachineRoofs.Measure(device, quick);
        return new Roofs(roofs.FusedMultiplyAdd * 1e-9, roofs.MinimumAddTerms * 1e-9, roofs.CopyBandwidth * 1e-9);
    }
}
