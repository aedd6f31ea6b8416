using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using NativeEngine.Devices;
using NativeEngine.Native;
using NativeEngine.Selection;

namespace NativeEngine.Cli.Verbs;

/// <summary>Picks a coreset from features on disk, or from the examples of a data file.</summary>
internal sealed class SelectVerb : Verb
{
    private readonly Argument<string?> _data = new("DATA.jsonl") { Description = "Examples to choose from, in place of --features; - is standard input.", Arity = ArgumentArity.ZeroOrOne };
    private readonly ExampleFeaturesOptions _examples = new();
    private readonly Option<string?> _features = Opt.MaybeText("--features", "F.npy|F.npz[#array]|F.safetensors[#tensor]", "One row per example; {rank} in the name where several ranks have a file each.");
    private readonly Option<string?> _sources = Opt.MaybeText("--sources", "S.npy|S.npz[#array]|S.txt|S.jsonl[#field]", "The source of every row; without it all are one source.");
    private readonly Option<string> _budget = Opt.RequiredText("--budget", "B|P%", "Examples to select, kept ones included: 64 or 50%.", "-k");
    private readonly CoresetOptions _coreset = new(keepDefault: "none", topDefault: 0);
    private readonly Option<bool> _adam = Opt.Flag("--adam", "Normalise features like Adam's updates.");
    private readonly Option<long?> _step = Opt.MaybeNumber<long>("--step", "T", "Optimizer steps already done; default: the state's, else 0.", min: 0);
    private readonly Option<string?> _state = Opt.MaybeText("--state", "IN.safetensors", "History m, v of earlier selections.");
    private readonly Option<string> _ranks = Opt.Choice("--ranks", "Whether processes select together: auto where mpirun or srun started several.", "auto", "mpi", "one");
    private readonly Option<string?> _saveState = Opt.MaybeText("--save-state", "OUT.safetensors", "Where the history after this selection goes.");

    private readonly ReportOutput _report = new();

    public SelectVerb()
        : base("select", "Selects a coreset from features on disk, or from the examples of a data file.", "nengine select mine.jsonl --budget 10% --output picked.jsonl")
    {
        Add(_data);
        Add("input", _features, _sources);
        Add("selection", [_budget, .. _coreset.Options]);
        Add("history", _adam, _step, _state, _saveState);
        Add("result", _report.Option);
        Add("data file", _examples.Options);
        Add("running", _ranks);
    }

    public override string? Table => "sources";

    public override int Run(VerbContext context)
    {
        var ranks = Ranks.Join(context, context.Need(_ranks));
        int code = ranks.Group.Count > 1 ? RunTogether(context, ranks.Group) : RunAlone(context);
        ranks.Leave();
        return code;
    }

    private int RunAlone(VerbContext context)
    {
        string? data = context.Get(_data), features = context.Get(_features);
        if ((data is null) == (features is null))
        {
            throw new EngineException(ErrorKind.Usage,
                data is null ? "select needs examples to choose from: a data file, or --features" : $"the data file {data} and --features {features} exclude each other", Example);
        }
        if (data is null)
        {
            _examples.RequireUnused(context);
            return RunAlone(context, null, RankShard.Alone(features!));
        }
        if (context.Get(_sources) is not null)
        {
            throw new EngineException(ErrorKind.Usage, "--sources belongs to --features; a data file names its sources itself", "give --source-field NAME, the field with the source");
        }
        // Whatever can be refused is, before the work.
        _ = context.Output is { } output ? SelectionOutput.Check(output, hasLines: true) : null;
        _report.Check(context);
        Budget(context.Need(_budget), int.MaxValue);
        using var examples = _examples.Compute(context, data, count => Budget(context.Need(_budget), count));
        return RunAlone(context, examples, examples.File);
    }

