namespace NativeEngine.Devices.Gpu;

internal sealed partial class GpuKernels
{
    /// <summary>Queries or keys of a group.</summary>
    private const long AttentionTile = 64;

    public void Attention(
        Tensor<float> q, Tensor<float> k, Tensor<float> v, Tensor<int> queryOffsets, Tensor<int> keyOffsets, int heads, int keyValueHeads,
        Tensor<float> output, Tensor<float> logSumExp)
    {
        var (headSize, sequences) = CheckAttention("attention", Slot.Attention, q, k, v, queryOffsets, keyOffsets, heads, keyValueHeads);
        Require.That(SameShape(q, output) && logSumExp.Rows == q.Rows && logSumExp.Length == q.Rows * heads,
            $"attention: output {output.Shape} must be like q {q.Shape}, log-sum-exp {logSumExp.Shape} must be [{q.Rows} x {heads}]");
        Run("attention", Slots(q.Rows, sequences), heads, Groups(headSize, 2 * AttentionTile),
            Of(q), Of(k), Of(v), Of(queryOffsets), Of(keyOffsets), Of(output), Of(logSumExp), Of((int)sequences), Of(heads), Of(heads / keyValueHeads),
            Of((int)headSize), Of(1f / MathF.Sqrt(headSize)), Flag(Aligned(headSize, q, k, v)), Of(q.Rows), Of(k.Rows));
    }

    public void AttentionBackward(
        Tensor<float> dOutput, Tensor<float> q, Tensor<float> k, Tensor<float> v, Tensor<float> output, Tensor<float> logSumExp,
        Tensor<int> offsets, int heads, int keyValueHeads, Tensor<float> dq, Tensor<float> dk, Tensor<float> dv)
    {
        var (headSize, sequences) = CheckAttention("attention backward", Slot.AttentionBackward, q, k, v, offsets, offsets, heads, keyValueHeads);
        Require.That(SameShape(q, dOutput) && SameShape(q, output) && logSumExp.Rows == q.Rows && logSumExp.Length == q.Rows * heads,
            $"attention backward: dOutput {dOutput.Shape} and output {output.Shape} must be like q {q.Shape}, log-sum-exp {logSumExp.Shape} [{q.Rows} x {heads}]");
        Require.That(SameShape(v, dv), $"attention backward: dv {dv.Shape} must be like v {v.Shape}");
        Require.That(dq.IsNone == dk.IsNone, $"attention backward: dq is {dq}, dk is {dk}; give both or none");
        Require.That(dq.IsNone || (SameShape(q, dq) && SameShape(k, dk)),
            $"attention backward: dq {dq.Shape} must be like q {q.Shape}, dk {dk.Shape} like k {k.Shape}");
        bool valuesOnly = dq.IsNone;
        int group = heads / keyValueHeads;
        float scale = 1f / MathF.Sqrt(headSize);
        long items = q.Rows * heads;
        var inner = Scratch(Math.Max(1, items) * sizeof(float))[0];
        var aligned = Flag(Aligned(headSize, dOutput, q, k, v));
        if (!valuesOnly)
        {
            Run("attention_inner", Groups(items, 4), Of(dOutput), Of(output), inner, Of(items), Of((int)headSize));
        }
        Run("attention_backward_keys", Slots(k.Rows, sequences), keyValueHeads, Groups(headSize, AttentionTile),
            Of(dOutput), Of(q), Of(k), Of(v), Of(logSumExp), inner, Of(offsets), Of(dk), Of(dv), Of((int)sequences), Of(heads), Of(group),
            Of((int)headSize), Of(scale), Flag(valuesOnly), aligned, Of(k.Rows));
        if (!valuesOnly)
        {
            Run("attention_backward_queries", Slots(q.Rows, sequences), heads, Groups(headSize, AttentionTile),
                Of(dOutput), Of(q), Of(k), Of(v), Of(logSumExp), inner, Of(offsets), Of(dq), Of((int)sequences), Of(heads), Of(group),
                Of((int)headSize), Of(scale), aligned, Of(q.Rows));
        }
    }

    /// <summary>At least as many slots as tiles, whatever the offsets, which only the device knows: see sequence_of in attention.cu.</summary>
    private static long Slots(long rows, long sequences) => sequences == 0 ? 0 : (rows / AttentionTile) + sequences;

    private (long HeadSize, long Sequences) CheckAttention(
        string operation, int slot, Tensor<float> q, Tensor<float> k, Tensor<float> v, Tensor<int> queryOffsets, Tensor<int> keyOffsets, int heads,
        int keyValueHeads)
    {
        Require.That(heads > 0 && keyValueHeads > 0 && heads % keyValueHeads == 0 && q.RowLength % heads == 0,
            $"{operation}: q {q.Shape} with {heads} heads over {keyValueHeads} key-value heads; heads must divide the row and be a multiple of the key-value heads");
        long headSize = q.RowLength / heads, sequences = queryOffsets.Length - 1;
        Require.That(k.RowLength == keyValueHeads * headSize && v.RowLength == k.RowLength && k.Rows == v.Rows,
            $"{operation}: k {k.Shape}, v {v.Shape}; both must have rows of {keyValueHeads} heads of {headSize}");
        Require.That(queryOffsets.Length >= 1 && queryOffsets.Length == keyOffsets.Length && sequences <= int.MaxValue,
            $"{operation}: {queryOffsets.Length} query offsets, {keyOffsets.Length} key offsets; both must be one more than the sequences");
        Run("attention_check", Groups(sequences, Threads),
            Of(queryOffsets), Of(keyOffsets), Of((int)sequences), Of(q.Rows), Of(k.Rows),
            Status(slot, $"{operation}: the offsets of sequence @ do not ascend within 0..{q.Rows} queries and 0..{k.Rows} keys, or it has more queries than keys"),
            Of(slot));
        return (headSize, sequences);
    }
}
