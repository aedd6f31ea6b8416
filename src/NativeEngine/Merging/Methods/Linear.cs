namespace NativeEngine.Merging.Methods;

/// <summary>
/// linear: (sum w_i θ_i) / (sum w_i when normalize), added in the order of the recipe, one rounding to the output type. The uniform soup of
/// Wortsman et al. (2022) with equal weights. One pass, no memory but the piece.
/// </summary>
internal sealed class Linear : MergeMethod
{
    public override string Name => "linear";

    public override string Formula => "(sum w_i x_i) / (sum w_i if normalize)";

    public override bool SkipsZeroWeight => true;

    public override IReadOnlyList<MergeParameter> Parameters { get; } =
        [MergeParameter.Weight, MergeParameter.Flag("normalize", true, "divide by the sum of the weights")];

    public override string? Refuse(ParameterValues values, int models, long count) =>
        values.Flag("normalize") && Math.Abs(values.Weights().Sum()) < 1e-8
            ? $"the weights sum to {values.Weights().Sum():R}, so they cannot be normalized; set normalize: false or other weights" : null;

    public override bool Scans => false;

    public override TensorMerge Prepare(TensorInputs inputs, TensorScan scan)
    {
        double[] weights = inputs.Values.Weights();
        return new WeightedTensorMerge(inputs, weights, divisor: inputs.Values.Flag("normalize") ? weights.Sum() : 1);
    }
}
