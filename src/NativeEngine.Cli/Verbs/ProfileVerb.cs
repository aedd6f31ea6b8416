using System.CommandLine;
using System.Text;
using NativeEngine.Devices;
using NativeEngine.Formats;
using NativeEngine.Model;
using NativeEngine.Profiling;
using NativeEngine.Reporting;

namespace NativeEngine.Cli.Verbs;

/// <summary>Times kernels against this machine's own roofs, or shows where the time of a piece of work goes.</summary>
internal sealed class ProfileVerb : Verb
{
    private readonly Option<string?> _kernel = Opt.MaybeText("--kernel", "NAME", "Only these rows of the kernel table: names or families (matmul), separated by commas.");
    private readonly Option<string?> _roofline = Opt.MaybeText("--roofline", "R.svg", "Where the roofline figure goes.");
    private readonly Option<string?> _baseline = Opt.MaybeText("--baseline", "BASE.json", "An earlier profile (its --output BASE.json) to compare times with: which kernels are slower now.");
    private readonly Option<bool> _quick = Opt.Flag("--quick", "Shorter samples, no sizes above 64 MiB: about fifteen seconds.");
    private readonly Option<string> _work = Opt.Choice("--work", "Look at a piece of work in place of single kernels: training steps, or selections of 2048 x 2560.", "none", "step", "select");
    private readonly Option<string?> _trace = Opt.MaybeText("--trace", "T.json", "Where a Chrome trace of the work goes, for ui.perfetto.dev; --work step unless said otherwise.");
    private readonly Option<string> _model = Opt.Text("--model", "DIR|preset:NAME", $"What --work step trains, on the built-in mixture ({string.Join(", ", ModelPresets.Names)}).", "preset:1m");
    private readonly Option<int> _repeat = Opt.Number("--repeat", "N", "Steps or selections recorded, after one that is not.", 3, min: 1, max: 10_000);

    private readonly ReportOutput _report = new();

    public ProfileVerb()
        : base("profile", "Times every kernel against this machine's own roofs, or shows where a step's time goes.", "nengine profile --kernel matmul --roofline roofline.svg")
    {
        Add("kernels", _kernel, _roofline, _baseline, _quick);
        Add("work", _work, _trace, _model, _repeat);
        Add("result", _report.Option);
    }

    public override bool OutputIsResult => true;

    public override string? Table => "rows";

    public override int Run(VerbContext context)
    {
        string? trace = context.Get(_trace) is { } t ? OutputFile.Check(t) : null;
        string? roofline = context.Get(_roofline) is { } r ? OutputFile.Check(r) : null;
        string? report = _report.Check(context);
        string work = context.Need(_work) is "none" && trace is not null ? "step" : context.Need(_work);
        var rows = Rows(context);
        if (work == "none")
        {
            return Kernels(context, rows, roofline, report);
        }
        if (context.Get(_kernel) is not null || roofline is not null || context.Get(_baseline) is not null)
        {
            throw new EngineException(ErrorKind.Usage, "--kernel, --roofline and --baseline look at single kernels, --work and --trace at a piece of work", "give one or the other");
        }
        return Work(context, work, trace, report);
    }

    private int Kernels(VerbContext context, IReadOnlyList<KernelRow> rows, string? roofline, string? report)
    {
        var options = context.Get(_quick) ? ProfileOptions.Quick : new ProfileOptions();
        if (context.DryRun)
        {
            SayPlan(context, rows, options);
            return 0;
        }
        var baseline = context.Get(_baseline) is { } earlier ? ProfileBaseline.Load(earlier) : null;
        using var device = context.OpenDevice();
        using var progress = context.Progress("profiling", rows.Sum(row => row.BenchmarkSizes.Count), "sizes");
        string now = "";
        int done = 0;
        var profile = new KernelProfiler(device, options).Run(
            rows,
            what =>
            {
                now = what;
                progress.Report(done++, () => now);
            },
            context.Cancellation);
        if (roofline is not null)
        {
            AtomicFile.Write(roofline, stream => stream.Write(Encoding.UTF8.GetBytes(RooflineFigure.Draw(profile))));
        }
        if (report is not null)
        {
            ReportOutput.Write(context, ProfilePage.Of(profile, ReportOutput.Origin(context, device.Description), baseline), report);
        }
        context.Result.Write(
            text => ProfileReport.WriteText(text, profile, baseline),
            json =>
            {
                json.WriteNumber("schema", 1);
                ProfileReport.WriteMachine(json, context, device);
                ProfileDocument.Write(json, profile, baseline);
            });
        foreach (var m in profile.AboveRoof)
        {
            context.Talk.Warn(ProfileReport.Impossible(m, profile.Roofs));
        }
        return profile.AboveRoof.Count == 0 ? 0 : (int)ErrorKind.VerificationFailed;
    }

