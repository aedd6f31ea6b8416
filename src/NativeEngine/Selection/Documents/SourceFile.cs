using System.Globalization;
using System.Text;
using System.Text.Json;
using NativeEngine.Data;
using NativeEngine.Formats;

namespace NativeEngine.Selection;

/// <summary>
/// The source of every example, read from S.npy or S.npz[#array] (one-dimensional integers), S.txt (one name a line) or S.jsonl[#field] (a string or an integer
/// of every object; the field is "source" unless named). Ids are positions in <see cref="SourceOrder"/>.
/// </summary>
/// <param name="Names">Name of every id.</param>
/// <param name="Ids">Source id of every example.</param>
public sealed record SourceFile(IReadOnlyList<string> Names, int[] Ids)
{
    private const int MaximumLine = 64 << 20;

    private static readonly UTF8Encoding _strict = new(false, throwOnInvalidBytes: true);

    /// <summary>Reads a file. Errors: BadInput with the line.</summary>
    public static SourceFile Read(string name)
    {
        if (NamedPart.Of(name, ".jsonl") is { } lines)
        {
            return ReadJsonl(lines.Path, OpenRead(lines.Path), lines.Part ?? "source");
        }
        if (NamedPart.Of(name, NpzFile.Ending) is { } archive)
        {
            using var array = NpzFile.Open(archive.Path, archive.Part);
            return ReadNumbers(name, array);
        }
        return name switch
        {
            _ when name.EndsWith(".npy", StringComparison.OrdinalIgnoreCase) => ReadNumbers(name),
            _ when name.EndsWith(".txt", StringComparison.OrdinalIgnoreCase) => ReadText(name, OpenRead(name)),
            _ => throw FormatErrors.Bad(name, "sources are read from .npy, .npz, .txt and .jsonl files, by the ending of the name", "rename the file: one name a line is .txt, one JSON object a line is .jsonl"),
        };
    }

    private static SourceFile ReadNumbers(string path)
    {
        using var file = NpyFile.Open(path);
        return ReadNumbers(path, file);
    }

    internal static SourceFile ReadText(string path, Stream stream) => Of(Lines(path, stream, (line, _) => Text(path, line)));

    internal static SourceFile ReadJsonl(string path, Stream stream, string field) => Of(Lines(path, stream, (line, number) => Field(path, line, number, field)));

    /// <summary>Ids for names in example order.</summary>
    public static SourceFile Of(IReadOnlyList<string> names)
    {
        string[] sorted = SourceOrder.Sort(names);
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        for (int i = 0; i < sorted.Length; i++)
        {
            ids[sorted[i]] = i;
        }
        return new SourceFile(sorted, [.. names.Select(n => ids[n])]);
    }

    /// <summary>One integer an example.</summary>
    internal static SourceFile ReadNumbers(string path, NpyFile file)
    {
        if (file.Shape.Length != 1 || file.ElementCount > Array.MaxLength)
        {
            throw FormatErrors.Bad(path, $"sources must be a one-dimensional array of at most {FormatErrors.Count(Array.MaxLength)} integers, this is {FormatErrors.Shape(file.Shape)}", "flatten it first: numpy.save(name, array.ravel())");
        }
        var values = new long[file.ElementCount];
        file.ReadInt64(0, values);
        return Of(Array.ConvertAll(values, i => i.ToString(CultureInfo.InvariantCulture)));
    }

    private static List<string> Lines(string path, Stream stream, Func<ReadOnlyMemory<byte>, long, string> parse)
    {
        var names = new List<string>();
        using var opened = stream;
        var lines = new LineSplitter(opened, MaximumLine, skips: false);
        while (lines.TryRead(out var line, out bool tooLong))
        {
            if (tooLong)
            {
                throw FormatErrors.Bad(path, $"line {lines.Line} is longer than {FormatErrors.Count(MaximumLine)} bytes");
            }
            string name = parse(line, lines.Line);
            names.Add(name.Length > 0 ? name : throw FormatErrors.Bad(path, $"line {lines.Line} names no source", "give one name a line, without empty lines"));
        }
        return names;
    }

    private static string Text(string path, ReadOnlyMemory<byte> line)
    {
        try
        {
            return _strict.GetString(line.Span).Trim();
        }
        catch (DecoderFallbackException e)
        {
            throw FormatErrors.Bad(path, "not UTF-8 text", inner: e);
        }
    }

    private static string Field(string path, ReadOnlyMemory<byte> line, long number, string field)
    {
        var row = StrictJson.Parse($"{path}:{number}", line.Span);
        var value = row.Optional(field)
            ?? throw FormatErrors.Bad($"{path}:{number}", $"{FormatErrors.Quote(field)} is missing; it must be the example's source",
                row.Members().Select(m => m.Name).ToList() is { Count: > 0 } names ? $"--sources {path}#{Suggestion.Nearest(field, names) ?? names[0]}" : null);
        return value.Kind == JsonValueKind.Number ? value.AsLong().ToString(CultureInfo.InvariantCulture) : value.AsString();
    }

    private static FileStream OpenRead(string path)
    {
        try
        {
            return InputFile.Open(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw FormatErrors.Unreadable(path, e, "nengine features --sources-output S.txt writes the sources of the features that it makes");
        }
    }
}
