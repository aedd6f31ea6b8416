using System.Globalization;
using NativeEngine.Formats;

namespace NativeEngine.Training;

/// <summary>Why two runs part.</summary>
public enum PartingCause
{
    /// <summary>They read other data.</summary>
    Data,
    /// <summary>They were told other things.</summary>
    Options,
    /// <summary>They draw other random numbers.</summary>
    RandomNumbers,
    /// <summary>They drew the same data in another order.</summary>
    DataOrder,
    /// <summary>They chose other examples of the same pool.</summary>
    Selection,
    /// <summary>They computed other values from the same examples.</summary>
    Values,
    /// <summary>A file is not what was written.</summary>
    Damage,
    /// <summary>They added the same numbers in another order: seen by training again.</summary>
    ReductionOrder,
    /// <summary>One did not do what its checkpoint, options and data give: seen by training again.</summary>
    Fault,
}

/// <summary>A place where two runs differ.</summary>
/// <param name="Step">The step in which, or after which, it is seen.</param>
/// <param name="After">Whether it is seen in what the step left behind (a checkpoint, an evaluation) rather than in the step itself.</param>
/// <param name="Cause">Why.</param>
/// <param name="Where">The member of the metrics, or the file and its tensor.</param>
/// <param name="Element">The first element of the tensor that differs; -1 where there is no tensor.</param>
/// <param name="A">What the first run has.</param>
/// <param name="B">What the second run has.</param>
/// <param name="Sentence">All of it in words.</param>
public sealed record RunDifference(long Step, bool After, PartingCause Cause, string Where, long Element, string A, string B, string Sentence);

