using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Model;

namespace NativeEngine.Cli;

/// <summary>A model folder opened for use, with its tokenizer and an optional adapter; owns all of them.</summary>
internal sealed class OpenModel : IDisposable
{
    private readonly ParameterSet _parameters;
    private readonly LoraAdapter? _adapter;

    public OpenModel(string folder, string? adapter, Device device, CancellationToken cancellation)
    {
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

    public LlamaConfig Config { get; }

    public Tokenizer Tokenizer { get; }

    public LlamaModel Model { get; }

    public void Dispose()
    {
        Model.Dispose();
        _adapter?.Dispose();
        _parameters.Dispose();
    }
}
