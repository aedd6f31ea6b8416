using System.CommandLine;
using NativeEngine.Formats;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace NativeEngine.Cli;

/// <summary>One option given by a configuration file or --set, and where it was written ("run.yaml:3", "--set").</summary>
internal sealed record Setting(Option Option, IReadOnlyList<string> Values, string Origin, int Depth);

/// <summary>
/// Options from --config FILE.yaml and --set key=value. Keys are long option names, flat (<c>lr: 1e-3</c>) for the verb that runs, or
/// under a verb's name (<c>train: {lr: 1e-3}</c>), where sections of other verbs are checked and left alone. A key in a section
/// wins over the same key outside, --set over the file. Unknown keys are refused.
/// </summary>
internal sealed class ConfigFile(Command root, IReadOnlyList<Command> chain, CommonOptions common)
{
    /// <summary>The verb and its sub-verb of a parse, outermost first, without the root.</summary>
    public static IReadOnlyList<Command> Chain(ParseResult parse)
    {
        var chain = new List<Command>();
        for (var result = parse.CommandResult; result?.Parent is not null; result = result.Parent as System.CommandLine.Parsing.CommandResult)
        {
            chain.Insert(0, result.Command);
        }
        return chain;
    }

    /// <summary>The settings of a file for the verb of this chain.</summary>
    public IReadOnlyList<Setting> Read(string path) => Read(Load(path), path);

    /// <summary>The settings of a text; <paramref name="path"/> is the file's name in messages.</summary>
    public IReadOnlyList<Setting> Read(string yaml, string path)
    {
        var settings = new Dictionary<Option, Setting>();
        foreach (var node in StrictYaml.Parse(yaml, path))
        {
            if (node is YamlMappingNode mapping)
            {
                Walk(path, mapping, root, depth: 0, settings);
            }
            else if (node is not YamlScalarNode { Value: null or "" })
            {
                throw Malformed(path, node, "expected a mapping of option names to values");
            }
        }
        return [.. settings.Values];
    }

    /// <summary>One --set text.</summary>
    public Setting Parse(string text)
    {
        int equals = text.IndexOf('=', StringComparison.Ordinal);
        if (equals <= 0)
        {
            throw new EngineException(ErrorKind.Usage, $"--set expects key=value, got '{text}'", text.Contains('=', StringComparison.Ordinal) ? "for example --set seed=7" : $"--set {text}=VALUE, for example --set seed=7");
        }
        string[] path = text[..equals].Split('.');
        var section = root;
        for (int depth = 0; depth < path.Length - 1; depth++)
        {
            section = depth < chain.Count && chain[depth].Name == path[depth]
                ? chain[depth]
                : throw new EngineException(ErrorKind.Usage, $"--set {text}: '{path[depth]}' is not the verb that runs ({Name(chain)})",
                    $"write {path[^1]}=value, or {string.Join('.', chain.Select(command => command.Name))}.{path[^1]}=value");
        }
        var option = Find(path[^1], section)
            ?? throw Unknown($"--set {text}", path[^1], section);
        return new Setting(option, [text[(equals + 1)..]], "--set", int.MaxValue);
    }

    private string Load(string path)
    {
        try
        {
            return InputFile.ReadAllText(path, StrictYaml.MaxFileBytes);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            string why = error is FileNotFoundException or DirectoryNotFoundException ? "there is no such file" : error.Message.TrimEnd('.');
            throw new EngineException(ErrorKind.BadInput, $"the configuration file {path} cannot be read: {why}",
                MissingPath.Hint(path) ?? $"nengine {Name(chain)} --print-config > {(Directory.Exists(path) ? Path.Combine(path, "run.yaml") : path)} writes one with every option", error);
        }
    }

    private static EngineException Malformed(string path, YamlNode node, string what) =>
        new(ErrorKind.BadInput, $"{path}:{node.Start.Line}: {what}", "a line is an option's long name without dashes, a colon and its value: steps: 200");

    private void Walk(string path, YamlMappingNode mapping, Command section, int depth, Dictionary<Option, Setting> settings)
    {
        foreach (var (keyNode, valueNode) in mapping.Children)
        {
            if (keyNode is not YamlScalarNode { Value: { } key })
            {
                throw Malformed(path, keyNode, "a key must be the name of an option or of a verb");
            }
            string where = $"{path}:{keyNode.Start.Line}";
            if (valueNode is YamlMappingNode inner)
            {
                var verb = section.Subcommands.FirstOrDefault(command => command.Name == key) ?? throw Unknown(where, key, section);
                Walk(path, inner, verb, depth + 1, settings);
                continue;
            }
            var option = Find(key, section) ?? throw Unknown(where, key, section);
            var values = Values(path, key, valueNode);
            if (Runs(section) && values.Count > 0 && (!settings.TryGetValue(option, out var other) || other.Depth <= depth))
            {
                settings[option] = new Setting(option, values, where, depth);
            }
        }
    }

    /// <summary>The texts of a scalar or of a sequence (joined with commas unless the option repeats); none for a null.</summary>
    private static List<string> Values(string path, string key, YamlNode node) => node switch
    {
        YamlScalarNode { Style: ScalarStyle.Plain, Value: null or "" or "~" or "null" } => [],
        YamlScalarNode { Value: { } text } => [text],
        YamlSequenceNode { Children: [_, ..] items } => [string.Join(',', items.Select(item =>
            item is YamlScalarNode { Value: { } text } ? text : throw Malformed(path, item, $"the list '{key}' may hold only plain values")))],
        _ => throw Malformed(path, node, $"'{key}' needs a value"),
    };

    private bool Runs(Command section) => section == root || chain.Contains(section);

    private Option? Find(string key, Command section) => Options(section).FirstOrDefault(option => option.Name == "--" + key);

    /// <summary>What may be written in a section: the running verb's options, or, elsewhere, those of that verb and all below it.</summary>
    private IEnumerable<Option> Options(Command section) =>
        (Runs(section) ? chain[^1].Options : Below(section)).Concat(common.All).Where(common.Configurable);

    private static IEnumerable<Option> Below(Command command) => command.Options.Concat(command.Subcommands.SelectMany(Below));

    private EngineException Unknown(string where, string key, Command section)
    {
        var known = Options(section).Select(option => option.Name.TrimStart('-')).Concat(section.Subcommands.Select(command => command.Name));
        string verb = Runs(section) ? Name(chain) : section.Name;
        return new EngineException(
            ErrorKind.Usage,
            $"{where}: unknown key '{key}' for {verb}",
            LineMistake.Meant(key.TrimStart('-'), [.. known]) is { } word ? $"did you mean '{word}'?" : $"keys are the long option names of nengine {verb} --help; those of another verb go under its name");
    }

    private static string Name(IEnumerable<Command> commands) => string.Join(' ', commands.Select(command => command.Name));
}
