using System.CommandLine;
using NativeEngine.Devices;
using NativeEngine.Reporting;
using NativeEngine.Selection;
using NativeEngine.Training;

namespace NativeEngine.Cli.Verbs;

/// <summary>Makes the report of a run or of a selection from its files.</summary>
internal sealed class ReportVerb : Verb
{
    private readonly Argument<string> _run = new("RUN") { Description = "A training run's folder, finished or not, or what select --output wrote." };
    private readonly Option<string?> _features = Opt.MaybeText("--features", "F.npy|F.npz|F.safetensors", "The features a selection was made from: distances and a map then.");
    private readonly Option<string?> _state = Opt.MaybeText("--state", "IN.safetensors", "The history a selection started from; default: the file it names.");

    public ReportVerb()
        : base("report", "Makes the report of a training run or of a selection: one page with figures.", "nengine report runs/first")
    {
        Add(_run);
        Add("selections", _features, _state);
    }

    public override int Run(VerbContext context)
    {
        string name = context.Need(_run);
        bool run = Directory.Exists(name);
        string metrics = Path.Combine(name, MetricsHistory.FileName);
        if (run ? !File.Exists(metrics) : !File.Exists(name))
        {
            throw new EngineException(ErrorKind.BadInput, run ? $"{name} is no training run: it has no {MetricsHistory.FileName}" : $"there is neither a folder nor a file {name}",
                (run ? null : Path.HasExtension(name) ? MissingPath.Hint(name) : MissingPath.Hint(name, holding: MetricsHistory.FileName)) ?? "name the --output of train, or the file that select --output wrote");
        }
        if (run && (context.Get(_features) ?? context.Get(_state)) is not null)
        {
            throw new EngineException(ErrorKind.Usage, $"--features and --state belong to a selection, {name} is a training run", "leave them out");
        }
        string page = ReportFiles.Check(context.Output ?? (run ? name : Path.ChangeExtension(name, ".html")));
        var report = run ? OfRun(context, name) : OfSelection(context, name, context.Get(_features), context.Get(_state));
        if (!context.DryRun)
        {
            page = ReportFiles.Write(report, page);
        }
        context.Result.Write(
            text => text.WriteLine($"{(context.DryRun ? "would write " : "")}{ReportOutput.Shown(page)}: {report.Sections.Count} questions, {report.Figures.Count()} figures"),
            json =>
            {
                json.WriteString("page", page);
                report.Write(json);
            });
        return 0;
    }

    /// <summary>The report of a training run's folder.</summary>
    public static Report OfRun(VerbContext context, string folder) => TrainingPage.Of(
        MetricsHistory.Load(Path.Combine(folder, MetricsHistory.FileName), MetricsHistory.ForReport), Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder))),
        ReportOutput.Origin(folder, context.Talk.Warn));

    /// <summary>The report of a selection, with its features when they are named.</summary>
    public static Report OfSelection(VerbContext context, string file, string? features, string? state) =>
        OfSelection(context, SelectionDocument.Load(file), features, state);

    /// <summary>The same of a document. <paramref name="positions"/>: for every row of the features the number of its example in the document; null where they are the same.</summary>
    public static Report OfSelection(VerbContext context, SelectionDocument document, string? features, string? state, IReadOnlyList<int>? positions = null)
    {
        using var device = context.OpenDevice();
        if (features is null)
        {
            return SelectionPage.Of(document, null, GradientNormalizer.None(), ReportOutput.Origin(context, device.Description));
        }
        using var input = new SelectionInput(context, device, document, features, state);
        using var spread = positions is null || positions.Count == document.N ? null : Spread(device, input.Rows, positions, document.N);
        return SelectionPage.Of(
            document, spread is null ? input.Rows : spread.View.Reshape(document.N, input.Rows.RowLength), input.Normalizer, ReportOutput.Origin(context, device.Description));
    }

    // A row for every example; those without a feature belong to no source and are not looked at.
    private static DeviceBuffer<float> Spread(Device device, Tensor<float> rows, IReadOnlyList<int> positions, int n)
    {
        int[] from = new int[n];
        for (int row = 0; row < positions.Count; row++)
        {
            from[positions[row]] = row;
        }
        using var indices = device.Allocate<int>(from, MemoryUse.Selection);
        var spread = device.Allocate<float>((long)n * rows.RowLength, MemoryUse.Selection);
        device.Kernels.GatherRows(rows, indices.View, spread.View.Reshape(n, rows.RowLength));
        device.Synchronize();
        return spread;
    }
}
