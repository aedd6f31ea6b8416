using System.CommandLine;
using System.CommandLine.Parsing;

namespace NativeEngine.Cli;

/// <summary>What is wrong with a line that does not parse: one sentence with its values, and what to type in its place.</summary>
/// <param name="parse">The line as the parser took it.</param>
/// <param name="args">The line as it was given.</param>
/// <param name="whole">Makes the tree of all verbs, to tell which of them has an option; null: that is not told.</param>
internal sealed class LineMistake(ParseResult parse, IReadOnlyList<string> args, Func<Command>? whole = null)
{
    // What others call our options.
    private static readonly Dictionary<string, string> _elsewhere = new(StringComparer.Ordinal)
    {
        ["batch-size"] = "batch",
        ["checkpoint-steps"] = "checkpoint-every",
        ["cuda"] = "device",
        ["dataset"] = "data",
        ["epochs"] = "steps",
        ["eval-steps"] = "eval-every",
        ["gpu"] = "device",
        ["learning-rate"] = "lr",
        ["max-length"] = "seq-len",
        ["max-new-tokens"] = "max-tokens",
        ["max-steps"] = "steps",
        ["max-time"] = "max-seconds",
        ["memory"] = "max-memory",
        ["model-name-or-path"] = "model",
        ["n-samples"] = "limit",
        ["num-epochs"] = "steps",
        ["num-steps"] = "steps",
        ["num-threads"] = "threads",
        ["num-workers"] = "threads",
        ["out"] = "output",
        ["out-dir"] = "output",
        ["output-dir"] = "output",
        ["random-seed"] = "seed",
        ["save-every"] = "checkpoint-every",
        ["save-steps"] = "checkpoint-every",
        ["train-data"] = "data",
        ["train-file"] = "data",
        ["valid-data"] = "eval-data",
        ["validation-file"] = "eval-data",
        ["warmup-ratio"] = "warmup",
        ["workers"] = "threads",
    };

    private readonly Command _command = parse.CommandResult.Command;
    private readonly string _path = CommandLineReader.Path(parse.CommandResult.Command);

    /// <summary>The known name that was meant: a near one, or what another program's word for it is here.</summary>
    /// <param name="name">Without dashes; <c>_</c> counts as <c>-</c>.</param>
    /// <param name="known">Without dashes.</param>
    public static string? Meant(string name, IReadOnlyCollection<string> known)
    {
        string dashed = name.Replace('_', '-');
        return known.Contains(dashed) ? dashed : _elsewhere.TryGetValue(dashed.ToLowerInvariant(), out string? ours) && known.Contains(ours) ? ours : Suggestion.Nearest(dashed, known);
    }

    /// <summary>The words that the parser could not place; null when it placed all.</summary>
    public EngineException? Unmatched()
    {
        string[] words = [.. args.TakeWhile(word => word != "--")];
        // To the parser a misspelt option is an argument like any other where the verb takes arguments.
        var misspelt = parse.CommandResult.Children.OfType<ArgumentResult>().SelectMany(result => result.Tokens).Select(token => token.Value)
            .Intersect(words.Where(word => word.StartsWith("--", StringComparison.Ordinal) || LongDash(word)));
        List<string> unmatched = [.. misspelt, .. parse.UnmatchedTokens];
        if (unmatched.Count == 0)
        {
            return null;
        }
        if (_command.Subcommands.Count > 0 && !unmatched[0].StartsWith('-'))
        {
            return UnknownVerb(unmatched[0]);
        }
        string word = unmatched.FirstOrDefault(token => token.StartsWith("--", StringComparison.Ordinal)) ?? unmatched[0];
        return !word.StartsWith('-') ? UnknownArgument(word)
            : !words.Contains(word) && args.Contains(word) ? Usage($"after -- nothing is an option, and {_path} does not take the argument '{word}'", "leave -- out")
            : UnknownOption(word.Split('=', ':')[0], word);
    }

    /// <summary>An option whose value is the next option, to which the parser does not object; null when there is none.</summary>
    public EngineException? Swallowed() =>
        Options.FirstOrDefault(o => parse.GetResult(o) is { Implicit: false } result && result.Tokens.Any(token => args.Contains(token.Value) && Options.Any(other => other.Name == token.Value))) is { } bare
            ? Usage($"{bare.Name} needs a value, {bare.HelpName}: {bare.Description}", Valued(bare))
            : null;

