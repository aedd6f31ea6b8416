using NativeEngine.Formats;

namespace NativeEngine.Merging;

/// <summary>One tensor of the result: how it is stored, and what it is made of: a merge, or the bytes of one input.</summary>
internal sealed record OutputTensor(TensorSpec Spec, TensorInputs? Inputs, SafetensorsTensor? Copy)
{
    /// <summary>The stored inputs, for their size and for naming the one at fault.</summary>
    public IReadOnlyList<(string Model, SafetensorsTensor Tensor)> Sources { get; init; } = [];
}

/// <summary>
/// A recipe against its models: every tensor of the result with its inputs and parameter values, or everything that stands in the way. Only
/// headers and small files are read for it.
/// </summary>
internal sealed class MergePlan : IDisposable
{
    private const int MostProblems = 8;

    private readonly MergeRecipe _recipe;
    private readonly ulong _seed;
    private readonly Dictionary<string, MergeInput> _inputs = new(StringComparer.Ordinal);
    private readonly List<OutputTensor> _tensors = [];
    private readonly List<string> _problems = [];
    private readonly List<string> _warnings = [];
    private readonly Dictionary<MergeInput, List<string>> _missing = [];

    private MergePlan(MergeRecipe recipe, ulong seed) => (_recipe, _seed) = (recipe, seed);

    /// <summary>The tensors of the result.</summary>
    public IReadOnlyList<OutputTensor> Tensors => _tensors;

    /// <summary>What the user should know and may want.</summary>
    public IReadOnlyList<string> Warnings => _warnings;

    /// <summary>The opened models in the order of the recipe, the base first when it has one.</summary>
    public IReadOnlyCollection<MergeInput> Inputs => _inputs.Values;

    /// <summary>Where configuration and tokenizer come from: the base model, else the first model that is used.</summary>
    public MergeInput Donor { get; private set; } = null!;

    /// <summary>Layers of the result, when it is made of slices.</summary>
    public int? Layers { get; private set; }

    /// <summary>Whether the result has an output matrix although its configuration ties it to the embedding.</summary>
    public bool Untied { get; private set; }

    /// <summary>The vocabulary of the result when models differ in theirs.</summary>
    public VocabularyAlignment? Vocabulary { get; private set; }

