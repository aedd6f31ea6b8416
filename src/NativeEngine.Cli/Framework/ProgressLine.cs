using System.Diagnostics;
using System.Globalization;

namespace NativeEngine.Cli;

/// <summary>
/// Progress on stderr: on a terminal one line rewritten four times a second with the time left, otherwise a plain line after one
/// second and then every five. <see cref="Report"/> is cheap enough for inner loops and may be called from any thread.
/// </summary>
internal sealed class ProgressLine : IDisposable
{
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
        _interval = talk.IsTerminal ? 250 : 5000;
        _next = talk.IsTerminal ? 0 : 1000;
    }

    /// <summary>So many of the total are done; <paramref name="note"/> (a loss, a file) is called only when a line is shown.</summary>
    public void Report(long done, Func<string>? note = null)
    {
        Volatile.Write(ref _done, done);
        Interlocked.CompareExchange(ref _first, done, -1);
        long next = Volatile.Read(ref _next), now = _clock.ElapsedMilliseconds;
        if (_talk.IsQuiet || now < next || Interlocked.CompareExchange(ref _next, now + _interval, next) != next)
        {
            return;
        }
        string line = Text(done, _clock.Elapsed, note?.Invoke());
        if (_talk.IsTerminal)
        {
            _talk.Rewrite(line);
        }
        else
        {
            _talk.Line(line);
        }
    }

    /// <summary>Ends the line, with the time it took when that was noticeable.</summary>
    public void Dispose()
    {
        if (!_talk.IsQuiet && _clock.ElapsedMilliseconds >= 1000)
        {
            _talk.Line($"{_what}: {Volatile.Read(ref _done).ToString(CultureInfo.InvariantCulture)} {_unit} in {Duration(_clock.Elapsed)}");
        }
    }

    private string Text(long done, TimeSpan elapsed, string? note)
    {
        string text = string.Create(CultureInfo.InvariantCulture, $"{_what}: {done}{(_total > 0 ? "/" + _total : "")} {_unit}");
        long advanced = done - Volatile.Read(ref _first);
        if (_total > 0 && advanced > 0 && done < _total)
        {
            text += $", {Duration(elapsed * ((double)(_total - done) / advanced))} left";
        }
        return note is null ? text : text + ", " + note;
    }

    /// <summary>"1.2 s", "3 min 04 s", "2 h 05 min".</summary>
    internal static string Duration(TimeSpan time) => time.TotalSeconds switch
    {
        < 60 => FormattableString.Invariant($"{time.TotalSeconds:0.0} s"),
        < 3600 => FormattableString.Invariant($"{(int)time.TotalMinutes} min {time.Seconds:00} s"),
        _ => FormattableString.Invariant($"{(long)time.TotalHours} h {time.Minutes:00} min"),
    };
}
