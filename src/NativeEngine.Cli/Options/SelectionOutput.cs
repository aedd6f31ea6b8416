using NativeEngine.Formats;
using NativeEngine.Selection;

namespace NativeEngine.Cli;

/// <summary>What --output of a selection may be, by the ending of its name: the document, its arrays, or the lines that were selected.</summary>
internal static class SelectionOutput
{
    /// <summary>Whether the name asks for the selected lines of a data file.</summary>
    public static bool IsLines(string path) => Ends(path, ".jsonl") || Ends(path, ".jsonl.gz");

    /// <summary>The checked path. Errors: Usage for a form that is not written, or lines where there is no data file.</summary>
    public static string Check(string path, bool hasLines, params string?[] inputs)
    {
        if (IsLines(path) && !hasLines)
        {
            throw new EngineException(ErrorKind.Usage, $"--output is {path}, but features have no lines to write", "give --output picks.json (the selection), picks.npz (indices, weights, gains) or picks.npy (indices), or select from DATA.jsonl");
        }
        if (new[] { ".csv", ".tsv", ".parquet", ".safetensors" }.FirstOrDefault(e => Ends(path, e)) is { } other)
        {
            throw new EngineException(ErrorKind.Usage, $"--output is {path}; a selection is not written as {other}", $"give --output picks.json (the selection), picks.npz (indices, weights, gains), picks.npy (indices){(hasLines ? " or picked.jsonl (the lines)" : "")}");
        }
        return OutputFile.Check(path, inputs);
    }

    /// <summary>
    /// Writes the indices as int64 for a name that ends in .npy; for .npz the arrays indices and weights (int64) and gains (float64, NaN for what was taken without one); else
    /// the document.
    /// </summary>
    public static void Save(SelectionDocument document, string path)
    {
        if (Ends(path, ".npy"))
        {
            NpyWriter.WriteInt64(path, [document.Indices.Count], document.Indices.Select(i => (long)i).ToArray());
        }
        else if (Ends(path, NpzFile.Ending))
        {
            NpzWriter.Write(path, archive =>
            {
                archive.Add("indices", [.. document.Indices.Select(i => (long)i)]);
                archive.Add("weights", [.. document.Weights.Select(w => (long)w)]);
                archive.Add("gains", [.. document.Gains.Select(gain => gain ?? double.NaN)]);
            });
        }
        else
        {
            document.Save(path);
        }
    }

    private static bool Ends(string path, string ending) => path.EndsWith(ending, StringComparison.OrdinalIgnoreCase);
}
