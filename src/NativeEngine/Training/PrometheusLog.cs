using System.Diagnostics;
using NativeEngine.Formats;

namespace NativeEngine.Training;

/// <summary>
/// A text file for node_exporter that tells how far a run is: replaced atomically, at most every five seconds and at the end. Read
/// (<c>--collector.textfile.directory</c>) it needs the ending .prom.
/// </summary>
internal sealed class PrometheusLog(string path, string run, long steps)
{
    private static readonly TimeSpan _interval = TimeSpan.FromSeconds(5);
    private readonly Dictionary<string, (long Trained, long Drawn)> _totals = new(StringComparer.Ordinal);
    private LoggedStep? _step;
    private LoggedEvaluation? _evaluation;
    private long _tokens, _written;
    private double _seconds, _selecting;

    /// <summary>Adds a line of metrics.jsonl.</summary>
    public void Add(string line)
    {
        if (!MetricsLine.TryRead(line, out var read, out _))
        {
            return;
        }
        (_step, _evaluation) = (read.Step ?? _step, read.Evaluation ?? _evaluation);
        if (read.Step is { } step)
        {
            (_tokens, _seconds, _selecting) = (_tokens + step.Tokens, _seconds + step.Seconds, _selecting + step.SelectionSeconds);
            foreach (var (source, (trained, drawn)) in step.Sources)
            {
                var (t, d) = _totals.GetValueOrDefault(source);
                _totals[source] = (t + trained, d + drawn);
            }
        }
        if (_written == 0 || Stopwatch.GetElapsedTime(_written) > _interval)
        {
            Write();
        }
    }

    /// <summary>Writes the file now.</summary>
    public void Write()
    {
        _written = Stopwatch.GetTimestamp();
        var text = new PrometheusText();
        var own = new[] { ("run", run) };
        if (_step is { } step)
        {
            One("nengine_step", "gauge", "Optimizer steps done.", step.Step);
            One("nengine_steps_planned", "gauge", "Optimizer steps of the whole run.", steps);
            One("nengine_train_loss", "gauge", "Training loss of the last step, nats a token.", step.Loss);
            One("nengine_gradient_norm", "gauge", "Norm of the last step's gradient before clipping.", step.GradientNorm);
            One("nengine_learning_rate", "gauge", "Learning rate of the last step.", step.LearningRate);
            One("nengine_tokens_per_second", "gauge", "Tokens trained a second in the last step.", step.Tokens / step.Seconds);
            One("nengine_activation_bytes", "gauge", "Bytes of activations, features and distances in the last step.", step.ActivationBytes);
            One("nengine_last_step_timestamp_seconds", "gauge", "When the last step ended, in seconds since 1970.", step.UnixSeconds);
            One("nengine_tokens_total", "counter", "Tokens trained.", _tokens);
            One("nengine_step_seconds_total", "counter", "Time of all steps in seconds.", _seconds);
            One("nengine_selection_seconds_total", "counter", "Of it, time to choose mini-batches.", _selecting);
            text.Add("nengine_examples_drawn_total", "counter", "Examples drawn into pools.", _totals.Select(t => (Source(t.Key), (double)t.Value.Drawn)));
            text.Add("nengine_examples_trained_total", "counter", "Examples trained.", _totals.Select(t => (Source(t.Key), (double)t.Value.Trained)));
        }
        if (_evaluation is { } evaluation)
        {
            One("nengine_held_out_loss", "gauge", "Held-out loss, nats a token.", evaluation.Loss);
            text.Add("nengine_held_out_source_loss", "gauge", "Held-out loss of a source, nats a token.", evaluation.Sources.Select(s => (Source(s.Key), s.Value)));
        }
        AtomicFile.WriteAllText(path, text.ToString());

        void One(string name, string type, string help, double value) => text.Add(name, type, help, [(own, value)]);
        (string, string)[] Source(string name) => [("run", run), ("source", name)];
    }
}
