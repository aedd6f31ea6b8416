using System.Text;

namespace NativeEngine.Cli;

/// <summary>How progress is told.</summary>
internal enum ProgressForm
{
    /// <summary>Not at all.</summary>
    None,
    /// <summary>One line that is rewritten, on a terminal.</summary>
    Rewritten,
    /// <summary>A line of its own now and then.</summary>
    Lines,
    /// <summary>A JSON object a line.</summary>
    Jsonl,
}

/// <summary>stderr: what the program says while it works. Lines of several threads do not mix.</summary>
internal sealed class TalkWriter
{
    private readonly Lock _lock = new();
    private readonly StreamWriter _stderr;
    private readonly bool _color;
    private readonly Func<int> _width;
    private readonly ProgressForm? _progress;
    private bool _lineOpen;

    /// <param name="stderr">Where it goes.</param>
    /// <param name="terminal">Whether lines may be rewritten in place.</param>
    /// <param name="color">Whether words may be coloured.</param>
    /// <param name="quiet">--quiet.</param>
    /// <param name="verbose">--verbose.</param>
    /// <param name="progress">--progress; null: as fits a terminal or a file, and not with --quiet.</param>
    /// <param name="width">Columns of the terminal as it is now; null: 80.</param>
    public TalkWriter(Stream stderr, bool terminal, bool color, bool quiet = false, bool verbose = false, ProgressForm? progress = null, Func<int>? width = null)
    {
        _progress = progress;
        _width = width ?? (() => 80);
        _stderr = new StreamWriter(stderr, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), leaveOpen: true)
        {
            NewLine = "\n",
            AutoFlush = true,
        };
        IsTerminal = terminal;
        _color = color;
        IsQuiet = quiet;
        IsVerbose = verbose;
    }

    /// <summary>Whether lines may be rewritten in place.</summary>
    public bool IsTerminal { get; }

    /// <summary>How progress is told now.</summary>
    public ProgressForm Progress => _prefix.Length > 0 ? ProgressForm.None : _progress ?? (IsQuiet ? ProgressForm.None : IsTerminal ? ProgressForm.Rewritten : ProgressForm.Lines);

    /// <summary>Whether --quiet was given.</summary>
    public bool IsQuiet { get; private set; }

    private string _prefix = "";

    /// <summary>From now on only warnings and errors, with a prefix: one of several processes that write to the same place.</summary>
    public void SpeakAs(string prefix)
    {
        _prefix = prefix;
        IsQuiet = true;
    }

    /// <summary>Whether only progress and warnings are said for now: while a tour runs other verbs.</summary>
    public bool OnlyProgress { get; set; }

    /// <summary>Whether --verbose was given.</summary>
    public bool IsVerbose { get; }

    /// <summary>Colour is used on a terminal unless --no-color, NO_COLOR (not empty) or TERM=dumb says otherwise.</summary>
    public static bool WantsColor(bool terminal, bool noColor) =>
        terminal && !noColor
        && string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"))
        && Environment.GetEnvironmentVariable("TERM") != "dumb";

    /// <summary>What most people want to know; silent with --quiet.</summary>
    public void Info(string line)
    {
        if (!IsQuiet && !OnlyProgress)
        {
            Line(line);
        }
    }

    /// <summary>What some want to know: only with --verbose.</summary>
    public void Detail(string line)
    {
        if (IsVerbose)
        {
            Line(line);
        }
    }

    /// <summary>Something is not as it should be, the work goes on.</summary>
    public void Warn(string line) => Line(Paint("33", "warning: ") + line);

    /// <summary>Why the work ended.</summary>
    public void Error(string message, string? hint)
    {
        Line(Paint("31", "error: ") + message);
        if (hint is not null)
        {
            Line("  hint: " + hint);
        }
    }

    /// <summary>Replaces the one line that is being rewritten; only on a terminal. It is cut to the terminal's width: of a line that wraps only the end could be replaced.</summary>
    public void Rewrite(string line)
    {
        int most = Math.Max(20, _width()) - 1;
        line = line.Length <= most ? line : line[..(most - 1)] + "…";
        lock (_lock)
        {
            Put("\r\u001b[K" + line);
            _lineOpen = true;
        }
    }

    /// <summary>A whole line.</summary>
    public void Line(string line)
    {
        lock (_lock)
        {
            Put((_lineOpen ? "\r\u001b[K" : "") + _prefix + line + "\n");
            _lineOpen = false;
        }
    }

    private string Paint(string code, string text) => _color ? $"\u001b[{code}m{text}\u001b[0m" : text;

    private void Put(string text)
    {
        try
        {
            _stderr.Write(text);
        }
        catch (IOException)
        {
            // stderr is closed: the work is worth more than the talk.
        }
    }
}
