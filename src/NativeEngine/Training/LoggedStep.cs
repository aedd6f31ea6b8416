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