    /// <summary>Checks everything. Errors: BadInput that lists what does not fit.</summary>
    public static MergePlan Make(MergeRecipe recipe, ulong seed)
    {
        var plan = new MergePlan(recipe, seed);
        try
        {
            plan.Build();
            return plan;
        }
        catch
        {
            plan.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        foreach (var input in _inputs.Values)
        {
            input.Dispose();
        }
    }

    private void Build()
    {
        CheckCounts();
        var slices = _recipe.Slices.Select(slice => slice.Models.Where(model => !IsBase(model) && !_recipe.IsUnused(slice, model)).ToList()).ToList();
        if (slices.FindIndex(models => models.Count == 0) is >= 0 and var empty)
        {
            throw Refuse(_recipe.IsSliced ? $"every model of slice {empty + 1} has weight 0" : "every model has weight 0", "give at least one model a weight");
        }
        var baseInput = _recipe.BaseModel is { } path ? Open(path) : null;
        foreach (var model in slices.SelectMany(models => models))
        {
            Open(model.Path);
        }
        Donor = baseInput ?? Open(slices[0][0].Path);
        Vocabulary = VocabularyAlignment.Make(_recipe.TokenizerSource, Donor, baseInput, [.. _inputs.Values]);
        ConfigurationCheck.Compare(Donor, _inputs.Values, _problems, _warnings);
        int offset = 0;
        for (int s = 0; s < slices.Count; s++)
        {
            offset = AddSlice(_recipe.Slices[s], slices[s], _recipe.Method.Base == BaseRule.Ignored ? null : baseInput, offset, s);
        }
        Layers = _recipe.IsSliced ? offset : null;
        foreach (var (input, names) in _missing)
        {
            _problems.Add($"{input.Reference} lacks {names.Count} of the tensors of the others: {string.Join(", ", names.Take(3).Select(FormatErrors.Quote))}{(names.Count > 3 ? ", …" : "")}");
        }
        foreach (var input in _inputs.Values.Where(input => input.Unindexed.Count > 0))
        {
            _warnings.Add($"{input.Reference}: {input.Unindexed.Count} tensors are in shards and not in the index; they are left out ({input.Unindexed[0]})");
        }
        if (_problems.Count > 0)
        {
            // The same sentence about many tensors is said once.
            string[] said = [.. _problems.GroupBy(p => p[(p.IndexOf("\": ", StringComparison.Ordinal) + 1)..]).Select(g => g.Count() == 1 ? g.First() : $"{g.First()} (so it is for {g.Count()} tensors)")];
            throw Refuse(string.Join("; ", said.Take(MostProblems)) + (said.Length > MostProblems ? $"; and {said.Length - MostProblems} more" : ""), null);
        }
    }

    private void CheckCounts()
    {
        var method = _recipe.Method;
        if (method.Base == BaseRule.Required && _recipe.BaseModel is null)
        {
            throw Refuse($"{method.Name} needs base_model", "name the model that the differences are taken to");
        }
        foreach (var slice in _recipe.Slices)
        {
            int models = slice.Models.Count(model => !IsBase(model));
            var (min, max) = method.Models;
            if (models < min || models > max)
            {
                string wanted = min == max ? $"{min}" : max == int.MaxValue ? $"at least {min}" : $"{min} to {max}";
                throw Refuse($"{method.Name} merges {wanted} model{(max == 1 ? "" : "s")}{(method.Base == BaseRule.Ignored ? "" : " besides base_model")}, got {models}", null);
            }
        }
        var weights = _recipe.Slices.SelectMany(slice => slice.Models.Select(model => model.Parameters.GetValueOrDefault("weight")?.Constant));
        if (weights.Any(weight => weight < 0) && _recipe.Parameters.GetValueOrDefault("normalize")?.Constant != 0 && method.Parameters.Any(p => p is { Name: "normalize", Default: 1 }))
        {
            _warnings.Add("a weight is negative and the weights are normalized by their sum; set normalize: false to use them as they are");
        }
    }

    private bool IsBase(RecipeModel model) => _recipe.Method.Base != BaseRule.Ignored && model.Path == _recipe.BaseModel;

    private MergeInput Open(string path)
    {
        if (!_inputs.TryGetValue(path, out var input))
        {
            _inputs.Add(path, input = MergeInput.Open(path, _recipe.Folder));
        }
        return input;
    }

    /// <summary>Plans the tensors of one slice; returns the number of layers up to its end.</summary>
    private int AddSlice(RecipeSlice slice, List<RecipeModel> models, MergeInput? baseInput, int offset, int index)
    {
        var sources = models.Select(model => new Source(model, Open(model.Path), model.Layers?.First ?? 0)).ToList();
        var baseRange = slice.Models.FirstOrDefault(IsBase)?.Layers ?? models[0].Layers;
        var baseSource = baseInput is null ? null : new Source(new RecipeModel(_recipe.BaseModel!, baseRange), baseInput, baseRange?.First ?? 0);
        var all = baseSource is null ? sources : [.. sources, baseSource];
        var counts = all.Select(source => LayerNames.Count(source.Input.Tensors.Select(t => t.Name))).ToList();
        if (_recipe.IsSliced && counts.Any(count => count.Count != 1))
        {
            throw Refuse("slices need models with one stack of layers (tensors named like model.layers.0.…)", null);
        }
        for (int i = 0; i < all.Count; i++)
        {
            if (all[i].Model.Layers is { } range && range.End > counts[i].Values.Single())
            {
                throw Refuse($"slice {index + 1} takes layers {range.First} to {range.End - 1} of {all[i].Input.Reference}, which has {counts[i].Values.Single()}", null);
            }
        }
        int layers = _recipe.IsSliced ? models[0].Layers is { } own ? own.End - own.First : counts[0].Values.Single() : 0;
        if (all.Any(source => source.Model.Layers is { } range && range.End - range.First != layers))
        {
            throw Refuse($"the models of slice {index + 1} have layer ranges of different lengths", null);
        }
        bool first = index == 0, last = index == _recipe.Slices.Count - 1;
        var seen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var source in all)
        {
            foreach (var tensor in source.Input.Tensors)
            {
                if (Place(tensor.Name, source, layers, first, last) is { } local && seen.Add(local.Relative))
                {
                    double depth = local.Layer is { } layer ? Setting.Depth(layer, _recipe.IsSliced ? layers : counts[0].GetValueOrDefault(local.Stack!, layer + 1)) : 0;
                    AddTensor(slice, sources, baseSource, local, offset, depth);
                }
            }
        }
        return offset + layers;
    }

