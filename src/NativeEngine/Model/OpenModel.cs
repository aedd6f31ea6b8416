using NativeEngine.Data;
using NativeEngine.Devices;

namespace NativeEngine.Model;

/// <summary>A model folder opened for use, with its tokenizer and an optional adapter; owns all of them.</summary>
public sealed class OpenModel : IDisposable
{
    private readonly ParameterSet _parameters;
    private readonly LoraAdapter? _adapter;

    /// <summary>
    /// Opens a folder, and an adapter's folder unless it is null. Errors: as <see cref="ModelFolder.Load"/>, <see cref="TokenizerFile.Load"/> and <see cref="AdapterFolder.Load"/>; BadInput for a tokenizer
    /// with more tokens than the model.
    /// </summary>
    public OpenModel(string folder, string? adapter, Device device, CancellationToken cancellation)
    {
        ModelPresets.RequireFolder(folder);
        Tokenizer = TokenizerFile.Load(folder);
        (Config, _parameters) = ModelFolder.Load(folder, device, cancellation);
        try
        {
            if (Tokenizer.VocabularySize > Config.VocabularySize)
            {
                throw new EngineException(ErrorKind.BadInput,
                    $"{folder}: the tokenizer has {Tokenizer.VocabularySize} tokens, the model's vocabulary {Config.VocabularySize}",
                    "tokenizer.json and config.json must belong together");
            }
            _adapter = adapter is null ? null : AdapterFolder.Load(adapter, Config, device, cancellation: cancellation);
            Model = new LlamaModel(Config, _parameters, null, _adapter);
        }
        catch
        {
            _adapter?.Dispose();
            _parameters.Dispose();
            throw;
        }
    }

    /// <summary>The architecture.</summary>
    public LlamaConfig Config { get; }

    /// <summary>The tokenizer of the folder.</summary>
    public Tokenizer Tokenizer { get; }

    /// <summary>The model, with the adapter on it.</summary>
    public LlamaModel Model { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        Model.Dispose();
        _adapter?.Dispose();
        _parameters.Dispose();
    }
}
