using System.Text.Json;

namespace NativeEngine.Data;

/// <summary>Builds a tokenizer from the bytes of a tokenizer.json, checking the built whole and not just its syntax.</summary>
internal sealed class TokenizerJson
{
    // Ids may have holes, but not so many that a small file makes a large table.
    private const int MaxHoles = 65_536;

    private readonly Dictionary<string, int> _vocabulary = new(StringComparer.Ordinal);
    private readonly List<AddedToken> _added = [];
    private readonly JsonView _root;

    private TokenizerJson(JsonView root) => _root = root;

    /// <summary>Reads a tokenizer; <paramref name="config"/> is tokenizer_config.json, which may name BOS and EOS.</summary>
    public static BpeTokenizer Read(byte[] json, byte[]? config, string file, string configFile)
    {
        using var document = Parse(json, file);
        using var configDocument = config is null ? null : Parse(config, configFile);
        var configView = configDocument is null ? default : new JsonView(configDocument.RootElement, configFile, "");
        return new TokenizerJson(new JsonView(document.RootElement, file, "")).Build(configView, json, config);
    }

    private static JsonDocument Parse(byte[] json, string file)
    {
        try
        {
            if (!System.Text.Unicode.Utf8.IsValid(json))
            {
                throw new EngineException(ErrorKind.BadInput, $"reading {file}: it is not valid UTF-8");
            }
            return JsonDocument.Parse(json, new JsonDocumentOptions { AllowDuplicateProperties = false, MaxDepth = 64 });
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new EngineException(ErrorKind.BadInput, $"reading {file}: it is not valid JSON: {e.Message.TrimEnd('.')}", null, e);
        }
    }

    private BpeTokenizer Build(JsonView config, byte[] json, byte[]? configJson)
    {
        var model = _root["model"];
        string type = model["type"].IsNull && !model["merges"].IsNull ? "BPE" : model["type"].String();
        if (type != "BPE")
        {
            throw Unsupported("model", type, "BPE");
        }
        ReadVocabulary(model);
        ReadAdded();
        int size = CheckIds();
        bool byteLevel = false;
        var preTokenizer = _root["pre_tokenizer"].IsNull ? null
            : PipelineJson.PreTokenizer(_root["pre_tokenizer"], last: true, ref byteLevel);
        string? unknown = model["unk_token"].StringOrNull();
        int? unknownId = unknown is null ? null : _vocabulary.TryGetValue(unknown, out int u) ? u
            : throw model["unk_token"].Error($"the unknown token \"{unknown}\" is not in the vocabulary");
        RefuseModelOptions(model);
        var spellings = new string?[size];
        var special = new bool[size];
        foreach (var (text, id) in _vocabulary)
        {
            spellings[id] = text;
        }
        foreach (var token in _added)
        {
            spellings[token.Id] = token.Content;
            special[token.Id] = token.Special;
        }
        var (prefix, suffix) = PipelineJson.PostProcessor(_root["post_processor"], size);
        return new BpeTokenizer(new TokenizerParts
        {
            Model = new BpeModel(_vocabulary, ReadMerges(model), byteLevel, model["byte_fallback"].Bool(false), unknownId,
                model["fuse_unk"].Bool(false), model["ignore_merges"].Bool(false)),
            Spellings = spellings,
            Special = special,
            Added = [.. _added],
            Normalizer = _root["normalizer"].IsNull ? null : PipelineJson.Normalizer(_root["normalizer"]),
            PreTokenizer = preTokenizer,
            Decoder = _root["decoder"].IsNull ? null : PipelineJson.Decoder(_root["decoder"]),
            Prefix = prefix,
            Suffix = suffix,
            BosId = Named(config, "bos_token") ?? Conventional("<s>", "<|begin_of_text|>", "<bos>", "<|bos|>") ?? FirstSpecial(prefix),
            EosId = Named(config, "eos_token") ?? Conventional("</s>", "<|end_of_text|>", "<eos>", "<|eos|>", "<|endoftext|>"),
            Json = json,
            ConfigJson = configJson,
        });

        int? FirstSpecial(int[] ids) => ids.Length > 0 ? ids[0] : null;
    }

