using NativeEngine.Devices;

namespace NativeEngine.Model;

/// <summary>What stands for an example in a selection.</summary>
public enum FeatureKind
{
    /// <summary>Zeroth-order estimate of the gradient of the watched weight (colm.md steps B and C).</summary>
    ZerothOrder,
    /// <summary>The exact gradient of the watched weight, by backward through the last block only.</summary>
    Gradient,
    /// <summary>The final norm's output at the example's last token.</summary>
    Hidden,
}

/// <summary>How features are made.</summary>
/// <param name="Kind">Which feature.</param>
/// <param name="Directions">Number M of random directions of the zeroth-order estimate.</param>
/// <param name="Radius">Finite-difference radius epsilon.</param>
/// <param name="Seed">Seed of the directions, which are the same for all examples and all steps of a run.</param>
public sealed record FeatureOptions(FeatureKind Kind, int Directions = 1, float Radius = 1e-3f, ulong Seed = 0);

/// <summary>
/// Per-example features of the last block's value projection, or of its LoRA B where an adapter sits on it: the watched weight theta, d
/// elements. The loss of an example is its own mean over its own label rows, so a feature does not depend on the example's neighbours.
/// <para>Zeroth order (Spall 1992, MeZO): g_im = (L_i(theta + eps z_m) - L_i(theta - eps z_m)) / (2 eps), f_i = (1/M) sum over m of g_im z_m.
/// The perturbation is applied to the values, v +- eps (x z^T), not to the weight, so theta neither drifts nor loses bits. Cost: one
/// prefix pass, then 2M passes of the last block and head.</para>
/// <para>Gradient: one pass of prefix, last block and head, and the backward pass down to the values; f_i = dv_i^T x_i.</para>
/// </summary>
public sealed class GradientFeatures : IDisposable
{
    private readonly LlamaModel _model;
    private readonly LlamaBlock _block;
    private readonly FeatureOptions _options;
    private float[] _host = [], _losses = [];
    private double[] _means = [];
    private int[] _last = [];
    private DeviceBuffer<int>? _lastRows;

    /// <summary>Features of a model as it stands at each call. Errors: Usage for fewer than one direction or a radius that is not positive.</summary>
    public GradientFeatures(LlamaModel model, FeatureOptions options)
    {
        if (options.Directions < 1 || !(options.Radius > 0))
        {
            throw new EngineException(ErrorKind.Usage,
                $"features need at least one direction and a positive radius, got {options.Directions} and {options.Radius}");
        }
        _model = model.Frozen();
        _options = options;
        _block = _model.Blocks[^1];
        Dimension = options.Kind == FeatureKind.Hidden ? model.Config.HiddenSize : WatchedInputs * _block.Value.Outputs;
    }

    /// <summary>Length d of a feature.</summary>
    public long Dimension { get; }

    private long WatchedInputs => _block.Value.LowRank?.Rank ?? _block.Value.Inputs;

