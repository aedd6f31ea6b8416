namespace NativeEngine.Merging.Methods;

/// <summary>
/// multislerp: with unit vectors u_i = v_i / (|v_i| + eps) and m = sum w_i u_i scaled to length 1, the result is m times sum w_i |v_i|; v_i are the
/// tensors, or with base_model their differences to it, which is added back. The tangent step of the published formula, along
/// r = sum w_i (u_i - (u_i·m) m), vanishes because m is the direction of that same sum. Two passes; the first costs K² products an element.
/// </summary>
internal sealed class MultiSlerp : MergeMethod
{
    public override string Name => "multislerp";

    public override string Formula => "m sum w_i |v_i|, m = unit(sum w_i v_i / (|v_i| + eps)), v = x or x - b";

    public override BaseRule Base => BaseRule.Optional;

    public override (int Min, int Max) Models => (2, int.MaxValue);

    public override bool SkipsZeroWeight => true;

    public override IReadOnlyList<MergeParameter> Parameters { get; } =
    [
        MergeParameter.Weight,
        MergeParameter.Flag("normalize_weights", true, "divide the weights by their sum"),
        new("eps", 1e-8, false, "added to norms", 0),
    ];

    public override string? Refuse(ParameterValues values, int models, long count) =>
        values.Flag("normalize_weights") && Math.Abs(values.Weights().Sum()) < 1e-8 ? "the weights sum to 0, so they cannot be normalized" : null;

    public override TensorMerge Prepare(TensorInputs inputs, TensorScan scan)
    {
        int k = inputs.Models.Count;
        double[] w = inputs.Values.Weights();
        double sum = inputs.Values.Flag("normalize_weights") ? w.Sum() : 1, eps = inputs.Values["eps"];
        var gram = scan.Gram(k, inputs.Count, inputs.ReadDelta);
        double[] norms = [.. Enumerable.Range(0, k).Select(i => Math.Sqrt(gram[i, i]))];
        double length = 0, square = 0;
        for (int i = 0; i < k; i++)
        {
            w[i] /= sum;
            length += w[i] * norms[i];
        }
        for (int i = 0; i < k; i++)
        {
            for (int j = 0; j < k; j++)
            {
                square += w[i] * w[j] * gram[i, j] / ((norms[i] + eps) * (norms[j] + eps));
            }
        }
        double scale = length == 0 ? 0 : length / Math.Sqrt(square);
        double[] coefficients = [.. w.Select((weight, i) => norms[i] == 0 ? 0 : weight * scale / (norms[i] + eps))];
        return new WeightedTensorMerge(inputs, coefficients, inputs.Base is null ? 0 : 1 - coefficients.Sum());
    }
}
