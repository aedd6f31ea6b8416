using NativeEngine.Devices;

namespace NativeEngine.Model;

/// <summary>What a block keeps of its forward pass for its backward pass; N rows each.</summary>
/// <param name="Input">Residual stream before the block [N, C].</param>
/// <param name="InverseRms1">Norm factors of the first half [N].</param>
/// <param name="Query">Rotated queries [N, H h].</param>
/// <param name="Key">Rotated keys [N, K h].</param>
/// <param name="Value">Values [N, K h].</param>
/// <param name="Attended">Attention output [N, H h].</param>
/// <param name="LogSumExp">Softmax normalisers [N, H].</param>
/// <param name="Middle">Residual stream between the halves [N, C].</param>
/// <param name="InverseRms2">Norm factors of the second half [N].</param>
/// <param name="Gate">Gate projection [N, I].</param>
/// <param name="Up">Up projection [N, I].</param>
internal readonly record struct BlockActivations(
    Tensor<float> Input, Tensor<float> InverseRms1, Tensor<float> Query, Tensor<float> Key, Tensor<float> Value, Tensor<float> Attended,
    Tensor<float> LogSumExp, Tensor<float> Middle, Tensor<float> InverseRms2, Tensor<float> Gate, Tensor<float> Up);

/// <summary>
/// One decoder block: h = x + Attention(RMSNorm(x)) Wo^T, y = h + SwiGLU(RMSNorm(h)). Norm outputs and the SwiGLU product are recomputed in
/// the backward pass: they cost one pass over memory and would be a quarter of what is kept.
/// </summary>
internal sealed class LlamaBlock(LlamaModel model, int index)
{
    private readonly LlamaConfig _config = model.Config;

    public Tensor<float> Norm1 { get; } = model.Parameters[LlamaConfig.Name(index, "input_layernorm")];

    public Tensor<float> Norm2 { get; } = model.Parameters[LlamaConfig.Name(index, "post_attention_layernorm")];

    public Linear Query { get; } = model.CreateLinear(LlamaConfig.Name(index, "self_attn.q_proj"));

    public Linear Key { get; } = model.CreateLinear(LlamaConfig.Name(index, "self_attn.k_proj"));

    public Linear Value { get; } = model.CreateLinear(LlamaConfig.Name(index, "self_attn.v_proj"));

    public Linear Output { get; } = model.CreateLinear(LlamaConfig.Name(index, "self_attn.o_proj"));

    public Linear Gate { get; } = model.CreateLinear(LlamaConfig.Name(index, "mlp.gate_proj"));

    public Linear Up { get; } = model.CreateLinear(LlamaConfig.Name(index, "mlp.up_proj"));

    public Linear Down { get; } = model.CreateLinear(LlamaConfig.Name(index, "mlp.down_proj"));

    private Tensor<float> Norm1Gradient { get; } = model.GradientOf(LlamaConfig.Name(index, "input_layernorm"));

    private Tensor<float> Norm2Gradient { get; } = model.GradientOf(LlamaConfig.Name(index, "post_attention_layernorm"));

    /// <summary>
    /// Forward pass from x to y that keeps what <see cref="Backward"/> needs in the caller's scope. When y is none only the kept tensors are
    /// computed.
    /// </summary>
    public BlockActivations Forward(Tensor<float> x, Tensor<float> y, TokenBatch batch, Workspace workspace)
    {
        long n = x.Rows;
        var kept = new BlockActivations(
            x, workspace.Floats(n), workspace.Floats(n, _config.QuerySize), workspace.Floats(n, _config.KeyValueSize),
            workspace.Floats(n, _config.KeyValueSize), workspace.Floats(n, _config.QuerySize), workspace.Floats(n, _config.Heads),
            workspace.Floats(n, _config.HiddenSize), workspace.Floats(n), workspace.Floats(n, _config.IntermediateSize),
            workspace.Floats(n, _config.IntermediateSize));
        QueryKeyValue(kept, batch, workspace);
        model.Device.Kernels.Attention(
            kept.Query, kept.Key, kept.Value, batch.Offsets, batch.Offsets, _config.Heads, _config.KeyValueHeads, kept.Attended, kept.LogSumExp);
        FinishForward(kept, y, workspace);
        return kept;
    }