    private int RunTogether(VerbContext context, RankGroup ranks)
    {
        if (context.Get(_adam) || context.Get(_state) is not null || context.Get(_saveState) is not null)
        {
            throw new EngineException(ErrorKind.Usage, "on several ranks features are compared as they are; --adam, --state and --save-state are for one", "leave them out");
        }
        string? output = ranks.Rank == 0 && context.Output is { } path ? SelectionOutput.Check(path, hasLines: false) : null;
        long start = Stopwatch.GetTimestamp();
        if (context.Get(_data) is { } data)
        {
            throw new EngineException(ErrorKind.Usage, $"on several ranks each reads features of its own; {data} is a data file", "write them with nengine features, or give --ranks one");
        }
        using var features = FeatureFile.Open(RankShard.Name(context.Get(_features) ?? throw new EngineException(ErrorKind.Usage, "--features is needed here", Example), "--features", ranks.Rank));
        string? own = context.Get(_sources) is { } name ? RankShard.Name(name, "--sources", ranks.Rank) : null;
        var sources = RankShard.Gather(ranks, ReadSources(own, features), features);
        var options = ReadOptions(context, sources.Ids.Length, features.Columns, sources);
        if (context.DryRun)
        {
            context.Result.Write(
                text => text.WriteLine($"would select {options.Budget} of {sources.Ids.Length} examples on {ranks.Count} ranks"),
                json =>
                {
                    json.WriteNumber("schema", 1);
                    json.WriteBoolean("dry_run", true);
                    json.WriteNumber("n", sources.Ids.Length);
                    json.WriteNumber("ranks", ranks.Count);
                });
            return 0;
        }
        using var device = context.OpenDevice();
        using var rows = features.Load(device, context.Cancellation);
        double read = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        var (result, plan) = new RankSelector(device, options, ranks).Select(
            sources.Ids, rows.View.Reshape(features.Rows, features.Columns), context.Get(_step) ?? 0, context.Cancellation);
        var document = SelectionDocument.Of(result, plan, sources.Names, features.Columns, adam: false, state: null) with
        {
            ReadTime = read,
            Device = device.Name,
            PeakBytes = device.Memory.PeakBytes,
        };
        if (output is not null)
        {
            SelectionOutput.Save(document, output);
        }
        context.Result.Write(text => WriteText(text, document, indices: true), document.Write);
        return 0;
    }

    private int RunAlone(VerbContext context, ExampleFeatures? examples, string file)
    {
        bool adam = context.Get(_adam);
        RequireAdam(context, adam);
        string? output = context.Output is { } path ? SelectionOutput.Check(path, examples is not null, file, context.Get(_data), context.Get(_sources), context.Get(_state)) : null;
        string? saveState = context.Get(_saveState) is { } saved ? OutputFile.Check(saved, file, context.Get(_data), context.Get(_sources)) : null;
        OutputFile.RequireApart("--output", output, "--save-state", saveState);
        string? report = _report.Check(context);
        long start = Stopwatch.GetTimestamp();
        using var features = FeatureFile.Open(file);
        var sources = examples?.Sources ?? ReadSources(context.Get(_sources) is { } list ? RankShard.Alone(list) : null, features);
        var options = ReadOptions(context, features.Rows, features.Columns, sources);
        using var device = context.OpenDevice();
        using var normalizer = adam ? GradientNormalizer.Adam(device) : GradientNormalizer.None();
        var state = context.Get(_state) is { } from ? SelectorState.Load(from, normalizer, features.Columns) : new SelectorState(null, null);
        long step = context.Get(_step) ?? state.Step ?? 0;
        var selector = new CoresetSelector(device, options, normalizer);
        var plan = selector.Plan(sources.Ids, step);
        var need = SelectionMemory.Of(plan, features.Columns, adam, context.Threads.Count);
        RequireFits(context, options, need);
        SayChoice(context, options, plan);
        if (context.DryRun)
        {
            SayPlan(context, device, plan, need);
            return 0;
        }

        var (rows, plan2) = LoadCandidates(context, device, features, selector, sources, step);
        double read = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        SelectionResult result;
        using (rows)
        {
            result = selector.Select(plan2, new Tensor<float>(rows, 0, new Shape(plan2.Candidates.Count, features.Columns)), context.Cancellation);
        }
        var document = SelectionDocument.Of(result, plan2, sources.Names, features.Columns, adam, context.Get(_state)) with
        {
            ReadTime = read,
            Device = device.Name,
            PeakBytes = device.Memory.PeakBytes,
        };
        if (saveState is not null)
        {
            SelectorState.Save(saveState, normalizer, features.Columns, step + 1, context.Seed);
        }
        var shown = examples?.InFile(document) ?? document;
        if (output is not null)
        {
            if (examples is null)
            {
                SelectionOutput.Save(document, output);
            }
            else
            {
                examples.Save(context, shown, output);
            }
        }
        if (report is not null)
        {
            // From the history as it was before; when it was saved in its own place it is gone, and so is the map.
            bool kept = !adam || saveState is null || context.Get(_state) is not { } before || Path.GetFullPath(before) != saveState;
            ReportOutput.Write(context, ReportVerb.OfSelection(context, shown, kept ? features.Name : null, context.Get(_state), examples?.Positions), report);
        }
        context.Result.Write(text => WriteText(text, shown, indices: examples is null || output is null), shown.Write);
        return 0;
    }

