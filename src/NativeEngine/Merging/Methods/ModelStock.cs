namespace NativeEngine.Merging.Methods;

/// <summary>
/// model_stock (Jang et al. 2024): with differences d_i = θ_i - base and c the mean cosine over their pairs, t = K c / (1 + (K-1) c) and the result
/// is t mean(θ_i) + (1-t) base. Norm products below 1e-6 count as 1e-6, cosines are clamped to [-1, 1], t is not clamped: a negative mean
/// cosine extrapolates past the base. filter_wise does it row by row. Two passes (one by rows, which holds one row of each).
/// </summary>
internal sealed class ModelStock : MergeMethod
{
    public override string Name => "model_stock";

    public override string Formula => "t mean(x_i) + (1-t) b, t = K c / (1 + (K-1) c), c = mean cosine of the x_i - b";

    public override BaseRule Base => BaseRule.Required;

    public override (int Min, int Max) Models => (2, int.MaxValue);

    public override IReadOnlyList<MergeParameter> Parameters { get; } = [MergeParameter.Flag("filter_wise", false, "row by row")];

    public override bool HoldsRows => true;

    public override TensorMerge Prepare(TensorInputs inputs, TensorScan scan)
    {
        int k = inputs.Models.Count;
        if (inputs.Values.Flag("filter_wise") && inputs.First.Shape.Count > 1)
        {
            return new Rows(inputs, inputs.First.RowLength);
        }
        double t = Share(scan.Gram(k, inputs.Count, inputs.ReadDelta));
        return new WeightedTensorMerge(inputs, [.. Enumerable.Repeat(t / k, k)], 1 - t);
    }

    /// <summary>t from the inner products of the differences.</summary>
    internal static double Share(double[,] gram)
    {
        int k = gram.GetLength(0);
        double sum = 0;
        for (int i = 0; i < k; i++)
        {
            for (int j = 0; j < i; j++)
            {
                sum += Math.Clamp(gram[i, j] / Math.Max(Math.Sqrt(gram[i, i]) * Math.Sqrt(gram[j, j]), 1e-6), -1, 1);
            }
        }
        double c = sum / (k * (k - 1) / 2.0);
        return k * c / (1 + ((k - 1) * c));
    }

    private sealed class Rows(TensorInputs inputs, long row) : TensorMerge
    {
        public override long Grain => row;

        public override void Combine(long start, Span<double> output, MergeScratch scratch)
        {
            int k = inputs.Models.Count, n = (int)row;
            Span<double> deltas = scratch.Doubles(0, k * n), b = scratch.Doubles(1, n);
            for (int at = 0; at < output.Length; at += n)
            {
                for (int i = 0; i < k; i++)
                {
                    inputs.ReadDelta(i, start + at, deltas.Slice(i * n, n), b);
                }
                double t = Share(TensorScan.Gram(k, deltas, n));
                for (int j = 0; j < n; j++)
                {
                    double sum = 0;
                    for (int i = 0; i < k; i++)
                    {
                        sum += deltas[(i * n) + j];
                    }
                    output[at + j] = b[j] + (t * sum / k);
                }
            }
        }
    }
}
