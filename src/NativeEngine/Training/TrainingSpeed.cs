using System.Diagnostics;
using NativeEngine.Data;
using NativeEngine.Evaluation;
using NativeEngine.Model;

namespace NativeEngine.Training;

/// <summary>
/// How long a run will take, from a few of its steps and a piece of its evaluation on this machine. What is left out: reading data, checkpoints, the report.
/// </summary>
/// <param name="StepSeconds">Time of a step: the median of those measured.</param>
/// <param name="SelectionSeconds">Of that, time to choose the batch.</param>
/// <param name="StepsMeasured">Steps it was taken from.</param>
/// <param name="EvaluationSeconds">Time of one evaluation; 0 without.</param>
/// <param name="Evaluations">Evaluations of the run.</param>
/// <param name="Steps">Steps of the run.</param>
public sealed record TrainingSpeed(double StepSeconds, double SelectionSeconds, int StepsMeasured, double EvaluationSeconds, long Evaluations, long Steps)
{
    private const double LongStep = 2;
    private const double Enough = 1.5;
    private const int FewestSteps = 3;
    private const int MostSteps = 24;
    private const int EvaluationTokens = 8192;

    /// <summary>Time of the whole run in seconds.</summary>
    public double Seconds => (StepSeconds * Steps) + (EvaluationSeconds * Evaluations);

    /// <summary>
    /// Takes steps of a trainer that is not used for anything else afterwards: one that is not counted, then until 1.5 s have passed, from 3 to 24; a single one where it takes
    /// longer than 2 s. Each step draws another pool, and pools differ in their tokens. Evaluation: two passes over one batch in the middle of the data, the faster one scaled by tokens.
    /// <paramref name="together"/>: several ranks train, which must all take as many steps, so 3.
    /// </summary>
    public static TrainingSpeed Measure(Trainer trainer, LlamaModel model, MixtureDataset? evaluation, TrainOptions options, int evaluateEvery, bool together = false, CancellationToken cancellation = default)
    {
        var steps = new List<(double Seconds, double Selection)>();
        var first = trainer.Step();
        bool single = !together && (first.Seconds > LongStep || options.Steps == 1);
        if (single)
        {
            steps.Add((first.Seconds, first.SelectionSeconds));
        }
        long start = Stopwatch.GetTimestamp();
        while (!single && steps.Count < MostSteps && (steps.Count < FewestSteps || (!together && Stopwatch.GetElapsedTime(start).TotalSeconds < Enough)))
        {
            cancellation.ThrowIfCancellationRequested();
            var step = trainer.Step();
            steps.Add((step.Seconds, step.SelectionSeconds));
        }
        long evaluations = evaluation is null ? 0 : 1 + (evaluateEvery > 0 ? (options.Steps + evaluateEvery - 1) / evaluateEvery : 0);
        return new TrainingSpeed(
            Median(steps.Select(s => s.Seconds)), Median(steps.Select(s => s.Selection)), steps.Count,
            evaluation is null ? 0 : MeasureEvaluation(model, evaluation, cancellation), evaluations, options.Steps);
    }

    private static double MeasureEvaluation(LlamaModel model, MixtureDataset data, CancellationToken cancellation)
    {
        int[] all = [.. Enumerable.Range(0, data.Count)];
        var stretches = BatchPacker.Split(data, all, EvaluationTokens);
        var batch = BatchPacker.Pack(data, all.AsSpan()[stretches[stretches.Count / 2]]);
        using var losses = new NativeLosses(model);
        double fastest = double.PositiveInfinity;
        for (int pass = 0; pass < 2; pass++)
        {
            long start = Stopwatch.GetTimestamp();
            losses.Losses(batch, cancellation);
            fastest = Math.Min(fastest, Stopwatch.GetElapsedTime(start).TotalSeconds);
        }
        return fastest * data.Report.Tokens / Math.Max(1, batch.TokenCount);
    }

    private static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
