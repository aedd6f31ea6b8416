using NativeEngine.Devices;
using NativeEngine.Formats;

namespace NativeEngine.Model;

/// <summary>A LoRA adapter in PEFT's form: adapter_config.json and adapter_model.safetensors.</summary>
public static class AdapterFolder
{
    private const string ConfigName = AdapterConfig.FileName;
    private const string WeightsName = AdapterConfig.WeightsName;
    private const string Prefix = "base_model.model.";

    /// <summary>Writes both files, each atomically.</summary>
    public static void Save(string folder, LoraAdapter adapter, string baseModel, CancellationToken cancellation = default)
    {
        Directory.CreateDirectory(folder);
        var parameters = adapter.Parameters;
        var specs = parameters.Layout.Entries.Select(e => ModelFolder.Spec(e, Prefix + e.Name, DType.F32)).ToList();
        SafetensorsWriter.Write(
            Path.Combine(folder, WeightsName), specs,
            (spec, sink) => ModelFolder.Write(parameters, parameters.Layout.Find(spec.Name[Prefix.Length..])!, sink), cancellation: cancellation);
        AtomicFile.WriteAllBytes(Path.Combine(folder, ConfigName), JsonWriting.Document(json =>
        {
            json.WriteString("peft_type", "LORA");
            json.WriteString("task_type", "CAUSAL_LM");
            json.WriteString("base_model_name_or_path", baseModel);
            json.WriteNumber("r", adapter.Rank);
            json.WriteNumber("lora_alpha", adapter.Alpha);
            json.WriteNumber("lora_dropout", 0.0);
            json.WriteString("bias", "none");
            json.WriteBoolean("fan_in_fan_out", false);
            json.WriteBoolean("use_rslora", false);
            json.WriteBoolean("use_dora", false);
            json.WriteBoolean("inference_mode", true);
            json.Strings("target_modules", adapter.Targets);
        }));
    }

    /// <summary>
    /// Reads an adapter for a model's shape. Errors: BadInput for files that are missing or do not fit the model, and for variants that would
    /// change the numbers (DoRA, rank-stabilised scale, biases, patterns), by name.
    /// </summary>
    public static LoraAdapter Load(string folder, LlamaConfig config, Device device, bool trainable = false, CancellationToken cancellation = default)
    {
        var described = AdapterConfig.Read(folder);
        using var file = SafetensorsModel.Open(Path.Combine(folder, WeightsName));
        return Of(described, file, config, device, trainable, cancellation);
    }

    /// <summary>The adapter of files that were opened.</summary>
    internal static LoraAdapter Of(AdapterConfig described, SafetensorsModel file, LlamaConfig config, Device device, bool trainable, CancellationToken cancellation)
    {
        var targets = described.Targets.Select(t => LoraAdapter.AllTargets.Contains(t.AsString()) ? t.AsString()
            : throw t.Bad($"is \"{t.AsString()}\"; an adapter may sit on {string.Join(", ", LoraAdapter.AllTargets)}")).ToList();
        foreach (var tensor in file.Tensors.Where(t => t.Name.EndsWith(".lora_A.weight", StringComparison.Ordinal)))
        {
            if (tensor.Shape.Length != 2 || tensor.Shape[0] != described.Rank)
            {
                throw FormatErrors.Bad(tensor.File, $"tensor {FormatErrors.Quote(tensor.Name)} is [{string.Join(" x ", tensor.Shape.ToArray())}]; {ConfigName} says \"r\": {described.Rank}");
            }
        }
        // Rank and targets decide how much is allocated, so the file must have it all.
        var layout = LoraAdapter.LayoutOf(config, described.Rank, targets);
        foreach (var tensor in file.Tensors)
        {
            if (!tensor.Name.StartsWith(Prefix, StringComparison.Ordinal) || layout.Find(tensor.Name[Prefix.Length..]) is null)
            {
                throw FormatErrors.Bad(tensor.File, $"tensor {FormatErrors.Quote(tensor.Name)} has no place in the adapter that {ConfigName} describes");
            }
        }
        foreach (var entry in layout.Entries)
        {
            ModelFolder.Require(file, Prefix + entry.Name, entry.Shape);
        }
        var adapter = new LoraAdapter(device, config, described.Rank, (float)described.Alpha, targets, trainable);
        try
        {
            ModelFolder.Read(file, adapter.Parameters, name => Prefix + name, cancellation);
            return adapter;
        }
        catch
        {
            adapter.Dispose();
            throw;
        }
    }
}
