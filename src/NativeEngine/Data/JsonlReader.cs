using System.IO.Compression;
using System.Text.Json;
using System.Text.Unicode;
using NativeEngine.Formats;

namespace NativeEngine.Data;

/// <summary>
/// Reads a JSONL mixture line by line: plain, gzip (<c>.gz</c>), or standard input (<c>-</c>, given by the caller as a stream).
/// One object a line, <c>{"prompt":…,"completion":…,"source":…}</c> or <c>{"text":…,"source":…}</c>; other fields are ignored. When
/// a line has both forms the prompt and completion are used.
/// <para>Rules. Blank lines are ignored; a UTF-8 byte order mark is tolerated. A line is bad when it is not UTF-8, not one JSON
/// object, has a field twice, is longer than <see cref="MaxLineBytes"/>, lacks its texts, or holds a lone surrogate. A source may
/// be a string or a number (its JSON text is its name). The first <see cref="SourceWindow"/> usable lines decide whether the file
/// has sources: if none of them has the source field all examples belong to <see cref="DefaultSource"/> and a later line with the
/// field is bad; if any has it, every line without it is bad.</para>
/// <para>A missing file, a device, a file whose name says that it is no JSONL (Parquet, CSV, …), a damaged gzip stream and a file without a usable example are errors
/// (<see cref="ErrorKind.BadInput"/>) under either policy. Memory: one line, plus at most the window's examples.</para>
/// </summary>
public sealed class JsonlReader
{
    /// <summary>The longest line that is read: 64 MiB.</summary>
    public const int MaxLineBytes = 64 << 20;

    /// <summary>How many usable lines decide whether a file has sources.</summary>
    public const int SourceWindow = 1000;

    /// <summary>The source of all examples of a file without the source field.</summary>
    public const string DefaultSource = "default";

    private static readonly JsonDocumentOptions _strict = new() { AllowDuplicateProperties = false, MaxDepth = 64 };

    private readonly string _name;
    private readonly Func<Stream> _open;
    private readonly JsonlOptions _options;
    private readonly List<BadLine> _badLines = [];
    private string? _firstHint;

    /// <summary>Reads a file by its path; a name ending in <c>.gz</c> is decompressed.</summary>
    public JsonlReader(string path, JsonlOptions? options = null)
        : this(path, () => OpenFile(path), options)
    {
    }

    /// <summary>Reads what <paramref name="open"/> gives (standard input, memory); <paramref name="name"/> is for messages.</summary>
    public JsonlReader(string name, Func<Stream> open, JsonlOptions? options = null)
    {
        _name = name;
        _open = open;
        _options = options ?? new JsonlOptions();
    }

    /// <summary>The name of the file in messages.</summary>
    public string Name => _name;

    /// <summary>Lines read so far, blank ones included.</summary>
    public long LineCount { get; private set; }

    /// <summary>Usable examples so far.</summary>
    public long ExampleCount { get; private set; }

    /// <summary>Bad lines left out so far (policy <see cref="BadLinePolicy.Skip"/>).</summary>
    public long BadLineCount { get; private set; }

    /// <summary>The first bad lines with their reasons.</summary>
    public IReadOnlyList<BadLine> BadLines => _badLines;

    /// <summary>The examples in file order, at most <see cref="JsonlOptions.Limit"/>. Each enumeration opens the input anew and restarts the counts.</summary>
    public IEnumerable<Example> Read(CancellationToken cancellation = default) => _options.Limit is { } most ? ReadAll(cancellation).Take(most) : ReadAll(cancellation);

