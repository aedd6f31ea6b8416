namespace NativeEngine.Data;

/// <summary>What to do with a line that is no usable example.</summary>
public enum BadLinePolicy
{
    /// <summary>The first bad line is an error that names file, line and reason.</summary>
    Fail,
    /// <summary>Bad lines are left out, counted, and the first reasons are kept.</summary>
    Skip,
}

/// <summary>The field names of a JSONL file and what happens to bad lines.</summary>
public sealed record JsonlOptions
{
    /// <summary>The field with the prompt.</summary>
    public string PromptField { get; init; } = "prompt";

    /// <summary>The field with the completion.</summary>
    public string CompletionField { get; init; } = "completion";

    /// <summary>The field with a plain text.</summary>
    public string TextField { get; init; } = "text";

    /// <summary>The field with the choices of a multiple-choice question; null where lines are texts.</summary>
    public string? ChoicesField { get; init; }

    /// <summary>The field with the right choice: its number from 0, its text, or its letter.</summary>
    public string AnswerField { get; init; } = "answer";

    /// <summary>The field with the name of the source.</summary>
    public string SourceField { get; init; } = "source";

    /// <summary>The field with a name of the example's own, which then every line must have; null where it is not read.</summary>
    public string? IdField { get; init; }

    /// <summary>What a bad line leads to.</summary>
    public BadLinePolicy OnBadLine { get; init; } = BadLinePolicy.Fail;

    /// <summary>Whether examples keep their line, for programs that pass lines on with all their fields.</summary>
    public bool KeepLines { get; init; }

    /// <summary>Only so many examples from the beginning; null: all.</summary>
    public int? Limit { get; init; }

    /// <summary>How many bad lines keep their reason.</summary>
    public int ReasonsKept { get; init; } = 10;
}

/// <summary>A line that is no usable example.</summary>
/// <param name="Line">The 1-based line number.</param>
/// <param name="Reason">Why.</param>
public readonly record struct BadLine(long Line, string Reason);
