using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using NativeEngine.Formats;
using NativeEngine.Merging;
using NativeEngine.Reporting;

namespace NativeEngine.Cli.Verbs;

/// <summary>Merges models parameter by parameter.</summary>
internal sealed class MergeVerb : Verb
{
    private readonly Argument<string?> _recipe = new("RECIPE.yaml") { Description = "What to merge, in mergekit's form.", Arity = ArgumentArity.ZeroOrOne };
    private readonly Argument<string?> _folder = new("OUTDIR") { Description = "The new model folder, the same as --output.", Arity = ArgumentArity.ZeroOrOne };
    private readonly Option<string[]> _linear = new("--linear")
    {
        Description = "A weighted average of these models instead of a recipe; weights are divided by their sum.",
        HelpName = "DIR=WEIGHT",
        AllowMultipleArgumentsPerToken = true,
        Arity = ArgumentArity.OneOrMore,
    };

    private readonly Option<bool> _check = Opt.Flag("--check", "Check names, shapes, types, vocabularies and configurations, and stop.");
    private readonly Option<long?> _shardSize = Opt.MaybeSize("--shard-size", "Bytes of tensors in one output file; 5GB unless given.");

    private readonly ReportOutput _report = new();

    public MergeVerb()
        : base("merge", "Merges the parameters of models.", "nengine merge --linear runs/a=0.3 runs/b=0.7 --output runs/merged")
    {
        Add(_recipe);
        Add(_folder);
        Add("options", _linear, _check, _shardSize, _report.Option);
    }

    public override int Run(VerbContext context)
    {
        var recipe = ReadRecipe(context);
        bool check = context.Get(_check);
        string? output = context.Get(_folder) ?? context.Output;
        if (context.Get(_folder) is { } folder && context.Output is { } other && folder != other)
        {
            throw new EngineException(ErrorKind.Usage, $"the result cannot go to both {folder} and --output {other}", "give one of them");
        }
        if (output is null && !check && !context.DryRun)
        {
            throw new EngineException(ErrorKind.Usage, "merge needs a folder for the result", "add OUTDIR or --output DIR");
        }
        if (output is not null)
        {
            OutputFolder.Check(output, resume: false);
        }
        string? page = _report.Check(context);
        // Reading the models bounds a merge, whatever sums them: auto means the CPU, where they are read from.
        using var device = context.DeviceName is "auto" or "cpu" ? null : context.OpenDevice();
        var options = new MergeOptions { Threads = context.Threads.Count, Device = device, Seed = context.Seed };
        if (context.Get(_shardSize) is { } bytes)
        {
            options = options with { ShardBytes = bytes };
        }
        using var merger = new ParameterMerger(recipe, options);
        var plan = merger.Plan;
        foreach (string warning in plan.Warnings)
        {
            context.Talk.Warn(warning);
        }
        if (device is null && plan.PeakBytes > context.MaxMemory)
        {
            throw new EngineException(ErrorKind.WillNotFit,
                $"this merge needs {ByteSize.Format(plan.PeakBytes)} of buffers and may use {ByteSize.Format(context.MaxMemory)}", "raise --max-memory or use fewer --threads");
        }
        if (check || context.DryRun)
        {
            string does = check ? "fits: would write" : "would write";
            context.Result.Write(text => WriteText(text, plan, does, output), json => WriteJson(json, plan, check ? "check" : "dry_run", output));
            return 0;
        }
        MergeReport report;
        using (var progress = context.Progress("merging", plan.Parameters, "parameters"))
        {
            report = merger.Run(output!, done => progress.Report(done), context.Cancellation);
        }
        if (page is not null)
        {
            var distances = merger.Distances(output!, context.Cancellation);
            string where = device?.Description ?? $"{context.Threads.Count} thread{(context.Threads.Count == 1 ? "" : "s")}";
            ReportOutput.Write(context, MergePage.Of(report, distances, output!, ReportOutput.Origin(context, where)), page);
        }
        if (device is not null && report.ParametersOnDevice < report.Parameters)
        {
            context.Talk.Info(FormattableString.Invariant(
                $"{report.Parameters - report.ParametersOnDevice:N0} of {report.Parameters:N0} parameters were merged on the CPU: a device sums tensors stored as float32 or bfloat16 for the methods that end in a weighted average"));
        }
        context.Result.Write(
            text => WriteText(text, report, "wrote", output),
            json =>
            {
                WriteJson(json, report, null, output);
                json.WriteString("device", device?.Name ?? "cpu");
                json.WriteNumber("parameters_on_device", report.ParametersOnDevice);
            });
        return 0;
    }

