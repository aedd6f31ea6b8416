using System.Text.Json;
using NativeEngine.Formats;

namespace NativeEngine.Data;

/// <summary>Builds a tokenizer from the bytes of a tokenizer.json, checking the built whole and not just its syntax.</summary>
internal sealed class TokenizerJson
{
    /// <summary>Ids may have holes, but not so many that a small file makes a large table.</summary>
    internal const int MaxHoles = 65_536;

    private readonly Dictionary<string, int> _vocabulary = new(StringComparer.Ordinal);
    private readonly List<AddedToken> _added = [];
    private readonly StrictJson _root;

    private TokenizerJson(StrictJson root) => _root = root;

    /// <summary>Reads a tokenizer; <paramref name="config"/> is tokenizer_config.json, which may name BOS and EOS.</summary>
    public static BpeTokenizer Read(byte[] json, byte[]? config, string file, string configFile)
    {
        var configView = config is null ? null : StrictJson.Parse(configFile, config);
        return new TokenizerJson(StrictJson.Parse(file, json)).Build(configView, json, config);
    }

    private BpeTokenizer Build(StrictJson? config, byte[] json, byte[]? configJson)
    {
        var model = _root.Require("model");
        string type = model.Optional("type") is null && model.Optional("merges") is not null ? "BPE" : model.RequireString("type");
        if (type != "BPE")
        {
            throw model.Require("type").Bad($"names the model \"{type}\", which is not supported (supported: BPE)");
        }
        ReadVocabulary(model);
        ReadAdded();
        int size = CheckIds();
        bool byteLevel = false;
        var preTokenizer = _root.Optional("pre_tokenizer") is { } steps ? PipelineJson.PreTokenizer(steps, last: true, ref byteLevel) : null;
        string? unknown = model.OptionalString("unk_token");
        int? unknownId = unknown is null ? null : _vocabulary.TryGetValue(unknown, out int u) ? u
            : throw model.Require("unk_token").Bad($"names the token \"{unknown}\", which is not in the vocabulary");
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
        var (prefix, suffix) = PipelineJson.PostProcessor(_root.Optional("post_processor"), size);
        return new BpeTokenizer(new TokenizerParts
        {
            Model = new BpeModel(_vocabulary, ReadMerges(model), byteLevel, model.OptionalBool("byte_fallback") ?? false, unknownId,
                model.OptionalBool("fuse_unk") ?? false, model.OptionalBool("ignore_merges") ?? false),
            Spellings = spellings,
            Special = special,
            Added = [.. _added],
            Normalizer = _root.Optional("normalizer") is { } normalizer ? PipelineJson.Normalizer(normalizer) : null,
            PreTokenizer = preTokenizer,
            Decoder = _root.Optional("decoder") is { } decoder ? PipelineJson.Decoder(decoder) : null,
            Prefix = prefix,
            Suffix = suffix,
            BosId = Named(config, "bos_token") ?? Conventional("<s>", "<|begin_of_text|>", "<bos>", "<|bos|>") ?? FirstSpecial(prefix),
            EosId = Named(config, "eos_token") ?? Conventional("</s>", "<|end_of_text|>", "<eos>", "<|eos|>", "<|endoftext|>"),
            Json = json,
            ConfigJson = configJson,
        });

        int? FirstSpecial(int[] ids) => ids.Length > 0 ? ids[0] : null;
    }

    private void ReadVocabulary(StrictJson model)
    {
        var ids = new HashSet<int>();
        foreach (var (text, value) in model.Require("vocab").Members())
        {
            int id = value.AsInt(min: 0);
            if (!ids.Add(id))
            {
                throw value.Bad($"has the id {id} of another token");
            }
            _vocabulary.Add(text, id);
        }
        if (_vocabulary.Count == 0)
        {
            throw model.Require("vocab").Bad("is empty");
        }
    }

    private void ReadAdded()
    {
        if (_root.Optional("added_tokens") is not { } items)
        {
            return;
        }
        var (byId, contents) = (new Dictionary<int, string>(), new HashSet<string>(StringComparer.Ordinal));
        foreach (var (text, id) in _vocabulary)
        {
            byId[id] = text;
        }
        foreach (var item in items.Items())
        {
            string content = item.RequireString("content");
            int id = item.RequireInt("id", min: 0);
            bool special = item.OptionalBool("special") ?? false;
            if (content.Length == 0)
            {
                throw item.Bad("is an empty token");
            }
            if ((byId.TryGetValue(id, out string? owner) && owner != content)
                || (_vocabulary.TryGetValue(content, out int known) && known != id))
            {
                throw item.Bad($"contradicts the vocabulary: the token \"{content}\" with id {id}");
            }
            byId[id] = content;
            if (!contents.Add(content))
            {
                throw item.Bad($"adds the token \"{content}\" a second time");
            }
            _added.Add(new AddedToken(id, content, item.OptionalBool("single_word") ?? false, item.OptionalBool("lstrip") ?? false,
                item.OptionalBool("rstrip") ?? false, item.OptionalBool("normalized") ?? !special, special));
        }
    }

    private int CheckIds()
    {
        int largest = Math.Max(_vocabulary.Values.Max(), _added.Count == 0 ? 0 : _added.Max(static t => t.Id));
        long tokens = _vocabulary.Count + _added.Count;
        return largest < tokens + MaxHoles ? largest + 1
            : throw _root.Require("model").Bad($"has {tokens} tokens, but ids up to {largest}; ids must be below {tokens + MaxHoles}");
    }

    private List<(int Left, int Right, int Id)> ReadMerges(StrictJson model)
    {
        var merges = new List<(int, int, int)>();
        foreach (var item in model.Require("merges").Items())
        {
            string left;
            string right;
            if (item.Kind == JsonValueKind.String)
            {
                string both = item.AsString();
                int space = both.IndexOf(' ');
                if (space <= 0 || space != both.LastIndexOf(' ') || space == both.Length - 1)
                {
                    throw item.Bad($"must be two tokens with a space between them, got \"{both}\"");
                }
                (left, right) = (both[..space], both[(space + 1)..]);
            }
            else
            {
                StrictJson[] pair = [.. item.Items().Take(3)];
                if (pair.Length != 2)
                {
                    throw item.Bad("must be two tokens");
                }
                (left, right) = (pair[0].AsString(), pair[1].AsString());
            }
            merges.Add((IdOf(left, item), IdOf(right, item), IdOf(left + right, item)));
        }
        return merges;
    }

    private int IdOf(string token, StrictJson merge) => _vocabulary.TryGetValue(token, out int id) ? id
        : throw merge.Bad($"needs the token \"{token}\", which is not in the vocabulary");

    private static void RefuseModelOptions(StrictJson model)
    {
        if ((model.OptionalDouble("dropout") ?? 0) != 0)
        {
            throw model.Require("dropout").Bad("asks for merge dropout, which is not supported: its tokens are random");
        }
        foreach (string name in (ReadOnlySpan<string>)["continuing_subword_prefix", "end_of_word_suffix"])
        {
            if (model.OptionalString(name) is { Length: > 0 } value)
            {
                throw model.Require(name).Bad($"is not supported, got \"{value}\"");
            }
        }
    }

    private int? Named(StrictJson? config, string name)
    {
        if (config?.Optional(name) is not { } token)
        {
            return null;
        }
        string content = token.Kind == JsonValueKind.Object ? token.RequireString("content") : token.AsString();
        return IdOf(content) ?? throw token.Bad($"names the token \"{content}\", which is not in the vocabulary");
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
}
