using System.Buffers;
using System.Text;
using System.Text.Json;
using NativeEngine.Formats;

namespace NativeEngine.Training;

/// <summary>
/// metrics.jsonl: one line a step (and one an evaluation), appended and flushed. On resume, lines past the checkpoint's step are dropped, so
/// the file has neither gaps nor repeats.
/// </summary>
public sealed class MetricsLog : IDisposable
{
    private readonly FileStream _file;
    private readonly Action<string>? _line;
    private readonly HashSet<long> _evaluated = [];

    /// <summary>
    /// Opens the log of a run that has done <paramref name="stepsDone"/> steps. <paramref name="line"/> hears of every line: first of those that are kept,
    /// then of those that are appended.
    /// </summary>
    public MetricsLog(string path, long stepsDone, Action<string>? line = null)
    {
        _line = line;
        if (File.Exists(path))
        {
            AtomicFile.Write(path, kept =>
            {
                foreach (string old in File.ReadLines(path).Where(old => Keep(old, stepsDone)))
                {
                    kept.Write(Encoding.UTF8.GetBytes(old + "\n"));
                    line?.Invoke(old);
                }
            });
        }
        _file = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.Read);
    }

    /// <summary>The loss of the last step kept, or NaN.</summary>
    public double LastLoss { get; private set; } = double.NaN;

    /// <summary>Whether an evaluation after this step stands in the log already.</summary>
    public bool HasEvaluation(long step) => _evaluated.Contains(step);

    /// <summary>Appends one object; <paramref name="members"/> writes what follows "step".</summary>
    public void Append(long step, Action<Utf8JsonWriter> members)
    {
        var text = new ArrayBufferWriter<byte>(512);
        using (var json = new Utf8JsonWriter(text))
        {
            json.WriteStartObject();
            json.WriteNumber("step", step);
            members(json);
            json.WriteEndObject();
        }
        _line?.Invoke(Encoding.UTF8.GetString(text.WrittenSpan));
        text.Write("\n"u8);
        _file.Write(text.WrittenSpan);
        _file.Flush();
    }

    /// <summary>Forces what was appended to disk.</summary>
    public void FlushToDisk() => _file.Flush(flushToDisk: true);

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    // A line cut short by a crash is dropped.
    private bool Keep(string line, long stepsDone)
    {
        if (!MetricsLine.TryRead(line, out var read, out _) || read.At > stepsDone)
        {
            return false;
        }
        if (read.Step is { } step)
        {
            LastLoss = step.Loss;
        }
        else
        {
            _evaluated.Add(read.At);
        }
        return true;
    }
}
