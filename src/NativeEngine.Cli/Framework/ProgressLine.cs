using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using NativeEngine.Formats;

namespace NativeEngine.Cli;

/// <summary>
/// Progress on stderr: on a terminal one line rewritten four times a second with the time left, otherwise a plain line after one
/// second and then every five; with <c>--progress jsonl</c> an object a second and one at the end:
/// {"progress":"training","done":21,"total":60,"unit":"steps","seconds":2.1,"seconds_left":3.9,"note":"loss 5.1759"}, where total and seconds_left are null while
/// they are not known, and "ended" is true in the last. <see cref="Report"/> is cheap enough for inner loops and may be called from any thread.
/// </summary>
internal sealed class ProgressLine : IDisposable
{
    private static readonly JsonWriterOptions _json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private readonly TalkWriter _talk;
    private readonly string _what;
    private readonly string _unit;
    private readonly long _total;
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private readonly long _interval;
    private long _next;
    private long _first = -1;
    private long _done;

    public ProgressLine(TalkWriter talk, string what, long total, string unit)
    {
        (_talk, _what, _total, _unit) = (talk, what, total, unit);
        (_interval, _next) = talk.Progress switch { ProgressForm.Rewritten => (250, 0), ProgressForm.Jsonl => (1000, 0), _ => (5000, 1000) };
    }

    /// <summary>So many of the total are done; <paramref name="note"/> (a loss, a file) is called only when a line is shown.</summary>
    public void Report(long done, Func<string>? note = null)
    {
        Volatile.Write(ref _done, done);
        Interlocked.CompareExchange(ref _first, done, -1);
        long next = Volatile.Read(ref _next), now = _clock.ElapsedMilliseconds;
        if (_talk.Progress == ProgressForm.None || now < next || Interlocked.CompareExchange(ref _next, now + _interval, next) != next)
        {
            return;
        }
        switch (_talk.Progress)
        {
            case ProgressForm.Rewritten:
                _talk.Rewrite(Text(done, note?.Invoke()));
                break;
            case ProgressForm.Jsonl:
                _talk.Line(Json(done, note?.Invoke(), ended: false));
                break;
            default:
                _talk.Line(Text(done, note?.Invoke()));
                break;
        }
    }

    /// <summary>Ends the line, with the time it took when that was noticeable.</summary>
    public void Dispose()
    {
        long done = Volatile.Read(ref _done);
        if (_talk.Progress == ProgressForm.Jsonl)
        {
            _talk.Line(Json(done, null, ended: true));
        }
        else if (_talk.Progress != ProgressForm.None && _clock.ElapsedMilliseconds >= 1000)
        {
            _talk.Line($"{_what}: {done.ToString(CultureInfo.InvariantCulture)} {_unit} in {Duration(_clock.Elapsed)}");
        }
    }

    private string Text(long done, string? note)
    {
        string text = string.Create(CultureInfo.InvariantCulture, $"{_what}: {done}{(_total > 0 ? "/" + _total : "")} {_unit}");
        if (Left(done) is { } left)
        {
            text += $", {Duration(left)} left";
        }
        return note is null ? text : text + ", " + note;
    }

    private string Json(long done, string? note, bool ended) => Encoding.UTF8.GetString(JsonWriting.Document(
        json =>
        {
            json.WriteString("progress", _what);
            json.WriteNumber("done", done);
            json.Number("total", _total > 0 ? _total : null);
            json.WriteString("unit", _unit);
            json.WriteNumber("seconds", Math.Round(_clock.Elapsed.TotalSeconds, 3));
            json.Number("seconds_left", ended ? 0 : Left(done) is { } left ? Math.Round(left.TotalSeconds, 1) : null);
            if (note is not null)
            {
                json.WriteString("note", note);
            }
            if (ended)
            {
                json.WriteBoolean("ended", true);
            }
        },
        _json)).TrimEnd('\n');

    private TimeSpan? Left(long done)
    {
        long advanced = done - Volatile.Read(ref _first);
        return _total > 0 && advanced > 0 && done < _total ? _clock.Elapsed * ((double)(_total - done) / advanced) : null;
    }

    /// <summary>"1.2 s", "3 min 04 s", "2 h 05 min".</summary>
    internal static string Duration(TimeSpan time) => time.TotalSeconds switch
    {
        < 60 => FormattableString.Invariant($"{time.TotalSeconds:0.0} s"),
        < 3600 => FormattableString.Invariant($"{(int)time.TotalMinutes} min {time.Seconds:00} s"),
        _ => FormattableString.Invariant($"{(long)time.TotalHours} h {time.Minutes:00} min"),
    };
}
