using System.Runtime.InteropServices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Merging;

namespace NativeEngine.CApi;

internal static unsafe class MergeExports
{
    [UnmanagedCallersOnly(EntryPoint = "ne_merge_recipe")]
    public static int Recipe(byte* recipe, byte* output, MergeOptionsStruct* options, ControlStruct* control, MergeReportStruct* report) =>
        Guard.Call(() => Merge(() => MergeRecipe.Load(Arguments.NeedText(recipe, "the recipe")), output, options, control, report));

    [UnmanagedCallersOnly(EntryPoint = "ne_merge_linear")]
    public static int Linear(byte** folders, double* weights, long count, byte* output, MergeOptionsStruct* options, ControlStruct* control, MergeReportStruct* report) => Guard.Call(() =>
    {
        int models = Arguments.Number(count, "the number of models", 1, 1 << 20);
        if (folders is null)
        {
            throw Arguments.Missing("folders");
        }
        Arguments.Need(weights, "weights");
        Merge(
            () =>
            {
                var list = new (string, double)[models];
                for (int i = 0; i < models; i++)
                {
                    list[i] = (Arguments.NeedText(folders[i], $"folder {i}"), weights[i]);
                }
                return MergeRecipe.Linear(list);
            },
            output, options, control, report);
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_merge_buffers")]
    public static int Buffers(
        nint device, void** inputs, double* weights, long count, int type, long length, int normalize, void* output, int outputType, ControlStruct* control) => Guard.Call(() =>
    {
        using var lease = Handles.Use<DeviceResource>(device);
        int vectors = Arguments.Number(count, "the number of vectors", 1, 1 << 20);
        var from = Arguments.Choice(type, "the type", Formats.DType.F32, Formats.DType.BF16);
        var to = Arguments.Choice(outputType, "the output type", Formats.DType.F32, Formats.DType.BF16);
        if (inputs is null)
        {
            throw Arguments.Missing("inputs");
        }
        Arguments.Need(weights, "weights");
        if (length is < 1 or > 1L << 44)
        {
            throw new CallException(Status.Argument, $"the length is {length}");
        }
        var addresses = new nint[vectors];
        for (int i = 0; i < vectors; i++)
        {
            addresses[i] = (nint)Address(inputs[i], from, $"input {i}");
        }
        nint target = (nint)Address(output, to, "the output");
        if (lease.Value.Device is not CpuDevice cpu)
        {
            throw new CallException(Status.Device, $"vectors in memory are merged by the cpu device, this is {lease.Value.Device.Name}", "open the device \"cpu\"");
        }
        using var run = new Control(control);
        using var turn = lease.Value.Gate.Enter();
        run.Report("merge"u8, 0, length);
        BufferMerger.WeightedSum(cpu, addresses, from, new ReadOnlySpan<double>(weights, vectors), normalize != 0, length, target, to, run.Token);
    });

    private static void* Address(void* pointer, Formats.DType type, string what) =>
        type == Formats.DType.F32 ? Arguments.Need((float*)pointer, what) : Arguments.Need((ushort*)pointer, what);

    private static void Merge(Func<MergeRecipe> recipe, byte* output, MergeOptionsStruct* options, ControlStruct* control, MergeReportStruct* report)
    {
        var o = Arguments.Read(options, "the merge options");
        int threads = Arguments.Number(o.Threads, "threads", 0, 4096);
        if (o.ShardBytes < 0)
        {
            throw new CallException(Status.Argument, $"shard_bytes is {o.ShardBytes}");
        }
        if (report is not null)
        {
            Arguments.CheckOutput(report, "the report");
        }
        string folder = Arguments.NeedText(output, "the output folder");
        using var run = new Control(control);
        var settings = new MergeOptions { Seed = o.Seed, Threads = threads == 0 ? Environment.ProcessorCount : threads };
        using var merger = new ParameterMerger(recipe(), o.ShardBytes == 0 ? settings : settings with { ShardBytes = o.ShardBytes });
        foreach (string warning in merger.Plan.Warnings)
        {
            Log.Warning(warning);
        }
        long parameters = merger.Plan.Parameters;
        var done = merger.Run(folder, elements => run.Report("merge"u8, elements, parameters), run.Token);
        if (report is not null)
        {
            Arguments.Write(
                report,
                new MergeReportStruct
                {
                    Tensors = done.Tensors,
                    Parameters = done.Parameters,
                    BytesRead = done.BytesRead,
                    BytesWritten = done.BytesWritten,
                    PeakBytes = done.PeakBytes,
                    Seconds = done.TotalTime.TotalSeconds,
                },
                "the report");
        }
    }
}
