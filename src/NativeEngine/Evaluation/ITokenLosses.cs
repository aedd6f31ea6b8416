using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Model;

namespace NativeEngine.Evaluation;

/// <summary>What computes the losses of an evaluation: the engine itself, or a runtime with a model file.</summary>
public interface ITokenLosses
{
    /// <summary>Longest sequence in tokens.</summary>
    int ContextLength { get; }

    /// <summary>
    /// Natural-log losses of the label rows of packed sequences, in their order; no sequence sees another. Errors: BadInput for tokens the model
    /// does not know.
    /// </summary>
    float[] Losses(PackedBatch batch, CancellationToken cancellation = default);
}

/// <summary>Losses by this engine.</summary>
public sealed class NativeLosses(LlamaModel model) : ITokenLosses, IDisposable
{
    private readonly Workspace _workspace = new(model.Device);

    /// <inheritdoc/>
    public int ContextLength => model.Config.ContextLength;

    /// <inheritdoc/>
    public float[] Losses(PackedBatch batch, CancellationToken cancellation = default)
    {
        cancellation.ThrowIfCancellationRequested();
        using var tokens = new TokenBatch(model.Device, model.Config, batch);
        using var scope = _workspace.Open();
        var losses = _workspace.Floats(tokens.LabelCount);
        model.Loss(tokens, losses, _workspace);
        return model.Device.Download(losses);
    }

    /// <inheritdoc/>
    public void Dispose() => _workspace.Dispose();
}
