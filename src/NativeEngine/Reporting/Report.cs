using System.Text;
using System.Text.Json;
using NativeEngine.Formats;

namespace NativeEngine.Reporting;

/// <summary>One figure of merit at the head of a report.</summary>
/// <param name="Label">What it is.</param>
/// <param name="Text">As it is shown.</param>
/// <param name="Value">The number, for the JSON; NaN for words.</param>
public sealed record ReportFact(string Label, string Text, double Value = double.NaN);

/// <summary>A question of a report's reader, the answer in a sentence, and what shows it.</summary>
/// <param name="Question">The heading.</param>
/// <param name="Answer">The answer, with numbers.</param>
public sealed record ReportSection(string Question, string Answer)
{
    /// <summary>What shows it.</summary>
    public IReadOnlyList<Figure> Figures { get; init; } = [];

    /// <summary>What lists it.</summary>
    public IReadOnlyList<DataTable> Tables { get; init; } = [];
}

/// <summary>
/// What a run found out, for a person: facts, then questions with their answers and figures. It is written as one HTML page that needs nothing else,
/// the same numbers as JSON, and every figure as a file of its own with its data as CSV.
/// </summary>
public sealed record Report
{
    /// <summary>Of what: select, train, eval, merge, profile, ablate, quickstart.</summary>
    public required string Kind { get; init; }

    /// <summary>The page's heading.</summary>
    public required string Title { get; init; }

    /// <summary>The sentence below it.</summary>
    public string Subtitle { get; init; } = "";

    /// <summary>The figures of merit.</summary>
    public IReadOnlyList<ReportFact> Facts { get; init; } = [];

    /// <summary>The questions.</summary>
    public required IReadOnlyList<ReportSection> Sections { get; init; }

    /// <summary>How it came about: the command line, versions, inputs; shown at the end.</summary>
    public IReadOnlyList<(string Label, string Text)> Origin { get; init; } = [];

    /// <summary>All figures.</summary>
    public IEnumerable<Figure> Figures => Sections.SelectMany(s => s.Figures);

    /// <summary>All tables, those behind the figures included.</summary>
    public IEnumerable<DataTable> Data => Sections.SelectMany(s => s.Figures.Select(f => f.Data).Concat(s.Tables));

    /// <summary>Writes the members of the report's JSON object.</summary>
    public void Write(Utf8JsonWriter json)
    {
        json.WriteNumber("schema", 1);
        json.WriteString("report", Kind);
        json.WriteString("title", Title);
        json.WriteString("subtitle", Subtitle);
        json.WriteStartObject("facts");
        foreach (var fact in Facts)
        {
            if (double.IsFinite(fact.Value))
            {
                json.WriteNumber(fact.Label, fact.Value);
            }
            else
            {
                json.WriteString(fact.Label, fact.Text);
            }
        }
        json.WriteEndObject();
        json.Objects("sections", Sections, section =>
        {
            json.WriteString("question", section.Question);
            json.WriteString("answer", section.Answer);
            json.WriteStartArray("data");
            foreach (var table in section.Figures.Select(f => f.Data).Concat(section.Tables))
            {
                table.Write(json);
            }
            json.WriteEndArray();
        });
        json.Strings("origin", Origin);
    }

    /// <summary>The report's JSON document.</summary>
    public string ToJson() => Encoding.UTF8.GetString(JsonWriting.Document(Write, indented: false));
}
