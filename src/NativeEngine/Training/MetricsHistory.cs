using System.Text.Json;
using NativeEngine.Formats;

namespace NativeEngine.Training;

/// <summary>
/// One step of a run, as metrics.jsonl has it, or a stretch of a long run put together (<see cref="MetricsHistory.Load(string, int)"/>). What a line does not tell is NaN, 0 or null.
/// </summary>
public sealed record LoggedStep
{
    /// <summary>The step, from 1; of a stretch the last.</summary>
    public required long Step { get; init; }

    /// <summary>Steps that this stands for. Of several, losses and rates are means, norms and memory the greatest, all else sums.</summary>
    public long Count { get; init; } = 1;

    /// <inheritdoc cref="StepReport.Loss"/>
    public double Loss { get; init; } = double.NaN;

    /// <inheritdoc cref="StepReport.LearningRate"/>
    public double LearningRate { get; init; } = double.NaN;

    /// <inheritdoc cref="StepReport.GradientNorm"/>
    public double GradientNorm { get; init; } = double.NaN;

    /// <inheritdoc cref="StepReport.Examples"/>
    public long Examples { get; init; }

    /// <inheritdoc cref="StepReport.Kept"/>
    public long Kept { get; init; }

    /// <inheritdoc cref="StepReport.Tokens"/>
    public long Tokens { get; init; }

    /// <inheritdoc cref="StepReport.Objective"/>
    public double Objective { get; init; } = double.NaN;

    /// <inheritdoc cref="StepReport.Bound"/>
    public double Bound { get; init; } = double.NaN;

    /// <inheritdoc cref="StepReport.SelectionSeconds"/>
    public double SelectionSeconds { get; init; } = double.NaN;

    /// <inheritdoc cref="StepReport.Seconds"/>
    public double Seconds { get; init; } = double.NaN;

    /// <inheritdoc cref="StepReport.ActivationBytes"/>
    public double ActivationBytes { get; init; } = double.NaN;

    /// <summary>When it ended, in seconds since 1970.</summary>
    public double UnixSeconds { get; init; } = double.NaN;

    /// <inheritdoc cref="StepReport.Pool"/>
    public string? Pool { get; init; }

    /// <inheritdoc cref="StepReport.Batch"/>
    public string? Batch { get; init; }

    /// <summary>For every source in the pool its examples trained and drawn.</summary>
    public IReadOnlyDictionary<string, (long Trained, long Drawn)> Sources { get; init; } = new Dictionary<string, (long, long)>();

    /// <summary>This stretch and the one after it as one.</summary>
    public LoggedStep With(LoggedStep next)
    {
        var sources = new Dictionary<string, (long Trained, long Drawn)>(Sources);
        foreach (var (name, (trained, drawn)) in next.Sources)
        {
            var (t, d) = sources.GetValueOrDefault(name);
            sources[name] = (t + trained, d + drawn);
        }
        long count = Count + next.Count;
        double Mean(double a, double b) => double.IsNaN(a) ? b : double.IsNaN(b) ? a : ((a * Count) + (b * next.Count)) / count;
        static double Sum(double a, double b) => double.IsNaN(a) ? b : double.IsNaN(b) ? a : a + b;
        return new LoggedStep
        {
            Step = next.Step,
            Count = count,
            Loss = Mean(Loss, next.Loss),
            LearningRate = Mean(LearningRate, next.LearningRate),
            GradientNorm = Math.Max(GradientNorm, next.GradientNorm),
            Examples = Examples + next.Examples,
            Kept = Kept + next.Kept,
            Tokens = Tokens + next.Tokens,
            Objective = Sum(Objective, next.Objective),
            Bound = Sum(Bound, next.Bound),
            SelectionSeconds = Sum(SelectionSeconds, next.SelectionSeconds),
            Seconds = Sum(Seconds, next.Seconds),
            ActivationBytes = Math.Max(ActivationBytes, next.ActivationBytes),
            UnixSeconds = next.UnixSeconds,
            Sources = sources,
        };
    }
}

/// <summary>One evaluation of a run, as metrics.jsonl has it.</summary>
public sealed record LoggedEvaluation
{
    /// <summary>Steps done before it.</summary>
    public required long Step { get; init; }

    /// <summary>Mean loss of a token.</summary>
    public double Loss { get; init; } = double.NaN;

    /// <summary>Mean over the sources of their losses.</summary>
    public double MacroLoss { get; init; } = double.NaN;

    /// <summary>When it was made, in seconds since 1970.</summary>
    public double UnixSeconds { get; init; } = double.NaN;

    /// <summary>Mean loss of every source.</summary>
    public IReadOnlyDictionary<string, double> Sources { get; init; } = new Dictionary<string, double>();

    /// <summary>Standard errors of <see cref="Sources"/>.</summary>
    public IReadOnlyDictionary<string, double> Errors { get; init; } = new Dictionary<string, double>();
}

/// <summary>metrics.jsonl read back: the steps and the evaluations in the order of the file.</summary>
public sealed record MetricsHistory(IReadOnlyList<LoggedStep> Steps, IReadOnlyList<LoggedEvaluation> Evaluations)
{
    /// <summary>The file's name in a run's folder.</summary>
    public const string FileName = "metrics.jsonl";

