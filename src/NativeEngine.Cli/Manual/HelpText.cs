using System.CommandLine;

namespace NativeEngine.Cli.Manual;

/// <summary>The help of a command: short, grouped, with defaults and one example to copy.</summary>
internal static class HelpText
{
    private const int Width = 110;
    private const int LeftColumn = 34;

    public static void Write(TextWriter writer, Command command, CommonOptions common)
    {
        var entry = CommandTable.Entry(command);
        writer.WriteLine($"{entry.Path}: {entry.Description}");
        writer.WriteLine();
        writer.WriteLine($"usage: {entry.Usage}");
        Section(writer, "verbs", entry.Verbs.Select(verb => (verb.Name, verb.Description)));
        Section(writer, "arguments", entry.Arguments.Select(argument => (argument.Name, argument.Description)));
        foreach (var (title, options) in entry.Groups)
        {
            Section(writer, title, options.Select(Row));
        }
        Section(writer, "options of every verb", CommandTable.Of(command, common).Common.Select(Row));
        if (entry.Example is { } example)
        {
            Section(writer, "example", [(example, "")]);
            return;
        }
        writer.WriteLine();
        writer.WriteLine($"{entry.Path} VERB --help tells more; {entry.Path.Split(' ')[0]} --version tells the build.");
        writer.WriteLine();
        foreach (string line in Wrap("exit codes: " + string.Join(", ", CommandTable.ExitCodes.Select(code => $"{code.Code} {code.Meaning}")), Width))
        {
            writer.WriteLine(line);
        }
    }

    private static void Section(TextWriter writer, string title, IEnumerable<(string Left, string Right)> rows)
    {
        var list = rows.ToList();
        if (list.Count == 0)
        {
            return;
        }
        writer.WriteLine();
        writer.WriteLine(title + ":");
        foreach (var (left, right) in list)
        {
            writer.Write("  " + left);
            int column = left.Length + 2;
            foreach (string line in Wrap(right, Width - LeftColumn))
            {
                if (column >= LeftColumn)
                {
                    writer.WriteLine();
                    column = 0;
                }
                writer.Write(new string(' ', LeftColumn - column) + line);
                column = LeftColumn;
            }
            writer.WriteLine();
        }
    }

    private static (string Left, string Right) Row(OptionEntry option) =>
        (option.Usage, option.Description + (option.Required ? " (required)" : option.Default is { } text ? $" [{text}]" : ""));

    private static IEnumerable<string> Wrap(string text, int width)
    {
        string line = "";
        foreach (string word in text.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.Length > 0 && line.Length + 1 + word.Length > width)
            {
                yield return line;
                line = "";
            }
            line += line.Length == 0 ? word : " " + word;
        }
        if (line.Length > 0)
        {
            yield return line;
        }
    }
}