    /// <summary>The first thing that the parser itself objects to; <paramref name="origin"/> of a value is "run.yaml:3: " where it is not on the line.</summary>
    public EngineException Refused(ParseError error, Func<Option, string> origin)
    {
        var option = error.SymbolResult as OptionResult ?? error.SymbolResult?.Parent as OptionResult;
        // The parser names only what is missing.
        if (_command.Options.FirstOrDefault(o => o.Required && parse.GetResult(o) is null or { Implicit: true } && error.Message.Contains($"'{o.Name}'", StringComparison.Ordinal)) is { } missing)
        {
            return Usage($"{_path} needs {missing.Name} {missing.HelpName}: {missing.Description}", Example);
        }
        if (_command.Arguments.FirstOrDefault(a => parse.GetResult(a) is null or { Tokens.Count: 0 } && error.Message.Contains($"'{a.Name}'", StringComparison.Ordinal)) is { } absent)
        {
            return Usage($"{_path} needs {absent.Name}: {absent.Description}", Example);
        }
        return option switch
        {
            { Tokens.Count: 0, Option: var bare } => Usage($"{origin(bare)}{bare.Name} needs a value, {bare.HelpName}: {bare.Description}", Valued(bare)),
            { Tokens: [_, _, ..] many, Option: { Arity.MaximumNumberOfValues: 1 } once } =>
                Usage($"{once.Name} is given {many.Count} times: {string.Join(", ", many.Select(token => token.Value))}", $"give it once: {once.Name} {many[^1].Value}"),
            { Option: var wrong } => Usage(origin(wrong) + error.Message.TrimEnd('.'), $"{_path} --help"),
            _ => Usage(error.Message.TrimEnd('.'), Example),
        };
    }

    private string Example => (_command as Verb)?.Example ?? $"{_path} --help";

    private EngineException UnknownVerb(string word)
    {
        var names = _command.Subcommands.Select(sub => sub.Name);
        return Usage($"unknown verb '{word}' for {_path}",
            word == "help" ? $"{_path} --help"
            : word == "version" ? "nengine --version"
            : Suggestion.Nearest(word, names) is { } near ? $"did you mean '{near}'?"
            : Path.Exists(word) && _command.Subcommands.OfType<Verb>().FirstOrDefault() is { Arguments.Count: > 0 } first ? $"a verb comes first, as in {first.Example}"
            : $"the verbs are {string.Join(", ", names)}");
    }

    private EngineException UnknownArgument(string word)
    {
        string sentence = $"{_path} does not take the argument '{word}'";
        if (LongDash(word))
        {
            return Usage($"'{word}' begins with a long dash, as text processors make them", $"write --{word.TrimStart('-', '–', '—')} with two hyphens");
        }
        int at = args.ToList().FindIndex(arg => arg == word || arg.EndsWith("=" + word, StringComparison.Ordinal));
        string before = at < 0 ? "" : args[at] != word ? args[at].Split('=')[0] : at > 0 ? args[at - 1] : "";
        string earlier = at > 1 ? args[at - 2] : "";
        if (Options.FirstOrDefault(option => option.ValueType == typeof(bool) && option.Name == before) is { } flag)
        {
            return Usage($"{flag.Name} takes no value, got '{word}'", $"leave '{word}' out");
        }
        return Usage(sentence,
            word == "help" ? $"{_path} --help"
            : earlier == "--set" && !before.Contains('=', StringComparison.Ordinal) ? $"--set {before}={word}"
            : word == "%" ? $"{earlier} {before}%"
            : Free("--model") && (Directory.Exists(word) || word.StartsWith("preset:", StringComparison.Ordinal)) ? $"--model {word}"
            : Free("--data") && File.Exists(word) ? $"--data {word}"
            : Example);
    }

    private EngineException UnknownOption(string name, string word)
    {
        string sentence = $"unknown option '{name}' for {_path}";
        if (name is "--version" or "-V")
        {
            return Usage(sentence, "nengine --version");
        }
        if (Options.SelectMany(option => option.Aliases).FirstOrDefault(alias => alias.Length == 2 && word.StartsWith(alias, StringComparison.Ordinal) && word.Length > 2 && char.IsAsciiDigit(word[2])) is { } glued)
        {
            return Usage(sentence, $"write a space between: {glued} {word[2..]}");
        }
        if (Meant(name.TrimStart('-'), [.. Options.Select(option => option.Name.TrimStart('-'))]) is { } near)
        {
            return Usage(sentence, $"did you mean '--{near}'?");
        }
        string[] others = [.. (whole is null ? [] : Below(whole())).Where(verb => verb.Options.Any(option => option.Name == name)).Select(CommandLineReader.Path)];
        return Usage(sentence, others.Length == 0 ? $"{_path} --help" : $"{string.Join(", ", others.Take(3))} {(others.Length == 1 ? "has" : "have")} it; what {_path} has: {_path} --help");
    }

    private static IEnumerable<Command> Below(Command command) => command.Subcommands.SelectMany(Below).Prepend(command);

    private IEnumerable<Option> Options => _command.Options.Concat(parse.RootCommandResult.Command.Options);

    // Whether the verb has the option and the line does not.
    private bool Free(string name) => _command.Options.FirstOrDefault(option => option.Name == name) is { } option && parse.GetResult(option) is null or { Implicit: true };

    // A line to type with a value for this option.
    private string Valued(Option option) =>
        Example.Contains(option.Name + " ", StringComparison.Ordinal) ? Example
        : option.Name == "--set" ? "for example --set seed=7"
        : option.HasDefaultValue && option.GetDefaultValue() is { } value && FormattableString.Invariant($"{value}") is { Length: > 0 } text ? $"for example {option.Name} {text}"
        : $"{_path} --help";

    private static bool LongDash(string word) => word.Length > 1 && (word[0] is '–' or '—' || (word[0] == '-' && word[1] is '–' or '—'));

    private static EngineException Usage(string sentence, string hint) => new(ErrorKind.Usage, sentence, hint);
}
