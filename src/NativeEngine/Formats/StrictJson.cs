using System.Globalization;
using System.Text.Json;
using System.Text.Unicode;

namespace NativeEngine.Formats;

/// <summary>
/// A value of a JSON file that remembers where it stands, so that whatever is wrong with it is one BadInput sentence with the file, the
/// path of the value, what was expected and what it is. UTF-8 is checked first, repeated keys are refused at every depth, a byte order
/// mark is skipped, and strings with half a surrogate pair are refused when they are read. A null member counts as absent.
/// </summary>
internal sealed class StrictJson
{
    private readonly JsonElement _element;
    private readonly StrictJson? _parent;
    private readonly string? _key;
    private readonly int _index;

    private StrictJson(string file, JsonElement element, StrictJson? parent = null, string? key = null, int index = -1)
    {
        File = file;
        _element = element;
        _parent = parent;
        _key = key;
        _index = index;
    }

    /// <summary>The file, as it was given.</summary>
    public string File { get; }

    /// <summary>Object, Array, String, Number, True, False or Null.</summary>
    public JsonValueKind Kind => _element.ValueKind;

    /// <summary>The value as the library's own type, for what the getters here do not cover.</summary>
    public JsonElement Element => _element;

    /// <summary>The path of the value, quoted: "rope_scaling.factor", "merges[3]"; "the document" for the root.</summary>
    public string Where => _parent is null ? "the document" : $"\"{Path()}\"";

    /// <summary>Writes the value as it is. Errors: BadInput for a string with half of a surrogate pair, which no writer can write.</summary>
    public void WriteTo(Utf8JsonWriter writer)
    {
        try
        {
            _element.WriteTo(writer);
        }
        catch (InvalidOperationException e)
        {
            throw Half(e);
        }
    }

    /// <summary>Reads a file. The size is checked before anything is read.</summary>
    public static StrictJson Load(string path, long maxBytes = 256L << 20, int maxDepth = 64)
    {
        using var map = MappedFile.Open(path);
        if (map.Length > Math.Min(maxBytes, int.MaxValue))
        {
            throw FormatErrors.Bad(path, $"a JSON file of {FormatErrors.Count(map.Length)} bytes; at most {FormatErrors.Count(maxBytes)} are read here");
        }
        return Parse(path, map.Bytes(0, (int)map.Length), maxDepth);
    }

    /// <summary>Reads a document from memory; <paramref name="file"/> is its name in messages.</summary>
    public static StrictJson Parse(string file, ReadOnlySpan<byte> utf8, int maxDepth = 64)
    {
        if (utf8.StartsWith("\uFEFF"u8))
        {
            utf8 = utf8[3..];
        }
        if (!Utf8.IsValid(utf8))
        {
            throw FormatErrors.Bad(file, "not UTF-8, so not JSON", "is it the file that was meant? file " + file);
        }
        try
        {
            var options = new JsonDocumentOptions { AllowDuplicateProperties = false, MaxDepth = maxDepth };
            return new StrictJson(file, JsonElement.Parse(utf8, options));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw FormatErrors.Bad(file, $"not valid JSON: {Plain(e)}", inner: e);
        }
    }

    // The parser's sentence, with the place as people say it.
    private static string Plain(Exception error) => error is JsonException { LineNumber: { } line, BytePositionInLine: { } at } && error.Message.IndexOf(" LineNumber:", StringComparison.Ordinal) is > 0 and var end
        ? FormattableString.Invariant($"{error.Message[..end].TrimEnd('.')} (line {line + 1}, byte {at})")
        : error.Message;

    /// <summary>A sentence about this value, to throw: FILE: "path" + sentence.</summary>
    public EngineException Bad(string sentence, string? hint = null) => FormatErrors.Bad(File, $"{Where} {sentence}", hint);

    /// <summary>The member of an object, or null when it is absent or null.</summary>
    public StrictJson? Optional(string name)
    {
        RequireKind(JsonValueKind.Object);
        return _element.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null
            ? new StrictJson(File, value, this, name) : null;
    }

    /// <summary>The member of an object; <paramref name="expected"/> says what it must be when it is missing.</summary>
    public StrictJson Require(string name, string expected = "is needed here")
        => Optional(name) ?? throw new StrictJson(File, default, this, name).Bad($"is missing; it {expected}");

    /// <summary>The members of an object in file order.</summary>
    public IEnumerable<(string Name, StrictJson Value)> Members()
    {
        RequireKind(JsonValueKind.Object);
        return Walk();

        IEnumerable<(string, StrictJson)> Walk()
        {
            foreach (JsonProperty member in _element.EnumerateObject())
            {
                string name = NameOf(member);
                yield return (name, new StrictJson(File, member.Value, this, name));
            }
        }
    }

    /// <summary>The items of an array.</summary>
    public IEnumerable<StrictJson> Items()
    {
        RequireKind(JsonValueKind.Array);
        return _element.EnumerateArray().Select((item, i) => new StrictJson(File, item, this, null, i));
    }

    /// <summary>The items of an array that must have so many.</summary>
    public StrictJson[] Items(int count)
    {
        StrictJson[] items = [.. Items()];
        return items.Length == count ? items : throw Bad($"must have {count} items, it has {items.Length}");
    }

    /// <summary>The items of an array that must have one at least.</summary>
    public StrictJson[] SomeItems()
    {
        StrictJson[] items = [.. Items()];
        return items.Length > 0 ? items : throw Bad("must have an item at least, it is empty");
    }

    /// <summary>Members of an object or items of an array.</summary>
    public int Count() => Kind == JsonValueKind.Object ? _element.GetPropertyCount() : RequireKind(JsonValueKind.Array)._element.GetArrayLength();

