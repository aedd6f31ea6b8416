namespace NativeEngine.Devices.Gpu;

internal sealed partial class GpuKernels
{
    private const long PairSquare = 64, ChangeRows = 1024;

    public void Similarity(Tensor<float> x, DistanceMetric metric, Tensor<float> similarity, Tensor<float> largest)
    {
        long n = x.Rows;
        Require.That(
            similarity.Rows == n && similarity.RowLength == n && largest.Length == 1,
            $"similarity: x {x.Shape}, result {similarity.Shape} must be [{n} x {n}], largest must be one element, is {largest.Shape}");
        Pairs(x, x, metric, similarity, largest);
        if (metric != DistanceMetric.Cosine)
        {
            Run("subtract_from", Groups(n * n, ElementsPerGroup), Of(largest), Of(similarity), Of(n * n), Flag(Aligned(0, similarity)));
        }
        else if (n > 0)
        {
            Fill(1f, largest);
        }
    }

    public void Distances(Tensor<float> a, Tensor<float> b, DistanceMetric metric, Tensor<float> distances, Tensor<float> largest)
    {
        long m = a.Rows, p = b.Rows, h = a.RowLength;
        Require.That(
            b.RowLength == h && distances.Rows == m && distances.RowLength == p && largest.Length == 1,
            $"distances: a {a.Shape}, b {b.Shape}, result {distances.Shape} must be [{m} x {p}], largest must be one element, is {largest.Shape}");
        Pairs(a, b, metric, distances, largest);
        if (metric == DistanceMetric.Cosine)
        {
            var zero = Scratch(sizeof(float))[0];
            _driver.Clear((nint)zero.Bits, zero.ByteOffset, sizeof(float));
            Run("subtract_from", Groups(m * p, ElementsPerGroup), zero, Of(distances), Of(m * p), Flag(Aligned(0, distances)));
        }
    }

    public void MergeNearest(Tensor<float> distances, long firstRow, long firstColumn, bool columns, Tensor<float> nearest, Tensor<int> neighbours)
    {
        long m = distances.Rows, p = distances.RowLength, lists = columns ? p : m, t = nearest.RowLength;
        Require.That(
            nearest.Rows == lists && neighbours.Rows == lists && neighbours.RowLength == t && t > 0,
            $"merge nearest: distances {distances.Shape} need {lists} lists, nearest is {nearest.Shape}, neighbours {neighbours.Shape}");
        var keys = Scratch(Math.Max(1, lists * 2 * t) * sizeof(ulong))[0];
        Run("merge_nearest", lists, Of(distances), Of(nearest), Of(neighbours), keys, Of(m), Of(p), Of(t), Of(firstRow), Of(firstColumn), Flag(columns));
    }

    /// <summary>
    /// Three launches a pick and none that waits: the pick (each group finds it in the blocks' best), the rows whose best it changes, and what those no
    /// longer offer the columns. Scratch: 8 (1 + slices) + 28 bytes a row.
    /// </summary>
    public void FacilityLocation(
        Tensor<float> similarity, Tensor<int> picks, Tensor<double> gains, Tensor<int> owners, Tensor<double> remaining)
    {
        long n = similarity.Rows, k = picks.Length;
        Require.That(
            similarity.RowLength == n && k <= n && gains.Length == k && owners.Length == n && remaining.Length == n && n <= int.MaxValue,
            $"facility location: S {similarity.Shape}, {k} picks, {gains.Length} gains, {owners.Length} owners, {remaining.Length} remaining gains");
        if (n == 0)
        {
            return;
        }
        long columnBlocks = Groups(n, Threads), rowBlocks = Groups(n, ChangeRows), slices = Math.Clamp(512 / columnBlocks, 1, Math.Min(16, rowBlocks));
        var scratch = Scratch(
            slices * n * sizeof(double), columnBlocks * sizeof(double), columnBlocks * sizeof(int), n * sizeof(int), n * sizeof(float), n * sizeof(float),
            rowBlocks * ChangeRows * sizeof(int), rowBlocks * ChangeRows * sizeof(float), rowBlocks * sizeof(int));
        var (changes, blockGain, blockColumn, taken, best) = (scratch[0], scratch[1], scratch[2], scratch[3], scratch[4]);
        var (nearest, changed, oldBest, changedCounts) = (scratch[5], scratch[6], scratch[7], scratch[8]);
        GpuArgument s = Of(similarity), all = Of(remaining);
        Run("facility_start", columnBlocks, best, nearest, Of(owners), taken, Of(n));
        if (k > 0)
        {
            Run("facility_gains", n, s, best, taken, all, Of(n), Flag(false));
        }
        for (long pick = 0; pick < k; pick++)
        {
            Run("facility_best", columnBlocks, all, changes, Of(pick == 0 ? 0 : slices), taken, blockGain, blockColumn, Of(n));
            Run("facility_represent", rowBlocks,
                s, blockGain, blockColumn, Of(columnBlocks), Of(pick), Of(picks), Of(gains), taken, best, nearest, Of(owners), changed, oldBest, changedCounts,
                Of(n));
            if (pick + 1 < k)
            {
                Run("facility_changes", columnBlocks, slices, 1, s, changed, oldBest, changedCounts, Of(rowBlocks), best, changes, Of(n));
            }
        }
        Run("facility_gains", n, s, best, taken, all, Of(n), Flag(true));
        Run("facility_own", Groups(k, Threads), Of(picks), Of(owners), Of(k));
    }

    /// <summary>Distances (cosines) of all pairs; half the work when both are the same tensor.</summary>
    private void Pairs(Tensor<float> a, Tensor<float> b, DistanceMetric metric, Tensor<float> result, Tensor<float> largest)
    {
        long m = a.Rows, p = b.Rows, h = a.RowLength;
        bool symmetric = a.Buffer == b.Buffer && a.Offset == b.Offset && m == p;
        var scratch = Scratch(m * sizeof(double), m * sizeof(double), p * sizeof(double), p * sizeof(double));
        _driver.Clear(largest.Buffer.Handle, largest.Offset * sizeof(float), sizeof(float));
        if (metric != DistanceMetric.L2)
        {
            Run("row_sums", m, Of(a), scratch[0], scratch[1], Of(h), Flag(metric == DistanceMetric.Cosine));
            if (symmetric)
            {
                (scratch[2], scratch[3]) = (scratch[0], scratch[1]);
            }
            else
            {
                Run("row_sums", p, Of(b), scratch[2], scratch[3], Of(h), Flag(metric == DistanceMetric.Cosine));
            }
        }
        long down = Groups(m, PairSquare), across = Groups(p, PairSquare);
        string kernel = metric switch { DistanceMetric.L1 => "distance_l1", DistanceMetric.L2 => "distance_l2", _ => "distance_cosine" };
        Run(kernel, symmetric ? down * (down + 1) / 2 : down * across,
            Of(a), Of(b), scratch[0], scratch[1], scratch[2], scratch[3], Of(result), Of(largest), Of(m), Of(p), Of(h), Of(0L), Flag(symmetric),
            Flag(Aligned(h, a, b)));
        if (metric == DistanceMetric.L1)
        {
            Run("l1_careful", Groups(m * p, ElementsPerGroup), Of(a), Of(b), Of(result), Of(largest), Of(m), Of(p), Of(h), Flag(symmetric));
        }
    }
}