    private void RequireAdam(VerbContext context, bool adam)
    {
        if (!adam && (context.Get(_state) is not null || context.Get(_saveState) is not null))
        {
            throw new EngineException(ErrorKind.Usage, "--state and --save-state hold the history of --adam, which was not given", "add --adam");
        }
    }

    private static SourceFile ReadSources(string? name, FeatureFile features)
    {
        if (name is null)
        {
            return SourceFile.Of([.. Enumerable.Repeat("0", features.Rows)]);
        }
        var sources = SourceFile.Read(name);
        return sources.Ids.Length == features.Rows ? sources : throw new EngineException(
            ErrorKind.BadInput, $"{name}: there are {sources.Ids.Length} sources for the {features.Rows} examples of {features.Name}",
            "give one source for every row");
    }

    private SelectionOptions ReadOptions(VerbContext context, int rows, int columns, SourceFile sources)
    {
        var options = _coreset.Read(context, Budget(context.Need(_budget), rows)) with
        {
            KeptSources = KeptSources(context, sources),
            ExactLimit = SelectionMemory.ExactLimit(
                context.MaxMemory, rows, columns, context.Get(_adam), context.Get(_sources) is not null || _coreset.Top(context) > 0, context.Threads.Count),
        };
        options.Validate();
        return options;
    }

    private static void RequireFits(VerbContext context, SelectionOptions options, SelectionMemory need)
    {
        long bytes = context.IsOnGpu ? need.DeviceBytes : need.ProcessBytes;
        if (bytes <= context.MaxMemory)
        {
            return;
        }
        string[] ways =
        [
            $"raise --max-memory to {ByteSize.Format(bytes)}",
            options.Algorithm == SelectionAlgorithm.Exact ? "use --algorithm auto, which needs no n x n matrix" : "keep fewer columns when the features are made",
            "select from fewer examples at a time",
        ];
        throw new EngineException(
            ErrorKind.WillNotFit,
            $"this selection needs {ByteSize.Format(bytes)} and may use {ByteSize.Format(context.MaxMemory)}", string.Join("; or ", ways));
    }

    private static IEnumerable<(SelectionGroup Group, SelectionChoice Choice)> Choices(SelectionOptions options, SelectionPlan plan) =>
        from parts in plan.Groups.Where(g => !g.Kept && g.Budget > 0).GroupBy(g => g.Source)
        let whole = parts.First() with { Members = [.. parts.SelectMany(g => g.Members)], Budget = parts.Sum(g => g.Budget) }
        where whole.Budget < whole.Members.Count
        select (whole, SelectionChoice.For(options, whole.Members.Count, whole.Budget));

