using NativeEngine.Devices;

namespace NativeEngine.Profiling;

/// <summary>The time of one kernel at one size, and what the counts of its row make of it.</summary>
/// <param name="Row">The row of the kernel table.</param>
/// <param name="Size">The extents.</param>
/// <param name="Seconds">Median time of a run over the samples.</param>
/// <param name="Spread">(90th - 10th percentile) / median of the samples: how quiet the machine was.</param>
/// <param name="Samples">Samples taken.</param>
public sealed record KernelMeasurement(KernelRow Row, KernelSize Size, double Seconds, double Spread, int Samples)
{
    /// <summary>Bytes a run must move.</summary>
    public double Bytes => Row.Bytes(Size);

    /// <summary>Operations of a run.</summary>
    public double Flops => Row.Flops(Size);

    /// <summary>Bytes that are touched: all arguments, or less where a kernel uses a part of them.</summary>
    public double WorkingSet => Math.Min(KernelBench.ArgumentBytes(Row, Size), Bytes);

    /// <summary>Operations per byte; 0 for kernels that only move.</summary>
    public double Intensity => Flops / Bytes;

    /// <summary>Bytes per second.</summary>
    public double BytesPerSecond => Bytes / Seconds;

    /// <summary>Operations per second.</summary>
    public double FlopsPerSecond => Flops / Seconds;

    /// <summary>The shortest time the roofs allow: that of the arithmetic at its peak or of the bytes at their level's bandwidth.</summary>
    public double RoofSeconds(MachineRoofs roofs) => Math.Max(ArithmeticSeconds(roofs), Bytes / roofs.Bandwidth(WorkingSet, WritesOnly));

    /// <summary>Share of the roof: <see cref="RoofSeconds"/> / <see cref="Seconds"/>. More than 1 cannot be, if all counts are right.</summary>
    public double Share(MachineRoofs roofs) => RoofSeconds(roofs) / Seconds;

    /// <summary>What bounds it: fma, min+add, sub+fma, or the level of memory: L1, L2, L3, memory.</summary>
    public string Bound(MachineRoofs roofs) => ArithmeticSeconds(roofs) >= RoofSeconds(roofs)
        ? Row.Arithmetic switch
        {
            ArithmeticKind.MinimumAdd => "min+add",
            ArithmeticKind.SubtractMultiplyAdd => "sub+fma",
            _ => "fma",
        }
        : roofs.LevelOf(WorkingSet);

    private bool WritesOnly => Row.Arguments.Where(a => a.Role != ArgumentRole.Out).Sum(a => a.Shape(Size).Count)
        < 0.01 * Row.Arguments.Sum(a => a.Shape(Size).Count);

    private double ArithmeticSeconds(MachineRoofs roofs) => Flops / roofs.Peak(Row.Arithmetic);
}
