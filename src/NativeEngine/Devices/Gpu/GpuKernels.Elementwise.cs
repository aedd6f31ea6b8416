namespace NativeEngine.Devices.Gpu;

internal sealed partial class GpuKernels
{
    /// <summary>Elements whose squares are added in one double, as on the CPU.</summary>
    private const long SquaresBlock = 4096;

    public void Fill(float value, Tensor<float> x) =>
        Run("fill", Groups(x.Length, ElementsPerGroup), Of(x), Of(x.Length), Of(value), Flag(Aligned(0, x)));

    public void Copy(Tensor<float> x, Tensor<float> y)
    {
        Require.That(x.Length == y.Length, $"copy: x {x.Shape} and y {y.Shape} differ in length");
        Run("copy", Groups(x.Length, ElementsPerGroup), Of(x), Of(y), Of(x.Length), Flag(Aligned(0, x, y)));
    }

    public void Axpy(float alpha, Tensor<float> x, Tensor<float> y)
    {
        Require.That(x.Length == y.Length, $"axpy: x {x.Shape} and y {y.Shape} differ in length");
        Run("axpy", Groups(x.Length, ElementsPerGroup), Of(x), Of(y), Of(x.Length), Of(alpha), Flag(Aligned(0, x, y)));
    }

    public void Scale(float alpha, Tensor<float> x) =>
        Run("scale", Groups(x.Length, ElementsPerGroup), Of(x), Of(x.Length), Of(alpha), Flag(Aligned(0, x)));

    public void WeightedSum(Tensor<float> x, Tensor<double> weights, Tensor<float> y)
    {
        Require.That(x.Rows == weights.Length && x.Rows * y.Length == x.Length,
            $"weighted sum: x {x.Shape}, weights {weights.Shape}, y {y.Shape}; x must be [weights, y]");
        Run("weighted_sum", Groups(y.Length, ElementsPerGroup),
            Of(x), Of(weights), Of(y), Of(y.Length), Of(y.Length), Of((int)weights.Length), Flag(Aligned(weights.Length > 1 ? y.Length : 0, x, y)));
    }

    public void SumOfSquares(Tensor<float> x, Tensor<float> result)
    {
        Require.That(result.Length == 1, $"sum of squares: the result is {result.Shape}; it must have one element");
        long blocks = Groups(x.Length, SquaresBlock);
        var sums = Scratch(Math.Max(1, blocks) * sizeof(double))[0];
        Run("sum_of_squares_blocks", Groups(blocks, 16), Of(x), Of(x.Length), sums);
        Run("sum_of_squares_total", 1, sums, Of(blocks), Of(result));
    }

    public void GatherRows(Tensor<float> x, Tensor<int> rows, Tensor<float> y)
    {
        long columns = x.RowLength;
        Require.That(columns == y.RowLength && y.Rows == rows.Length,
            $"gather rows: x {x.Shape}, {rows.Length} rows, y {y.Shape}; y must be [{rows.Length} x {columns}]");
        Run("gather_rows", Groups(rows.Length, 4) * Groups(columns, Threads),
            Of(x), Of(rows), Of(y), Of(rows.Length), Of(columns), Of(x.Rows),
            Status(Slot.GatherRows, $"gather rows: the index at @ is not in 0..{x.Rows - 1}"), Of(Slot.GatherRows));
    }

    public void ScatterAddRows(Tensor<float> x, Tensor<int> rows, Tensor<float> y)
    {
        long columns = x.RowLength;
        Require.That(columns == y.RowLength && x.Rows == rows.Length,
            $"scatter add rows: x {x.Shape}, {rows.Length} rows, y {y.Shape}; x must be [{rows.Length} x {y.RowLength}]");
        Run("scatter_add_rows", rows.Length,
            Of(x), Of(rows), Of(y), Of(rows.Length), Of(columns), Of(y.Rows),
            Status(Slot.ScatterAddRows, $"scatter add rows: the index at @ is not in 0..{y.Rows - 1}"), Of(Slot.ScatterAddRows));
    }

    public void Gaussian(ulong seed, uint stream, Tensor<float> x) =>
        Run("gaussian", Groups(x.Length, ElementsPerGroup), Of(x), Of(x.Length), Of((long)seed), Of((int)RandomPurpose.Direction), Of((int)stream));
}
