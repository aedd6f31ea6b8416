using System.CommandLine;
using System.Globalization;
using System.Text.RegularExpressions;
using NativeEngine.Model;

namespace NativeEngine.Cli.Manual;

/// <summary>What an option or argument takes, read from the name of its value.</summary>
/// <param name="Words">Fixed words: <c>cosine</c> and <c>linear</c> of <c>cosine|linear</c>, the presets of <c>preset:NAME</c>.</param>
/// <param name="File">Whether a file may stand there: <c>D.jsonl</c>, <c>PATH</c>.</param>
/// <param name="Folder">Whether a folder may: <c>DIR</c>, <c>PATH</c>.</param>
internal sealed record ValueKind(IReadOnlyList<string> Words, bool File, bool Folder);

/// <summary>One option or positional argument.</summary>
/// <param name="Names">Its names, the long one first.</param>
/// <param name="Value">The name of its value, empty for a switch.</param>
/// <param name="Description">One sentence or a few.</param>
/// <param name="Required">Whether it must be given.</param>
/// <param name="Default">Its value when it is not given, or null.</param>
/// <param name="Kind">What it takes.</param>
internal sealed record OptionEntry(IReadOnlyList<string> Names, string Value, string Description, bool Required, string? Default, ValueKind Kind)
{
    /// <summary>The long name.</summary>
    public string Name => Names[0];

    /// <summary>Whether it can stand without a value: then what follows it is as likely the next option.</summary>
    public bool IsSwitch => Value.Length == 0 || Value[0] == '[';

    /// <summary>"--lr RATE", "--help, -h", and "DIR" of an argument, whose value is its name.</summary>
    public string Usage => string.Join(", ", Names) + (Value.Length == 0 || Value == Name ? "" : " " + Value);
}

/// <summary>One command: the program, a group of verbs, or a verb.</summary>
/// <param name="Path">Its words, the program's name first: "nengine data synth".</param>
/// <param name="Description">What it does.</param>
/// <param name="Usage">The line that shows its shape.</param>
/// <param name="Arguments">Positional arguments in order.</param>
/// <param name="Groups">Its own options under their headings.</param>
/// <param name="Verbs">The commands below it.</param>
/// <param name="Example">A line to copy, or null for a group.</param>
internal sealed record CommandEntry(
    string Path, string Description, string Usage, IReadOnlyList<OptionEntry> Arguments, IReadOnlyList<(string Title, IReadOnlyList<OptionEntry> Options)> Groups,
    IReadOnlyList<CommandEntry> Verbs, string? Example)
{
    /// <summary>The last word of the path.</summary>
    public string Name => Path[(Path.LastIndexOf(' ') + 1)..];

    /// <summary>Its own options in order.</summary>
    public IEnumerable<OptionEntry> Options => Groups.SelectMany(g => g.Options);

    /// <summary>This command and all below it, in the order of the help.</summary>
    public IEnumerable<CommandEntry> All => Verbs.SelectMany(v => v.All).Prepend(this);
}

/// <summary>
/// The command tree as data, from the options themselves: what --help, the shell completions, the manual page and docs/command-line.md are made of, so none can
/// say what the parser does not take.
/// </summary>
internal sealed partial class CommandTable
{
    /// <summary>The exit codes in one line each.</summary>
    public static IReadOnlyList<(int Code, string Meaning)> ExitCodes { get; } =
    [
        (0, "ok"), (2, "usage"), (3, "bad input"), (4, "will not fit (memory, disk)"), (5, "device unavailable or lost"), (6, "numerical failure"),
        (7, "verification failed"), (75, "stopped by a signal or --max-seconds, resumable"), (130, "Ctrl-C with nothing to resume"),
    ];

    private CommandTable(CommandEntry root, IReadOnlyList<OptionEntry> common) => (Root, Common) = (root, common);

    /// <summary>The program.</summary>
    public CommandEntry Root { get; }

    /// <summary>The options of every verb.</summary>
    public IReadOnlyList<OptionEntry> Common { get; }

    /// <summary>The table of a command tree.</summary>
    public static CommandTable Of(Command root, CommonOptions common) => new(Entry(root), [.. common.All.Select(Entry)]);

    /// <summary>The entry of one command of a tree.</summary>
    public static CommandEntry Entry(Command command)
    {
        string path = string.Join(' ', Words(command).Reverse());
        OptionEntry[] arguments = [.. command.Arguments.Select(Entry)];
        string shape = string.Concat(command.Arguments.Zip(arguments, (argument, entry) =>
            (entry.Value + (argument.Arity.MaximumNumberOfValues > 1 ? "..." : "")) is var value && entry.Required ? $" {value}" : $" [{value}]"));
        return new CommandEntry(
            path, command.Description ?? "", $"{path}{shape}{(command.Subcommands.Count > 0 ? " VERB" : "")} [options]", arguments,
            [.. ((command as Verb)?.Groups ?? []).Select(group => (group.Title, (IReadOnlyList<OptionEntry>)[.. group.Options.Where(option => !option.Hidden).Select(Entry)]))],
            [.. command.Subcommands.Select(Entry)], (command as Verb)?.Example);
    }

    private static OptionEntry Entry(Option option)
    {
        string value = option.ValueType == typeof(bool) ? "" : option.HelpName ?? "VALUE";
        return new OptionEntry([option.Name, .. option.Aliases], value, option.Description ?? "", option.Required, Default(option), Kind(value));
    }

    private static OptionEntry Entry(Argument argument)
    {
        string name = argument.HelpName ?? argument.Name;
        return new OptionEntry([name], name, argument.Description ?? "", argument.Arity.MinimumNumberOfValues > 0, null, Kind(name));
    }

    private static IEnumerable<string> Words(Command command)
    {
        for (Command? at = command; at is not null; at = at.Parents.OfType<Command>().FirstOrDefault())
        {
            yield return at.Name;
        }
    }

    private static string? Default(Option option) => option.HasDefaultValue && option.ValueType != typeof(bool)
        ? option.GetDefaultValue() switch
        {
            string text => text.Length == 0 ? null : text,
            IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
            _ => null,
        }
        : null;

    // Lower case stands for itself, capitals for something to fill in; with an extension that is a file.
    private static ValueKind Kind(string value)
    {
        string[] kinds = value.Split('|');
        return new ValueKind(
            [.. kinds.SelectMany(kind => kind == "preset:NAME" ? ModelPresets.Names.Select(name => "preset:" + name) : FixedWord().Match(kind) is { Success: true } word ? [word.Groups[1].Value] : [])],
            File: kinds.Any(kind => kind is "PATH" or "FILE" or "RUN" || FileName().IsMatch(kind)),
            Folder: kinds.Any(kind => kind is "PATH" or "DIR" or "OUTDIR" or "RUN" || kind.StartsWith("DIR=", StringComparison.Ordinal)));
    }

    [GeneratedRegex(@"^([a-z][a-z0-9-]*)(\[.*\])?$")]
    private static partial Regex FixedWord();

    [GeneratedRegex(@"^[A-Z]+\.[a-z]+(\[.*\])?$")]
    private static partial Regex FileName();
}