    private IEnumerable<Example> ReadAll(CancellationToken cancellation)
    {
        LineCount = ExampleCount = BadLineCount = 0;
        _badLines.Clear();
        _firstHint = null;
        using var stream = _open();
        var lines = new LineSplitter(stream, MaxLineBytes, skips: _options.OnBadLine == BadLinePolicy.Skip);
        var window = new List<Example>();
        bool? hasSources = null;
        while (Next(lines, out var line, out bool tooLong))
        {
            cancellation.ThrowIfCancellationRequested();
            LineCount = lines.Line;
            if (!tooLong && line.Span.IndexOfAnyExcept((byte)' ', (byte)'\t') < 0)
            {
                continue;
            }
            var example = tooLong ? Bad(lines.Line, $"it is longer than {FormatErrors.Count(MaxLineBytes)} bytes") : Parse(line, lines.Line);
            if (example is null)
            {
                continue;
            }
            example = _options.KeepLines ? example.WithRawLine(line.ToArray()) : example;
            bool sourced = example.Source.Length > 0;
            if (hasSources is null && !sourced && window.Count < SourceWindow)
            {
                window.Add(example);
                continue;
            }
            if (hasSources is null)
            {
                hasSources = sourced && window.Count < SourceWindow;
                foreach (var held in Release(window, hasSources.Value))
                {
                    yield return held;
                }
            }
            var resolved = Resolve(example, hasSources.Value);
            if (resolved is not null)
            {
                ExampleCount++;
                yield return resolved;
            }
        }
        foreach (var held in Release(window, sourced: false))
        {
            yield return held;
        }
        if (ExampleCount == 0)
        {
            throw new EngineException(ErrorKind.BadInput, LineCount == 0
                ? $"reading {_name}: expected examples, one JSON object a line, got an empty file"
                : $"reading {_name}: expected examples, got {LineCount} lines without one that is usable{FirstReason()}",
                _firstHint ?? (_options.ChoicesField is { } choices
                    ? $"a line looks like {{\"{_options.PromptField}\":\"…\",\"{choices}\":[\"…\",\"…\"],\"{_options.AnswerField}\":0,\"{_options.SourceField}\":\"…\"}}"
                    : $"a line looks like {{\"{_options.PromptField}\":\"…\",\"{_options.CompletionField}\":\"…\",\"{_options.SourceField}\":\"…\"}} "
                        + $"or {{\"{_options.TextField}\":\"…\",\"{_options.SourceField}\":\"…\"}}"));
        }
    }

    /// <summary>Whether the first line with content is an object with an array of that name. Opens the input of its own.</summary>
    public bool FirstLineHasArray(string field)
    {
        using var stream = _open();
        var lines = new LineSplitter(stream, MaxLineBytes, skips: false);
        while (Next(lines, out var line, out bool tooLong))
        {
            if (!tooLong && line.Span.IndexOfAnyExcept((byte)' ', (byte)'\t') < 0)
            {
                continue;
            }
            try
            {
                using var document = JsonDocument.Parse(line, _strict);
                return document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty(field, out var value)
                    && value.ValueKind == JsonValueKind.Array;
            }
            // The second: half of a surrogate pair in a name.
            catch (Exception e) when (e is JsonException or InvalidOperationException)
            {
                return false;
            }
        }
        return false;
    }

    private IEnumerable<Example> Release(List<Example> window, bool sourced)
    {
        foreach (var held in window)
        {
            var resolved = Resolve(held, sourced);
            if (resolved is not null)
            {
                ExampleCount++;
                yield return resolved;
            }
        }
        window.Clear();
    }

    private Example? Resolve(Example example, bool hasSources)
    {
        bool sourced = example.Source.Length > 0;
        if (sourced == hasSources)
        {
            return sourced ? example : example.WithSource(DefaultSource);
        }
        return Bad(example.Line, hasSources
            ? $"it lacks the field \"{_options.SourceField}\", which other lines have"
            : $"it has the field \"{_options.SourceField}\", which none of the first {SourceWindow} examples has");
    }

    private bool Next(LineSplitter lines, out ReadOnlyMemory<byte> line, out bool tooLong)
    {
        try
        {
            return lines.TryRead(out line, out tooLong);
        }
        catch (Exception e) when (e is InvalidDataException or IOException)
        {
            bool gzip = lines.Line == 0 && e is InvalidDataException && _name.EndsWith(".gz", StringComparison.OrdinalIgnoreCase);
            throw new EngineException(ErrorKind.BadInput,
                gzip ? $"reading {_name}: it is not gzip, as its name says" : $"reading {_name} after line {lines.Line}: {e.Message.TrimEnd('.')}",
                gzip ? $"if it is plain text: mv {_name} {_name[..^3]}" : "is the file complete?", e);
        }
    }

