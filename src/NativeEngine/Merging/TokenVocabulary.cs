using System.Text.Json;
using NativeEngine.Data;
using NativeEngine.Formats;

namespace NativeEngine.Merging;

/// <summary>The tokens of a tokenizer.json and their ids, whatever the kind of tokenizer (BPE, WordPiece, Unigram), added tokens included.</summary>
internal sealed class TokenVocabulary
{
    private TokenVocabulary(string folder, Dictionary<string, int> ids)
    {
        Folder = folder;
        Ids = ids;
        ById = new string?[ids.Values.DefaultIfEmpty(-1).Max() + 1];
        foreach (var (token, id) in ids)
        {
            ById[id] = token;
        }
    }

    /// <summary>Where it was read.</summary>
    public string Folder { get; }

    /// <summary>Token to id.</summary>
    public IReadOnlyDictionary<string, int> Ids { get; }

    /// <summary>Id to token; null in a hole.</summary>
    public string?[] ById { get; }

    /// <summary>Reads the vocabulary of a folder, or null when it has no tokenizer.json. Errors: BadInput for a malformed one.</summary>
    public static TokenVocabulary? Read(string? folder)
    {
        string path = Path.Combine(folder ?? "", TokenizerFile.FileName);
        if (folder is null || !File.Exists(path))
        {
            return null;
        }
        return Parse(StrictJson.Load(path), folder);
    }

    /// <summary>Reads the document.</summary>
    public static TokenVocabulary Parse(StrictJson json, string folder)
    {
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        var vocabulary = json.Require("model").Require("vocab");
        if (vocabulary.Kind == JsonValueKind.Object)
        {
            foreach (var (token, id) in vocabulary.Members())
            {
                ids.Add(token, id.AsInt(0));
            }
        }
        else
        {
            int id = 0;
            foreach (var item in vocabulary.Items())
            {
                var token = item.Items().FirstOrDefault() ?? throw item.Bad("must be a token and its score");
                ids[token.AsString()] = id++;
            }
        }
        foreach (var added in json.Optional("added_tokens")?.Items() ?? [])
        {
            ids[added.RequireString("content")] = added.RequireInt("id", 0);
        }
        int largest = ids.Values.DefaultIfEmpty(-1).Max();
        if (largest >= ids.Count + TokenizerJson.MaxHoles)
        {
            throw json.Require("model").Bad($"has {ids.Count} tokens, but ids up to {largest}; ids must be below {ids.Count + TokenizerJson.MaxHoles}");
        }
        return new TokenVocabulary(folder, ids);
    }

    /// <summary>Whether every token has the same id in both.</summary>
    public bool Agrees(TokenVocabulary other) => ReferenceEquals(this, other)
        || (Ids.Count == other.Ids.Count && Ids.All(pair => other.Ids.TryGetValue(pair.Key, out int id) && id == pair.Value));
}
