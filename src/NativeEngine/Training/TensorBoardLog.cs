using NativeEngine.Formats;

namespace NativeEngine.Training;

/// <summary>
/// The run's metrics as TensorBoard shows them: an event file beside metrics.jsonl, written anew from it when a run is continued, so that it has
/// neither gaps nor repeats. <c>tensorboard --logdir RUNS</c> finds it.
/// </summary>
internal sealed class TensorBoardLog(string folder) : IDisposable
{
    /// <summary>The file's name; TensorBoard wants "tfevents" in it.</summary>
    public const string FileName = "events.out.tfevents.0.nengine";

    private TensorBoardWriter? _writer;

    /// <summary>Adds a line of metrics.jsonl.</summary>
    public void Add(string line)
    {
        if (!MetricsLine.TryRead(line, out var read, out _))
        {
            return;
        }
        double time = Known(read.UnixSeconds);
        _writer ??= new TensorBoardWriter(Path.Combine(folder, FileName), time);
        _writer.Scalars(read.At, time, read.Step is { } step ? Scalars(step) : Scalars(read.Evaluation!));
        _writer.Flush();
    }

    /// <summary>Forces what was added to disk.</summary>
    public void FlushToDisk() => _writer?.FlushToDisk();

    public void Dispose() => _writer?.Dispose();

    private static double Known(double time) => double.IsFinite(time) ? time : 0;

    private static IEnumerable<(string, double)> Scalars(LoggedStep step)
    {
        yield return ("train/loss", step.Loss);
        yield return ("train/learning_rate", step.LearningRate);
        yield return ("train/gradient_norm", step.GradientNorm);
        yield return ("time/tokens_per_second", step.Tokens / step.Seconds);
        yield return ("time/selection_share", step.SelectionSeconds / step.Seconds);
        yield return ("memory/activation_bytes", step.ActivationBytes);
        if (double.IsFinite(step.Objective))
        {
            yield return ("selection/objective", step.Objective);
            yield return ("selection/share_of_bound", step.Objective / step.Bound);
        }
        foreach (var (source, (trained, drawn)) in step.Sources)
        {
            yield return ($"share_trained/{source}", trained / (double)drawn);
        }
    }

    private static IEnumerable<(string, double)> Scalars(LoggedEvaluation evaluation)
    {
        yield return ("held_out/loss", evaluation.Loss);
        yield return ("held_out/mean_over_sources", evaluation.MacroLoss);
        foreach (var (source, loss) in evaluation.Sources)
        {
            yield return ($"held_out_source/{source}", loss);
        }
    }
}
