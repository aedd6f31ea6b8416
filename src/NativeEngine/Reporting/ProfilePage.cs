using System.Globalization;
using NativeEngine.Profiling;

namespace NativeEngine.Reporting;

/// <summary>The report of a profile: kernels against the machine's roofs, or where the time of a piece of work goes.</summary>
public static class ProfilePage
{
    /// <summary>Kernels against roofs, and against an earlier profile where there is one.</summary>
    public static Report Of(KernelProfile profile, IReadOnlyList<(string, string)> origin, ProfileBaseline? baseline = null)
    {
        var roofs = profile.Roofs;
        var rows = profile.Measurements;
        var table = new DataTable(
            "roofline", "Kernels against the roof that bounds them",
            DataColumn.Of("kernel", [.. rows.Select(m => m.Row.Name)]), DataColumn.Of("size", [.. rows.Select(m => m.Size.ToString())]),
            DataColumn.Of("microseconds", [.. rows.Select(m => m.Seconds * 1e6)]), DataColumn.Of("GB/s", [.. rows.Select(m => m.BytesPerSecond / 1e9)]),
            DataColumn.Of("G operations/s", [.. rows.Select(m => m.FlopsPerSecond / 1e9)]), DataColumn.Of("operations per byte", [.. rows.Select(m => m.Intensity)]),
            DataColumn.Of("% of the roof", [.. rows.Select(m => 100 * m.Share(roofs))]), DataColumn.Of("bound by", [.. rows.Select(m => m.Bound(roofs))]));
        double median = rows.Count == 0 ? double.NaN : rows.Select(m => m.Share(roofs)).Order().ElementAt(rows.Count / 2);
        var worst = rows.MinBy(m => m.Share(roofs));
        return new Report
        {
            Kind = "profile",
            Title = "Kernels against this machine's roofs",
            Subtitle = $"{rows.Count} measurements on {roofs.Threads} thread{(roofs.Threads == 1 ? "" : "s")}, {roofs.Width} registers.",
            Facts =
            [
                new("median share of the roof", ReportNumber.Percent(median), median),
                new("memory, GB/s", ReportNumber.Short(roofs.Bandwidths[^1].Best / 1e9), roofs.Bandwidths[^1].Best / 1e9),
                new("fma, GFLOP/s", ReportNumber.Short(roofs.FusedMultiplyAdd / 1e9), roofs.FusedMultiplyAdd / 1e9),
                new("above the roof", profile.AboveRoof.Count.ToString(CultureInfo.InvariantCulture), profile.AboveRoof.Count),
            ],
            Sections =
            [
                new ReportSection("How near are the kernels to what the machine can do?", worst is null ? "Nothing was measured."
                    : $"Half of the measurements reach {ReportNumber.Percent(median)} of the roof that bounds them or more; the farthest from it is {worst.Row.Name} {worst.Size} with {ReportNumber.Percent(worst.Share(roofs))}.")
                {
                    Figures = [new DrawnFigure(table, width => RooflineFigure.Draw(profile, width)) { Name = "roofline", Title = "Roofline" }],
                },
                .. baseline is null ? (ReportSection[])[] : [Compared(rows, baseline)],
            ],
            Origin = origin,
        };
    }

    private static ReportSection Compared(IReadOnlyList<KernelMeasurement> rows, ProfileBaseline baseline)
    {
        var both = rows.Where(m => baseline.Seconds(m) is not null).OrderByDescending(m => baseline.Ratio(m)).ToArray();
        int slower = both.Count(baseline.IsSlower);
        return new ReportSection(
            "Is it slower than before?",
            both.Length == 0 ? $"{baseline.Name} has none of these kernels at these sizes."
                : $"{(slower == 0 ? "Nothing is slower beyond the noise" : $"{slower} of {both.Length} are slower beyond the noise")} than in {baseline.Name} ({baseline.Machine}); the median time is {ReportNumber.Short(baseline.Ratio(both[both.Length / 2])!.Value)} times the earlier one.")
        {
            Figures = both.Length == 0 ? [] :
            [
                new BarFigure
                {
                    Name = "baseline", Title = "Time now / time then", RowName = "kernel and size", ValueName = "ratio", Dots = true, Kinds = ["as fast, within the noise", "slower"],
                    Rows = [.. both.Select(m => new BarRow($"{m.Row.Name} {m.Size}", baseline.Ratio(m)!.Value, Kind: baseline.IsSlower(m) ? 1 : 0))],
                },
            ],
        };
    }

    /// <summary>Where the time of a piece of work went.</summary>
    public static Report Of(string work, double seconds, IReadOnlyList<KernelTotal> totals, IReadOnlyList<(string, string)> origin)
    {
        double kernels = totals.Sum(t => t.Seconds);
        BarRow[] rows = [.. totals.OrderByDescending(t => t.Seconds).Select(t => new BarRow(t.Name, 100 * t.Seconds / seconds)), new("(between kernels)", 100 * (1 - (kernels / seconds)), Kind: 1)];
        return new Report
        {
            Kind = "profile",
            Title = $"Where the time goes: {work}",
            Facts =
            [
                new("time", ReportNumber.Seconds(seconds), seconds),
                new("in kernels", ReportNumber.Percent(kernels / seconds), kernels / seconds),
                new("GFLOP/s", ReportNumber.Short(totals.Sum(t => t.Flops) / seconds / 1e9), totals.Sum(t => t.Flops) / seconds / 1e9),
            ],
            Sections =
            [
                new ReportSection("Where does the time go?", rows.Length == 1 ? "No kernel was called." : $"{rows[0].Label} takes {ReportNumber.Percent(rows[0].Value / 100)} of the time.")
                {
                    Figures =
                    [
                        new BarFigure
                        {
                            Name = "time", Title = "Share of the time of each kernel", RowName = "kernel", ValueName = "% of the time", Rows = rows, Kinds = ["kernels", "between kernels"],
                        },
                    ],
                    Tables =
                    [
                        new DataTable(
                            "kernels", "Every kernel",
                            DataColumn.Of("kernel", [.. totals.Select(t => t.Name)]), DataColumn.Of("calls", [.. totals.Select(t => (double)t.Calls)]),
                            DataColumn.Of("seconds", [.. totals.Select(t => t.Seconds)]), DataColumn.Of("GFLOP/s", [.. totals.Select(t => t.Flops / t.Seconds / 1e9)]),
                            DataColumn.Of("GB/s", [.. totals.Select(t => t.Bytes / t.Seconds / 1e9)])),
                    ],
                },
            ],
            Origin = origin,
        };
    }
}
