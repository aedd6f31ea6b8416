using System.Text;
using System.Text.Json;

namespace NativeEngine.Cli;

/// <summary>
/// The table in a verb's JSON result: an array of objects, whose members are the columns in the order in which they first come, those of an object within it
/// as NAME.MEMBER. Numbers keep their JSON text, null is empty, arrays stay JSON.
/// </summary>
internal sealed class ResultTable
{
    private readonly IReadOnlyList<string> _columns;
    private readonly IReadOnlyList<string[]> _rows;

    private ResultTable(IReadOnlyList<string> columns, IReadOnlyList<string[]> rows) => (_columns, _rows) = (columns, rows);

    /// <summary>Errors: Usage for a form that is a table of a verb that has none.</summary>
    public static void Require(ResultForm form, Verb verb)
    {
        if (form is ResultForm.Csv or ResultForm.Markdown && verb.Table is null)
        {
            throw new EngineException(ErrorKind.Usage, $"the result of {CommandLineReader.Path(verb)} has no table to write as {(form == ResultForm.Csv ? "csv" : "md")}", "--format json has all of it");
        }
    }

    /// <summary>The table at a place ("sources", "eval.sources") of a document; one that is not there, as with --dry-run, has no row.</summary>
    public static ResultTable Of(byte[] document, string place)
    {
        using var json = JsonDocument.Parse(document);
        var at = json.RootElement;
        foreach (string name in place.Split('.'))
        {
            if (at.ValueKind != JsonValueKind.Object || !at.TryGetProperty(name, out at))
            {
                return new ResultTable([], []);
            }
        }
        var columns = new List<string>();
        var rows = new List<Dictionary<string, string>>();
        foreach (var item in at.EnumerateArray())
        {
            var row = new Dictionary<string, string>(StringComparer.Ordinal);
            Add(row, columns, "", item);
            rows.Add(row);
        }
        return new ResultTable(columns, [.. rows.Select(row => columns.Select(c => row.GetValueOrDefault(c, "")).ToArray())]);
    }

    private static void Add(Dictionary<string, string> row, List<string> columns, string above, JsonElement item)
    {
        foreach (var member in item.EnumerateObject())
        {
            string name = above + member.Name;
            if (member.Value.ValueKind == JsonValueKind.Object)
            {
                Add(row, columns, name + ".", member.Value);
                continue;
            }
            if (!columns.Contains(name))
            {
                columns.Add(name);
            }
            row[name] = member.Value.ValueKind switch { JsonValueKind.Null => "", JsonValueKind.String => member.Value.GetString()!, _ => member.Value.GetRawText() };
        }
    }

    /// <summary>The table in a form that is one.</summary>
    public byte[] Write(ResultForm form)
    {
        var text = new StringBuilder();
        if (_columns.Count > 0)
        {
            Line(_columns);
        }
        if (form == ResultForm.Markdown && _columns.Count > 0)
        {
            Line([.. _columns.Select(_ => "---")]);
        }
        foreach (string[] row in _rows)
        {
            Line(row);
        }
        return Encoding.UTF8.GetBytes(text.ToString());

        void Line(IReadOnlyList<string> cells) => text.Append(
            form == ResultForm.Csv ? string.Join(',', cells.Select(Quoted)) : $"| {string.Join(" | ", cells.Select(c => c.Replace("|", "\\|", StringComparison.Ordinal).ReplaceLineEndings(" ")))} |").Append('\n');
    }

    private static string Quoted(string cell) => cell.AsSpan().ContainsAny(",\"\r\n") ? $"\"{cell.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : cell;
}
