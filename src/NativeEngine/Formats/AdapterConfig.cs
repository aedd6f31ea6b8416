using System.Text.Json;

namespace NativeEngine.Formats;

/// <summary>adapter_config.json of PEFT: what of it decides numbers, read strictly.</summary>
internal sealed record AdapterConfig(int Rank, double Alpha, IReadOnlyList<StrictJson> Targets)
{
    /// <summary>The file's name.</summary>
    public const string FileName = "adapter_config.json";

    /// <summary>The file with the matrices.</summary>
    public const string WeightsName = "adapter_model.safetensors";

    /// <summary>
    /// Reads a folder's configuration. Errors: BadInput for a missing file and for variants that would change the numbers (DoRA, rank-stabilised
    /// scale, biases, patterns), by name.
    /// </summary>
    public static AdapterConfig Read(string folder)
    {
        string path = Path.Combine(folder, FileName);
        if (!File.Exists(path))
        {
            throw new EngineException(ErrorKind.BadInput, $"{folder}: there is no {FileName}, so this is no adapter folder",
                Directory.Exists(folder) ? $"nengine train --lora-rank 8 writes one: the folder adapter in its --output" : MissingPath.Hint(folder, holding: FileName));
        }
        return Parse(StrictJson.Load(path));
    }

    /// <summary>Reads the document.</summary>
    public static AdapterConfig Parse(StrictJson json)
    {
        string path = json.File, type = json.RequireString("peft_type");
        if (type != "LORA")
        {
            throw new EngineException(ErrorKind.BadInput, $"{path}: \"peft_type\" is \"{type}\"; only LORA is supported");
        }
        foreach (string variant in new[] { "use_dora", "use_rslora", "fan_in_fan_out" })
        {
            if (json.OptionalBool(variant) == true)
            {
                throw new EngineException(ErrorKind.BadInput, $"{path}: \"{variant}\" is true, which is not supported");
            }
        }
        foreach (string pattern in new[] { "rank_pattern", "alpha_pattern" })
        {
            if (json.Optional(pattern) is { Kind: JsonValueKind.Object } map && map.Count() > 0)
            {
                throw map.Bad("gives single layers another rank or scale, which is not supported");
            }
        }
        if ((json.OptionalString("bias") ?? "none") != "none")
        {
            throw new EngineException(ErrorKind.BadInput, $"{path}: \"bias\" is not \"none\", which is not supported");
        }
        return new AdapterConfig(json.RequireInt("r", 1), json.RequireDouble("lora_alpha", 0), json.Require("target_modules").SomeItems());
    }
}
