using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Formats;
using NativeEngine.Model;

namespace NativeEngine.Training;

/// <summary>The low-rank adapter to train in place of the weights.</summary>
/// <param name="Rank">Rank r.</param>
/// <param name="Alpha">Numerator of the scale alpha / r.</param>
/// <param name="Targets">Adapted projections.</param>
public sealed record LoraOptions(int Rank, float Alpha, IReadOnlyList<string> Targets)
{
    /// <summary>Targets from their names: "q" is q_proj.</summary>
    public static IReadOnlyList<string> Projections(IEnumerable<string> names) => [.. names.Select(n => n.EndsWith("_proj", StringComparison.Ordinal) ? n : n + "_proj")];

    /// <summary>Targets from a list with commas: "q,v".</summary>
    public static IReadOnlyList<string> Projections(string list) => Projections(list.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));
}

/// <summary>A model with gradients (its own, or an adapter's) and its tokenizer; owns them all.</summary>
public sealed class TrainableModel : IDisposable
{
    private readonly ParameterSet _parameters;
    private readonly ParameterSet? _gradients;
    private readonly LoraAdapter? _adapter;

    private TrainableModel(LlamaConfig config, ParameterSet parameters, Tokenizer tokenizer, LoraOptions? lora, ulong seed, string origin)
    {
        _parameters = parameters;
        Tokenizer = tokenizer;
        Origin = origin;
        try
        {
            if (tokenizer.VocabularySize > config.VocabularySize)
            {
                throw new EngineException(ErrorKind.BadInput,
                    $"{origin}: the tokenizer has {tokenizer.VocabularySize} tokens, the model's vocabulary {config.VocabularySize}",
                    "use the tokenizer that belongs to the model");
            }
            if (lora is null)
            {
                _gradients = new ParameterSet(parameters.Device, parameters.Layout, MemoryUse.Gradients);
            }
            else
            {
                _adapter = new LoraAdapter(parameters.Device, config, lora.Rank, lora.Alpha, lora.Targets, trainable: true);
                _adapter.Initialize(seed);
            }
            Model = new LlamaModel(config, parameters, _gradients, _adapter);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The model.</summary>
    public LlamaModel Model { get; } = null!;

    /// <summary>Its tokenizer.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>Where it came from: a folder, or preset:NAME.</summary>
    public string Origin { get; }

    /// <summary>
    /// What a user names: preset:NAME with fresh weights and this tokenizer, which is asked for only then, or a folder with its own. Errors: as of the two below.
    /// </summary>
    public static TrainableModel Open(string model, Func<Tokenizer> tokenizer, LoraOptions? lora, ulong seed, Device device, CancellationToken cancellation = default) =>
        ModelPresets.NameIn(model) is { } preset ? FromPreset(preset, tokenizer(), lora, seed, device) : FromFolder(model, lora, seed, device, cancellation);

    /// <summary>A preset with fresh weights from the seed. Errors: Usage for an unknown preset.</summary>
    public static TrainableModel FromPreset(string preset, Tokenizer tokenizer, LoraOptions? lora, ulong seed, Device device)
    {
        var config = ModelPresets.Create(preset, tokenizer.VocabularySize, tokenizer.BosId, tokenizer.EosId);
        var parameters = new ParameterSet(device, config.Layout(), MemoryUse.Parameters);
        ModelInitializer.Initialize(config, parameters, seed);
        return new TrainableModel(config, parameters, tokenizer, lora, seed, $"preset:{preset}");
    }

    /// <summary>A model folder with its tokenizer. Errors: as <see cref="ModelFolder.Load"/> and <see cref="TokenizerFile.Load"/>.</summary>
    public static TrainableModel FromFolder(string folder, LoraOptions? lora, ulong seed, Device device, CancellationToken cancellation = default)
    {
        ModelPresets.RequireFolder(folder);
        var tokenizer = TokenizerFile.Load(folder);
        var (config, parameters) = ModelFolder.Load(folder, device, cancellation);
        return new TrainableModel(config, parameters, tokenizer, lora, seed, folder);
    }

    /// <summary>
    /// Writes the trained model as a Hugging Face folder. An adapter is written beside it (adapter/, PEFT's form) and merged into the weights,
    /// so this ends the training.
    /// </summary>
    public void Save(string folder, DType type, CancellationToken cancellation = default)
    {
        if (_adapter is not null)
        {
            AdapterFolder.Save(Path.Combine(folder, "adapter"), _adapter, Origin, cancellation);
            _adapter.MergeInto(_parameters);
        }
        ModelFolder.Save(folder, Model.Config, _parameters, Tokenizer, type, cancellation);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Model?.Dispose();
        _adapter?.Dispose();
        _gradients?.Dispose();
        _parameters.Dispose();
    }
}
