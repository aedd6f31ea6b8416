using System.Text.Json;

namespace NativeEngine.Data;

/// <summary>
/// A line with a multiple-choice question: <c>{"prompt":…,"choices":[…,…],"answer":…}</c>. The answer is the number of the right choice from 0,
/// the choice itself, or, when no choice is that text, its letter (A for the first).
/// </summary>
internal static class ChoiceLine
{
    /// <summary>More choices than that are taken for a mistake.</summary>
    public const int MostChoices = 1000;

    /// <summary>The question, or what is wrong with the line.</summary>
    public static string? Read(JsonElement root, JsonlOptions options, string source, long line, out Example? question)
    {
        question = null;
        string field = options.ChoicesField!;
        if (!root.TryGetProperty(options.PromptField, out var prompt) || prompt.ValueKind != JsonValueKind.String)
        {
            return $"it has no text \"{options.PromptField}\"";
        }
        if (!root.TryGetProperty(field, out var list) || list.ValueKind != JsonValueKind.Array)
        {
            return $"it has no array \"{field}\"";
        }
        var choices = new List<string>();
        foreach (var item in list.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.String || item.GetString()!.Length == 0)
            {
                return $"\"{field}\" must be texts that are not empty; number {choices.Count} is not";
            }
            choices.Add(item.GetString()!);
        }
        if (choices.Count is < 2 or > MostChoices)
        {
            return $"\"{field}\" has {choices.Count} entries, expected 2 to {MostChoices}";
        }
        if (choices.Distinct(StringComparer.Ordinal).Count() < choices.Count)
        {
            return $"\"{field}\" has the same text twice";
        }
        if (!root.TryGetProperty(options.AnswerField, out var answer) || Index(answer, choices) is not { } index)
        {
            return $"\"{options.AnswerField}\" must be a number from 0 to {choices.Count - 1}, one of the choices, or its letter"
                + (answer.ValueKind == JsonValueKind.Undefined ? "; it is missing" : $"; it is {answer.GetRawText()}");
        }
        question = Example.FromChoices(source, prompt.GetString()!, choices, index, line);
        return null;
    }

    private static int? Index(JsonElement answer, List<string> choices)
    {
        int index = -1;
        if (answer.ValueKind == JsonValueKind.Number)
        {
            index = answer.TryGetInt32(out int number) ? number : -1;
        }
        else if (answer.ValueKind == JsonValueKind.String)
        {
            string text = answer.GetString()!;
            index = choices.IndexOf(text);
            index = index < 0 && text is [>= 'A' and <= 'Z' and var letter] ? letter - 'A' : index;
        }
        return index >= 0 && index < choices.Count ? index : null;
    }
}