    private int Work(VerbContext context, string work, string? trace, string? report)
    {
        var recorder = new KernelRecorder();
        using var device = context.OpenDevice(recorder.Wrap);
        recorder.Attach(device);
        int repeat = context.Need(_repeat);
        if (context.DryRun)
        {
            context.Result.Write(
                text => text.WriteLine($"would record {repeat} of {work} on {device.Description}"),
                json =>
                {
                    json.WriteNumber("schema", 1);
                    json.WriteBoolean("dry_run", true);
                    json.WriteString("work", work);
                    json.WriteNumber("repeat", repeat);
                });
            return 0;
        }
        double seconds = work == "step"
            ? ProfiledWork.Steps(context, device, recorder, context.Need(_model), repeat)
            : ProfiledWork.Selections(context, device, recorder, repeat);
        if (trace is not null)
        {
            AtomicFile.Write(trace, stream => ChromeTrace.Write(stream, recorder.Events, "nengine", device.Description));
        }
        string what = work == "step" ? $"{repeat} training step{(repeat == 1 ? "" : "s")} of {context.Need(_model)}" : $"{repeat} selection{(repeat == 1 ? "" : "s")} of 2048 x 2560";
        var totals = recorder.Totals();
        if (report is not null)
        {
            ReportOutput.Write(context, ProfilePage.Of(what, seconds, totals, ReportOutput.Origin(context, device.Description)), report);
        }
        context.Result.Write(
            text => ProfileReport.WriteText(text, what, seconds, totals),
            json =>
            {
                json.WriteNumber("schema", 1);
                ProfileReport.WriteMachine(json, context, device);
                ProfileReport.WriteJson(json, what, seconds, totals);
            });
        return 0;
    }

    private IReadOnlyList<KernelRow> Rows(VerbContext context)
    {
        if (context.Get(_kernel) is not { } names)
        {
            return KernelTable.All;
        }
        var chosen = new HashSet<KernelRow>();
        foreach (string name in names.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var exact = KernelTable.All.Where(row => row.Name == name).ToArray();
            var found = exact.Length > 0 ? exact : [.. KernelTable.All.Where(row => row.Name.StartsWith(name + "_", StringComparison.Ordinal))];
            if (found.Length == 0)
            {
                var families = KernelTable.All.Select(row => row.Name.Split('_')[0]);
                var known = KernelTable.All.Select(row => row.Name).Concat(families).Distinct(StringComparer.Ordinal);
                throw new EngineException(ErrorKind.Usage, $"no kernel is named '{name}'",
                    Suggestion.Nearest(name, known) is { } near ? $"did you mean '{near}'?" : $"the kernels are {string.Join(", ", KernelTable.All.Select(row => row.Name))}");
            }
            chosen.UnionWith(found);
        }
        return chosen.Count > 0 ? [.. KernelTable.All.Where(chosen.Contains)]
            : throw new EngineException(ErrorKind.Usage, "--kernel names no kernel", "for example --kernel matmul");
    }

    private static void SayPlan(VerbContext context, IReadOnlyList<KernelRow> rows, ProfileOptions options)
    {
        long peak = rows.SelectMany(row => row.BenchmarkSizes.Select(size => KernelProfiler.ArgumentBytes(row, size)))
            .Where(bytes => bytes <= options.LargestArguments).Max();
        context.Result.Write(
            text =>
            {
                ProfileReport.WriteKernels(text, rows);
                text.WriteLine($"would time {rows.Count} kernels at {rows.Sum(row => row.BenchmarkSizes.Count)} sizes; arguments of up to {ByteSize.Format(peak)}");
            },
            json =>
            {
                json.WriteNumber("schema", 1);
                json.WriteBoolean("dry_run", true);
                json.WriteNumber("kernels", rows.Count);
                json.WriteNumber("peak_bytes", peak);
                ProfileReport.WriteKernels(json, rows);
            });
    }
}