    private Example? Parse(ReadOnlyMemory<byte> line, long number)
    {
        if (!Utf8.IsValid(line.Span))
        {
            return Bad(number, "it is not valid UTF-8", ForeignHint(line.Span));
        }
        // Once no reason is told any more, none is looked for.
        if (IsSilent && !JsonSyntax.IsValue(line.Span))
        {
            return Bad(number, "");
        }
        try
        {
            using var document = JsonDocument.Parse(line, _strict);
            var root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object)
            {
                return Bad(number, $"expected a JSON object, got {Describe(root)}", ForeignHint(line.Span));
            }
            string? source = NameIn(root, _options.SourceField, number, out bool bad);
            if (bad)
            {
                return null;
            }
            if (_options.IdField is { } field)
            {
                string? id = NameIn(root, field, number, out bad);
                return bad ? null : id is null ? Bad(number, $"it lacks the field \"{field}\", which --id-field names") : Read(root, source, number)?.WithId(id);
            }
            return Read(root, source, number);
        }
        catch (JsonException e)
        {
            return Bad(number, $"it is not valid JSON (byte {e.BytePositionInLine})", ForeignHint(line.Span));
        }
        catch (InvalidOperationException)
        {
            return Bad(number, "a string holds a lone surrogate (\\ud800 to \\udfff without its partner)");
        }
    }

    private Example? Read(JsonElement root, string? source, long number)
    {
        if (_options.ChoicesField is not null)
        {
            return ChoiceLine.Read(root, _options, source ?? "", number, out var question) is { } problem ? Bad(number, problem) : question;
        }
        bool hasPrompt = root.TryGetProperty(_options.PromptField, out var prompt) && prompt.ValueKind != JsonValueKind.Null;
        bool hasCompletion = root.TryGetProperty(_options.CompletionField, out var completion)
            && completion.ValueKind != JsonValueKind.Null;
        if (hasPrompt && hasCompletion)
        {
            return prompt.ValueKind == JsonValueKind.String && completion.ValueKind == JsonValueKind.String
                ? Example.FromPrompt(source ?? "", prompt.GetString()!, completion.GetString()!, number)
                : Bad(number, $"\"{_options.PromptField}\" and \"{_options.CompletionField}\" must be strings, "
                    + $"got {Describe(prompt)} and {Describe(completion)}");
        }
        if (root.TryGetProperty(_options.TextField, out var text) && text.ValueKind != JsonValueKind.Null)
        {
            if (text.ValueKind != JsonValueKind.String)
            {
                return Bad(number, $"\"{_options.TextField}\" must be a string, got {Describe(text)}");
            }
            string content = text.GetString()!;
            return content.Length > 0 ? Example.FromText(source ?? "", content, number)
                : Bad(number, $"\"{_options.TextField}\" is empty");
        }
        if (IsSilent)
        {
            return Bad(number, "");
        }
        return Bad(number, hasPrompt || hasCompletion
            ? $"it has \"{(hasPrompt ? _options.PromptField : _options.CompletionField)}\" without "
                + $"\"{(hasPrompt ? _options.CompletionField : _options.PromptField)}\""
            : $"it has neither \"{_options.PromptField}\" with \"{_options.CompletionField}\" nor \"{_options.TextField}\"" + Fields(root), FieldHint(root));
    }

    // A string, or a number by its JSON text.
    private string? NameIn(JsonElement root, string field, long number, out bool bad)
    {
        bad = false;
        if (!root.TryGetProperty(field, out var value) || value.ValueKind == JsonValueKind.Null)
        {
            return null;
        }
        string? name = value.ValueKind switch
        {
            JsonValueKind.String => value.GetString(),
            JsonValueKind.Number => value.GetRawText(),
            _ => null,
        };
        if (string.IsNullOrEmpty(name))
        {
            bad = true;
            Bad(number, name is null
                ? $"\"{field}\" must be a string or a number, got {Describe(value)}"
                : $"\"{field}\" is empty");
        }
        return name;
    }

    /// <summary>Whether bad lines are only counted: the first ones were kept with their reasons.</summary>
    private bool IsSilent => _options.OnBadLine == BadLinePolicy.Skip && _badLines.Count >= _options.ReasonsKept;

    // Of a file that begins so; later lines are odd ones.
    private string? ForeignHint(ReadOnlySpan<byte> line) => ExampleCount > 0 || BadLineCount > 0 ? null : ForeignData.OfBytes(_name, line);

    private Example? Bad(long line, string reason, string? hint = null)
    {
        if (_options.OnBadLine == BadLinePolicy.Fail)
        {
            throw new EngineException(ErrorKind.BadInput, $"{_name}:{line}: {reason}",
                hint ?? "correct the line, or leave such lines out with --on-bad-line skip");
        }
        _firstHint = BadLineCount == 0 ? hint : _firstHint;
        BadLineCount++;
        if (_badLines.Count < _options.ReasonsKept)
        {
            _badLines.Add(new BadLine(line, reason));
        }
        return null;
    }

    private string FirstReason() => _badLines.Count == 0 ? "" : $"; the first, line {_badLines[0].Line}: {_badLines[0].Reason}";

    private static string Describe(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Array => "an array",
        JsonValueKind.Object => "an object",
        JsonValueKind.Number => "a number",
        JsonValueKind.String => "a string",
        JsonValueKind.Null => "null",
        _ => "a boolean",
    };

    private static Stream OpenFile(string path)
    {
        ForeignData.Refuse(path);
        try
        {
            var file = InputFile.Open(path);
            return path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase) ? new GZipStream(file, CompressionMode.Decompress) : file;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            string why = e is FileNotFoundException or DirectoryNotFoundException ? "there is no such file"
                : Directory.Exists(path) ? "it is a folder" : e.Message.TrimEnd('.');
            throw new EngineException(ErrorKind.BadInput, $"reading {(path.Length == 0 ? "a data file" : path)}: {why}", OpenHint(path), e);
        }
    }

    private static string OpenHint(string path) => path.Length == 0 ? "name a file, or - for standard input"
        : Directory.Exists(path) ? File.Exists(Path.Combine(path, "config.json")) ? $"it is a model's: nengine eval --model {path} --data FILE.jsonl"
            : MissingPath.Inside(path, ".jsonl") ?? "name a file in it, or join several: cat *.jsonl > all.jsonl"
        : File.Exists(path) ? $"ls -l {path}"
        : MissingPath.Hint(path) ?? $"nengine data synth --output {path} makes one to try with";

    // The first texts of a line: one of them is what was meant.
    private static string[] Texts(JsonElement line) =>
        [.. line.EnumerateObject().Where(m => m.Value.ValueKind == JsonValueKind.String && m.Name.Length <= 40).Take(6).Select(m => m.Name)];

    private static string Fields(JsonElement line) =>
        Texts(line) is { Length: > 0 } names ? $"; its texts are {string.Join(", ", names.Select(n => $"\"{n}\""))} (--text-field names one)" : "";

    // What such a line calls for: names of its fields, when the file begins with it; else the line is the odd one.
    private string? FieldHint(JsonElement line)
    {
        if (ExampleCount > 0 || BadLineCount > 0)
        {
            return null;
        }
        if (ForeignData.OfObject(_name, line) is { } conversion)
        {
            return conversion;
        }
        // The longest one is the text, the longest two in their order are prompt and completion.
        string[] names = [.. Texts(line).Where(n => n != _options.SourceField && n != _options.IdField).OrderByDescending(n => line.GetProperty(n).GetString()!.Length).Take(2)];
        if (names.Length == 0)
        {
            return null;
        }
        string[] two = [.. Texts(line).Intersect(names)];
        return $"--text-field {Word(names[0])}" + (two.Length == 2 ? $", or --prompt-field {Word(two[0])} --completion-field {Word(two[1])}" : "");

        static string Word(string name) => name.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' or '.') ? name : $"'{name}'";
    }
}
