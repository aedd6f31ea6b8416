using System.Globalization;
using NativeEngine.Formats;
using YamlDotNet.RepresentationModel;

namespace NativeEngine.Merging;

/// <summary>Reads mergekit's YAML node by node; whatever is not understood is refused with its line.</summary>
internal sealed class RecipeReader
{
    private static readonly string[] _keys =
        ["merge_method", "base_model", "models", "slices", "parameters", "dtype", "out_dtype", "tokenizer_source", "tokenizer"];

    private static readonly Dictionary<string, DType> _types = new()
    {
        ["float32"] = DType.F32,
        ["bfloat16"] = DType.BF16,
        ["float16"] = DType.F16,
        ["float64"] = DType.F64,
    };

    private readonly string _file;
    private MergeMethod _method = null!;

    private RecipeReader(string file) => _file = file;

    public static MergeRecipe Load(string path)
    {
        try
        {
            return Parse(InputFile.ReadAllText(path, StrictYaml.MaxFileBytes), path, Path.GetDirectoryName(Path.GetFullPath(path)));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw FormatErrors.Unreadable(path, e, "without a recipe: nengine merge --linear A=0.5 B=0.5 --output DIR");
        }
    }

    public static MergeRecipe Parse(string yaml, string name, string? folder)
    {
        var documents = StrictYaml.Parse(yaml, name);
        return documents.Count == 1 && documents[0] is YamlMappingNode root
            ? new RecipeReader(name).Recipe(root, folder)
            : throw FormatErrors.Bad(name, $"a recipe is one mapping with merge_method and models, got {documents.Count} documents or another form",
                "{merge_method: linear, models: [{model: A, parameters: {weight: 0.5}}, {model: B, parameters: {weight: 0.5}}]} is one");
    }

    private MergeRecipe Recipe(YamlMappingNode root, string? folder)
    {
        var members = Members(root, "a recipe", _keys);
        var methodNode = members.GetValueOrDefault("merge_method") ?? throw Bad(root, "merge_method is missing", $"one of {MethodNames()}");
        string method = Text(methodNode);
        _method = MergeMethods.Find(method) ?? throw Bad(methodNode, $"'{method}' is not a merge_method",
            Suggestion.Nearest(method, MergeMethods.Methods.Select(m => m.Name)) is { } near ? $"did you mean '{near}'?" : $"one of {MethodNames()}");
        bool sliced = members.ContainsKey("slices");
        if (sliced == members.ContainsKey("models"))
        {
            throw Bad(root, sliced ? "models and slices cannot both be given" : "models is missing", "list the models under models:, or layer ranges under slices:");
        }
        return new MergeRecipe(_method)
        {
            IsSliced = sliced,
            Slices = sliced ? [.. Items(members["slices"], "slices").Select(Slice)]
                : [new([.. Items(members["models"], "models").Select(item => Model(item, ranged: false))])],
            BaseModel = members.TryGetValue("base_model", out var b) ? Text(b) : null,
            OutputType = Type(members, "out_dtype") ?? Type(members, "dtype"),
            TokenizerSource = Tokenizer(members),
            Parameters = Parameters(members.GetValueOrDefault("parameters"), perModel: false),
            Folder = folder,
        };
    }

    private RecipeSlice Slice(YamlNode node)
    {
        var members = Members(node, "a slice", ["sources", "parameters"]);
        var sources = members.GetValueOrDefault("sources") ?? throw Bad(node, "a slice needs sources");
        return new RecipeSlice([.. Items(sources, "sources").Select(item => Model(item, ranged: true))])
        {
            Parameters = Parameters(members.GetValueOrDefault("parameters"), perModel: false),
        };
    }

    private RecipeModel Model(YamlNode node, bool ranged)
    {
        var members = Members(node, "a model", ranged ? ["model", "layer_range", "parameters"] : ["model", "parameters"]);
        var path = members.GetValueOrDefault("model") ?? throw Bad(node, "an entry needs model: with a path");
        return new RecipeModel(Text(path), members.TryGetValue("layer_range", out var range) ? Range(range) : null)
        {
            Parameters = Parameters(members.GetValueOrDefault("parameters"), perModel: true),
        };
    }

    private (int First, int End) Range(YamlNode node)
    {
        int[] ends = [.. Items(node, "layer_range").Select(item => int.TryParse(Text(item), NumberStyles.None, CultureInfo.InvariantCulture, out int layer)
            ? layer : throw Bad(item, $"layer_range holds layer numbers, got '{Text(item)}'"))];
        return ends is [var first, var end] && first < end ? (first, end)
            : throw Bad(node, "layer_range is [first, end] with first below end; end itself is not included");
    }

