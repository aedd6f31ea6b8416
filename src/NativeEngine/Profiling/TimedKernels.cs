using NativeEngine.Devices;

namespace NativeEngine.Profiling;

/// <summary>Passes every call on and records how long it took, with the counts of the kernel's row in the table.</summary>
internal sealed class TimedKernels(IKernels inner, KernelRecorder recorder) : IKernels
{
    // Several modes share the counts of one row.
    private readonly Dictionary<string, KernelRow> _rows = KernelTable.All.ToDictionary(row => row.Name);

    public void MatMul(Tensor<float> a, bool transposeA, Tensor<float> b, bool transposeB, bool accumulate, Tensor<float> c)
    {
        long start = Start();
        inner.MatMul(a, transposeA, b, transposeB, accumulate, c);
        long k = transposeA ? a.Rows : a.RowLength;
        string name = (transposeA, transposeB, accumulate) switch
        {
            (false, false, false) => "matmul_nn",
            (false, false, true) => "matmul_nn_add",
            (false, true, false) => "matmul_nt",
            (false, true, true) => "matmul_nt_add",
            (true, false, false) => "matmul_tn",
            (true, false, true) => "matmul_tn_add",
            (true, true, false) => "matmul_tt",
            _ => "matmul_tt_add",
        };
        End(start, name, accumulate ? "matmul_tn_add" : "matmul_nn", ("m", c.Rows), ("n", c.RowLength), ("k", k));
    }

    public void SegmentedMatMul(Tensor<float> a, Tensor<float> b, Tensor<int> offsets, Tensor<float> c)
    {
        long start = Start();
        inner.SegmentedMatMul(a, b, offsets, c);
        long segments = offsets.Length - 1, o = a.RowLength, i = b.RowLength;
        Counted(
            start, "segmented_matmul", 2.0 * a.Rows * o * i, 4.0 * ((a.Rows * (o + i)) + (segments * o * i)),
            ("segments", segments), ("rows", a.Rows), ("o", o), ("i", i));
    }

    public void Fill(float value, Tensor<float> x)
    {
        long start = Start();
        inner.Fill(value, x);
        Vector(start, "fill", x);
    }

    public void Copy(Tensor<float> x, Tensor<float> y)
    {
        long start = Start();
        inner.Copy(x, y);
        Vector(start, "copy", x);
    }

    public void Axpy(float alpha, Tensor<float> x, Tensor<float> y)
    {
        long start = Start();
        inner.Axpy(alpha, x, y);
        Vector(start, "axpy", x);
    }

    public void Scale(float alpha, Tensor<float> x)
    {
        long start = Start();
        inner.Scale(alpha, x);
        Vector(start, "scale", x);
    }

    public void WeightedSum(Tensor<float> x, Tensor<double> weights, Tensor<float> y)
    {
        long start = Start();
        inner.WeightedSum(x, weights, y);
        End(start, "weighted_sum", "weighted_sum", ("K", weights.Length), ("n", y.Length));
    }

    public void SumOfSquares(Tensor<float> x, Tensor<float> result)
    {
        long start = Start();
        inner.SumOfSquares(x, result);
        Vector(start, "sum_of_squares", x);
    }

    public void GatherRows(Tensor<float> x, Tensor<int> rows, Tensor<float> y)
    {
        long start = Start();
        inner.GatherRows(x, rows, y);
        End(start, "gather_rows", "gather_rows", ("N", x.Rows), ("M", rows.Length), ("C", x.RowLength));
    }

    public void ScatterAddRows(Tensor<float> x, Tensor<int> rows, Tensor<float> y)
    {
        long start = Start();
        inner.ScatterAddRows(x, rows, y);
        End(start, "scatter_add_rows", "scatter_add_rows", ("N", y.Rows), ("M", rows.Length), ("C", x.RowLength));
    }

    public void RmsNorm(Tensor<float> x, Tensor<float> weight, float epsilon, Tensor<float> y, Tensor<float> inverseRms)
    {
        long start = Start();
        inner.RmsNorm(x, weight, epsilon, y, inverseRms);
        End(start, "rms_norm", "rms_norm", ("N", x.Rows), ("C", x.RowLength));
    }

    public void RmsNormBackward(
        Tensor<float> dy, Tensor<float> x, Tensor<float> weight, Tensor<float> inverseRms, Tensor<float> dx, Tensor<float> dweight)
    {
        long start = Start();
        inner.RmsNormBackward(dy, x, weight, inverseRms, dx, dweight);
        End(start, "rms_norm_backward", "rms_norm_backward", ("N", x.Rows), ("C", x.RowLength));
    }

    public void Rope(Tensor<int> positions, Tensor<float> cos, Tensor<float> sin, int heads, bool inverse, Tensor<float> x)
    {
        long start = Start();
        inner.Rope(positions, cos, sin, heads, inverse, x);
        string name = inverse ? "rope_inverse" : "rope";
        End(start, name, name, ("N", x.Rows), ("T", cos.Rows), ("heads", heads), ("h", x.RowLength / heads));
    }