    /// <summary>Where a tensor of a source goes: its name relative to the slice's first layer; null when the slice does not take it.</summary>
    private LocalName? Place(string name, Source source, int layers, bool first, bool last)
    {
        if (LayerNames.Parse(name) is not { } place)
        {
            return !_recipe.IsSliced || (LayerNames.IsAfterLayers(name) ? last : first) ? new LocalName(name, null, null, null) : null;
        }
        int layer = place.Layer - source.FirstLayer;
        return !_recipe.IsSliced || (layer >= 0 && layer < layers)
            ? new LocalName((place with { Layer = layer }).ToString(), layer, place.Before, place.After) : null;
    }

    private void AddTensor(RecipeSlice slice, List<Source> sources, Source? baseSource, LocalName local, int offset, double depth)
    {
        string name = local.At(offset);
        var values = Values(slice, sources, name, depth);
        if (values is null)
        {
            return;
        }
        // Models without weight here add nothing; one stays to give the shape.
        int[] used = [.. Enumerable.Range(0, sources.Count).Where(i => !_recipe.Method.SkipsZeroWeight || values["weight", i] != 0)];
        used = used.Length == 0 ? [0] : used;
        var found = new List<(string Model, SafetensorsTensor Tensor)>();
        bool complete = true;
        foreach (var source in used.Select(i => sources[i]).Concat(baseSource is null ? [] : [baseSource]))
        {
            if (Find(source, local) is { } tensor)
            {
                found.Add((source.Input.Reference, tensor));
                continue;
            }
            complete = false;
            if (!_missing.TryGetValue(source.Input, out var names))
            {
                _missing.Add(source.Input, names = []);
            }
            names.Add(local.At(source.FirstLayer));
        }
        if (!complete)
        {
            return;
        }
        var firstTensor = baseSource is null ? found[0].Tensor : found[^1].Tensor;
        if (found.TrueForAll(f => f.Tensor.DType.IsInteger()))
        {
            AddCopy(name, found);
            return;
        }
        if (found.FirstOrDefault(f => !f.Tensor.DType.IsFloat()) is { Tensor: { } odd, Model: { } owner })
        {
            _problems.Add($"{FormatErrors.Quote(name)} is {odd.DType.FileName()} in {owner}; F32, BF16, F16 or F64 can be merged, integers are copied when all models have them");
            return;
        }
        var readers = used.Select(i => sources[i].Input).Concat(baseSource is null ? [] : [baseSource.Input]).Select((input, i) => input.Read(found[i].Tensor)).ToList();
        if (Vocabulary is { } vocabulary && VocabularyAlignment.IsVocabularyTensor(name))
        {
            var inputs = used.Select(i => sources[i].Input).Concat(baseSource is null ? [] : [baseSource.Input]).ToList();
            if (vocabulary.Align(inputs, readers) is { } sentence)
            {
                _problems.Add($"{FormatErrors.Quote(name)}: {sentence}");
                return;
            }
        }
        if (readers.FindIndex(reader => !reader.Shape.SequenceEqual(readers[0].Shape)) is > 0 and var other)
        {
            _problems.Add($"{FormatErrors.Quote(name)} is {FormatErrors.Shape([.. readers[0].Shape])} in {found[0].Model} and {FormatErrors.Shape([.. readers[other].Shape])} in {found[other].Model}");
            return;
        }
        var models = readers.Take(used.Length).ToList();
        var kept = values.Only(used);
        if (_recipe.Method.Refuse(kept, models.Count, models[0].Count) is { } refusal)
        {
            _problems.Add($"{FormatErrors.Quote(name)}: {refusal}");
            return;
        }
        var spec = new TensorSpec(name, _recipe.OutputType ?? firstTensor.DType, [.. models[0].Shape]);
        _tensors.Add(new OutputTensor(spec, new TensorInputs(name, models, baseSource is null ? null : readers[^1], kept, _seed), null) { Sources = found });
    }