    private MergeRecipe ReadRecipe(VerbContext context)
    {
        string[] linear = context.Get(_linear) ?? [];
        if (context.Get(_recipe) is { } file)
        {
            return linear.Length == 0 ? MergeRecipe.Load(file)
                : throw new EngineException(ErrorKind.Usage, $"merge takes a recipe or --linear, got both ({file})", "leave one of them out");
        }
        if (linear.Length == 0)
        {
            throw new EngineException(ErrorKind.Usage, "merge needs a recipe or --linear", "nengine merge RECIPE.yaml OUTDIR, or nengine merge --linear A=0.3 B=0.7 --output DIR");
        }
        return MergeRecipe.Linear([.. linear.Select(Weighted)]);
    }

    private static (string Path, double Weight) Weighted(string text)
    {
        int equals = text.LastIndexOf('=');
        return equals > 0 && double.TryParse(text.AsSpan(equals + 1), NumberStyles.Float, CultureInfo.InvariantCulture, out double weight)
            ? (text[..equals], weight)
            : throw new EngineException(ErrorKind.Usage, $"--linear expects DIR=WEIGHT, got '{text}'", "for example --linear runs/a=0.3 runs/b=0.7");
    }

    private static void WriteText(TextWriter text, MergeReport report, string does, string? output)
    {
        string Count(long value) => value.ToString("N0", CultureInfo.InvariantCulture);
        text.WriteLine($"{report.Method} of {report.Models.Count} model{(report.Models.Count == 1 ? "" : "s")}: {string.Join(", ", report.Models)}");
        foreach (var row in report.Vocabulary)
        {
            text.WriteLine($"vocabulary of {row.Model}: {Count(row.Tokens)} tokens, {Count(row.SameId)} at the same id, {Count(row.Moved)} moved, {Count(row.Filled)} missing and filled, {Count(row.Dropped)} dropped");
        }
        text.WriteLine($"{does} {Count(report.Tensors)} tensors, {Count(report.Parameters)} parameters, {ByteSize.Format(report.BytesWritten)}{(output is null ? "" : $"  {output}")}");
        string buffers = $"buffers {ByteSize.Format(report.PeakBytes)}";
        text.WriteLine(report.TotalTime == default ? $"reads {ByteSize.Format(report.BytesRead)}, {buffers}"
            : FormattableString.Invariant($"read {ByteSize.Format(report.BytesRead)}{(Rate(report) >= 0.1 ? $" at {Rate(report):0.0} GB/s" : "")}, {buffers}, {report.TotalTime.TotalSeconds:0.00} s in all"));
    }

    private static void WriteJson(Utf8JsonWriter json, MergeReport report, string? stopped, string? output)
    {
        json.WriteNumber("schema", 1);
        if (stopped is not null)
        {
            json.WriteBoolean(stopped, true);
        }
        json.WriteString("method", report.Method);
        json.Strings("models", report.Models);
        json.WriteNumber("tensors", report.Tensors);
        json.WriteNumber("parameters", report.Parameters);
        json.WriteNumber("bytes_read", report.BytesRead);
        json.WriteNumber("bytes_written", report.BytesWritten);
        json.WriteNumber("peak_bytes", report.PeakBytes);
        if (stopped is null)
        {
            json.WriteNumber("merge_seconds", report.MergeTime.TotalSeconds);
            json.WriteNumber("seconds", report.TotalTime.TotalSeconds);
            json.WriteNumber("input_gigabytes_per_second", Rate(report));
        }
        json.Objects("vocabulary", report.Vocabulary, row =>
        {
            json.WriteString("model", row.Model);
            json.WriteNumber("tokens", row.Tokens);
            json.WriteNumber("same_id", row.SameId);
            json.WriteNumber("moved", row.Moved);
            json.WriteNumber("filled", row.Filled);
            json.WriteNumber("dropped", row.Dropped);
        });
        json.Strings("warnings", report.Warnings);
        json.WriteString("output", output);
    }

    private static double Rate(MergeReport report) => report.BytesRead / 1e9 / Math.Max(report.MergeTime.TotalSeconds, 1e-9);
}