    private Dictionary<string, Setting> Parameters(YamlNode? node, bool perModel)
    {
        var settings = new Dictionary<string, Setting>();
        if (node is null or YamlScalarNode { Value: null or "" or "null" or "~" })
        {
            return settings;
        }
        foreach (var (name, value) in Members(node, $"{_method.Name}'s parameters", [.. _method.Parameters.Select(p => p.Name)]))
        {
            var parameter = _method.Parameters.Single(p => p.Name == name);
            if (perModel && !parameter.PerModel)
            {
                throw Bad(value, $"{name} cannot differ between models", "put it under the recipe's own parameters:");
            }
            settings[name] = Value(value, parameter);
        }
        return settings;
    }

    private Setting Value(YamlNode node, MergeParameter parameter)
    {
        if (node is YamlScalarNode)
        {
            return new Setting.Scalar(Number(node, parameter));
        }
        var items = Items(node, parameter.Name);
        if (items.All(item => item is YamlScalarNode))
        {
            return new Setting.Gradient([.. items.Select(item => Number(item, parameter))]);
        }
        return new Setting.Filtered([.. items.Select(item =>
        {
            if (item is YamlScalarNode)
            {
                return ((string?)null, (Setting)new Setting.Scalar(Number(item, parameter)));
            }
            var members = Members(item, $"a filter of {parameter.Name}", ["filter", "value"]);
            var value = members.GetValueOrDefault("value") ?? throw Bad(item, "a filter needs a value");
            string? filter = members.TryGetValue("filter", out var f) ? Text(f) : null;
            return (filter is "*" or "" ? null : filter, Value(value, parameter));
        })]);
    }

    private double Number(YamlNode node, MergeParameter parameter)
    {
        string text = Text(node);
        if (parameter.Words.TryGetValue(text.ToLowerInvariant(), out double word))
        {
            return word;
        }
        if (parameter.Words.Count > 0)
        {
            throw Bad(node, $"{parameter.Name} is one of {string.Join(", ", parameter.Words.Keys)}, got '{text}'");
        }
        return double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && double.IsFinite(value)
            && value >= parameter.Min && value <= parameter.Max ? value
            : throw Bad(node, $"{parameter.Name} is a number ({parameter.Meaning}), got '{text}'");
    }

    private string? Tokenizer(Dictionary<string, YamlNode> members)
    {
        if (members.TryGetValue("tokenizer", out var node))
        {
            var inner = Members(node, "tokenizer", ["source"]);
            return inner.TryGetValue("source", out var source) ? Text(source) : null;
        }
        return members.TryGetValue("tokenizer_source", out var direct) ? Text(direct) : null;
    }

    private DType? Type(Dictionary<string, YamlNode> members, string key)
    {
        if (!members.TryGetValue(key, out var node) || node is YamlScalarNode { Value: null or "" or "null" or "~" })
        {
            return null;
        }
        return _types.TryGetValue(Text(node), out var type) ? type
            : throw Bad(node, $"{key} is one of {string.Join(", ", _types.Keys)}, got '{Text(node)}'");
    }

    private Dictionary<string, YamlNode> Members(YamlNode node, string what, IReadOnlyList<string> known)
    {
        if (node is not YamlMappingNode mapping)
        {
            throw Bad(node, $"{what} must be a mapping of {string.Join(", ", known)}");
        }
        var members = new Dictionary<string, YamlNode>();
        foreach (var (key, value) in mapping.Children)
        {
            string name = Text(key);
            if (!known.Contains(name))
            {
                throw Bad(key, $"{what} has no key '{name}'",
                    Suggestion.Nearest(name, known) is { } near ? $"did you mean '{near}'?" : $"known are {string.Join(", ", known)}");
            }
            members[name] = value;
        }
        return members;
    }

    private IReadOnlyList<YamlNode> Items(YamlNode node, string what) => node is YamlSequenceNode { Children: [_, ..] items } ? [.. items]
        : throw Bad(node, $"{what} must be a list with at least one entry");

    private string Text(YamlNode node) => node is YamlScalarNode { Value: { Length: > 0 } text } ? text : throw Bad(node, "a plain value is needed here");

    private EngineException Bad(YamlNode node, string sentence, string? hint = null) =>
        FormatErrors.Bad(FormattableString.Invariant($"{_file}:{node.Start.Line}"), sentence, hint);

    private static string MethodNames() => string.Join(", ", MergeMethods.Methods.Select(m => m.Name));
}
