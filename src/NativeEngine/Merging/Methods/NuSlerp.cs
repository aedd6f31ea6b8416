namespace NativeEngine.Merging.Methods;

/// <summary>
/// nuslerp: spherical interpolation of two models at t = w2 / (w1 + w2) (0.5 when the weights sum to less than 1e-6), of the tensors, or with
/// base_model of their differences to it. nuslerp_flatten takes the tensor as one vector; otherwise its columns, or its rows with
/// nuslerp_row_wise, are interpolated one by one. Plain interpolation when |sin θ| &lt; 1e-8. Two passes (one by rows, which holds one row of each).
/// </summary>
internal sealed class NuSlerp : MergeMethod
{
    public override string Name => "nuslerp";

    public override string Formula => "slerp of x_1 and x_2 (or of x - b, plus b) at t = w_2 / (w_1 + w_2), whole, by columns or by rows";

    public override BaseRule Base => BaseRule.Optional;

    public override (int Min, int Max) Models => (2, 2);

    public override IReadOnlyList<MergeParameter> Parameters { get; } =
    [
        MergeParameter.Weight,
        MergeParameter.Flag("nuslerp_flatten", true, "the tensor as one vector"),
        MergeParameter.Flag("nuslerp_row_wise", false, "rows rather than columns when not flattened"),
    ];

    public override bool HoldsRows => true;

    public override TensorMerge Prepare(TensorInputs inputs, TensorScan scan)
    {
        double first = inputs.Values["weight", 0], second = inputs.Values["weight", 1], sum = first + second;
        double t = Math.Abs(sum) < 1e-6 ? 0.5 : second / sum;
        long count = inputs.Count, row = inputs.First.RowLength;
        if (inputs.Values.Flag("nuslerp_flatten") || inputs.First.Shape.Count < 2)
        {
            var gram = scan.Gram(2, count, inputs.ReadDelta);
            var (a, b) = Weights(gram[0, 0], gram[1, 1], gram[0, 1], t);
            return new WeightedTensorMerge(inputs, [a, b], inputs.Base is null ? 0 : 1 - a - b);
        }
        return inputs.Values.Flag("nuslerp_row_wise") ? new Rows(inputs, t, row) : new Columns(inputs, Coefficients(inputs, scan, t, (int)row));
    }

    private static (double A, double B) Weights(double square0, double square1, double dot, double t) => SphericalWeights.Of(
        Math.Sqrt(square0), Math.Sqrt(square1), dot, t, c => Math.Sqrt(Math.Max(0, 1 - (c * c))) < 1e-8);

    private static (double A, double B)[] Coefficients(TensorInputs inputs, TensorScan scan, double t, int columns)
    {
        var sums = scan.Sums(inputs.Count, 3 * columns, (start, length, parts, scratch) =>
        {
            Span<double> x = scratch.Doubles(0, length), y = scratch.Doubles(1, length), b = scratch.Doubles(2, length);
            inputs.ReadDelta(0, start, x, b);
            inputs.ReadDelta(1, start, y, b);
            for (int i = 0; i < length; i++)
            {
                int column = (int)((start + i) % columns);
                parts[column] += x[i] * x[i];
                parts[columns + column] += y[i] * y[i];
                parts[(2 * columns) + column] += x[i] * y[i];
            }
        });
        return [.. Enumerable.Range(0, columns).Select(c => Weights(sums[c], sums[columns + c], sums[(2 * columns) + c], t))];
    }

    private sealed class Columns(TensorInputs inputs, (double A, double B)[] weights) : TensorMerge
    {
        public override void Combine(long start, Span<double> output, MergeScratch scratch)
        {
            Span<double> x = scratch.Doubles(0, output.Length), b = scratch.Doubles(1, output.Length);
            inputs.ReadDelta(1, start, output, b);
            inputs.ReadDelta(0, start, x, b);
            for (int i = 0; i < output.Length; i++)
            {
                var (first, second) = weights[(start + i) % weights.Length];
                output[i] = (first * x[i]) + (second * output[i]) + (inputs.Base is null ? 0 : b[i]);
            }
        }
    }

    private sealed class Rows(TensorInputs inputs, double t, long row) : TensorMerge
    {
        public override long Grain => row;

        public override void Combine(long start, Span<double> output, MergeScratch scratch)
        {
            Span<double> x = scratch.Doubles(0, output.Length), b = scratch.Doubles(1, output.Length);
            inputs.ReadDelta(1, start, output, b);
            inputs.ReadDelta(0, start, x, b);
            for (int at = 0; at < output.Length; at += (int)row)
            {
                Span<double> u = x.Slice(at, (int)row), v = output.Slice(at, (int)row);
                var (first, second) = Weights(TensorScan.Dot(u, u), TensorScan.Dot(v, v), TensorScan.Dot(u, v), t);
                for (int i = 0; i < u.Length; i++)
                {
                    v[i] = (first * u[i]) + (second * v[i]) + (inputs.Base is null ? 0 : b[at + i]);
                }
            }
        }
    }
}
