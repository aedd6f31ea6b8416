using System.Text.Json;

namespace NativeEngine.Training;

/// <summary>A line of metrics.jsonl: a step, or an evaluation.</summary>
internal readonly record struct MetricsLine(LoggedStep? Step, LoggedEvaluation? Evaluation)
{
    private const long MostCounted = 1L << 40;

    /// <summary>The step that was done, or after which the evaluation was made.</summary>
    public long At => Step?.Step ?? Evaluation!.Step;

    /// <summary>When, in seconds since 1970.</summary>
    public double UnixSeconds => Step?.UnixSeconds ?? Evaluation!.UnixSeconds;

    /// <summary>Reads a line, or says why it is none.</summary>
    public static bool TryRead(string text, out MetricsLine line, out Exception? why)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            var root = document.RootElement;
            line = root.TryGetProperty("loss", out _) ? new(StepOf(root), null) : new(null, EvaluationOf(root));
            why = null;
            return true;
        }
        // What System.Text.Json throws for another form, a number that does not fit, a name that stands twice, a pair that is none.
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException or ArgumentException or IndexOutOfRangeException)
        {
            (line, why) = (default, e);
            return false;
        }
    }

    private static LoggedStep StepOf(JsonElement root) => new()
    {
        Step = root.GetProperty("step").GetInt64(),
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
    };

    private static LoggedEvaluation EvaluationOf(JsonElement root) => new()
    {
        Step = root.GetProperty("step").GetInt64(),
        Loss = Number(root, "eval_loss"),
        MacroLoss = Number(root, "eval_macro_loss"),
        UnixSeconds = Number(root, "unix_seconds"),
        Sources = Numbers(root, "eval_sources"),
        Errors = Numbers(root, "eval_errors"),
    };

    private static double Number(JsonElement root, string name) =>
        root.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetDouble() : double.NaN;

    private static long Whole(JsonElement root, string name) => root.TryGetProperty(name, out var value) ? Count(value) : 0;

    // Counts are added up over the whole file.
    private static long Count(JsonElement value) => value.GetInt64() is >= 0 and <= MostCounted and var count ? count
        : throw new FormatException($"{value.GetRawText()} is no count");

    private static Dictionary<string, double> Numbers(JsonElement root, string name) =>
        root.TryGetProperty(name, out var value) ? value.EnumerateObject().ToDictionary(s => s.Name, s => s.Value.GetDouble()) : [];
}
