using NativeEngine.Devices;

namespace NativeEngine.Model;

/// <summary>
/// Final norm, output matrix and cross-entropy over the label rows only, in chunks of rows: the logits of a batch are never held at once.
/// </summary>
internal sealed class LlamaHead(LlamaModel model)
{
    // Logits held at once: 4 MiB, but at least 64 rows so that the product stays efficient.
    private const long ChunkFloats = 1 << 20;
    private const long SmallestChunk = 64;

    private readonly LlamaConfig _config = model.Config;
    private readonly Linear _output = model.CreateLinear(model.Config.TiedEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight");
    private readonly Tensor<float> _norm = model.Parameters["model.norm.weight"];
    private readonly Tensor<float> _normGradient = model.GradientOf("model.norm.weight");

    /// <summary>
    /// Losses [R] of the label rows of h [N, C]. With row weights [R], also writes dh [N, C], the gradient of sum over r of
    /// weight[r] loss[r], and adds the gradients of the output matrix and of the norm unless frozen.
    /// </summary>
    public void Loss(
        Tensor<float> h, TokenBatch batch, Tensor<float> rowWeights, Tensor<float> losses, Tensor<float> dh, Workspace workspace)
    {
        using var scope = workspace.Open();
        var kernels = model.Device.Kernels;
        long rows = batch.LabelCount;
        bool backward = !rowWeights.IsNone;
        var x = workspace.Floats(rows, _config.HiddenSize);
        var normed = workspace.Floats(rows, _config.HiddenSize);
        var inverseRms = workspace.Floats(rows);
        var dNormed = backward ? workspace.Floats(rows, _config.HiddenSize) : default;
        kernels.GatherRows(h, batch.LabelRows, x);
        kernels.RmsNorm(x, _norm, _config.NormEpsilon, normed, inverseRms);
        long chunk = Math.Min(rows, Math.Max(SmallestChunk, ChunkFloats / _config.VocabularySize));
        using (workspace.Open())
        {
            var logits = workspace.Floats(chunk, _config.VocabularySize);
            for (long first = 0; first < rows; first += chunk)
            {
                long count = Math.Min(chunk, rows - first);
                var part = logits.Slice(0, count);
                var input = normed.Slice(first, count);
                _output.Forward(input, part, accumulate: false, workspace);
                kernels.CrossEntropy(part, batch.Targets.Slice(first, count), backward ? rowWeights.Slice(first, count) : default, losses.Slice(first, count));
                if (backward)
                {
                    _output.Backward(part, input, dNormed.Slice(first, count), accumulate: false, workspace);
                }
            }
        }
        if (backward)
        {
            var dx = normed;
            kernels.Fill(0, dx);
            kernels.RmsNormBackward(dNormed, x, _norm, inverseRms, dx, _normGradient);
            kernels.Fill(0, dh);
            kernels.ScatterAddRows(dx, batch.LabelRows, dh);
        }
    }

    /// <summary>Logits [M, V] of chosen rows of h.</summary>
    public void Logits(Tensor<float> h, Tensor<int> rows, Tensor<float> logits, Workspace workspace)
    {
        using var scope = workspace.Open();
        var normed = workspace.Floats(rows.Length, _config.HiddenSize);
        Normalize(h, rows, normed, workspace);
        _output.Forward(normed, logits, accumulate: false, workspace);
    }

    /// <summary>The final norm [M, C] of chosen rows of h.</summary>
    public void Normalize(Tensor<float> h, Tensor<int> rows, Tensor<float> normed, Workspace workspace)
    {
        using var scope = workspace.Open();
        var kernels = model.Device.Kernels;
        var x = workspace.Floats(rows.Length, _config.HiddenSize);
        var inverseRms = workspace.Floats(rows.Length);
        kernels.GatherRows(h, rows, x);
        kernels.RmsNorm(x, _norm, _config.NormEpsilon, normed, inverseRms);
    }
}
