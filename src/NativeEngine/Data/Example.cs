using System.Globalization;

namespace NativeEngine.Data;

/// <summary>
/// One example of a data mixture: a prompt with its completion, or a plain text. The training text of a prompt with a completion
/// is <c>prompt + "\n" + completion</c>.
/// </summary>
public sealed class Example
{
    private Example(string source, string? prompt, string? completion, string? text)
    {
        Source = source;
        Prompt = prompt;
        Completion = completion;
        PlainText = text;
    }

    /// <summary>The name of the source (the unit of a data mixture).</summary>
    public string Source { get; }

    /// <summary>The prompt, or null for a plain text.</summary>
    public string? Prompt { get; }

    /// <summary>The completion, or null for a plain text.</summary>
    public string? Completion { get; }

    /// <summary>The plain text, or null for a prompt with a completion.</summary>
    public string? PlainText { get; }

    /// <summary>The 1-based line of the file the example was read from; 0 when it was made in memory.</summary>
    public long Line { get; init; }

    /// <summary>The example's own name, where the reader was told its field (<see cref="JsonlOptions.IdField"/>); else null.</summary>
    public string? Id { get; init; }

    /// <summary>The line as it stood in the file, where the reader was asked to keep it (<see cref="JsonlOptions.KeepLines"/>).</summary>
    public ReadOnlyMemory<byte> RawLine { get; init; }

    /// <summary>The possible completions of a multiple-choice question, whose <see cref="Completion"/> is the right one; else none.</summary>
    public IReadOnlyList<string> Choices { get; private init; } = [];

    /// <summary>Which of <see cref="Choices"/> is right, from 0; -1 where there are none.</summary>
    public int Answer { get; private init; } = -1;

    /// <summary>The text a model is trained and evaluated on.</summary>
    public string Text => PlainText ?? string.Concat(Prompt, "\n", Completion);

    /// <summary>Characters (UTF-16) of <see cref="Text"/> before the completion; 0 for a plain text, which is all completion.</summary>
    public int CompletionStart => Prompt is null ? 0 : Prompt.Length + 1;

    /// <summary>A prompt with its completion.</summary>
    public static Example FromPrompt(string source, string prompt, string completion, long line = 0) =>
        new(source, prompt, completion, null) { Line = line };

    /// <summary>A plain text.</summary>
    public static Example FromText(string source, string text, long line = 0) => new(source, null, null, text) { Line = line };

    /// <summary>A multiple-choice question.</summary>
    public static Example FromChoices(string source, string prompt, IReadOnlyList<string> choices, int answer, long line = 0) =>
        new(source, prompt, choices[answer], null) { Choices = choices, Answer = answer, Line = line };

    internal Example WithRawLine(ReadOnlyMemory<byte> line) => Copy(Source, line, Id);

    internal Example WithSource(string source) => Copy(source, RawLine, Id);

    internal Example WithId(string id) => Copy(Source, RawLine, id);

    private Example Copy(string source, ReadOnlyMemory<byte> line, string? id) =>
        new(source, Prompt, Completion, PlainText) { Line = Line, RawLine = line, Choices = Choices, Answer = Answer, Id = id };
}

/// <summary>
/// The one order of source names: numerically when every name is an integer (64-bit; equal values such as <c>7</c> and <c>07</c>
/// by ordinal comparison), else by ordinal string comparison. The id of a source is its position in this order.
/// </summary>
public static class SourceOrder
{
    /// <summary>The distinct names in order.</summary>
    public static string[] Sort(IEnumerable<string> names)
    {
        string[] sorted = [.. names.Distinct(StringComparer.Ordinal)];
        var values = new long[sorted.Length];
        for (int i = 0; i < sorted.Length; i++)
        {
            if (!long.TryParse(sorted[i], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out values[i]))
            {
                Array.Sort(sorted, StringComparer.Ordinal);
                return sorted;
            }
        }
        var byValue = new (long Value, string Name)[sorted.Length];
        for (int i = 0; i < sorted.Length; i++)
        {
            byValue[i] = (values[i], sorted[i]);
        }
        Array.Sort(byValue, static (a, b) =>
            a.Value != b.Value ? a.Value.CompareTo(b.Value) : string.CompareOrdinal(a.Name, b.Name));
        return [.. byValue.Select(static p => p.Name)];
    }
}
