using NativeEngine.Devices;

namespace NativeEngine.Model;

/// <summary>
/// The shape of a Llama-style decoder: RMSNorm before each half, rotary positions in half-split form, grouped-query attention, SwiGLU,
/// no biases. Names follow config.json of Hugging Face.
/// </summary>
public sealed record LlamaConfig
{
    /// <summary>Number of tokens V.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>Width C of the residual stream.</summary>
    public required int HiddenSize { get; init; }

    /// <summary>Width I of the feed-forward part.</summary>
    public required int IntermediateSize { get; init; }

    /// <summary>Number of blocks L.</summary>
    public required int Layers { get; init; }

    /// <summary>Number of query heads H.</summary>
    public required int Heads { get; init; }

    /// <summary>Number of key and value heads; divides <see cref="Heads"/>.</summary>
    public required int KeyValueHeads { get; init; }

    /// <summary>Width of a head; even. H * HeadSize need not be C.</summary>
    public required int HeadSize { get; init; }

    /// <summary>Longest sequence.</summary>
    public required int ContextLength { get; init; }

    /// <summary>Added to the mean square in RMSNorm.</summary>
    public float NormEpsilon { get; init; } = 1e-5f;

    /// <summary>Base of the rotary frequencies: theta^(-2j/h).</summary>
    public double RopeTheta { get; init; } = 10000;

    /// <summary>Whether the output matrix is the embedding.</summary>
    public bool TiedEmbeddings { get; init; } = true;

    /// <summary>Beginning-of-sequence token, if any.</summary>
    public int? BosTokenId { get; init; }

    /// <summary>End-of-sequence token, if any.</summary>
    public int? EosTokenId { get; init; }

    /// <summary>H * HeadSize: the rows of the query projection.</summary>
    public int QuerySize => Heads * HeadSize;

    /// <summary>KeyValueHeads * HeadSize: the rows of the key and value projections.</summary>
    public int KeyValueSize => KeyValueHeads * HeadSize;

    /// <summary>
    /// The angle a position adds to column pair j of a head: theta^(-2j/h). The original rounds it to float32 before multiplying by the position;
    /// losses agree only if all do.
    /// </summary>
    public float RotaryFrequency(int j) => (float)(1.0 / Math.Pow(RopeTheta, 2.0 * j / HeadSize));

    /// <summary>Number of parameters.</summary>
    public long ParameterCount => Layout().Count;

    /// <summary>Name and shape of every weight, as Hugging Face names them.</summary>
    public ParameterLayout Layout() => new(Tensors());

    /// <summary>The name of a weight of a block, as in model.layers.0.self_attn.q_proj.weight.</summary>
    public static string Name(int layer, string part) => $"model.layers.{layer}.{part}.weight";

    /// <summary>Refuses shapes no such model can have. Errors: BadInput with the value.</summary>
    public LlamaConfig Validate(string origin)
    {
        Check(VocabularySize is > 0 and <= 1 << 24, "vocab_size", VocabularySize, "1 to 16,777,216");
        Check(HiddenSize is > 0 and <= 1 << 16, "hidden_size", HiddenSize, "1 to 65,536");
        Check(IntermediateSize is > 0 and <= 1 << 18, "intermediate_size", IntermediateSize, "1 to 262,144");
        Check(Layers is > 0 and <= 1024, "num_hidden_layers", Layers, "1 to 1,024");
        Check(Heads is > 0 and <= 1024, "num_attention_heads", Heads, "1 to 1,024");
        Check(KeyValueHeads > 0 && Heads % KeyValueHeads == 0, "num_key_value_heads", KeyValueHeads, $"a divisor of num_attention_heads {Heads}");
        Check(HeadSize > 0 && HeadSize % 2 == 0 && HeadSize <= 4096, "head_dim", HeadSize, "an even number from 2 to 4,096");
        Check(ContextLength is > 0 and <= 1 << 24, "max_position_embeddings", ContextLength, "1 to 16,777,216");
        // The table of rotary angles is one array.
        Check(ContextLength * (HeadSize / 2L) <= Array.MaxLength, "max_position_embeddings", ContextLength, FormattableString.Invariant($"at most {Array.MaxLength / (HeadSize / 2):N0} with a head_dim of {HeadSize}"));
        Check(NormEpsilon > 0 && NormEpsilon < 1, "rms_norm_eps", NormEpsilon, "a number between 0 and 1");
        Check(RopeTheta > 0 && double.IsFinite(RopeTheta), "rope_theta", RopeTheta, "a positive number");
        return this;

        void Check(bool ok, string name, double value, string expected)
        {
            if (!ok)
            {
                throw new EngineException(ErrorKind.BadInput, $"{origin}: {name} is {value}, expected {expected}");
            }
        }
    }

    /// <summary>Name and shape of every weight, one after the other, and whether it decays.</summary>
    internal IEnumerable<(string Name, Shape Shape, bool Decays)> Tensors()
    {
        yield return ("model.embed_tokens.weight", new Shape(VocabularySize, HiddenSize), true);
        for (int l = 0; l < Layers; l++)
        {
            yield return (Name(l, "self_attn.q_proj"), new Shape(QuerySize, HiddenSize), true);
            yield return (Name(l, "self_attn.k_proj"), new Shape(KeyValueSize, HiddenSize), true);
            yield return (Name(l, "self_attn.v_proj"), new Shape(KeyValueSize, HiddenSize), true);
            yield return (Name(l, "self_attn.o_proj"), new Shape(HiddenSize, QuerySize), true);
            yield return (Name(l, "mlp.gate_proj"), new Shape(IntermediateSize, HiddenSize), true);
            yield return (Name(l, "mlp.up_proj"), new Shape(IntermediateSize, HiddenSize), true);
            yield return (Name(l, "mlp.down_proj"), new Shape(HiddenSize, IntermediateSize), true);
            yield return (Name(l, "input_layernorm"), new Shape(HiddenSize), false);
            yield return (Name(l, "post_attention_layernorm"), new Shape(HiddenSize), false);
        }
        yield return ("model.norm.weight", new Shape(HiddenSize), false);
        if (!TiedEmbeddings)
        {
            yield return ("lm_head.weight", new Shape(VocabularySize, HiddenSize), true);
        }
    }
}