/// <summary>
/// Where two training runs part: the first step in their metrics, and the first tensor and element in the checkpoints that both have, whichever comes
/// first. Times are not compared.
/// </summary>
/// <param name="First">The first difference, or null when there is none.</param>
/// <param name="Tensor">The first tensor that differs, or null.</param>
/// <param name="Options">Options that differ, with both values.</param>
/// <param name="Steps">Steps compared.</param>
/// <param name="Checkpoints">Steps of the checkpoints compared.</param>
public sealed record RunComparison(
    RunDifference? First, RunDifference? Tensor, IReadOnlyList<(string Name, string A, string B)> Options, int Steps, IReadOnlyList<long> Checkpoints)
{
    private const string Missing = "nothing";

    /// <summary>Compares the folders of two runs. Errors: BadInput for a folder without metrics.</summary>
    public static RunComparison Of(string a, string b, CancellationToken cancellation = default)
    {
        var options = Differences(RecordOf(a), RecordOf(b));
        var (metrics, common, end) = InMetrics(Path.Combine(a, MetricsHistory.FileName), Path.Combine(b, MetricsHistory.FileName), options, cancellation);
        var (tensor, checkpoints) = InCheckpoints(a, b, cancellation);
        if (tensor is null && metrics is null)
        {
            tensor = InFiles(a, b, end, ["model.safetensors"], null);
        }
        // What a step left behind comes after the step, and before the next.
        var first = new[] { metrics, tensor }.OfType<RunDifference>().OrderBy(d => (2 * d.Step) + (d.After ? 1 : 0)).FirstOrDefault();
        return new RunComparison(first, tensor, options, common, checkpoints);
    }

    private static RunRecord? RecordOf(string folder) => File.Exists(Path.Combine(folder, RunManifest.FileName)) ? RunRecord.Load(folder) : null;

    private static List<(string Name, string A, string B)> Differences(RunRecord? a, RunRecord? b) => a is null || b is null ? [] :
    [
        .. a.Options.Keys.Union(b.Options.Keys).Order(StringComparer.Ordinal)
            .Select(name => (name, a.Options.GetValueOrDefault(name, Missing), b.Options.GetValueOrDefault(name, Missing))).Where(o => o.Item2 != o.Item3),
    ];

    // Both files are read beside each other, so runs of any length are compared in the memory of a step.
    private static (RunDifference? First, int Common, long Last) InMetrics(
        string a, string b, IReadOnlyList<(string Name, string A, string B)> options, CancellationToken cancellation)
    {
        RunDifference? first = null;
        int common = 0;
        long last = 0;
        using var runA = Moment.Read(a).GetEnumerator();
        using var runB = Moment.Read(b).GetEnumerator();
        bool moreA = runA.MoveNext(), moreB = runB.MoveNext();
        while (moreA || moreB)
        {
            cancellation.ThrowIfCancellationRequested();
            long step = Math.Min(moreA ? runA.Current.Step : long.MaxValue, moreB ? runB.Current.Step : long.MaxValue);
            var (x, y) = (moreA && runA.Current.Step == step ? runA.Current : null, moreB && runB.Current.Step == step ? runB.Current : null);
            first ??= At(step, x, y, options);
            common += x?.Done is not null && y?.Done is not null ? 1 : 0;
            last = x?.Done is not null || y?.Done is not null ? step : last;
            moreA = x is null ? moreA : runA.MoveNext();
            moreB = y is null ? moreB : runB.MoveNext();
        }
        return (first, common, last);
    }

    private static RunDifference? At(long step, Moment? a, Moment? b, IReadOnlyList<(string Name, string A, string B)> options)
    {
        var (x, y) = (a?.Done, b?.Done);
        if (x is null != y is null)
        {
            string which = x is null ? "first" : "second";
            return new RunDifference(step, false, Named(options, "steps") ? PartingCause.Options : PartingCause.Damage, "step", -1, x is null ? Missing : "done", y is null ? Missing : "done",
                $"the {which} run ends before step {step}; up to there they agree");
        }
        if (x is not null && y is not null && InStep(x, y, options) is { } difference)
        {
            return difference;
        }
        var (p, q) = (a?.Evaluations ?? []).Zip(b?.Evaluations ?? []).FirstOrDefault(pair => !Same(pair.First.Loss, pair.Second.Loss));
        return p is null ? null : Evaluated(step, options, p, q);
    }

    private static RunDifference Evaluated(long step, IReadOnlyList<(string Name, string A, string B)> options, LoggedEvaluation p, LoggedEvaluation q)
    {
        bool otherData = Named(options, "eval-data");
        return new RunDifference(step, true, otherData ? PartingCause.Data : PartingCause.Values, "eval_loss", -1, Text(p.Loss), Text(q.Loss),
            $"the evaluation after step {step} has a loss of {Text(p.Loss)} and of {Text(q.Loss)}" + (otherData ? ", of other data" : ", though the steps before agree"));
    }

    // In the order in which a step goes: a difference makes those after it.
    internal static RunDifference? InStep(LoggedStep x, LoggedStep y, IReadOnlyList<(string Name, string A, string B)> options)
    {
        long step = x.Step;
        string drawnX = x.Pool ?? Counts(x, drawn: true), drawnY = y.Pool ?? Counts(y, drawn: true);
        if (drawnX != drawnY)
        {
            var (cause, why) = options.FirstOrDefault(o => o.Name.StartsWith("content of the data", StringComparison.Ordinal)) is { Name: not null }
                ? (PartingCause.Data, "they read different data") : WhyDrawn(options, step);
            return new RunDifference(step, false, cause, "pool", -1, drawnX, drawnY, $"step {step} draws other examples: {why}");
        }
        string trainedX = x.Batch ?? Counts(x, drawn: false), trainedY = y.Batch ?? Counts(y, drawn: false);
        if (trainedX != trainedY)
        {
            string[] told = ["selection", "batch", "feature", "directions", "radius", "raw-features", "keep", "top", "metric", "quota", "rounding", "overflow", "algorithm"];
            string because = string.Join(", ", options.Where(o => told.Contains(o.Name)).Select(o => $"{o.Name} is {o.A} and {o.B}"));
            bool seeds = Named(options, "seed");
            return new RunDifference(step, false, because.Length > 0 ? PartingCause.Options : seeds ? PartingCause.RandomNumbers : PartingCause.Selection, "batch", -1, trainedX, trainedY,
                $"step {step} chooses other examples from the same pool" + (because.Length > 0 ? $": {because}" : seeds ? ": the seeds differ" : Objectives(x, y)));
        }
        foreach (var (name, p, q, why) in new[]
        {
            ("loss", x.Loss, y.Loss, "the same examples have another loss, so the parameters or the forward pass differ"),
            ("grad_norm", x.GradientNorm, y.GradientNorm, "the same loss has another gradient, so the backward pass differs"),
            ("lr", x.LearningRate, y.LearningRate, "the learning rate is another"),
            ("objective", x.Objective, y.Objective, "the same selection has another objective, so the features differ"),
        })
        {
            if (!Same(p, q))
            {
                string because = string.Join(", ", options.Where(o => !o.Name.StartsWith("content", StringComparison.Ordinal)).Select(o => $"{o.Name} is {o.A} and {o.B}").Take(4));
                return new RunDifference(step, false, because.Length > 0 ? PartingCause.Options : PartingCause.Values, name, -1, Text(p), Text(q),
                    $"step {step}: {why} ({name} {Text(p)} and {Text(q)})" + (because.Length > 0 ? $"; {because}" : ""));
            }
        }
        return null;
    }

    private static (PartingCause, string) WhyDrawn(IReadOnlyList<(string Name, string A, string B)> options, long step)
    {
        if (options.FirstOrDefault(o => o.Name == "pool") is { Name: not null } pool)
        {
            return (PartingCause.Options, $"pools have {pool.A} and {pool.B} examples");
        }
        if (options.FirstOrDefault(o => o.Name == "seed") is { Name: not null } seed)
        {
            return (PartingCause.RandomNumbers, $"the seeds are {seed.A} and {seed.B}");
        }
        return step == 1 ? (PartingCause.DataOrder, "the order of the data differs from the start, with equal seeds and equal data")
            : (PartingCause.DataOrder, "the order of the data differs from there on: the position in it was lost or changed");
    }

    private static string Objectives(LoggedStep x, LoggedStep y) => Same(x.Objective, y.Objective) ? "" : $", with objectives of {Text(x.Objective)} and {Text(y.Objective)}: the features differ, or the arithmetic of the selection";

    private static (RunDifference? First, List<long> Steps) InCheckpoints(string a, string b, CancellationToken cancellation)
    {
        var compared = new List<long>();
        foreach (long step in Checkpoint.Steps(a).Intersect(Checkpoint.Steps(b)).Order())
        {
            cancellation.ThrowIfCancellationRequested();
            compared.Add(step);
            if (InCheckpoint(Checkpoint.FolderOf(a, step), Checkpoint.FolderOf(b, step), step, cancellation) is { } difference)
            {
                return (difference, compared);
            }
        }
        return (null, compared);
    }

    /// <summary>The first difference of two checkpoints of the same step, or null.</summary>
    internal static RunDifference? InCheckpoint(string a, string b, long step, CancellationToken cancellation)
    {
        string[] files = [.. Names(a).Union(Names(b)).OrderBy(Rank).ThenBy(n => n, StringComparer.Ordinal)];
        string? damage = new[] { a, b }.Where(c => File.Exists(Path.Combine(c, AtomicFolder.ChecksumsName))).Select(c => AtomicFolder.Verify(c, cancellation)).FirstOrDefault(w => w is not null);
        return Position(a, b, step) ?? InFiles(a, b, step, files, damage);
    }

    private static IEnumerable<string> Names(string folder) => Directory.EnumerateFiles(folder, "*.safetensors").Select(f => Path.GetFileName(f)!);

    private static int Rank(string name) => name switch { "parameters.safetensors" => 0, "selector.safetensors" => 2, _ => 1 };

    private static RunDifference? Position(string a, string b, long step)
    {
        var (x, y) = (StrictJson.Load(Path.Combine(a, "state.json")), StrictJson.Load(Path.Combine(b, "state.json")));
        foreach (string name in (string[])["epoch", "offset", "optimizer_steps"])
        {
            long p = x.RequireLong(name), q = y.RequireLong(name);
            if (p != q)
            {
                return new RunDifference(step, true, name == "optimizer_steps" ? PartingCause.Values : PartingCause.DataOrder, $"state.json {name}", -1, Text(p), Text(q),
                    $"after step {step} the {name.Replace('_', ' ')} is {Text(p)} and {Text(q)}");
            }
        }
        return null;
    }

    private static RunDifference? InFiles(string a, string b, long step, IEnumerable<string> files, string? damage)
    {
        foreach (string file in files)
        {
            string fa = Path.Combine(a, file), fb = Path.Combine(b, file);
            if (File.Exists(fa) != File.Exists(fb))
            {
                return new RunDifference(step, true, PartingCause.Damage, file, -1, File.Exists(fa) ? "there" : Missing, File.Exists(fb) ? "there" : Missing, $"after step {step} only one run has {file}");
            }
            if (File.Exists(fa) && InTensors(fa, fb, step, file, damage) is { } difference)
            {
                return difference;
            }
        }
        return null;
    }

    private static RunDifference? InTensors(string a, string b, long step, string file, string? damage)
    {
        using var fa = SafetensorsFile.Open(a);
        using var fb = SafetensorsFile.Open(b);
        var cause = damage is null ? PartingCause.Values : PartingCause.Damage;
        string after = damage is null ? "" : $" ({damage})";
        foreach (var tensor in fa.Tensors.OrderBy(t => t.FileOffset))
        {
            if (fb.Find(tensor.Name) is not { } other || other.DType != tensor.DType || !other.Shape.SequenceEqual(tensor.Shape))
            {
                return new RunDifference(step, true, PartingCause.Options, $"{file} {tensor.Name}", -1, $"{tensor.DType} {FormatErrors.Shape(tensor.Shape)}",
                    fb.Find(tensor.Name) is { } found ? $"{found.DType} {FormatErrors.Shape(found.Shape)}" : Missing, $"after step {step} {tensor.Name} has another shape or type, or is missing: the models differ");
            }
            if (FirstElement(tensor, other) is >= 0 and var element)
            {
                var (x, y) = (new float[1], new float[1]);
                tensor.ReadFloat32(element, x);
                other.ReadFloat32(element, y);
                return new RunDifference(step, true, cause, $"{file} {tensor.Name}", element, Text(x[0]), Text(y[0]),
                    $"after step {step} the first difference is element {element} of {tensor.Name} in {file}: {Text(x[0])} and {Text(y[0])}{after}");
            }
        }
        return null;
    }

    private static long FirstElement(SafetensorsTensor a, SafetensorsTensor b)
    {
        const int Piece = 1 << 20;
        int size = Math.Max(1, a.DType.Bits() / 8);
        for (long at = 0; at < a.ByteLength; at += Piece)
        {
            int count = (int)Math.Min(Piece, a.ByteLength - at);
            int common = a.Bytes(at, count).CommonPrefixLength(b.Bytes(at, count));
            if (common < count)
            {
                return (at + common) / size;
            }
        }
        return -1;
    }

    private static bool Named(IReadOnlyList<(string Name, string A, string B)> options, string name) => options.Any(o => o.Name == name);

    private static bool Same(double x, double y) => BitConverter.DoubleToInt64Bits(x) == BitConverter.DoubleToInt64Bits(y) || x == y;

    private static string Counts(LoggedStep step, bool drawn) =>
        string.Join(' ', step.Sources.OrderBy(s => s.Key, StringComparer.Ordinal).Select(s => string.Create(CultureInfo.InvariantCulture, $"{s.Key}={(drawn ? s.Value.Drawn : s.Value.Trained)}")));

    private static string Text(double value) => value.ToString("R", CultureInfo.InvariantCulture);

    private static string Text(float value) => value.ToString("R", CultureInfo.InvariantCulture);

    private static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);

    /// <summary>What a run's metrics say of a step.</summary>
    private sealed record Moment(long Step, LoggedStep? Done, IReadOnlyList<LoggedEvaluation> Evaluations)
    {
        public static IEnumerable<Moment> Read(string path)
        {
            long number = long.MinValue;
            LoggedStep? done = null;
            var evaluations = new List<LoggedEvaluation>();
            foreach (var line in MetricsHistory.Lines(path))
            {
                if (line.At < number || (line.At == number && line.Step is not null && done is not null))
                {
                    throw FormatErrors.Bad(path, $"has step {line.At} after step {number}", "a run writes its steps in their order");
                }
                if (line.At > number && number != long.MinValue)
                {
                    yield return new Moment(number, done, evaluations);
                    (done, evaluations) = (null, []);
                }
                number = line.At;
                done = line.Step ?? done;
                if (line.Evaluation is { } evaluation)
                {
                    evaluations.Add(evaluation);
                }
            }
            if (number != long.MinValue)
            {
                yield return new Moment(number, done, evaluations);
            }
        }
    }
}
