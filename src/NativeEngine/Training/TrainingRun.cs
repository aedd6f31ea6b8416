using System.Globalization;
using System.Text.Json;
using NativeEngine.Data;
using NativeEngine.Evaluation;
using NativeEngine.Formats;
using NativeEngine.Model;
using NativeEngine.Native;
using NativeEngine.Selection;

namespace NativeEngine.Training;

/// <summary>Where a run writes and when.</summary>
/// <param name="Output">Its folder.</param>
/// <param name="CheckpointEvery">Steps between checkpoints; 0 saves only when stopped and at the end.</param>
/// <param name="EvaluateEvery">Steps between evaluations; 0 evaluates only at the end.</param>
/// <param name="KeepCheckpoints">Checkpoints kept.</param>
/// <param name="Options">The run's options as text, stored in checkpoints and compared on resume.</param>
public sealed record RunSettings(
    string Output, int CheckpointEvery, int EvaluateEvery, int KeepCheckpoints, IReadOnlyDictionary<string, string> Options)
{
    /// <summary>How sources follow the model, or null when they are those of the data.</summary>
    public Reclustering? Reclustering { get; init; }

    /// <summary>A Prometheus text file that always tells how far the run is, or null.</summary>
    public string? Prometheus { get; init; }
}

/// <summary>What a run came to.</summary>
/// <param name="Steps">Steps done in all.</param>
/// <param name="TrainLoss">Loss of the last step.</param>
/// <param name="Evaluation">Held-out losses, or null without evaluation data.</param>
/// <param name="TokensPerSecond">Tokens trained a second of step time, of the steps done by this process.</param>
/// <param name="PeakActivationBytes">See <see cref="Trainer.PeakActivationBytes"/>.</param>
/// <param name="SelectionSeconds">Time spent choosing, of the steps done by this process.</param>
public sealed record RunResult(
    long Steps, double TrainLoss, EvaluationResult? Evaluation, double TokensPerSecond, long PeakActivationBytes, double SelectionSeconds);

/// <summary>
/// Runs a trainer to its last step: metrics, evaluations, checkpoints. When cancelled it finishes the step, saves a checkpoint and throws
/// <see cref="OperationCanceledException"/>. Of several ranks the first writes and evaluates; all stop after the same step when one is cancelled.
/// </summary>
public sealed class TrainingRun(Trainer trainer, LlamaModel model, MixtureDataset? evaluation, TrainOptions options, RunSettings settings)
{
    /// <summary>The processes that train together.</summary>
    public RankGroup Ranks { get; init; } = new SingleRank();

    /// <summary>Hears of every step.</summary>
    public Action<StepReport>? OnStep { get; init; }

    /// <summary>Hears of every evaluation, with the step it was made after.</summary>
    public Action<long, EvaluationResult>? OnEvaluation { get; init; }

    /// <summary>Hears of new groups of examples, with the steps done before.</summary>
    public Action<long, KMeans>? OnReclustered { get; init; }

    /// <summary>Hears of every checkpoint's folder.</summary>
    public Action<string>? OnCheckpoint { get; init; }

    /// <summary>Trains from where the trainer stands to the last step, evaluates, and leaves a final checkpoint.</summary>
    public RunResult Run(CancellationToken cancellation)
    {
        bool writes = Ranks.Rank == 0;
        // Every rank has read its checkpoint before the first deletes old ones.
        Ranks.Barrier();
        if (writes)
        {
            TemporaryName.DeleteLeftovers(settings.Output);
        }
        using var tensorBoard = writes ? new TensorBoardLog(settings.Output) : null;
        var prometheus = writes && settings.Prometheus is { } file ? new PrometheusLog(file, Path.GetFileName(settings.Output), options.Steps) : null;
        using var metrics = !writes ? null : new MetricsLog(Path.Combine(settings.Output, MetricsHistory.FileName), trainer.StepsDone, line =>
        {
            tensorBoard!.Add(line);
            prometheus?.Add(line);
        });
        long tokens = 0, saved = trainer.StepsDone > 0 ? trainer.StepsDone : -1;
        double seconds = 0, selecting = 0, loss = metrics?.LastLoss ?? double.NaN;
        try
        {
            while (trainer.StepsDone < options.Steps)
            {
                if (Ranks.Any(cancellation.IsCancellationRequested))
                {
                    throw new OperationCanceledException(cancellation);
                }
                if (writes && settings.EvaluateEvery > 0 && trainer.StepsDone % settings.EvaluateEvery == 0)
                {
                    // Others wait for this one and could not know that it stopped here.
                    Evaluate(metrics!, Ranks.Count == 1 ? cancellation : default);
                }
                if (settings.Reclustering is { } clusters && clusters.IsDue(trainer.StepsDone))
                {
                    OnReclustered?.Invoke(trainer.StepsDone, clusters.Apply(trainer, model, cancellation));
                }
                var step = trainer.Step();
                tokens += step.Tokens;
                seconds += step.Seconds;
                selecting += step.SelectionSeconds;
                loss = step.Loss;
                metrics?.Append(step.Step, json => Write(json, step));
                OnStep?.Invoke(step);
                if (settings.CheckpointEvery > 0 && step.Step % settings.CheckpointEvery == 0)
                {
                    Save();
                }
            }
        }
        catch (OperationCanceledException)
        {
            Save();
            throw;
        }
        Save();
        var result = writes ? Evaluate(metrics!, cancellation) : null;
        prometheus?.Write();
        return new RunResult(trainer.StepsDone, loss, result, seconds > 0 ? tokens / seconds : 0, trainer.PeakActivationBytes, selecting);

        void Save()
        {
            if (!writes)
            {
                return;
            }
            string? folder = null;
            if (saved != trainer.StepsDone)
            {
                // The lines up to a checkpoint must outlive a power failure that it outlives.
                metrics!.FlushToDisk();
                tensorBoard!.FlushToDisk();
                folder = Checkpoint.Save(settings.Output, trainer, settings.Options);
                saved = trainer.StepsDone;
            }
            // Also without a new one: the run before this may have ended while it deleted an old one.
            Checkpoint.Prune(settings.Output, settings.KeepCheckpoints, saved);
            if (folder is not null)
            {
                OnCheckpoint?.Invoke(folder);
            }
        }
    }