    /// <summary>This value as a string.</summary>
    public string AsString() => Kind == JsonValueKind.String ? Text() : throw Wrong("must be a string");

    /// <summary>This value as a boolean.</summary>
    public bool AsBool() => Kind switch
    {
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        _ => throw Wrong("must be true or false"),
    };

    /// <summary>This value as a whole number in [min, max]; 4.0 and 1e3 are not whole numbers here.</summary>
    public long AsLong(long min = long.MinValue, long max = long.MaxValue)
        => Kind == JsonValueKind.Number && _element.TryGetInt64(out long value) && value >= min && value <= max
            ? value : throw Wrong(IntegerRule(min, max, long.MinValue, long.MaxValue));

    /// <summary>This value as a whole number in [min, max].</summary>
    public int AsInt(int min = int.MinValue, int max = int.MaxValue)
        => Kind == JsonValueKind.Number && _element.TryGetInt32(out int value) && value >= min && value <= max
            ? value : throw Wrong(IntegerRule(min, max, int.MinValue, int.MaxValue));

    /// <summary>This value as a finite number in [min, max].</summary>
    public double AsDouble(double min = double.MinValue, double max = double.MaxValue)
        => Kind == JsonValueKind.Number && _element.TryGetDouble(out double value) && value >= min && value <= max
            ? value : throw Wrong(NumberRule(min, max));

    /// <summary>Refuses a document of a form newer than the newest this build knows; its member "schema" says which it is; without it, the first.</summary>
    public void RequireSchema(int newest)
    {
        if (OptionalInt("schema", 1) is { } schema && schema > newest)
        {
            throw FormatErrors.Bad(File, $"has the schema {schema}, this build reads up to {newest}", "a newer nengine wrote it; read it with that one");
        }
    }

    /// <summary>A member that must be a string.</summary>
    public string RequireString(string name) => Require(name, "must be a string").AsString();

    /// <summary>A member that must be a whole number in [min, max].</summary>
    public int RequireInt(string name, int min = int.MinValue, int max = int.MaxValue)
        => Require(name, IntegerRule(min, max, int.MinValue, int.MaxValue)).AsInt(min, max);

    /// <summary>A member that must be a whole number in [min, max].</summary>
    public long RequireLong(string name, long min = long.MinValue, long max = long.MaxValue)
        => Require(name, IntegerRule(min, max, long.MinValue, long.MaxValue)).AsLong(min, max);

    /// <summary>A member that must be a finite number in [min, max].</summary>
    public double RequireDouble(string name, double min = double.MinValue, double max = double.MaxValue)
        => Require(name, NumberRule(min, max)).AsDouble(min, max);

    /// <summary>A member that must be true or false.</summary>
    public bool RequireBool(string name) => Require(name, "must be true or false").AsBool();

    /// <summary>A string member, or null when absent.</summary>
    public string? OptionalString(string name) => Optional(name)?.AsString();

    /// <summary>A whole-number member in [min, max], or null when absent.</summary>
    public int? OptionalInt(string name, int min = int.MinValue, int max = int.MaxValue) => Optional(name)?.AsInt(min, max);

    /// <summary>A finite-number member in [min, max], or null when absent.</summary>
    public double? OptionalDouble(string name, double min = double.MinValue, double max = double.MaxValue) => Optional(name)?.AsDouble(min, max);

    /// <summary>A boolean member, or null when absent.</summary>
    public bool? OptionalBool(string name) => Optional(name)?.AsBool();

    private StrictJson RequireKind(JsonValueKind kind)
        => Kind == kind ? this : throw Wrong(kind == JsonValueKind.Object ? "must be an object" : "must be an array");

    private EngineException Wrong(string rule) => Bad($"{rule}, got {Got()}");

    private string Got()
    {
        string raw = Kind switch
        {
            JsonValueKind.Object => "an object",
            JsonValueKind.Array => "an array",
            _ => _element.GetRawText(),
        };
        return raw.Length > 60 ? raw[..60] + "…" : raw;
    }

    private static string IntegerRule(long min, long max, long typeMin, long typeMax) => (min, max) switch
    {
        (1, _) when max == typeMax => "must be a positive integer",
        (0, _) when max == typeMax => "must be an integer of at least 0",
        _ when min == typeMin && max == typeMax => "must be an integer",
        _ => string.Create(CultureInfo.InvariantCulture, $"must be an integer from {min} to {max}"),
    };

    private static string NumberRule(double min, double max) => (min, max) switch
    {
        (double.MinValue, double.MaxValue) => "must be a finite number",
        (_, double.MaxValue) => string.Create(CultureInfo.InvariantCulture, $"must be a finite number of at least {min}"),
        _ => string.Create(CultureInfo.InvariantCulture, $"must be a number from {min} to {max}"),
    };

    // System.Text.Json decodes escapes late and throws InvalidOperationException for half a surrogate pair.
    private string Text()
    {
        try
        {
            return _element.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            throw Half(e);
        }
    }

    private string NameOf(JsonProperty member)
    {
        try
        {
            return member.Name;
        }
        catch (InvalidOperationException e)
        {
            throw Half(e);
        }
    }

    private EngineException Half(InvalidOperationException e) => FormatErrors.Bad(File, $"{Where} has a string with half of a surrogate pair", inner: e);

    private string Path()
    {
        string above = _parent!._parent is null ? "" : _parent.Path();
        return _key is null ? $"{above}[{_index}]" : above.Length == 0 ? Visible(_key) : $"{above}.{Visible(_key)}";
    }

    private static string Visible(string key) => FormatErrors.Quote(key)[1..^1];
}
