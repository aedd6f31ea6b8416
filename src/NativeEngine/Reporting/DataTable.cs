using System.Globalization;
using System.Text;
using System.Text.Json;
using NativeEngine.Formats;

namespace NativeEngine.Reporting;

/// <summary>A named column of a <see cref="DataTable"/>: numbers (NaN where there is none) or words.</summary>
public sealed record DataColumn
{
    private DataColumn(string name, IReadOnlyList<double>? numbers, IReadOnlyList<string>? words) => (Name, Numbers, Words) = (name, numbers, words);

    /// <summary>What it holds, with its unit.</summary>
    public string Name { get; }

    /// <summary>The numbers, or null for a column of words.</summary>
    public IReadOnlyList<double>? Numbers { get; }

    /// <summary>The words, or null for a column of numbers.</summary>
    public IReadOnlyList<string>? Words { get; }

    /// <summary>Rows.</summary>
    public int Count => Numbers?.Count ?? Words!.Count;

    /// <summary>A column of numbers.</summary>
    public static DataColumn Of(string name, IReadOnlyList<double> numbers) => new(name, numbers, null);

    /// <summary>A column of words.</summary>
    public static DataColumn Of(string name, IReadOnlyList<string> words) => new(name, null, words);
}

/// <summary>
/// The numbers of a figure or a table of a report: columns of equal length. The figure is drawn from them, and they are written beside it as CSV and
/// into the report's JSON.
/// </summary>
public sealed class DataTable
{
    /// <summary>A table. Errors: ArgumentException for columns of different lengths.</summary>
    /// <param name="name">Its file's name without ending: lower-case words joined by hyphens.</param>
    /// <param name="title">What it shows.</param>
    /// <param name="columns">Its columns.</param>
    public DataTable(string name, string title, params IReadOnlyList<DataColumn> columns)
    {
        (Name, Title, Columns) = (name, title, Distinct(columns));
        if (columns.Any(c => c.Count != columns[0].Count))
        {
            throw new ArgumentException($"the columns of {name} have {string.Join(", ", columns.Select(c => c.Count))} rows", nameof(columns));
        }
    }

    /// <summary>The file's name without ending.</summary>
    public string Name { get; }

    /// <summary>What it shows.</summary>
    public string Title { get; }

    /// <summary>The columns.</summary>
    public IReadOnlyList<DataColumn> Columns { get; }

    /// <summary>Rows.</summary>
    public int Rows => Columns.Count == 0 ? 0 : Columns[0].Count;

    /// <summary>RFC 4180 with a header line; every number in the fewest digits that read back to it, a missing one empty.</summary>
    public string ToCsv()
    {
        var text = new StringBuilder();
        text.AppendJoin(',', Columns.Select(c => Quote(c.Name))).Append('\n');
        for (int row = 0; row < Rows; row++)
        {
            for (int c = 0; c < Columns.Count; c++)
            {
                text.Append(c == 0 ? "" : ",");
                if (Columns[c].Numbers is { } numbers)
                {
                    text.Append(double.IsFinite(numbers[row]) ? numbers[row].ToString("R", CultureInfo.InvariantCulture) : "");
                }
                else
                {
                    text.Append(Quote(Columns[c].Words![row]));
                }
            }
            text.Append('\n');
        }
        return text.ToString();
    }

    /// <summary>Writes one JSON object: name, title, columns as arrays; null for a missing number.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("name", Name);
        json.WriteString("title", Title);
        json.WriteStartObject("columns");
        foreach (var column in Columns)
        {
            if (column.Numbers is null)
            {
                json.Strings(column.Name, column.Words!);
            }
            else
            {
                json.Numbers(column.Name, column.Numbers);
            }
        }
        json.WriteEndObject();
        json.WriteEndObject();
    }

    // JSON has one member of a name.
    private static DataColumn[] Distinct(IReadOnlyList<DataColumn> columns)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var distinct = new DataColumn[columns.Count];
        for (int c = 0; c < distinct.Length; c++)
        {
            string name = columns[c].Name;
            for (int i = 2; !seen.Add(name); i++)
            {
                name = string.Create(CultureInfo.InvariantCulture, $"{columns[c].Name} {i}");
            }
            distinct[c] = columns[c].Numbers is { } numbers ? DataColumn.Of(name, numbers) : DataColumn.Of(name, columns[c].Words!);
        }
        return distinct;
    }

    // A cell that starts like a formula would be run by spreadsheets.
    private static string Quote(string cell)
    {
        string safe = cell.Length > 0 && cell[0] is '=' or '+' or '@' or '\t' ? "'" + cell : cell;
        return safe.AsSpan().ContainsAny(",\"\n\r") ? $"\"{safe.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : safe;
    }
}

/// <summary>Numbers as reports tell them.</summary>
public static class ReportNumber
{
    /// <summary>Four significant digits without an exponent between 0.0001 and 10 million; "-" when there is none.</summary>
    public static string Short(double value) => Text(value, 4);

    /// <summary>Six significant digits: what tooltips say.</summary>
    public static string Exact(double value) => Text(value, 6);

    /// <summary>12.3 MiB.</summary>
    public static string Bytes(double bytes) => Math.Abs(bytes) switch
    {
        >= 1L << 30 => $"{Short(bytes / (1L << 30))} GiB",
        >= 1L << 20 => $"{Short(bytes / (1L << 20))} MiB",
        >= 1L << 10 => $"{Short(bytes / (1L << 10))} KiB",
        _ => $"{Short(bytes)} B",
    };

    /// <summary>340 ms, 12.3 s, 4.2 min, 3.1 h.</summary>
    public static string Seconds(double seconds) => seconds switch
    {
        < 1e-3 => $"{Text(seconds * 1e6, 3)} µs",
        < 1 => $"{Text(seconds * 1e3, 3)} ms",
        < 100 => $"{Text(seconds, 3)} s",
        < 6000 => $"{Text(seconds / 60, 3)} min",
        _ => $"{Text(seconds / 3600, 3)} h",
    };

    /// <summary>Percent of one, with one decimal below ten percent.</summary>
    public static string Percent(double share) => !double.IsFinite(share) ? "-"
        : (100 * share).ToString(Math.Abs(share) < 0.0995 ? "0.0" : "0", CultureInfo.InvariantCulture) + " %";

    private static string Text(double value, int digits)
    {
        if (!double.IsFinite(value))
        {
            return "-";
        }
        double size = Math.Abs(value);
        if (size is not 0 and (< 1e-4 or >= 1e7))
        {
            return value.ToString("G" + digits.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
        }
        int whole = size < 1 ? 1 : (int)Math.Floor(Math.Log10(size)) + 1;
        int zeros = size is 0 or >= 1 ? 0 : (int)Math.Floor(-Math.Log10(size));
        int decimals = Math.Clamp(digits - (size >= 1 ? whole : 0) + zeros, 0, 12);
        return Math.Round(value, decimals).ToString("0." + new string('#', decimals), CultureInfo.InvariantCulture);
    }
}