    public void Attention(
        Tensor<float> q, Tensor<float> k, Tensor<float> v, Tensor<int> queryOffsets, Tensor<int> keyOffsets, int heads, int keyValueHeads,
        Tensor<float> output, Tensor<float> logSumExp)
    {
        long start = Start();
        inner.Attention(q, k, v, queryOffsets, keyOffsets, heads, keyValueHeads, output, logSumExp);
        Sequences(start, "attention", q, k, queryOffsets, keyOffsets, heads, keyValueHeads, 4, 8);
    }

    public void AttentionBackward(
        Tensor<float> dOutput, Tensor<float> q, Tensor<float> k, Tensor<float> v, Tensor<float> output, Tensor<float> logSumExp, Tensor<int> offsets,
        int heads, int keyValueHeads, Tensor<float> dq, Tensor<float> dk, Tensor<float> dv)
    {
        long start = Start();
        inner.AttentionBackward(dOutput, q, k, v, output, logSumExp, offsets, heads, keyValueHeads, dq, dk, dv);
        bool all = !dq.IsNone;
        Sequences(start, all ? "attention_backward" : "attention_backward_dv", q, k, offsets, offsets, heads, keyValueHeads, all ? 10 : 4, all ? 16 : 8);
    }

    public void SwiGlu(Tensor<float> gate, Tensor<float> up, Tensor<float> y)
    {
        long start = Start();
        inner.SwiGlu(gate, up, y);
        Vector(start, "swiglu", gate);
    }

    public void SwiGluBackward(Tensor<float> dy, Tensor<float> gate, Tensor<float> up, Tensor<float> dGate, Tensor<float> dUp)
    {
        long start = Start();
        inner.SwiGluBackward(dy, gate, up, dGate, dUp);
        Vector(start, "swiglu_backward", gate);
    }

    public void CrossEntropy(Tensor<float> logits, Tensor<int> targets, Tensor<float> rowWeights, Tensor<float> losses)
    {
        long start = Start();
        inner.CrossEntropy(logits, targets, rowWeights, losses);
        string name = rowWeights.IsNone ? "cross_entropy_loss" : "cross_entropy";
        End(start, name, name, ("R", logits.Rows), ("V", logits.RowLength));
    }

    public void ClipScale(Tensor<float> sumOfSquares, float maximumNorm, Tensor<float> scale)
    {
        long start = Start();
        inner.ClipScale(sumOfSquares, maximumNorm, scale);
        End(start, "clip_scale", "clip_scale", ("n", 1));
    }

    public void AdamW(
        Tensor<float> gradient, Tensor<float> gradientScale, AdamWStep constants, Tensor<float> parameter, Tensor<float> m, Tensor<float> v)
    {
        long start = Start();
        inner.AdamW(gradient, gradientScale, constants, parameter, m, v);
        Vector(start, "adamw", gradient);
    }

    public void Momentum(
        Tensor<float> gradient, Tensor<float> gradientScale, float learningRate, float mu, float weightDecay, Tensor<float> parameter,
        Tensor<float> velocity)
    {
        long start = Start();
        inner.Momentum(gradient, gradientScale, learningRate, mu, weightDecay, parameter, velocity);
        Vector(start, "momentum", gradient);
    }

    public void Lion(
        Tensor<float> gradient, Tensor<float> gradientScale, float learningRate, float beta1, float beta2, float weightDecay, Tensor<float> parameter,
        Tensor<float> m)
    {
        long start = Start();
        inner.Lion(gradient, gradientScale, learningRate, beta1, beta2, weightDecay, parameter, m);
        Vector(start, "lion", gradient);
    }

    public void Gaussian(ulong seed, uint stream, Tensor<float> x)
    {
        long start = Start();
        inner.Gaussian(seed, stream, x);
        Vector(start, "gaussian", x);
    }

    public void RowsFinite(Tensor<float> x, Tensor<int> finite)
    {
        long start = Start();
        inner.RowsFinite(x, finite);
        Features(start, "rows_finite", x);
    }

    public void AdamNormalize(
        Tensor<float> features, Tensor<float> m, Tensor<float> v, double beta1, double beta2, double epsilon, long step, Tensor<float> normalized)
    {
        long start = Start();
        inner.AdamNormalize(features, m, v, beta1, beta2, epsilon, step, normalized);
        Features(start, m.IsNone && v.IsNone ? "adam_normalize_first" : "adam_normalize", features);
    }

    public void MomentumNormalize(Tensor<float> features, Tensor<float> velocity, double mu, Tensor<float> normalized)
    {
        long start = Start();
        inner.MomentumNormalize(features, velocity, mu, normalized);
        Features(start, "momentum_normalize", features);
    }

    public void LionNormalize(Tensor<float> features, Tensor<float> m, double beta1, Tensor<float> normalized)
    {
        long start = Start();
        inner.LionNormalize(features, m, beta1, normalized);
        Features(start, "lion_normalize", features);
    }

