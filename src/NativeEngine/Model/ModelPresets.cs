namespace NativeEngine.Model;

/// <summary>
/// Shapes to train from scratch, by size. The name gives the parameters with a byte vocabulary, but for 124m, which is GPT-2 small's
/// width and depth and reaches 124 M with a vocabulary of 50,257.
/// </summary>
public static class ModelPresets
{
    private static readonly (string Name, int Layers, int Hidden, int Heads, int KeyValueHeads, int Intermediate, int Context)[] _table =
    [
        ("0.2m", 2, 96, 4, 2, 256, 512),
        ("1m", 4, 144, 6, 3, 384, 1024),
        ("4m", 5, 256, 8, 4, 688, 1024),
        ("11m", 6, 384, 6, 6, 1024, 1024),
        ("25m", 8, 512, 8, 8, 1376, 1024),
        ("124m", 12, 768, 12, 12, 2048, 1024),
    ];

    private const string Prefix = "preset:";

    /// <summary>The preset that "preset:NAME" names, or null for anything else, which is a model folder.</summary>
    public static string? NameIn(string model) => model.StartsWith(Prefix, StringComparison.Ordinal) ? model[Prefix.Length..] : null;

    /// <summary>Refuses what is meant as a preset where a folder is needed, and a preset without its prefix. Errors: Usage with what to write.</summary>
    internal static void RequireFolder(string model)
    {
        if (Directory.Exists(model))
        {
            return;
        }
        if (NameIn(model) is not null)
        {
            throw new EngineException(ErrorKind.Usage, $"{model} has fresh weights; a trained model's folder is needed here", $"nengine train --model {model} --data builtin --steps 200 --output runs/first");
        }
        string name = model.StartsWith("preset", StringComparison.OrdinalIgnoreCase) ? model[6..].TrimStart(':', '=', '-', '/') : model;
        if (Names.FirstOrDefault(n => n.Equals(name, StringComparison.OrdinalIgnoreCase)) is { } preset)
        {
            throw new EngineException(ErrorKind.Usage, $"there is no folder {model}; the preset is written {Prefix}{preset}", $"--model {Prefix}{preset}");
        }
        if (File.Exists(model))
        {
            string folder = Path.GetDirectoryName(model) is { Length: > 0 } parent ? parent : ".";
            throw new EngineException(ErrorKind.BadInput, $"{model} is a file; a model is a folder with config.json, model.safetensors and tokenizer.json",
                File.Exists(Path.Combine(folder, ConfigJson.FileName)) ? $"--model {folder}" : MissingPath.Inside(folder, null, ConfigJson.FileName) ?? "nengine train --model preset:0.2m --data builtin --steps 200 --output runs/first makes one");
        }
    }

    /// <summary>Every preset's name, smallest first.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. _table.Select(p => p.Name)];

    /// <summary>The shape of a preset for a vocabulary. Errors: Usage with the known names.</summary>
    public static LlamaConfig Create(string name, int vocabularySize, int? bos = null, int? eos = null)
    {
        foreach (var p in _table)
        {
            if (p.Name == name)
            {
                return new LlamaConfig
                {
                    VocabularySize = vocabularySize,
                    HiddenSize = p.Hidden,
                    IntermediateSize = p.Intermediate,
                    Layers = p.Layers,
                    Heads = p.Heads,
                    KeyValueHeads = p.KeyValueHeads,
                    HeadSize = p.Hidden / p.Heads,
                    ContextLength = p.Context,
                    BosTokenId = bos,
                    EosTokenId = eos,
                };
            }
        }
        throw new EngineException(ErrorKind.Usage, $"no preset is named \"{name}\"; there are {string.Join(", ", Names)}", $"--model preset:{Suggestion.Nearest(name, Names) ?? Names[0]}");
    }
}
