using System.Globalization;
using NativeEngine.Formats;

namespace NativeEngine.Evaluation;

/// <summary>What an input of a decoder is for.</summary>
internal enum OnnxInputRole
{
    Tokens,
    Mask,
    Positions,
    Past,
    UseCache,
}

/// <summary>An input with its role; for Past the extents with 0 for those of the batch and of the tokens.</summary>
internal sealed record OnnxInput(OnnxValue Value, OnnxInputRole Role);

/// <summary>
/// How a decoder's ONNX file is to be fed, read from its inputs and outputs: input_ids, and where they are there attention_mask, position_ids,
/// empty past_key_values and a switch use_cache_branch, to logits. Anything else is refused by name.
/// </summary>
internal sealed class OnnxDecoder
{
    private static readonly HashSet<int> _integers = [OnnxElement.Int64, OnnxElement.Int32];
    private static readonly HashSet<int> _floats = [OnnxElement.Float, OnnxElement.Float16];

    private OnnxDecoder(IReadOnlyList<OnnxInput> inputs, int? batch, int? length, int? vocabulary)
    {
        (Inputs, FixedBatch, FixedLength, VocabularySize) = (inputs, batch, length, vocabulary);
    }

    /// <summary>The inputs in the model's order.</summary>
    public IReadOnlyList<OnnxInput> Inputs { get; }

    /// <summary>Sequences of a run when the model was exported for one number of them.</summary>
    public int? FixedBatch { get; }

    /// <summary>Tokens of a sequence when the model was exported for one length.</summary>
    public int? FixedLength { get; }

    /// <summary>Number of tokens, when the file says.</summary>
    public int? VocabularySize { get; }

    /// <summary>Reads the roles. Errors: BadInput naming the input or output that does not fit.</summary>
    public static OnnxDecoder Of(OnnxModelFile model)
    {
        var inputs = new List<OnnxInput>();
        foreach (var value in model.Inputs)
        {
            var role = value.Name switch
            {
                "input_ids" => OnnxInputRole.Tokens,
                "attention_mask" => OnnxInputRole.Mask,
                "position_ids" => OnnxInputRole.Positions,
                "use_cache_branch" => OnnxInputRole.UseCache,
                _ when value.Name.StartsWith("past_key_values.", StringComparison.Ordinal) || value.Name.StartsWith("past.", StringComparison.Ordinal) => OnnxInputRole.Past,
                _ => throw Bad($"the input {FormatErrors.Quote(value.Name)} is not one of a decoder",
                    "inputs may be input_ids, attention_mask, position_ids, past_key_values.* and use_cache_branch"),
            };
            Require(value, role);
            inputs.Add(new OnnxInput(value, role));
        }
        var tokens = inputs.FirstOrDefault(i => i.Role == OnnxInputRole.Tokens)?.Value ?? throw Bad("it has no input input_ids", "only decoders of text are evaluated");
        var logits = model.Outputs.FirstOrDefault(o => o.Name == "logits")
            ?? throw Bad($"it has no output logits, only {string.Join(", ", model.Outputs.Take(5).Select(o => FormatErrors.Quote(o.Name)))}", "export it as a causal language model");
        if ((logits.Type != 0 && !_floats.Contains(logits.Type)) || logits.Shape is { Count: not 3 })
        {
            throw Bad($"its output is {logits}, expected float or float16 logits[batch, sequence, vocabulary]");
        }
        return new OnnxDecoder(inputs, Fixed(tokens, 0), Fixed(tokens, 1), logits.Shape is { } shape ? Number(shape[2]) : null);

        void Require(OnnxValue value, OnnxInputRole role)
        {
            var (types, rank) = role switch
            {
                OnnxInputRole.Past => (_floats, 4),
                OnnxInputRole.UseCache => ([OnnxElement.Bool], 1),
                _ => (_integers, 2),
            };
            bool fits = types.Contains(value.Type) && (value.Shape is null ? role != OnnxInputRole.Past : value.Shape.Count == rank);
            // Heads and their width must be known to make an empty cache.
            if (!fits || (role == OnnxInputRole.Past && (Number(value.Shape![1]) is null || Number(value.Shape[3]) is null)))
            {
                throw Bad($"its input {value} is not as a decoder has it");
            }
        }

        EngineException Bad(string sentence, string? hint = null) => FormatErrors.Bad(model.Path, sentence, hint);
    }

    /// <summary>
    /// The longest sequence: the length it was exported for, else what its metadata says, else what config.json beside it says, else null.
    /// </summary>
    public int? ContextLength(OnnxModelFile model)
    {
        if (FixedLength is { } length)
        {
            return length + 1;
        }
        if (model.Metadata.TryGetValue(OnnxExporter.ContextKey, out string? text) && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int context) && context > 1)
        {
            return context;
        }
        string config = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(model.Path))!, Model.ConfigJson.FileName);
        if (!File.Exists(config))
        {
            return null;
        }
        var json = StrictJson.Load(config);
        return json.OptionalInt("max_position_embeddings", 2) ?? json.OptionalInt("n_positions", 2);
    }

    private static int? Fixed(OnnxValue value, int axis) => value.Shape is { } shape ? Number(shape[axis]) : null;

    private static int? Number(OnnxDimension dimension) => dimension.Value is > 0 and < int.MaxValue and var value ? (int)value : null;
}
