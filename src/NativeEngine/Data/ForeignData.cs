using System.Globalization;
using System.Text.Json;

namespace NativeEngine.Data;

/// <summary>Files that are no JSONL of examples but can be made so: the command for it, told by the ending of the name or by how the file begins.</summary>
internal static class ForeignData
{
    private const string Json = "python3 -c \"import json; ";

    // {0} is the file, {1} the same without its ending.
    private static readonly (string Ending, string Command)[] _endings =
    [
        (".zst", "zstd -dc {0} | nengine … -"),
        (".parquet", "python3 -c \"import pandas; pandas.read_parquet('{0}').to_json('{1}.jsonl', orient='records', lines=True)\""),
        (".arrow", "python3 -c \"import datasets; datasets.Dataset.from_file('{0}').to_json('{1}.jsonl')\""),
        (".feather", "python3 -c \"import pandas; pandas.read_feather('{0}').to_json('{1}.jsonl', orient='records', lines=True)\""),
        (".csv", "python3 -c \"import pandas; pandas.read_csv('{0}').to_json('{1}.jsonl', orient='records', lines=True)\""),
        (".tsv", "python3 -c \"import pandas; pandas.read_csv('{0}', sep='\\t').to_json('{1}.jsonl', orient='records', lines=True)\""),
        (".npy", "features of examples go into nengine select --features {0} --budget 10%"),
        (".npz", "features of examples go into nengine select --features {0} --budget 10%"),
        (".safetensors", "features of examples go into nengine select --features {0} --budget 10%"),
    ];

    /// <summary>Refuses a name whose ending says that it is something else.</summary>
    public static void Refuse(string path)
    {
        if (_endings.FirstOrDefault(c => path.EndsWith(c.Ending, StringComparison.OrdinalIgnoreCase)) is { Ending: not null } other)
        {
            throw new EngineException(ErrorKind.BadInput, $"reading {path}: {other.Ending[1..]} files are not read as data, only JSONL is",
                string.Format(CultureInfo.InvariantCulture, other.Command, path, path[..^other.Ending.Length]));
        }
    }

    /// <summary>What to do about a file whose first line has these bytes, when they tell: UTF-16, or one JSON array.</summary>
    public static string? OfBytes(string path, ReadOnlySpan<byte> line) =>
        line is [0xFF, 0xFE, ..] or [0xFE, 0xFF, ..] ? $"it is UTF-16: iconv -f UTF-16 -t UTF-8 {path} > {Stem(path)}-utf8.jsonl"
        : line.TrimStart(" \t"u8) is [(byte)'[', ..] ? $"it is one array: {Json}[print(json.dumps(x)) for x in json.load(open('{path}'))]\" > {Stem(path)}-lines.jsonl"
        : null;

    /// <summary>What to do about a file whose first line is this object, when it tells: a conversation.</summary>
    public static string? OfObject(string path, JsonElement line) =>
        line.TryGetProperty("messages", out var messages) && messages.ValueKind == JsonValueKind.Array
            ? $"of the last two messages: {Json}[print(json.dumps({{'prompt': m[-2]['content'], 'completion': m[-1]['content']}})) for m in (json.loads(l)['messages'] for l in open('{path}'))]\" > {Stem(path)}-pairs.jsonl"
            : null;

    private static string Stem(string path) => Path.ChangeExtension(path, null);
}
