using System.Globalization;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using NativeEngine.Benchmarks.Works;

namespace NativeEngine.Benchmarks.Micro;

/// <summary>Work per second of a kernel, by the operations and bytes its row in the kernel table states.</summary>
internal sealed class RateColumn(string name, Func<KernelCase, double, double> rate) : IColumn
{
    public string Id => name;

    public string ColumnName => name;

    public bool AlwaysShow => true;

    public ColumnCategory Category => ColumnCategory.Custom;

    public int PriorityInCategory => 0;

    public bool IsNumeric => true;

    public UnitType UnitType => UnitType.Dimensionless;

    public string Legend => $"{name} by the operations and bytes that the kernel table states";

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase)
    {
        var kernel = benchmarkCase.Parameters.Items.Select(p => p.Value).OfType<KernelCase>().FirstOrDefault();
        double? nanoseconds = summary[benchmarkCase]?.ResultStatistics?.Mean;
        return kernel is null || nanoseconds is null ? "-" : rate(kernel, nanoseconds.Value * 1e-9).ToString("0.0", CultureInfo.InvariantCulture);
    }

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style) => GetValue(summary, benchmarkCase);

    public bool IsAvailable(Summary summary) => true;

    public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;
}