    private void AddCopy(string name, List<(string Model, SafetensorsTensor Tensor)> found)
    {
        var first = found[0].Tensor;
        foreach (var (model, tensor) in found.Skip(1))
        {
            if (tensor.DType != first.DType || !tensor.Shape.SequenceEqual(first.Shape) || !SameBytes(first, tensor))
            {
                _problems.Add($"{FormatErrors.Quote(name)} holds integers, which are copied and not averaged, and {model} has others than {found[0].Model}");
                return;
            }
        }
        _tensors.Add(new OutputTensor(new TensorSpec(name, first.DType, first.Shape.ToArray()), null, first) { Sources = found });
    }

    private static bool SameBytes(SafetensorsTensor a, SafetensorsTensor b)
    {
        const int Piece = 1 << 20;
        for (long at = 0; at < a.ByteLength; at += Piece)
        {
            int count = (int)Math.Min(Piece, a.ByteLength - at);
            if (!a.Bytes(at, count).SequenceEqual(b.Bytes(at, count)))
            {
                return false;
            }
        }
        return true;
    }

    private SafetensorsTensor? Find(Source source, LocalName local)
    {
        const string Head = "lm_head.weight", Embedding = "model.embed_tokens.weight";
        string name = local.At(source.FirstLayer);
        if (source.Input.Find(name) is { } tensor)
        {
            return tensor;
        }
        if (name != Head || source.Input.Config?.OptionalBool("tie_word_embeddings") != true || source.Input.Find(Embedding) is not { } embedding)
        {
            return null;
        }
        _warnings.Add($"{source.Input.Reference} has its output matrix tied to the embedding, others have one of their own: the embedding takes part as {Head}");
        Untied = true;
        return embedding;
    }

    private PlannedValues? Values(RecipeSlice slice, List<Source> sources, string name, double depth)
    {
        var shared = new Dictionary<string, double>();
        var perModel = sources.Select(_ => new Dictionary<string, double>()).ToList();
        foreach (var parameter in _recipe.Method.Parameters)
        {
            for (int i = 0; i < (parameter.PerModel ? sources.Count : 1); i++)
            {
                if (_recipe.Value(parameter, slice, parameter.PerModel ? sources[i].Model : null, name, depth) is not { } value)
                {
                    string whose = parameter.PerModel ? $" for {sources[i].Input.Reference}" : "";
                    _problems.Add($"{_recipe.MethodName} needs {parameter.Name}{whose} and the recipe gives none for {FormatErrors.Quote(name)}");
                    return null;
                }
                (parameter.PerModel ? perModel[i] : shared)[parameter.Name] = value;
            }
        }
        return new PlannedValues(shared, perModel);
    }

    private static EngineException Refuse(string sentence, string? hint) => new(ErrorKind.BadInput, $"this merge cannot be done: {sentence}", hint);

    private sealed class PlannedValues(Dictionary<string, double> shared, List<Dictionary<string, double>> perModel)
    {
        public double this[string name, int model] => perModel[model][name];

        public ParameterValues Only(int[] models) => new(shared, [.. models.Select(i => perModel[i])], models);
    }

    private sealed record Source(RecipeModel Model, MergeInput Input, int FirstLayer);

    /// <summary>A name relative to a slice: its layer counted from the slice's first, in a stack of layers; no layer outside of them.</summary>
    private sealed record LocalName(string Relative, int? Layer, string? Stack, string? After)
    {
        public string At(int firstLayer) => Layer is { } layer ? new LayerName(Stack!, layer + firstLayer, After!).ToString() : Relative;
    }
}
