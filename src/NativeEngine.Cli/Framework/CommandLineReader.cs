using System.CommandLine;
using System.CommandLine.Parsing;

namespace NativeEngine.Cli;

/// <summary>
/// From arguments to a checked parse: the line is read once to find the verb, --config and --set; what they give and the line does
/// not is added to the line, and the whole is read again. So every value, wherever it comes from, is parsed and checked the same way.
/// </summary>
internal sealed class CommandLineReader(Command root, CommonOptions common)
{
    private static readonly ParserConfiguration _parser = new() { EnablePosixBundling = false, ResponseFileTokenReplacer = null };

    /// <summary>Parses without judging: for --help and --version, which work beside any mistake.</summary>
    public ParseResult Parse(IReadOnlyList<string> args) => root.Parse(args, _parser);

    /// <summary>Parses with configuration applied; throws a usage error for the first thing that is wrong.</summary>
    public ParseResult Read(IReadOnlyList<string> args)
    {
        var line = Parse(args);
        ThrowIfUnmatched(line, args);
        if (line.CommandResult.Command is not Verb)
        {
            throw MissingVerb(line.CommandResult.Command);
        }
        var settings = Settings(line);
        var whole = settings.Count == 0 ? line : Parse(Extend(args, settings));
        if (whole.Errors.Count > 0)
        {
            throw Mistake(whole, whole.Errors[0], settings);
        }
        if (whole.GetValue(common.Quiet) && whole.GetValue(common.Verbose))
        {
            throw new EngineException(ErrorKind.Usage, "--quiet and --verbose exclude each other", "leave one of them out");
        }
        return whole;
    }

    private List<Setting> Settings(ParseResult line)
    {
        var config = new ConfigFile(root, ConfigFile.Chain(line), common);
        var byOption = new Dictionary<Option, Setting>();
        if (line.GetResult(common.Config) is { Tokens: [var file, ..] })
        {
            foreach (var setting in config.Read(file.Value))
            {
                byOption[setting.Option] = setting;
            }
        }
        foreach (var token in line.GetResult(common.Set)?.Tokens ?? [])
        {
            var setting = config.Parse(token.Value);
            byOption[setting.Option] = setting;
        }
        return [.. byOption.Values.Where(setting => line.GetResult(setting.Option) is not { Implicit: false })];
    }

    private static List<string> Extend(IReadOnlyList<string> args, List<Setting> settings)
    {
        int end = args.ToList().IndexOf("--");
        var extended = new List<string>(end < 0 ? args : args.Take(end));
        extended.AddRange(settings.SelectMany(setting => setting.Values.Select(value => $"{setting.Option.Name}={value}")));
        extended.AddRange(end < 0 ? [] : args.Skip(end));
        return extended;
    }

    private static void ThrowIfUnmatched(ParseResult line, IReadOnlyList<string> args)
    {
        var command = line.CommandResult.Command;
        // To the parser a misspelt option is an argument like any other where the verb takes arguments.
        var options = args.TakeWhile(word => word != "--").Where(word => word.StartsWith("--", StringComparison.Ordinal));
        var misspelt = line.CommandResult.Children.OfType<ArgumentResult>().SelectMany(result => result.Tokens).Select(token => token.Value).Intersect(options);
        List<string> unmatched = [.. misspelt, .. line.UnmatchedTokens];
        if (unmatched.Count == 0)
        {
            return;
        }
        string word = unmatched.FirstOrDefault(token => token.StartsWith("--", StringComparison.Ordinal)) ?? unmatched[0];
        if (command.Subcommands.Count > 0 && !unmatched[0].StartsWith('-'))
        {
            string verb = unmatched[0];
            var names = command.Subcommands.Select(sub => sub.Name);
            throw new EngineException(ErrorKind.Usage, $"unknown verb '{verb}' for {Path(command)}",
                Suggestion.Nearest(verb, names) is { } near ? $"did you mean '{near}'?" : $"the verbs are {string.Join(", ", names)}");
        }
        if (!word.StartsWith('-'))
        {
            throw new EngineException(ErrorKind.Usage, $"{Path(command)} does not take the argument '{word}'", $"{Path(command)} --help");
        }
        string name = word.Split('=', ':')[0];
        var known = command.Options.Concat(line.RootCommandResult.Command.Options).Select(option => option.Name);
        throw new EngineException(ErrorKind.Usage, $"unknown option '{name}' for {Path(command)}",
            Suggestion.Nearest(name, known) is { } option ? $"did you mean '{option}'?" : $"{Path(command)} --help");
    }

    private static EngineException MissingVerb(Command command) => new(
        ErrorKind.Usage,
        $"{Path(command)} needs a verb: {string.Join(", ", command.Subcommands.Select(sub => sub.Name))}",
        $"{Path(command)} --help");

    private static EngineException Mistake(ParseResult parse, ParseError error, List<Setting> settings)
    {
        var option = error.SymbolResult as OptionResult ?? error.SymbolResult?.Parent as OptionResult;
        string origin = settings.FirstOrDefault(setting => setting.Option == option?.Option)?.Origin is { } place ? $"{place}: " : "";
        var command = parse.CommandResult.Command;
        // The parser names only the missing option.
        var missing = command.Options.FirstOrDefault(o => o.Required && parse.GetResult(o) is null or { Implicit: true } && error.Message.Contains($"'{o.Name}'", StringComparison.Ordinal));
        return missing is not null && command is Verb verb
            ? new EngineException(ErrorKind.Usage, $"{Path(command)} needs {missing.Name} {missing.HelpName}: {missing.Description}", verb.Example)
            : new EngineException(ErrorKind.Usage, origin + error.Message.TrimEnd('.'), $"{Path(command)} --help");
    }

    /// <summary>"nengine ablate train".</summary>
    public static string Path(Command command)
    {
        var names = new List<string>();
        for (Command? at = command; at is not null; at = at.Parents.OfType<Command>().FirstOrDefault())
        {
            names.Insert(0, at.Name);
        }
        return string.Join(' ', names);
    }
}
