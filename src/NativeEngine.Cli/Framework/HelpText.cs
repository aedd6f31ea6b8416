using System.CommandLine;
using System.Globalization;

namespace NativeEngine.Cli;

/// <summary>The help of a command: short, grouped, with defaults and one example to copy.</summary>
internal static class HelpText
{
    private const int Width = 110;
    private const int LeftColumn = 34;

    public static void Write(TextWriter writer, Command command, CommonOptions common)
    {
        string path = Path(command);
        writer.WriteLine($"{path}: {command.Description}");
        writer.WriteLine();
        writer.WriteLine($"usage: {path}{Arguments(command)}{(command.Subcommands.Count > 0 ? " VERB" : "")} [options]");
        Section(writer, "verbs", command.Subcommands.Select(sub => (sub.Name, sub.Description ?? "")));
        Section(writer, "arguments", command.Arguments.Select(argument => (argument.HelpName ?? argument.Name, argument.Description ?? "")));
        foreach (var (title, options) in (command as Verb)?.Groups ?? [])
        {
            Section(writer, title, options.Where(option => !option.Hidden).Select(Row));
        }
        Section(writer, "options of every verb", common.All.Select(Row));
        if (command is Verb verb)
        {
            Section(writer, "example", [(verb.Example, "")]);
        }
        else
        {
            writer.WriteLine();
            writer.WriteLine($"{path} VERB --help tells more; {Root(command)} --version tells the build.");
            writer.WriteLine("exit codes: 0 ok, 2 usage, 3 bad input, 4 will not fit, 5 device unavailable, 6 numerical failure,");
            writer.WriteLine("            7 verification failed, 75 stopped by a signal and resumable, 130 Ctrl-C with nothing to resume");
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

    private static (string Left, string Right) Row(Option option)
    {
        string aliases = string.Concat(option.Aliases.Select(alias => ", " + alias));
        string value = option.ValueType == typeof(bool) ? "" : " " + (option.HelpName ?? "VALUE");
        string note = option.Required ? " (required)" : Default(option) is { } text ? $" [{text}]" : "";
        return (option.Name + aliases + value, option.Description + note);
    }

    private static string? Default(Option option) => option.HasDefaultValue && option.ValueType != typeof(bool)
        ? option.GetDefaultValue() switch
        {
            string text => text.Length == 0 ? null : text,
            IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
            _ => null,
        }
        : null;

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

    private static string Arguments(Command command) => string.Concat(command.Arguments.Select(argument =>
    {
        string name = argument.HelpName ?? argument.Name;
        string many = argument.Arity.MaximumNumberOfValues > 1 ? "..." : "";
        return argument.Arity.MinimumNumberOfValues == 0 ? $" [{name}{many}]" : $" {name}{many}";
    }));

    private static string Path(Command command) => command.Parents.OfType<Command>().FirstOrDefault() is { } parent ? $"{Path(parent)} {command.Name}" : command.Name;

    private static string Root(Command command) => Path(command).Split(' ')[0];
}