    private static void SayChoice(VerbContext context, SelectionOptions options, SelectionPlan plan)
    {
        if (options.Algorithm == SelectionAlgorithm.Auto)
        {
            foreach (var (group, choice) in Choices(options, plan).Where(c => c.Choice.Algorithm != SelectionAlgorithm.Exact))
            {
                context.Talk.Info($"{group.Members.Count} candidates, {group.Budget} to pick: auto chose {choice.Algorithm.ToString().ToLowerInvariant()}, since {choice.Reason}");
            }
        }
    }

    private static int Budget(string text, int n)
    {
        bool percent = text.EndsWith('%');
        var styles = percent ? NumberStyles.AllowDecimalPoint : NumberStyles.None;
        if (!decimal.TryParse(percent ? text[..^1] : text, styles, CultureInfo.InvariantCulture, out decimal value))
        {
            throw new EngineException(ErrorKind.Usage, $"--budget expects a number of examples or a percentage, got '{text}'", decimal.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out value) && value is > 0 and < 1 ? FormattableString.Invariant($"--budget {100 * value:0.####}%") : "for example --budget 64 or --budget 50%");
        }
        if (percent && value is (<= 0 or > 100))
        {
            throw new EngineException(ErrorKind.Usage, $"--budget {text} is no share of the examples", "give more than 0% and at most 100%, as --budget 10%");
        }
        decimal budget = percent ? Math.Round(value * n / 100, MidpointRounding.AwayFromZero) : value;
        return budget >= 1 && budget <= n ? (int)budget : throw new EngineException(
            ErrorKind.Usage, $"--budget {text} asks for {budget.ToString(CultureInfo.InvariantCulture)} of {n} examples", $"give a budget from 1 to {n}");
    }

    private int[] KeptSources(VerbContext context, SourceFile sources)
    {
        string text = _coreset.KeepText(context);
        var sizes = new int[sources.Names.Count];
        foreach (int id in sources.Ids)
        {
            sizes[id]++;
        }
        if (text is "none" or "small" || text.StartsWith("mean:", StringComparison.Ordinal)
            || text.StartsWith("quantile:", StringComparison.Ordinal) || text.StartsWith("expected:", StringComparison.Ordinal))
        {
            return SmallSourceRule.Parse(text).Apply(sizes, sources.Ids.Length);
        }
        var ids = new List<int>();
        foreach (string name in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            int id = sources.Names.ToList().IndexOf(name);
            if (id < 0)
            {
                context.Talk.Warn($"no example has the source '{name}' that --keep names");
                continue;
            }
            ids.Add(id);
        }
        return [.. ids];
    }

    /// <summary>The rows of all candidates with finite features, and the plan without the others.</summary>
    private static (DeviceBuffer<float> Rows, SelectionPlan Plan) LoadCandidates(
        VerbContext context, Device device, FeatureFile features, CoresetSelector selector, SourceFile sources, long step)
    {
        var all = features.Load(device, context.Cancellation);
        try
        {
            var matrix = all.View.Reshape(features.Rows, features.Columns);
            var plan = selector.PlanFinite(sources.Ids, step, matrix);
            if (plan.Groups.Count == 0)
            {
                throw new EngineException(ErrorKind.BadInput, $"{features.Name}: every one of the {features.Rows} rows holds a NaN or an infinity, so nothing can be compared",
                    $"in Python: numpy.isfinite(numpy.load('{features.Name}')).all(axis=1) tells the good rows of a .npy file");
            }
            if (plan.Candidates.Count == features.Rows)
            {
                return (all, plan);
            }
            using var picked = device.Allocate<int>(plan.Candidates.ToArray(), MemoryUse.Selection);
            var rows = device.Allocate<float>((long)plan.Candidates.Count * features.Columns, MemoryUse.Selection);
            device.Kernels.GatherRows(matrix, picked.View, rows.View.Reshape(plan.Candidates.Count, features.Columns));
            device.Synchronize();
            all.Dispose();
            return (rows, plan);
        }
        catch
        {
            all.Dispose();
            throw;
        }
    }

    private static void SayPlan(VerbContext context, Device device, SelectionPlan plan, SelectionMemory need)
    {
        double seconds = SelectionSpeed.Measure(device, plan.Options.Metric).Seconds(need);
        var choice = Choices(plan.Options, plan).Select(c => c.Choice).MaxBy(c => (c.Algorithm != SelectionAlgorithm.Exact, c.Neighbours));
        context.Result.Write(
            text => text.WriteLine(FormattableString.Invariant(
                $"{plan.Candidates.Count} of {plan.PoolSize} examples compete, {plan.Kept.Count} are kept; {(choice is null ? "nothing to choose" : $"{choice.Algorithm.ToString().ToLowerInvariant()}, {choice.Reason}")}; peak memory {ByteSize.Format(need.ProcessBytes)}, about {seconds:G2} s")),
            json =>
            {
                json.WriteNumber("schema", 1);
                json.WriteBoolean("dry_run", true);
                json.WriteNumber("n", plan.PoolSize);
                json.WriteNumber("candidates", plan.Candidates.Count);
                json.WriteNumber("kept", plan.Kept.Count);
                json.WriteNumber("peak_bytes", need.DeviceBytes);
                json.WriteNumber("process_bytes", need.ProcessBytes);
                json.WriteNumber("seconds", Math.Round(seconds, 6));
                SelectionDocument.WriteChoice(json, choice);
            });
    }

    private static void WriteText(TextWriter text, SelectionDocument d, bool indices)
    {
        int width = Math.Max(6, d.Sources.Max(s => s.Source.Length));
        text.WriteLine(FormattableString.Invariant($"{d.Indices.Count} of {d.N} examples selected ({d.Kept.Count} kept, {d.Dropped.Count} dropped)"));
        text.WriteLine($"{"source".PadRight(width)}      size  budget  selected   objective");
        foreach (var s in d.Sources)
        {
            text.WriteLine(FormattableString.Invariant(
                $"{s.Source.PadRight(width)}  {s.Size,8}  {s.Budget,6}  {s.Selected,8}  {s.Objective,10:G6}{(s.Kept ? "  kept" : "")}"));
        }
        foreach (var dropped in d.Dropped.Take(10))
        {
            text.WriteLine(FormattableString.Invariant($"dropped {dropped.Index}: {dropped.Reason}"));
        }
        if (d.Dropped.Count > 10)
        {
            text.WriteLine(FormattableString.Invariant($"and {d.Dropped.Count - 10} more were dropped, see --json"));
        }
        text.WriteLine(FormattableString.Invariant(
            $"objective {d.Objective:G8}, at least {100 * d.Certificate.Ratio:F2} % of the best possible ({d.Certificate.UpperBound:G8} at most)"));
        text.WriteLine(FormattableString.Invariant($"{d.ReadTime + d.Timing.Total:F1} ms on {d.Device}, peak {ByteSize.Format(d.PeakBytes)}"));
        if (d.Screening is { } screening)
        {
            text.WriteLine(FormattableString.Invariant(
                $"precision {screening.Precision.ToString().ToLowerInvariant()}: {screening.Note}; {screening.Screened} pairs screened, {screening.Rescored} rescored, {screening.Rows} rows all in float32; the picks are those of fp32"));
        }
        if (!indices)
        {
            return;
        }
        const int Shown = 256;
        text.WriteLine("indices " + string.Join(' ', d.Indices.Take(Shown)) + (d.Indices.Count > Shown ? " ... (all of them with --json or --output)" : ""));
    }
}