    private EvaluationResult? Evaluate(MetricsLog metrics, CancellationToken cancellation)
    {
        if (evaluation is null)
        {
            return null;
        }
        EvaluationResult result;
        try
        {
            result = new PerplexityEvaluator(model).Evaluate(evaluation, cancellation: cancellation);
        }
        catch (EngineException e) when (e.Kind == ErrorKind.Numerical)
        {
            throw new EngineException(e.Kind, $"evaluation after step {trainer.StepsDone}: {e.Message}", e.Hint ?? "lower the learning rate, or look at that example", e);
        }
        OnEvaluation?.Invoke(trainer.StepsDone, result);
        if (metrics.HasEvaluation(trainer.StepsDone))
        {
            return result;
        }
        metrics.Append(trainer.StepsDone, json =>
        {
            json.WriteNumber("eval_loss", result.Total.MeanLoss);
            json.WriteNumber("eval_macro_loss", result.MacroLoss);
            json.WriteNumber("eval_macro_completion_loss", result.MacroCompletionLoss);
            json.WriteStartObject("eval_sources");
            foreach (var source in result.Sources.Where(s => s.Tokens > 0))
            {
                json.WriteNumber(source.Source, source.MeanLoss);
            }
            json.WriteEndObject();
            json.WriteStartObject("eval_errors");
            foreach (var source in result.Sources.Where(s => double.IsFinite(s.StandardError)))
            {
                json.WriteNumber(source.Source, source.StandardError);
            }
            json.WriteEndObject();
            json.WriteNumber("unix_seconds", Now());
        });
        return result;
    }

    private static double Now() => Math.Round((DateTime.UtcNow - DateTime.UnixEpoch).TotalSeconds, 3);

    private void Write(Utf8JsonWriter json, StepReport step)
    {
        if (step.Skipped)
        {
            json.WriteNull("loss");
        }
        else
        {
            json.WriteNumber("loss", step.Loss);
        }
        json.WriteNumber("lr", step.LearningRate);
        if (!step.Skipped)
        {
            json.WriteNumber("grad_norm", step.GradientNorm);
        }
        json.WriteNumber("examples", step.Examples);
        json.WriteNumber("kept", step.Kept);
        json.WriteNumber("tokens", step.Tokens);
        json.WriteNumber("label_tokens", step.LabelTokens);
        if (double.IsFinite(step.Objective))
        {
            json.WriteNumber("objective", step.Objective);
        }
        if (double.IsFinite(step.Bound))
        {
            json.WriteNumber("bound", step.Bound);
        }
        json.WriteNumber("activation_bytes", step.ActivationBytes);
        json.WriteString("pool", step.Pool.ToString("x16", CultureInfo.InvariantCulture));
        json.WriteString("batch", step.Batch.ToString("x16", CultureInfo.InvariantCulture));
        json.WriteNumber("unix_seconds", Now());
        json.WriteNumber("selection_seconds", Math.Round(step.SelectionSeconds, 6));
        json.WriteNumber("seconds", Math.Round(step.Seconds, 6));
        if (step.Faults.Count > 0)
        {
            json.Objects("not_finite", step.Faults, fault =>
            {
                json.WriteString("what", fault.What);
                json.WriteString("done", fault.Done);
                if (fault.Example >= 0)
                {
                    json.WriteNumber("example", fault.Example);
                }
            });
        }
        json.WriteStartObject("trained");
        for (int s = 0; s < step.TrainedBySource.Length; s++)
        {
            if (step.PoolBySource[s] > 0)
            {
                json.WriteStartArray(trainer.Data.Sources[s]);
                json.WriteNumberValue(step.TrainedBySource[s]);
                json.WriteNumberValue(step.PoolBySource[s]);
                json.WriteEndArray();
            }
        }
        json.WriteEndObject();
    }
}
