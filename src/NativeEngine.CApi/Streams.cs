using System.Diagnostics;
using System.Runtime.InteropServices;
using NativeEngine.Selection;

namespace NativeEngine.CApi;

internal sealed class StreamResource(DeviceResource parent, StreamingSelector selector, int budget) : DeviceChild(parent)
{
    public override ResourceKind Kind => ResourceKind.Stream;

    public StreamingSelector Selector { get; } = selector;

    public int Budget { get; } = budget;

    protected override void DestroyOwn() => Selector.Dispose();
}

internal static unsafe class StreamExports
{
    /// <summary>Elements handed over between two reports.</summary>
    private const int Piece = 1 << 22;

    [UnmanagedCallersOnly(EntryPoint = "ne_stream_create")]
    public static int Create(nint device, StreamOptionsStruct* options, nint* stream) => Guard.Call(() =>
    {
        using var lease = Handles.Use<DeviceResource>(device);
        Arguments.Need(stream, "stream");
        var o = Arguments.Read(options, "the stream options");
        var read = new StreamingOptions
        {
            Budget = Arguments.Number(o.Budget, "the budget", 1),
            Keep = SmallSourceRule.Parse(Arguments.Text(o.Keep, "keep") ?? "none"),
            Metric = SelectorExports.Metric(o.Metric),
            Quota = SelectorExports.Quota(o.Quota),
            Rounding = SelectorExports.Rounding(o.Rounding),
            MemoryBytes = o.MaxMemory == 0 ? 1L << 30 : o.MaxMemory,
            Rows = Arguments.Number(o.Rows, "rows", 0, 40_000),
            Seed = o.Seed,
        };
        int dimension = Arguments.Number(o.Dimension, "the dimension", 1);
        using var turn = lease.Value.Gate.Enter();
        *stream = Handles.Add(new StreamResource(lease.Value, new StreamingSelector(lease.Value.Device, read, dimension), read.Budget));
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_stream_add")]
    public static int Add(nint stream, MatrixStruct* features, int* sources, ControlStruct* control) => Guard.Call(() =>
    {
        using var lease = Handles.Use<StreamResource>(stream);
        var selector = lease.Value.Selector;
        var rows = new Matrix(features, "the features");
        if (rows.Columns != selector.Dimension)
        {
            throw new CallException(Status.Argument, $"the features have {rows.Columns} columns, the stream {selector.Dimension}");
        }
        int[] ids = sources is null ? new int[rows.Rows] : new ReadOnlySpan<int>(Arguments.Aligned(sources, "sources"), rows.Rows).ToArray();
        if (ids.AsSpan().IndexOfAnyInRange(int.MinValue, -1) is >= 0 and int bad)
        {
            throw new CallException(Status.Argument, $"row {bad} has the source {ids[bad]}; ids of a stream are not negative");
        }
        using var run = new Control(control);
        using var turn = lease.Value.Parent.Gate.Enter();
        int most = Math.Max(1, Piece / rows.Columns);
        var scratch = new float[rows.Scratch(Math.Min(most, rows.Rows))];
        for (int first = 0; first < rows.Rows; first += most)
        {
            run.Report("stream"u8, first, rows.Rows);
            int count = Math.Min(most, rows.Rows - first);
            selector.Add(rows.Slice(first, count, scratch), ids.AsSpan(first, count), run.Token);
        }
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_stream_result")]
    public static int Result(nint stream, ControlStruct* control, SelectionStruct* result, StreamReportStruct* report) => Guard.Call(() =>
    {
        using var lease = Handles.Use<StreamResource>(stream);
        var output = new SelectionOutput(result, lease.Value.Budget, 0);
        if (report is not null)
        {
            Arguments.CheckOutput(report, "the report");
        }
        using var run = new Control(control);
        using var turn = lease.Value.Parent.Gate.Enter();
        long start = Stopwatch.GetTimestamp();
        var selection = lease.Value.Selector.Result(run.Token);
        output.Write(selection, Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        if (report is not null)
        {
            Arguments.Write(
                report,
                new StreamReportStruct
                {
                    Seen = selection.Seen,
                    Dropped = selection.Dropped,
                    Capacity = lease.Value.Selector.Capacity,
                    Reductions = selection.Reductions,
                    Cost = selection.Cost,
                    Displacement = selection.Displacement,
                },
                "the report");
        }
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_stream_free")]
    public static int Free(nint stream) => Guard.Call(() => Handles.Free<StreamResource>(stream));
}