    /// <summary>
    /// Writes the features [S, d] of the batch's S sequences. Every sequence must have a label row unless the kind is Hidden (then one token).
    /// Errors: BadInput naming the sequence that has none.
    /// </summary>
    public void Compute(TokenBatch batch, Tensor<float> features, Workspace workspace)
    {
        Require.That(features.Rows == batch.Sequences && features.RowLength == Dimension,
            $"features: destination {features.Shape}, expected [{batch.Sequences} x {Dimension}]");
        using var scope = workspace.Open();
        if (_options.Kind == FeatureKind.Hidden)
        {
            Hidden(batch, features, workspace);
            return;
        }
        for (int s = 0; s < batch.Sequences; s++)
        {
            if (batch.LabelOffsets[s + 1] == batch.LabelOffsets[s])
            {
                throw new EngineException(ErrorKind.BadInput, $"sequence {s} of the batch has no label token, so it has no loss to differentiate");
            }
        }
        var h = _model.Hidden(batch, _model.Config.Layers - 1, workspace);
        if (_options.Kind == FeatureKind.Gradient)
        {
            Exact(h, batch, features, workspace);
        }
        else
        {
            ZerothOrder(h, batch, features, workspace);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _lastRows?.Dispose();
        _model.Dispose();
    }

    private void Exact(Tensor<float> h, TokenBatch batch, Tensor<float> features, Workspace workspace)
    {
        var config = _model.Config;
        long n = h.Rows;
        var y = workspace.Floats(n, config.HiddenSize);
        var kept = _block.Forward(h, y, batch, workspace);
        var weights = workspace.Floats(batch.LabelCount);
        _model.Device.Upload<float>(OwnLengthWeights(batch), weights);
        var losses = workspace.Floats(batch.LabelCount);
        _model.Head.Loss(y, batch, weights, losses, y, workspace);
        var dValue = workspace.Floats(n, config.KeyValueSize);
        _block.ValueGradient(y, kept, batch, dValue, workspace);
        _model.Device.Kernels.SegmentedMatMul(dValue, WatchedInput(h, kept.InverseRms1, workspace), batch.Offsets, features);
        _model.Device.Synchronize();
    }

    private void ZerothOrder(Tensor<float> h, TokenBatch batch, Tensor<float> features, Workspace workspace)
    {
        var config = _model.Config;
        var kernels = _model.Device.Kernels;
        long n = h.Rows, outputs = _block.Value.Outputs;
        var kept = new BlockActivations
        {
            Input = h,
            InverseRms1 = workspace.Floats(n),
            Query = workspace.Floats(n, config.QuerySize),
            Key = workspace.Floats(n, config.KeyValueSize),
            Value = workspace.Floats(n, config.KeyValueSize),
        };
        _block.QueryKeyValue(kept, batch, workspace);
        var watched = WatchedInput(h, kept.InverseRms1, workspace);
        var direction = workspace.Floats(outputs, WatchedInputs);
        var shift = workspace.Floats(n, outputs);
        var g = workspace.Floats(batch.Sequences, 1);
        kernels.Fill(0, features);
        int sequences = batch.Sequences;
        for (int m = 0; m < _options.Directions; m++)
        {
            kernels.Gaussian(_options.Seed, (uint)m, direction);
            kernels.MatMul(watched, false, direction, true, false, shift);
            var both = GrownArray.Of(ref _means, 2 * sequences);
            PerturbedLosses(kept, shift, _options.Radius, batch, workspace, both[..sequences]);
            PerturbedLosses(kept, shift, -_options.Radius, batch, workspace, both[sequences..]);
            CentralDifferences(both[..sequences], both[sequences..], _options.Radius, both[..sequences]);
            var scalars = GrownArray.Of(ref _host, sequences);
            for (int s = 0; s < sequences; s++)
            {
                scalars[s] = (float)(both[s] / _options.Directions);
            }
            _model.Device.Upload<float>(scalars, g);
            kernels.MatMul(g, false, direction.Reshape(1, Dimension), false, true, features);
        }
        _model.Device.Synchronize();
    }

    /// <summary>The mean loss of each sequence with the values moved by radius times shift.</summary>
    private void PerturbedLosses(
        in BlockActivations kept, Tensor<float> shift, float radius, TokenBatch batch, Workspace workspace, Span<double> means)
    {
        using var scope = workspace.Open();
        var config = _model.Config;
        var kernels = _model.Device.Kernels;
        long n = shift.Rows;
        var value = workspace.Floats(n, config.KeyValueSize);
        var attended = workspace.Floats(n, config.QuerySize);
        var logSumExp = workspace.Floats(n, config.Heads);
        var h = workspace.Floats(n, config.HiddenSize);
        var losses = workspace.Floats(batch.LabelCount);
        kernels.Copy(kept.Value, value);
        kernels.Axpy(radius, shift, value);
        kernels.Attention(kept.Query, kept.Key, value, batch.Offsets, batch.Offsets, config.Heads, config.KeyValueHeads, attended, logSumExp);
        kernels.Copy(kept.Input, h);
        _block.Output.Forward(attended, h, accumulate: true, workspace);
        _block.FeedForward(h, workspace);
        _model.Head.Loss(h, batch, default, losses, default, workspace);
        var values = GrownArray.Of(ref _losses, (int)losses.Length);
        _model.Device.Download(losses, values);
        SequenceMeans(values, batch.LabelOffsets, means);
    }

    private void Hidden(TokenBatch batch, Tensor<float> features, Workspace workspace)
    {
        // Offsets first, then in their place the last row of each sequence.
        var last = GrownArray.Of(ref _last, batch.Sequences + 1);
        _model.Device.Download(batch.Offsets, last);
        for (int s = 0; s < batch.Sequences; s++)
        {
            last[s] = last[s + 1] > last[s]
                ? last[s + 1] - 1
                : throw new EngineException(ErrorKind.BadInput, $"sequence {s} of the batch is empty, so it has no last token");
        }
        if (_lastRows is null || _lastRows.Length < batch.Sequences)
        {
            _lastRows?.Dispose();
            _lastRows = _model.Device.Allocate<int>(batch.Sequences, MemoryUse.Data);
        }
        var rows = _lastRows.View.Slice(0, batch.Sequences);
        _model.Device.Upload<int>(last[..^1], rows);
        _model.Head.Normalize(_model.Hidden(batch, _model.Config.Layers, workspace), rows, features, workspace);
        _model.Device.Synchronize();
    }

    /// <summary>What the watched weight multiplies: the first norm's output, or its low-rank projection.</summary>
    private Tensor<float> WatchedInput(Tensor<float> h, Tensor<float> inverseRms, Workspace workspace)
    {
        var normed = workspace.Floats(h.Rows, _model.Config.HiddenSize);
        _model.Device.Kernels.RmsNorm(h, _block.Norm1, _model.Config.NormEpsilon, normed, inverseRms);
        return _block.Value.LowRank is { } low ? Linear.Down(normed, low, workspace) : normed;
    }

    private Span<float> OwnLengthWeights(TokenBatch batch)
    {
        var weights = GrownArray.Of(ref _host, (int)batch.LabelCount);
        for (int s = 0; s < batch.Sequences; s++)
        {
            int first = batch.LabelOffsets[s], last = batch.LabelOffsets[s + 1];
            weights[first..last].Fill(1f / (last - first));
        }
        return weights;
    }

    /// <summary>g_i = (L_i(theta + eps z) - L_i(theta - eps z)) / (2 eps).</summary>
    internal static void CentralDifferences(ReadOnlySpan<double> plus, ReadOnlySpan<double> minus, double radius, Span<double> g)
    {
        for (int i = 0; i < g.Length; i++)
        {
            g[i] = (plus[i] - minus[i]) / (2 * radius);
        }
    }

    /// <summary>The mean of each sequence's losses, summed in double in ascending order; 0 for a sequence without any.</summary>
    internal static void SequenceMeans(ReadOnlySpan<float> losses, ReadOnlySpan<int> labelOffsets, Span<double> means)
    {
        for (int s = 0; s < means.Length; s++)
        {
            double sum = 0;
            for (int r = labelOffsets[s]; r < labelOffsets[s + 1]; r++)
            {
                sum += losses[r];
            }
            means[s] = sum / Math.Max(1, labelOffsets[s + 1] - labelOffsets[s]);
        }
    }
}