    public void UpdateMoment(Tensor<float> features, Tensor<int> rows, bool squared, double decay, double weight, Tensor<float> moment)
    {
        long start = Start();
        inner.UpdateMoment(features, rows, squared, decay, weight, moment);
        Features(start, squared ? "update_moment_squared" : "update_moment", features, rows.Length);
    }

    public void ColumnImportance(Tensor<float> u, Tensor<int> rows, Tensor<float> importance)
    {
        long start = Start();
        inner.ColumnImportance(u, rows, importance);
        Features(start, "column_importance", u, rows.Length);
    }

    public void TopK(Tensor<float> importance, Tensor<int> columns)
    {
        long start = Start();
        inner.TopK(importance, columns);
        End(start, "top_k", "top_k", ("d", importance.Length), ("h", columns.Length));
    }

    public void Gather(Tensor<float> x, Tensor<int> rows, Tensor<int> columns, Tensor<float> y)
    {
        long start = Start();
        inner.Gather(x, rows, columns, y);
        End(start, "gather", "gather", ("n", rows.Length), ("d", x.RowLength), ("h", columns.Length));
    }

    public void Similarity(Tensor<float> x, DistanceMetric metric, Tensor<float> similarity, Tensor<float> largest)
    {
        long start = Start();
        inner.Similarity(x, metric, similarity, largest);
        string name = metric switch { DistanceMetric.L1 => "similarity_l1", DistanceMetric.L2 => "similarity_l2", _ => "similarity_cosine" };
        End(start, name, name, ("n", x.Rows), ("h", x.RowLength));
    }

    public void Distances(Tensor<float> a, Tensor<float> b, DistanceMetric metric, Tensor<float> distances, Tensor<float> largest)
    {
        long start = Start();
        inner.Distances(a, b, metric, distances, largest);
        string name = metric switch { DistanceMetric.L1 => "distances_l1", DistanceMetric.L2 => "distances_l2", _ => "distances_cosine" };
        End(start, name, name, ("m", a.Rows), ("p", b.Rows), ("h", a.RowLength));
    }

    public void MergeNearest(Tensor<float> distances, long firstRow, long firstColumn, bool columns, Tensor<float> nearest, Tensor<int> neighbours)
    {
        long start = Start();
        inner.MergeNearest(distances, firstRow, firstColumn, columns, nearest, neighbours);
        string name = columns ? "merge_nearest_columns" : "merge_nearest";
        End(start, name, name, ("m", distances.Rows), ("p", distances.RowLength), ("t", nearest.RowLength));
    }

    public void FacilityLocation(Tensor<float> similarity, Tensor<int> picks, Tensor<double> gains, Tensor<int> owners, Tensor<double> remaining)
    {
        long start = Start();
        inner.FacilityLocation(similarity, picks, gains, owners, remaining);
        End(start, "facility_location", "facility_location", ("n", similarity.Rows), ("k", picks.Length));
    }

    private long Start() => recorder.Enabled ? recorder.Stamp() : -1;

    private void Vector(long start, string name, Tensor<float> x) => End(start, name, name, ("n", x.Length));

    private void Features(long start, string name, Tensor<float> x, long picked = 0) =>
        End(start, name, name, ("n", x.Rows), ("d", x.RowLength), ("picked", picked));

    private void End(long start, string name, string row, params ReadOnlySpan<(string, long)> dimensions)
    {
        if (start >= 0)
        {
            long end = recorder.Stamp();
            var size = new KernelSize(dimensions.ToArray());
            recorder.AddCall(name, size, _rows[row].Flops(size), _rows[row].Bytes(size), start, end);
        }
    }

    private void Counted(long start, string name, double flops, double bytes, params ReadOnlySpan<(string, long)> dimensions)
    {
        if (start >= 0)
        {
            recorder.AddCall(name, new KernelSize(dimensions.ToArray()), flops, bytes, start, recorder.Stamp());
        }
    }

    /// <summary>Attention over sequences of any lengths: operations for each pair of a query and a key it sees, bytes for each row and head.</summary>
    private void Sequences(
        long start, string name, Tensor<float> q, Tensor<float> k, Tensor<int> queryOffsets, Tensor<int> keyOffsets, int heads, int keyValueHeads,
        double flopsPerPair, double bytesPerRow)
    {
        if (start < 0)
        {
            return;
        }
        long end = recorder.Stamp();
        int[] queries = q.Buffer.Device.Download(queryOffsets), keys = q.Buffer.Device.Download(keyOffsets);
        double pairs = 0;
        for (int s = 0; s + 1 < queries.Length; s++)
        {
            double lq = queries[s + 1] - queries[s], lk = keys[s + 1] - keys[s];
            pairs += lq * (lk - ((lq - 1) / 2));
        }
        long h = q.RowLength / heads;
        var size = new KernelSize(
            ("sequences", queryOffsets.Length - 1), ("queries", q.Rows), ("keys", k.Rows), ("heads", heads), ("kv_heads", keyValueHeads), ("h", h));
        double bytes = bytesPerRow * h * (((double)heads * q.Rows) + ((double)keyValueHeads * k.Rows));
        recorder.AddCall(name, size, flopsPerPair * heads * h * pairs, bytes, start, end);
    }
}
