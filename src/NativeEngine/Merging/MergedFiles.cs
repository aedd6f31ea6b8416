using System.Text.Encodings.Web;
using System.Text.Json;
using NativeEngine.Data;
using NativeEngine.Formats;

namespace NativeEngine.Merging;

/// <summary>The small files of a merged model: configuration and tokenizer, copied, with the members that the merge changed.</summary>
internal static class MergedFiles
{
    private static readonly string[] _tokenizerFiles =
    [
        TokenizerFile.FileName, TokenizerFile.ConfigFileName, "tokenizer.model", "special_tokens_map.json", "added_tokens.json", "vocab.json", "merges.txt",
        "chat_template.jinja", "chat_template.json",
    ];

    private static readonly string[] _typeKeys = ["torch_dtype", "dtype"];
    private static readonly string[] _layerKeys = ["num_hidden_layers", "n_layer", "num_layers", "n_layers"];

    public static void Write(string folder, MergePlan plan, DType? type)
    {
        if (plan.Donor.Folder is not { } from)
        {
            return;
        }
        if (plan.Donor.Config is { } config)
        {
            Copy(config, Path.Combine(folder, MergeInput.ConfigName), Changes(plan, config, type));
        }
        CopyFile(from, folder, "generation_config.json");
        string tokenizer = plan.Vocabulary?.Source.Folder ?? from;
        foreach (string name in _tokenizerFiles)
        {
            if (name == TokenizerFile.FileName && plan.Vocabulary is { IsUnion: true } union)
            {
                WriteUnion(Path.Combine(tokenizer, name), Path.Combine(folder, name), union);
                continue;
            }
            CopyFile(tokenizer, folder, name);
        }
    }

    private static Dictionary<string, Action<Utf8JsonWriter>> Changes(MergePlan plan, StrictJson config, DType? type)
    {
        var changes = new Dictionary<string, Action<Utf8JsonWriter>>();
        foreach (string key in _typeKeys.Where(key => type is not null && config.Optional(key) is not null))
        {
            changes[key] = json => json.WriteStringValue(type switch
            {
                DType.BF16 => "bfloat16",
                DType.F16 => "float16",
                DType.F64 => "float64",
                _ => "float32",
            });
        }
        foreach (string key in _layerKeys.Where(key => plan.Layers is not null && config.Optional(key) is not null))
        {
            changes[key] = json => json.WriteNumberValue(plan.Layers!.Value);
        }
        if (plan.Vocabulary is { } vocabulary)
        {
            changes["vocab_size"] = json => json.WriteNumberValue(vocabulary.Rows);
            var owner = plan.Inputs.FirstOrDefault(input => input.Folder == vocabulary.Source.Folder && input != plan.Donor)?.Config;
            foreach (string key in (string[])["bos_token_id", "eos_token_id", "pad_token_id"])
            {
                if (owner?.Optional(key) is { } id)
                {
                    changes[key] = id.WriteTo;
                }
            }
        }
        if (plan.Untied)
        {
            changes["tie_word_embeddings"] = json => json.WriteBooleanValue(false);
        }
        return changes;
    }

    /// <summary>The source's tokenizer.json with the new tokens under added_tokens.</summary>
    private static void WriteUnion(string from, string to, VocabularyAlignment union)
    {
        var json = StrictJson.Load(from);
        Copy(json, to, new Dictionary<string, Action<Utf8JsonWriter>>
        {
            ["added_tokens"] = writer =>
            {
                writer.WriteStartArray();
                foreach (var token in json.Optional("added_tokens")?.Items() ?? [])
                {
                    token.WriteTo(writer);
                }
                foreach (var (token, id) in union.Added)
                {
                    writer.WriteStartObject();
                    writer.WriteNumber("id", id);
                    writer.WriteString("content", token);
                    foreach (string flag in (string[])["single_word", "lstrip", "rstrip", "normalized", "special"])
                    {
                        writer.WriteBoolean(flag, false);
                    }
                    writer.WriteEndObject();
                }
                writer.WriteEndArray();
            },
        });
    }

    private static void Copy(StrictJson json, string to, Dictionary<string, Action<Utf8JsonWriter>> changes)
    {
        AtomicFile.Write(to, stream =>
        {
            var options = new JsonWriterOptions { Indented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
            using var writer = new Utf8JsonWriter(stream, options);
            writer.WriteStartObject();
            var left = new HashSet<string>(changes.Keys, StringComparer.Ordinal);
            foreach (var (name, value) in json.Members())
            {
                writer.WritePropertyName(name);
                if (left.Remove(name))
                {
                    changes[name](writer);
                }
                else
                {
                    value.WriteTo(writer);
                }
            }
            foreach (string name in left.Order(StringComparer.Ordinal))
            {
                writer.WritePropertyName(name);
                changes[name](writer);
            }
            writer.WriteEndObject();
        });
    }

    private static void CopyFile(string from, string to, string name)
    {
        string file = Path.Combine(from, name);
        if (File.Exists(file))
        {
            AtomicFile.WriteAllBytes(Path.Combine(to, name), File.ReadAllBytes(file));
        }
    }
}
