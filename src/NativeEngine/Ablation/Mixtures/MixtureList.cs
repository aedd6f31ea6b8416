using System.Globalization;
using NativeEngine.Formats;

namespace NativeEngine.Ablation.Mixtures;

/// <summary>
/// A user's list of mixtures. CSV: a header of unit (or source) names, one mixture a line, an empty cell is 0. JSON: a list whose items are
/// lists of names (equal weights) or objects name → weight. Weights are divided by their sum.
/// </summary>
public static class MixtureList
{
    private const long MaxBytes = 256L << 20;

    /// <summary>Reads weights over the names, in file order. Errors: BadInput with file, line, and a suggestion for unknown names.</summary>
    public static List<double[]> Read(string path, IReadOnlyList<string> names)
    {
        var rows = path.EndsWith(".json", StringComparison.OrdinalIgnoreCase) ? ReadJson(StrictJson.Load(path), names) : ReadCsv(path, Lines(path), names);
        return rows.Count > 0 ? rows : throw FormatErrors.Bad(path, "the list has no mixture");
    }

    internal static List<double[]> ReadJson(StrictJson list, IReadOnlyList<string> names)
    {
        var rows = new List<double[]>();
        foreach (var item in list.Items())
        {
            var weights = new double[names.Count];
            if (item.Kind == System.Text.Json.JsonValueKind.Array)
            {
                foreach (var name in item.Items())
                {
                    weights[Find(name.AsString(), names, sentence => name.Bad(sentence))] = 1;
                }
            }
            else
            {
                foreach (var (name, value) in item.Members())
                {
                    weights[Find(name, names, sentence => item.Bad(sentence))] = value.AsDouble(0);
                }
            }
            rows.Add(weights.Any(w => w > 0) ? weights : throw item.Bad("has no weight above 0"));
        }
        return rows;
    }

    private static string[] Lines(string path)
    {
        try
        {
            return InputFile.ReadAllText(path, MaxBytes).Split('\n').Select(line => line.TrimEnd('\r')).ToArray();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw FormatErrors.Unreadable(path, e);
        }
    }

    internal static List<double[]> ReadCsv(string path, string[] lines, IReadOnlyList<string> names)
    {
        int[]? columns = null;
        var rows = new List<double[]>();
        for (int l = 0; l < lines.Length; l++)
        {
            if (string.IsNullOrWhiteSpace(lines[l]))
            {
                continue;
            }
            string place = FormattableString.Invariant($"{path}:{l + 1}");
            string[] cells = [.. lines[l].Split(',').Select(cell => cell.Trim().Trim('"'))];
            if (columns is null)
            {
                columns = [.. cells.Select(cell => Find(cell, names, sentence => FormatErrors.Bad(place, $"the header {sentence}")))];
                continue;
            }
            if (cells.Length != columns.Length)
            {
                throw FormatErrors.Bad(place, $"{cells.Length} cells, the header has {columns.Length}");
            }
            var weights = new double[names.Count];
            for (int i = 0; i < cells.Length; i++)
            {
                weights[columns[i]] = cells[i].Length == 0 ? 0
                    : double.TryParse(cells[i], NumberStyles.Float, CultureInfo.InvariantCulture, out double weight) && weight >= 0 && double.IsFinite(weight) ? weight
                    : throw FormatErrors.Bad(place, $"a weight must be a number of at least 0, got '{cells[i]}'");
            }
            rows.Add(weights.Any(w => w > 0) ? weights : throw FormatErrors.Bad(place, "the mixture has no weight above 0"));
        }
        return rows;
    }

    private static int Find(string name, IReadOnlyList<string> names, Func<string, EngineException> bad)
    {
        for (int i = 0; i < names.Count; i++)
        {
            if (names[i] == name)
            {
                return i;
            }
        }
        throw bad($"names '{name}', which is no unit{(Suggestion.Nearest(name, [.. names]) is { } near ? $"; did you mean '{near}'?" : $"; there are {string.Join(", ", names.Take(12))}{(names.Count > 12 ? ", …" : "")}")}");
    }
}