    /// <summary>Forward pass in place on h that keeps nothing; with a cache, its earlier keys and values precede and the new ones are added.</summary>
    public void Forward(Tensor<float> h, TokenBatch batch, KeyValueCache? cache, Tensor<int> keyOffsets, Workspace workspace)
    {
        using var scope = workspace.Open();
        var kernels = model.Device.Kernels;
        long n = h.Rows;
        var rms = workspace.Floats(n);
        var q = workspace.Floats(n, _config.QuerySize);
        var attended = workspace.Floats(n, _config.QuerySize);
        var logSumExp = workspace.Floats(n, _config.Heads);
        Tensor<float> k, v, allKeys, allValues;
        if (cache is null)
        {
            allKeys = k = workspace.Floats(n, _config.KeyValueSize);
            allValues = v = workspace.Floats(n, _config.KeyValueSize);
        }
        else
        {
            k = cache.Keys(index).Slice(cache.Length, n);
            v = cache.Values(index).Slice(cache.Length, n);
            allKeys = cache.Keys(index).Slice(0, cache.Length + n);
            allValues = cache.Values(index).Slice(0, cache.Length + n);
        }
        QueryKeyValue(new BlockActivations { Input = h, InverseRms1 = rms, Query = q, Key = k, Value = v }, batch, workspace);
        kernels.Attention(q, allKeys, allValues, batch.Offsets, keyOffsets, _config.Heads, _config.KeyValueHeads, attended, logSumExp);
        Output.Forward(attended, h, accumulate: true, workspace);
        FeedForward(h, workspace);
    }

    /// <summary>The second half in place on h, keeping nothing.</summary>
    public void FeedForward(Tensor<float> h, Workspace workspace)
    {
        using var scope = workspace.Open();
        var kernels = model.Device.Kernels;
        var rms = workspace.Floats(h.Rows);
        var normed = workspace.Floats(h.Rows, _config.HiddenSize);
        var gate = workspace.Floats(h.Rows, _config.IntermediateSize);
        var up = workspace.Floats(h.Rows, _config.IntermediateSize);
        kernels.RmsNorm(h, Norm2, _config.NormEpsilon, normed, rms);
        Gate.Forward(normed, gate, false, workspace);
        Up.Forward(normed, up, false, workspace);
        kernels.SwiGlu(gate, up, gate);
        Down.Forward(gate, h, accumulate: true, workspace);
    }

    /// <summary>First norm, projections and rotation, into Query, Key and Value of kept.</summary>
    public void QueryKeyValue(in BlockActivations kept, TokenBatch batch, Workspace workspace)
    {
        using var scope = workspace.Open();
        var kernels = model.Device.Kernels;
        var normed = workspace.Floats(kept.Input.Rows, _config.HiddenSize);
        kernels.RmsNorm(kept.Input, Norm1, _config.NormEpsilon, normed, kept.InverseRms1);
        Query.Forward(normed, kept.Query, false, workspace);
        Key.Forward(normed, kept.Key, false, workspace);
        Value.Forward(normed, kept.Value, false, workspace);
        kernels.Rope(batch.Positions, model.RopeCos, model.RopeSin, _config.Heads, inverse: false, kept.Query);
        kernels.Rope(batch.Positions, model.RopeCos, model.RopeSin, _config.KeyValueHeads, inverse: false, kept.Key);
    }

    /// <summary>Output projection and second half, from Attended to y (none: only what is kept).</summary>
    public void FinishForward(in BlockActivations kept, Tensor<float> y, Workspace workspace)
    {
        var kernels = model.Device.Kernels;
        kernels.Copy(kept.Input, kept.Middle);
        Output.Forward(kept.Attended, kept.Middle, accumulate: true, workspace);
        using var scope = workspace.Open();
        long n = kept.Input.Rows;
        var normed = workspace.Floats(n, _config.HiddenSize);
        kernels.RmsNorm(kept.Middle, Norm2, _config.NormEpsilon, normed, kept.InverseRms2);
        Gate.Forward(normed, kept.Gate, false, workspace);
        Up.Forward(normed, kept.Up, false, workspace);
        if (y.IsNone)
        {
            return;
        }
        var product = workspace.Floats(n, _config.IntermediateSize);
        kernels.SwiGlu(kept.Gate, kept.Up, product);
        kernels.Copy(kept.Middle, y);
        Down.Forward(product, y, accumulate: true, workspace);
    }

