using System.CommandLine;

namespace NativeEngine.Cli;

/// <summary>
/// From arguments to a checked parse: the line is read once to find the verb, --config and --set; what they give and the line does
/// not is added to the line, and the whole is read again. So every value, wherever it comes from, is parsed and checked the same way.
/// </summary>
/// <param name="root">The verbs, at least the one of the line.</param>
/// <param name="common">The options of all of them.</param>
/// <param name="everything">Makes all verbs, for messages.</param>
internal sealed class CommandLineReader(Command root, CommonOptions common, Func<Command>? everything = null)
{
    private static readonly ParserConfiguration _parser = new() { EnablePosixBundling = false, ResponseFileTokenReplacer = null };

    /// <summary>Parses without judging: for --help and --version, which work beside any mistake but a misspelt verb.</summary>
    public ParseResult Parse(IReadOnlyList<string> args) => root.Parse(args, _parser);

    /// <summary>Parses with configuration applied; throws a usage error for the first thing that is wrong.</summary>
    public ParseResult Read(IReadOnlyList<string> args)
    {
        var line = Parse(args);
        var mistake = new LineMistake(line, args, everything);
        if ((mistake.Unmatched() ?? mistake.Swallowed()) is { } misread)
        {
            throw misread;
        }
        if (line.CommandResult.Command is not Verb)
        {
            throw MissingVerb(line.CommandResult.Command);
        }
        var settings = Settings(line);
        var whole = settings.Count == 0 ? line : Parse(Extend(args, settings));
        if (whole.Errors.Count > 0)
        {
            throw new LineMistake(whole, args).Refused(
                whole.Errors[0], option => settings.FirstOrDefault(setting => setting.Option == option)?.Origin is { } place ? $"{place}: " : "");
        }
        if (whole.GetValue(common.Quiet) && whole.GetValue(common.Verbose))
        {
            throw new EngineException(ErrorKind.Usage, "--quiet and --verbose exclude each other", "leave one of them out");
        }
        return whole;
    }

    /// <summary>Throws for a word that stands where a verb should and is none.</summary>
    public static void RequireVerb(ParseResult line, IReadOnlyList<string> args)
    {
        if (line.CommandResult.Command.Subcommands.Count > 0 && line.UnmatchedTokens is [var word, ..] && !word.StartsWith('-'))
        {
            throw new LineMistake(line, args).Unmatched()!;
        }
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

    private static EngineException MissingVerb(Command command) => new(
        ErrorKind.Usage,
        $"{Path(command)} needs a verb: {string.Join(", ", command.Subcommands.Select(sub => sub.Name))}",
        $"{Path(command)} --help");

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
