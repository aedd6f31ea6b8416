namespace NativeEngine.Cli.Manual;

/// <summary>The command table as Markdown: docs/command-line.md.</summary>
internal static class MarkdownPage
{
    public static void Write(TextWriter writer, CommandTable table)
    {
        writer.WriteLine("# The command line");
        writer.WriteLine();
        writer.WriteLine("<!-- Made by: nengine man --as markdown. A test compares. -->");
        writer.WriteLine();
        writer.WriteLine("stdout is the result, stderr is the talk. `nengine VERB --help` shows the same for one verb; `nengine man` writes a manual page,");
        writer.WriteLine("`nengine completions bash`, `zsh` or `fish` what the shell needs to complete verbs, options and their values.");
        writer.WriteLine();
        writer.WriteLine("Exit codes: " + string.Join(" · ", CommandTable.ExitCodes.Select(code => $"{code.Code} {code.Meaning}")) + ".");
        Section(writer, "Options of every verb", table.Common);
        foreach (var command in table.Root.All.Where(c => c.Path.Contains(' ', StringComparison.Ordinal)))
        {
            Write(writer, command);
        }
    }

    private static void Write(TextWriter writer, CommandEntry command)
    {
        writer.WriteLine();
        writer.WriteLine($"## {command.Path[(command.Path.IndexOf(' ', StringComparison.Ordinal) + 1)..]}");
        writer.WriteLine();
        writer.WriteLine(command.Description);
        if (command.Example is null)
        {
            writer.WriteLine("Verbs: " + string.Join(", ", command.Verbs.Select(verb => $"`{verb.Name}`")) + ".");
            return;
        }
        writer.WriteLine();
        writer.WriteLine("```");
        writer.WriteLine(command.Usage);
        writer.WriteLine(command.Example);
        writer.WriteLine("```");
        var rows = command.Arguments.Count > 0 ? command.Groups.Prepend(("arguments", command.Arguments)) : command.Groups;
        if (!rows.Any(group => group.Item2.Count > 0))
        {
            return;
        }
        writer.WriteLine();
        writer.WriteLine("| | | default |");
        writer.WriteLine("|---|---|---|");
        foreach (var (title, options) in rows)
        {
            writer.WriteLine($"| **{title}** | | |");
            Rows(writer, options);
        }
    }

    private static void Section(TextWriter writer, string title, IEnumerable<OptionEntry> options)
    {
        writer.WriteLine();
        writer.WriteLine("## " + title);
        writer.WriteLine();
        writer.WriteLine("| | | default |");
        writer.WriteLine("|---|---|---|");
        Rows(writer, options);
    }

    private static void Rows(TextWriter writer, IEnumerable<OptionEntry> options)
    {
        foreach (var option in options)
        {
            string otherwise = option.Required ? "required" : option.Default is { } text ? $"`{Cell(text)}`" : "";
            writer.WriteLine($"| `{Cell(option.Usage)}` | {Cell(option.Description)} | {otherwise} |");
        }
    }

    // A bar ends a cell, in code too; an angle bracket may begin a tag.
    private static string Cell(string text) => text.Replace("|", "\\|", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal);
}