    private void ReadVocabulary(JsonView model)
    {
        var ids = new HashSet<int>();
        foreach (var (text, value) in model["vocab"].Members())
        {
            int id = value.Int();
            if (id < 0 || !ids.Add(id))
            {
                throw value.Error(id < 0 ? $"expected an id from 0, got {id}" : $"the id {id} belongs to two tokens");
            }
            _vocabulary.Add(text, id);
        }
        if (_vocabulary.Count == 0)
        {
            throw model["vocab"].Error("the vocabulary is empty");
        }
    }

    private void ReadAdded()
    {
        if (_root["added_tokens"].IsNull)
        {
            return;
        }
        var byId = new Dictionary<int, string>();
        foreach (var (text, id) in _vocabulary)
        {
            byId[id] = text;
        }
        foreach (var item in _root["added_tokens"].Items())
        {
            string content = item["content"].String();
            int id = item["id"].Int();
            bool special = item["special"].Bool(false);
            if (content.Length == 0 || id < 0)
            {
                throw item.Error(id < 0 ? $"expected an id from 0, got {id}" : "the token is empty");
            }
            if ((byId.TryGetValue(id, out string? owner) && owner != content)
                || (_vocabulary.TryGetValue(content, out int known) && known != id))
            {
                throw item.Error($"the token \"{content}\" with id {id} contradicts the vocabulary");
            }
            byId[id] = content;
            if (_added.Exists(t => t.Content == content))
            {
                throw item.Error($"the token \"{content}\" is added twice");
            }
            _added.Add(new AddedToken(id, content, item["single_word"].Bool(false), item["lstrip"].Bool(false),
                item["rstrip"].Bool(false), item["normalized"].Bool(!special), special));
        }
    }

    private int CheckIds()
    {
        int largest = Math.Max(_vocabulary.Values.Max(), _added.Count == 0 ? 0 : _added.Max(static t => t.Id));
        long tokens = _vocabulary.Count + _added.Count;
        return largest < tokens + MaxHoles ? largest + 1
            : throw _root["model"].Error($"the largest id is {largest} with only {tokens} tokens; ids must be below {tokens + MaxHoles}");
    }

    private List<(int Left, int Right, int Id)> ReadMerges(JsonView model)
    {
        var merges = new List<(int, int, int)>();
        foreach (var item in model["merges"].Items())
        {
            string left;
            string right;
            if (item.IsString)
            {
                string both = item.String();
                int space = both.IndexOf(' ');
                if (space <= 0 || space != both.LastIndexOf(' ') || space == both.Length - 1)
                {
                    throw item.Error($"expected two tokens with a space between them, got \"{both}\"");
                }
                (left, right) = (both[..space], both[(space + 1)..]);
            }
            else
            {
                JsonView[] pair = [.. item.Items().Take(3)];
                if (pair.Length != 2)
                {
                    throw item.Error("expected two tokens");
                }
                (left, right) = (pair[0].String(), pair[1].String());
            }
            merges.Add((IdOf(left, item), IdOf(right, item), IdOf(left + right, item)));
        }
        return merges;
    }

    private int IdOf(string token, JsonView merge) => _vocabulary.TryGetValue(token, out int id) ? id
        : throw merge.Error($"the token \"{token}\" is not in the vocabulary");

    private static void RefuseModelOptions(JsonView model)
    {
        if (!model["dropout"].IsNull && model["dropout"].Number() != 0)
        {
            throw model["dropout"].Error("merge dropout is not supported, because its tokens are random");
        }
        foreach (string name in (ReadOnlySpan<string>)["continuing_subword_prefix", "end_of_word_suffix"])
        {
            if (model[name].StringOrNull() is { Length: > 0 } value)
            {
                throw model[name].Error($"it is not supported, got \"{value}\"");
            }
        }
    }

    private int? Named(JsonView config, string name)
    {
        if (!config.IsObject || config[name].IsNull)
        {
            return null;
        }
        string content = config[name].IsObject ? config[name]["content"].String() : config[name].String();
        return IdOf(content) ?? throw config[name].Error($"the token \"{content}\" is not in the vocabulary");
    }

    private int? Conventional(params ReadOnlySpan<string> names)
    {
        foreach (string name in names)
        {
            if (IdOf(name) is { } id)
            {
                return id;
            }
        }
        return null;
    }

    private int? IdOf(string content) => _vocabulary.TryGetValue(content, out int id) ? id
        : _added.Find(t => t.Content == content)?.Id;

    private EngineException Unsupported(string part, string type, string supported) =>
        _root[part]["type"].Error($"the {part} type \"{type}\" is not supported (supported: {supported})");
}