    private const long MostCounted = 1L << 40;

    /// <summary>Steps that <see cref="Load(string, int)"/> keeps apart for a report: many times the pixels of its figures.</summary>
    public const int ForReport = 1 << 15;

    /// <summary>Reads a file; a last line cut short by a crash is left out. Errors: BadInput with the line.</summary>
    public static MetricsHistory Load(string path) => Load(path, int.MaxValue);

    /// <summary>
    /// The same with at most <paramref name="most"/> steps in memory: a longer run is put together in stretches of 2, 4, 8 … steps as it is read, so that sums, counts and greatest
    /// values stay exact.
    /// </summary>
    public static MetricsHistory Load(string path, int most)
    {
        try
        {
            // Line by line: the text of a long run is several times what is kept of it.
            return Parse(path, InputFile.ReadLines(path), most);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw FormatErrors.Unreadable(path, e, "name the --output of nengine train");
        }
    }

    /// <summary>Reads the lines of a file; <paramref name="path"/> is for messages.</summary>
    internal static MetricsHistory Parse(string path, IEnumerable<string> lines, int most = int.MaxValue)
    {
        long stretch = 1, number = 0;
        var steps = new List<LoggedStep>();
        var evaluations = new List<LoggedEvaluation>();
        Exception? wrong = null;
        foreach (string line in lines)
        {
            if (wrong is not null)
            {
                throw FormatErrors.Bad(path, $"line {number} is not a line of metrics: {wrong.Message}", inner: wrong);
            }
            number++;
            if (!TryAdd(line, steps, evaluations, out wrong))
            {
                continue;
            }
            if (steps.Count > 1 && stretch > 1 && steps[^2].Count < stretch)
            {
                steps[^2] = steps[^2].With(steps[^1]);
                steps.RemoveAt(steps.Count - 1);
            }
            else if (steps.Count > most)
            {
                stretch *= 2;
                int kept = 0;
                for (int i = 0; i < steps.Count; i += 2)
                {
                    steps[kept++] = i + 1 < steps.Count ? steps[i].With(steps[i + 1]) : steps[i];
                }
                steps.RemoveRange(kept, steps.Count - kept);
            }
        }
        return new MetricsHistory(steps, evaluations);
    }

    /// <summary>Reads one line, or says why it is none.</summary>
    internal static bool TryAdd(string line, List<LoggedStep> steps, List<LoggedEvaluation> evaluations, out Exception? why)
    {
        try
        {
            Add(line, steps, evaluations);
            why = null;
            return true;
        }
        // What System.Text.Json throws for another form, a number that does not fit, a name that stands twice, a pair that is none.
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException or ArgumentException or IndexOutOfRangeException)
        {
            why = e;
            return false;
        }
    }

    private static void Add(string line, List<LoggedStep> steps, List<LoggedEvaluation> evaluations)
    {
        using var document = JsonDocument.Parse(line);
        var root = document.RootElement;
        long step = root.GetProperty("step").GetInt64();
        if (root.TryGetProperty("loss", out _))
        {
            steps.Add(new LoggedStep
            {
                Step = step,
                Loss = Number(root, "loss"),
                LearningRate = Number(root, "lr"),
                GradientNorm = Number(root, "grad_norm"),
                Examples = Whole(root, "examples"),
                Kept = Whole(root, "kept"),
                Tokens = Whole(root, "tokens"),
                Objective = Number(root, "objective"),
                Bound = Number(root, "bound"),
                SelectionSeconds = Number(root, "selection_seconds"),
                Seconds = Number(root, "seconds"),
                ActivationBytes = Number(root, "activation_bytes"),
                UnixSeconds = Number(root, "unix_seconds"),
                Pool = root.TryGetProperty("pool", out var pool) ? pool.GetString() : null,
                Batch = root.TryGetProperty("batch", out var batch) ? batch.GetString() : null,
                Sources = root.TryGetProperty("trained", out var trained)
                    ? trained.EnumerateObject().ToDictionary(s => s.Name, s => (Count(s.Value[0]), Count(s.Value[1]))) : new Dictionary<string, (long, long)>(),
            });
        }
        else
        {
            evaluations.Add(new LoggedEvaluation
            {
                Step = step,
                Loss = Number(root, "eval_loss"),
                MacroLoss = Number(root, "eval_macro_loss"),
                UnixSeconds = Number(root, "unix_seconds"),
                Sources = Numbers(root, "eval_sources"),
                Errors = Numbers(root, "eval_errors"),
            });
        }
    }

    private static double Number(JsonElement root, string name) =>
        root.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetDouble() : double.NaN;

    private static long Whole(JsonElement root, string name) => root.TryGetProperty(name, out var value) ? Count(value) : 0;

    // Counts are added up over the whole file.
    private static long Count(JsonElement value) => value.GetInt64() is >= 0 and <= MostCounted and var count ? count
        : throw new FormatException($"{value.GetRawText()} is no count");

    private static Dictionary<string, double> Numbers(JsonElement root, string name) =>
        root.TryGetProperty(name, out var value) ? value.EnumerateObject().ToDictionary(s => s.Name, s => s.Value.GetDouble()) : [];
}
