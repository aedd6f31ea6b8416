using System.Text.Json;
using NativeEngine.Formats;

namespace NativeEngine.Model;

/// <summary>config.json of Hugging Face, read strictly and written so that transformers loads it.</summary>
public static class ConfigJson
{
    /// <summary>The file's name.</summary>
    public const string FileName = "config.json";

    /// <summary>
    /// Reads a Llama configuration. Errors: BadInput for a missing file, another architecture, a missing or impossible value, and for what
    /// would change the numbers and is not supported (biases, another activation, scaled rotary positions), each by name.
    /// </summary>
    public static LlamaConfig Read(string folder)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path))
        {
            throw new EngineException(ErrorKind.BadInput, $"{folder}: there is no {FileName}, so this is no model folder",
                Directory.Exists(folder) ? "the --output of nengine train is one, and so is a download of a Llama model from Hugging Face"
                    : MissingPath.Download(folder) ?? MissingPath.Hint(folder, holding: FileName) ?? $"nengine train --model preset:0.2m --data builtin --output {folder} makes one");
        }
        return Parse(StrictJson.Load(path));
    }

    /// <summary>Reads the document.</summary>
    internal static LlamaConfig Parse(StrictJson json)
    {
        string path = json.File, type = json.OptionalString("model_type") ?? "llama";
        if (type != "llama")
        {
            throw new EngineException(ErrorKind.BadInput, $"{path}: \"model_type\" is \"{type}\"; this engine runs \"llama\"", "nengine eval --engine onnx evaluates other architectures from their .onnx file");
        }
        foreach (string bias in new[] { "attention_bias", "mlp_bias" })
        {
            if (json.OptionalBool(bias) == true)
            {
                throw new EngineException(ErrorKind.BadInput, $"{path}: \"{bias}\" is true; projections with biases are not supported", "nengine eval --engine onnx evaluates such a model from its .onnx file");
            }
        }
        string activation = json.OptionalString("hidden_act") ?? "silu";
        if (activation is not ("silu" or "swish"))
        {
            throw new EngineException(ErrorKind.BadInput, $"{path}: \"hidden_act\" is \"{activation}\"; only silu is supported", "nengine eval --engine onnx evaluates such a model from its .onnx file");
        }
        int hidden = json.RequireInt("hidden_size", 1), heads = json.RequireInt("num_attention_heads", 1);
        return new LlamaConfig
        {
            VocabularySize = json.RequireInt("vocab_size", 1),
            HiddenSize = hidden,
            IntermediateSize = json.RequireInt("intermediate_size", 1),
            Layers = json.RequireInt("num_hidden_layers", 1),
            Heads = heads,
            KeyValueHeads = json.OptionalInt("num_key_value_heads", 1) ?? heads,
            HeadSize = json.OptionalInt("head_dim", 1) ?? hidden / heads,
            ContextLength = json.OptionalInt("max_position_embeddings", 1) ?? 2048,
            NormEpsilon = (float)(json.OptionalDouble("rms_norm_eps") ?? 1e-6),
            RopeTheta = RopeTheta(json),
            TiedEmbeddings = json.OptionalBool("tie_word_embeddings") ?? false,
            BosTokenId = TokenId(json, "bos_token_id"),
            EosTokenId = TokenId(json, "eos_token_id"),
        }.Validate(path);
    }

    /// <summary>Writes config.json.</summary>
    public static void Write(string folder, LlamaConfig config, DType type)
    {
        AtomicFile.WriteAllBytes(Path.Combine(folder, FileName), JsonWriting.Document(json =>
        {
            json.Strings("architectures", ["LlamaForCausalLM"]);
            json.WriteString("model_type", "llama");
            json.WriteNumber("hidden_size", config.HiddenSize);
            json.WriteNumber("intermediate_size", config.IntermediateSize);
            json.WriteNumber("num_hidden_layers", config.Layers);
            json.WriteNumber("num_attention_heads", config.Heads);
            json.WriteNumber("num_key_value_heads", config.KeyValueHeads);
            json.WriteNumber("head_dim", config.HeadSize);
            json.WriteNumber("vocab_size", config.VocabularySize);
            json.WriteNumber("max_position_embeddings", config.ContextLength);
            json.WriteNumber("rms_norm_eps", config.NormEpsilon);
            json.WriteNumber("rope_theta", config.RopeTheta);
            json.WriteNull("rope_scaling");
            json.WriteString("hidden_act", "silu");
            json.WriteBoolean("tie_word_embeddings", config.TiedEmbeddings);
            json.WriteBoolean("attention_bias", false);
            json.WriteBoolean("mlp_bias", false);
            json.WriteNumber("attention_dropout", 0.0);
            json.WriteNumber("initializer_range", 0.02);
            WriteToken(json, "bos_token_id", config.BosTokenId);
            WriteToken(json, "eos_token_id", config.EosTokenId);
            json.WriteString("torch_dtype", type == DType.BF16 ? "bfloat16" : "float32");
            json.WriteBoolean("use_cache", true);
        }));
    }

    private static double RopeTheta(StrictJson json)
    {
        // Newer files keep the base inside "rope_parameters"; any kind but the default would change every position.
        foreach (string name in new[] { "rope_scaling", "rope_parameters" })
        {
            if (json.Optional(name) is { } rope)
            {
                string kind = rope.OptionalString("rope_type") ?? rope.OptionalString("type")
                    ?? (rope.Optional("factor") is null ? "default" : throw rope.Bad("has a \"factor\" but no \"rope_type\" that says of what"));
                if (kind != "default")
                {
                    throw rope.Bad($"asks for rotary positions of type \"{kind}\"; only the default ones are supported");
                }
                if (rope.OptionalDouble("rope_theta", double.Epsilon) is { } theta)
                {
                    return theta;
                }
            }
        }
        return json.OptionalDouble("rope_theta", double.Epsilon) ?? 10000;
    }

    private static int? TokenId(StrictJson json, string name) => json.Optional(name) switch
    {
        null => null,
        { Kind: JsonValueKind.Array } list => list.Items().FirstOrDefault()?.AsInt(0),
        var value => value.AsInt(0),
    };

    private static void WriteToken(Utf8JsonWriter json, string name, int? id)
    {
        if (id is { } value)
        {
            json.WriteNumber(name, value);
        }
        else
        {
            json.WriteNull(name);
        }
    }
}
