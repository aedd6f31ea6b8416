using System.Globalization;
using NativeEngine.Formats;
using YamlDotNet.RepresentationModel;

namespace NativeEngine.Ablation;

/// <summary>
/// A value of a study file that knows its line, so that whatever is wrong with it is one BadInput sentence: FILE:LINE, what was expected,
/// what stands there. Every part of a study reads its own section through this.
/// </summary>
public sealed class StudyNode
{
    private readonly string _file;
    private readonly YamlNode _node;

    private StudyNode(string file, YamlNode node, string name) => (_file, _node, Name) = (file, node, name);

    /// <summary>The path of the value: "units.tokens".</summary>
    public string Name { get; }

    /// <summary>Whether it is a plain value rather than a list or a mapping.</summary>
    public bool IsScalar => _node is YamlScalarNode;

    /// <summary>Whether it is a mapping.</summary>
    public bool IsMapping => _node is YamlMappingNode;

    /// <summary>Reads a file, which must be one mapping.</summary>
    public static StudyNode Load(string path)
    {
        try
        {
            return Parse(InputFile.ReadAllText(path, StrictYaml.MaxFileBytes), path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw FormatErrors.Unreadable(path, e, "recipes/ablation.yaml is a study to copy; docs/ablate.md explains it");
        }
    }

    /// <summary>Reads a text; <paramref name="name"/> is the file's name in messages.</summary>
    public static StudyNode Parse(string yaml, string name)
    {
        var documents = StrictYaml.Parse(yaml, name);
        return documents.Count == 1 && documents[0] is YamlMappingNode root
            ? new StudyNode(name, root, "")
            : throw FormatErrors.Bad(name, $"a study is one mapping with data, seed, units and training, got {documents.Count} documents or another form", "recipes/ablation.yaml is one to copy");
    }

    /// <summary>The members of a mapping; a key that is not known is refused with a suggestion. A null value counts as absent.</summary>
    public IReadOnlyDictionary<string, StudyNode> Members(params string[] known)
    {
        if (_node is not YamlMappingNode mapping)
        {
            throw Bad($"must be a mapping of {string.Join(", ", known)}");
        }
        var members = new Dictionary<string, StudyNode>(StringComparer.Ordinal);
        foreach (var (key, value) in mapping.Children)
        {
            string name = key is YamlScalarNode { Value: { Length: > 0 } text } ? text : throw At(key).Bad("has a key that is no plain word");
            if (!known.Contains(name))
            {
                throw FormatErrors.Bad(FormattableString.Invariant($"{_file}:{key.Start.Line}"),
                    Name.Length == 0 ? $"a study has no key '{name}'" : $"{Name} has no key '{name}'",
                    Suggestion.Nearest(name, known) is { } near ? $"did you mean '{near}'?" : $"known are {string.Join(", ", known)}");
            }
            if (value is not YamlScalarNode { Value: null or "" or "null" or "~" })
            {
                members[name] = new StudyNode(_file, value, Name.Length == 0 ? name : $"{Name}.{name}");
            }
        }
        return members;
    }

    /// <summary>The items of a list; a plain value or a mapping counts as a list of one.</summary>
    public IReadOnlyList<StudyNode> Items() => _node is YamlSequenceNode list
        ? list.Children.Count > 0 ? [.. list.Children.Select(At)] : throw Bad("is an empty list")
        : [this];

    /// <summary>A plain value.</summary>
    public string Text() => _node is YamlScalarNode { Value: { Length: > 0 } text } ? text : throw Bad("must be a plain value");

    /// <summary>Plain values.</summary>
    public IReadOnlyList<string> Texts() => [.. Items().Select(item => item.Text())];

    /// <summary>One of a few words.</summary>
    public string Choice(params string[] words)
    {
        string text = Text();
        return words.Contains(text) ? text
            : throw Bad($"is one of {string.Join(", ", words)}, got '{text}'", Suggestion.Nearest(text, words) is { } near ? $"did you mean '{near}'?" : null);
    }

    /// <summary>A whole number in [min, max].</summary>
    public long Whole(long min, long max = long.MaxValue) =>
        long.TryParse(Text(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long value) && value >= min && value <= max ? value
            : throw Bad(max == long.MaxValue ? $"must be a whole number of at least {min}, got '{Text()}'" : $"must be a whole number from {min} to {max}, got '{Text()}'");

    /// <summary>A finite number in [min, max].</summary>
    public double Number(double min, double max = double.MaxValue) =>
        double.TryParse(Text(), NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && value >= min && value <= max ? value
            : throw Bad(string.Create(CultureInfo.InvariantCulture,
                $"must be a number {(max == double.MaxValue ? $"of at least {min}" : $"from {min} to {max}")}, got '{Text()}'"));

    /// <summary>true or false.</summary>
    public bool Flag() => Choice("true", "false") == "true";

    /// <summary>A sentence about this value, to throw: FILE:LINE: NAME + sentence.</summary>
    public EngineException Bad(string sentence, string? hint = null) =>
        FormatErrors.Bad(FormattableString.Invariant($"{_file}:{_node.Start.Line}"), $"{(Name.Length == 0 ? "the study" : Name)} {sentence}", hint);

    private StudyNode At(YamlNode node) => new(_file, node, Name);
}
