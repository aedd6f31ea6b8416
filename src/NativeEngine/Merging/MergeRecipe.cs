using NativeEngine.Formats;

namespace NativeEngine.Merging;

/// <summary>A model of a recipe: where it is, which of its layers, and its own parameters.</summary>
/// <param name="Path">A folder with safetensors, a .safetensors file, or "model+adapter" with a LoRA adapter folder.</param>
/// <param name="Layers">First layer and the one past the last, or null for all.</param>
public sealed record RecipeModel(string Path, (int First, int End)? Layers)
{
    internal IReadOnlyDictionary<string, Setting> Parameters { get; init; } = new Dictionary<string, Setting>();
}

/// <summary>Models merged with each other over a range of layers; slices follow one another in the result.</summary>
public sealed record RecipeSlice(IReadOnlyList<RecipeModel> Models)
{
    internal IReadOnlyDictionary<string, Setting> Parameters { get; init; } = new Dictionary<string, Setting>();
}

/// <summary>
/// What to merge and how: the content of a recipe file in mergekit's YAML (docs/merge.md lists the keys). Checked for form when it is
/// read; whether the models fit is checked by <see cref="ParameterMerger"/>.
/// </summary>
public sealed class MergeRecipe
{
    internal MergeRecipe(MergeMethod method) => Method = method;

    /// <summary>The name of the method.</summary>
    public string MethodName => Method.Name;

    /// <summary>One slice over all layers when the recipe lists models, else its slices.</summary>
    public IReadOnlyList<RecipeSlice> Slices { get; internal init; } = [];

    /// <summary>Whether the recipe has slices rather than models.</summary>
    public bool IsSliced { get; internal init; }

    /// <summary>base_model, or null.</summary>
    public string? BaseModel { get; internal init; }

    /// <summary>The stored type of the result: out_dtype, else dtype, else null (that of the base or first model, tensor by tensor).</summary>
    public DType? OutputType { get; internal init; }

    /// <summary>tokenizer_source: base, union, a model of the recipe, or null (base).</summary>
    public string? TokenizerSource { get; internal init; }

    /// <summary>Where relative paths are looked for second, after the working directory.</summary>
    public string? Folder { get; internal init; }

    internal MergeMethod Method { get; }

    internal IReadOnlyDictionary<string, Setting> Parameters { get; init; } = new Dictionary<string, Setting>();

    /// <summary>Reads a recipe file. Errors: BadInput with the file, the line and, for a mistyped word, a suggestion.</summary>
    public static MergeRecipe Load(string path) => RecipeReader.Load(path);

    /// <summary>Reads a recipe from text; <paramref name="name"/> is for messages.</summary>
    public static MergeRecipe Parse(string yaml, string name = "recipe") => RecipeReader.Parse(yaml, name, null);

    /// <summary>
    /// The weighted average of models: sum w_i θ_i / sum w_i, as a recipe with method linear. Errors: Usage for no model or a weight that is
    /// not finite.
    /// </summary>
    public static MergeRecipe Linear(params IReadOnlyList<(string Path, double Weight)> models)
    {
        if (models.Count == 0)
        {
            throw new EngineException(ErrorKind.Usage, "a linear merge needs at least one model, got none", "give models as DIR=WEIGHT");
        }
        foreach (var (path, weight) in models)
        {
            if (!double.IsFinite(weight))
            {
                throw new EngineException(ErrorKind.Usage, FormattableString.Invariant($"the weight of {path} is {weight}; it must be finite"));
            }
        }
        return new MergeRecipe(MergeMethods.Find("linear")!)
        {
            Slices = [new([.. models.Select(m => new RecipeModel(m.Path, null)
            {
                Parameters = new Dictionary<string, Setting> { ["weight"] = new Setting.Scalar(m.Weight) },
            })])],
        };
    }

    /// <summary>
    /// The value of a parameter for a tensor: the model's own, else the slice's, else the recipe's, else the method's default; null when
    /// none gives one.
    /// </summary>
    internal double? Value(MergeParameter parameter, RecipeSlice slice, RecipeModel? model, string tensor, double depth)
    {
        foreach (var level in (ReadOnlySpan<IReadOnlyDictionary<string, Setting>?>)[model?.Parameters, slice.Parameters, Parameters])
        {
            if (level?.GetValueOrDefault(parameter.Name)?.For(tensor, depth) is { } value)
            {
                return value;
            }
        }
        return double.IsNaN(parameter.Default) ? null : parameter.Default;
    }

    /// <summary>Whether a model's weight is 0 for every tensor and the method then has no use for it.</summary>
    internal bool IsUnused(RecipeSlice slice, RecipeModel model)
    {
        var setting = model.Parameters.GetValueOrDefault("weight") ?? slice.Parameters.GetValueOrDefault("weight") ?? Parameters.GetValueOrDefault("weight");
        return Method.SkipsZeroWeight && setting?.Constant == 0;
    }
}