    /// <summary>
    /// Turns the gradient at the block's output into the gradient at its input, in place in dh, and adds the weight gradients. Destroys
    /// Gate and Up of kept.
    /// </summary>
    public void Backward(Tensor<float> dh, in BlockActivations kept, TokenBatch batch, Workspace workspace)
    {
        FeedForwardBackward(dh, kept, workspace);
        var kernels = model.Device.Kernels;
        using var scope = workspace.Open();
        long n = dh.Rows;
        var dQuery = workspace.Floats(n, _config.QuerySize);
        var dKey = workspace.Floats(n, _config.KeyValueSize);
        var dValue = workspace.Floats(n, _config.KeyValueSize);
        AttentionBackward(dh, kept, batch, dQuery, dKey, dValue, workspace);
        kernels.Rope(batch.Positions, model.RopeCos, model.RopeSin, _config.Heads, inverse: true, dQuery);
        kernels.Rope(batch.Positions, model.RopeCos, model.RopeSin, _config.KeyValueHeads, inverse: true, dKey);
        var normed = workspace.Floats(n, _config.HiddenSize);
        var dNormed = workspace.Floats(n, _config.HiddenSize);
        kernels.RmsNorm(kept.Input, Norm1, _config.NormEpsilon, normed, kept.InverseRms1);
        Query.Backward(dQuery, normed, dNormed, accumulate: false, workspace);
        Key.Backward(dKey, normed, dNormed, accumulate: true, workspace);
        Value.Backward(dValue, normed, dNormed, accumulate: true, workspace);
        kernels.RmsNormBackward(dNormed, kept.Input, Norm1, kept.InverseRms1, dh, Norm1Gradient);
    }

    /// <summary>
    /// The gradient at the values [N, K h] alone, from the gradient dh at the block's output (changed in place to the one at Middle). Adds
    /// weight gradients of the second half and of the output projection unless these are frozen.
    /// </summary>
    public void ValueGradient(Tensor<float> dh, in BlockActivations kept, TokenBatch batch, Tensor<float> dValue, Workspace workspace)
    {
        FeedForwardBackward(dh, kept, workspace);
        AttentionBackward(dh, kept, batch, default, default, dValue, workspace);
    }

    private void FeedForwardBackward(Tensor<float> dh, in BlockActivations kept, Workspace workspace)
    {
        var kernels = model.Device.Kernels;
        using var scope = workspace.Open();
        long n = dh.Rows;
        var dProduct = workspace.Floats(n, _config.IntermediateSize);
        using (workspace.Open())
        {
            var product = workspace.Floats(n, _config.IntermediateSize);
            kernels.SwiGlu(kept.Gate, kept.Up, product);
            Down.Backward(dh, product, dProduct, accumulate: false, workspace);
        }
        kernels.SwiGluBackward(dProduct, kept.Gate, kept.Up, kept.Gate, kept.Up);
        var normed = workspace.Floats(n, _config.HiddenSize);
        var dNormed = workspace.Floats(n, _config.HiddenSize);
        kernels.RmsNorm(kept.Middle, Norm2, _config.NormEpsilon, normed, kept.InverseRms2);
        Gate.Backward(kept.Gate, normed, dNormed, accumulate: false, workspace);
        Up.Backward(kept.Up, normed, dNormed, accumulate: true, workspace);
        kernels.RmsNormBackward(dNormed, kept.Middle, Norm2, kept.InverseRms2, dh, Norm2Gradient);
    }

    private void AttentionBackward(
        Tensor<float> dh, in BlockActivations kept, TokenBatch batch, Tensor<float> dQuery, Tensor<float> dKey, Tensor<float> dValue,
        Workspace workspace)
    {
        using var scope = workspace.Open();
        var dAttended = workspace.Floats(dh.Rows, _config.QuerySize);
        Output.Backward(dh, kept.Attended, dAttended, accumulate: false, workspace);
        model.Device.Kernels.AttentionBackward(
            dAttended, kept.Query, kept.Key, kept.Value, kept.Attended, kept.LogSumExp, batch.Offsets, _config.Heads, _config.KeyValueHeads,
            dQuery, dKey, dValue);
    }
}
