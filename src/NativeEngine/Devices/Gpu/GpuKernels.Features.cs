namespace NativeEngine.Devices.Gpu;

// What happens to features before rows are compared.
internal sealed partial class GpuKernels
{
    /// <summary>Rows that pass a thread's history.</summary>
    private const long HistoryRows = 16;

    private const long ScanBlock = 4096;

    public void RowsFinite(Tensor<float> x, Tensor<int> finite)
    {
        Require.That(finite.Length == x.Rows, $"rows finite: x is {x.Shape}, finite has {finite.Length} elements");
        Run("rows_finite", x.Rows, Of(x), Of(finite), Of(x.RowLength));
    }

    public void AdamNormalize(
        Tensor<float> features, Tensor<float> m, Tensor<float> v, double beta1, double beta2, double epsilon, long step, Tensor<float> normalized)
    {
        Require.That(step >= 0, $"adam normalize: step is {step}, the number of steps already done");
        bool aligned = CheckTransform("adam normalize", features, m, v, normalized);
        var f = new AdamTransformFactors(beta1, beta2, step);
        Run("adam_normalize", TransformGroups(features, aligned),
            Of(features), Of(m), Of(v), Of(normalized), Of(features.Rows), Of(features.RowLength), Of(f.Decay1), Of(f.Weight1), Of(f.Decay2), Of(f.Weight2),
            Of((float)epsilon), Flag(!m.IsNone), Flag(!v.IsNone), Flag(aligned));
    }

    public void MomentumNormalize(Tensor<float> features, Tensor<float> velocity, double mu, Tensor<float> normalized)
    {
        bool aligned = CheckTransform("momentum normalize", features, velocity, default, normalized);
        Run("momentum_normalize", TransformGroups(features, aligned),
            Of(features), Of(velocity), Of(normalized), Of(features.Rows), Of(features.RowLength), Of((float)mu), Flag(!velocity.IsNone), Flag(aligned));
    }

    public void LionNormalize(Tensor<float> features, Tensor<float> m, double beta1, Tensor<float> normalized)
    {
        bool aligned = CheckTransform("lion normalize", features, m, default, normalized);
        Run("lion_normalize", TransformGroups(features, aligned),
            Of(features), Of(m), Of(normalized), Of(features.Rows), Of(features.RowLength), Of((float)beta1), Of((float)(1 - beta1)), Flag(!m.IsNone),
            Flag(aligned));
    }

    public void UpdateMoment(Tensor<float> features, Tensor<int> rows, bool squared, double decay, double weight, Tensor<float> moment)
    {
        long d = features.RowLength;
        Require.That(rows.Length > 0 && moment.Length == d, $"update moment: features {features.Shape}, {rows.Length} rows, moment {moment.Shape}");
        Run("update_moment", Groups(d, Threads),
            Of(features), Of(rows), Of(moment), Of(d), Of(rows.Length), Flag(squared), Of((float)decay), Of((float)weight), Of(features.Rows),
            Status(Slot.UpdateMoment, $"update moment: the row at @ is not in 0..{features.Rows - 1}"), Of(Slot.UpdateMoment));
    }

    public void ColumnImportance(Tensor<float> u, Tensor<int> rows, Tensor<float> importance)
    {
        long d = u.RowLength;
        Require.That(rows.Length > 0 && importance.Length == d, $"column importance: u {u.Shape}, {rows.Length} rows, importance {importance.Shape}");
        Run("column_importance", Groups(d, Threads),
            Of(u), Of(rows), Of(importance), Of(d), Of(rows.Length), Of(u.Rows),
            Status(Slot.ColumnImportance, $"column importance: the row at @ is not in 0..{u.Rows - 1}"), Of(Slot.ColumnImportance));
    }

    public void TopK(Tensor<float> importance, Tensor<int> columns)
    {
        long d = importance.Length, k = columns.Length;
        Require.That(k <= d && d <= int.MaxValue, $"top k: {k} of {d} columns");
        if (k == 0)
        {
            return;
        }
        const int Digits = 2048, StateBytes = 256;
        long blocks = Groups(d, ScanBlock);
        // State and histogram lie side by side and start at 0.
        var scratch = Scratch(StateBytes, Digits * sizeof(uint), 2 * blocks * sizeof(uint), k * sizeof(ulong));
        var (state, histogram, counts, keys) = (scratch[0], scratch[1], scratch[2], scratch[3]);
        _driver.Clear((nint)state.Bits, state.ByteOffset, StateBytes + (Digits * sizeof(uint)));
        foreach (var (shift, bits) in new[] { (21, 11), (10, 11), (0, 10) })
        {
            Run("topk_histogram", Math.Min(Groups(d, 16 * Threads), 1024), Of(importance), state, histogram, Of(d), Of(shift), Of((1 << bits) - 1));
            Run("topk_bucket", 1, state, histogram, Of(k), Of(shift), Of((1 << bits) - 1));
        }
        Run("topk_count", blocks, Of(importance), state, counts, Of(d));
        Run("topk_scan", 1, counts, Of(blocks));
        Run("topk_write", blocks, Of(importance), state, counts, keys, Of(d), Of(k));
        Run("topk_rank", Groups(k, Threads), keys, Of(columns), Of(k));
    }

    public void Gather(Tensor<float> x, Tensor<int> rows, Tensor<int> columns, Tensor<float> y)
    {
        Require.That(y.Rows == rows.Length && y.RowLength == columns.Length, $"gather: {rows.Length} rows and {columns.Length} columns of {x.Shape} into {y.Shape}");
        Status(Slot.GatherColumns, $"gather: the column at @ is not in 0..{x.RowLength - 1}");
        Run("gather", Groups(rows.Length, 4) * Groups(columns.Length, Threads),
            Of(x), Of(rows), Of(columns), Of(y), Of(x.RowLength), Of(rows.Length), Of(columns.Length), Of(x.Rows),
            Status(Slot.Gather, $"gather: the row at @ is not in 0..{x.Rows - 1}"), Of(Slot.Gather));
    }

    private static bool CheckTransform(string operation, Tensor<float> features, Tensor<float> m, Tensor<float> v, Tensor<float> normalized)
    {
        long d = features.RowLength;
        Require.That((m.IsNone || m.Length == d) && (v.IsNone || v.Length == d) && SameShape(features, normalized),
            $"{operation}: features {features.Shape}, history {m} and {v} of {d} elements, result {normalized.Shape}");
        return Aligned(d, features, m, v, normalized);
    }

    private static long TransformGroups(Tensor<float> features, bool aligned) =>
        Groups(features.RowLength, aligned ? ElementsPerGroup : Threads) * Groups(features.Rows, HistoryRows);
}
