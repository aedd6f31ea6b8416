namespace NativeEngine.Merging.Methods;

/// <summary>passthrough: one model's tensor, times scale. With slices it stacks layers of several models.</summary>
internal sealed class Passthrough : MergeMethod
{
    public override string Name => "passthrough";

    public override string Formula => "scale x";

    public override (int Min, int Max) Models => (1, 1);

    public override IReadOnlyList<MergeParameter> Parameters { get; } = [new("scale", 1, true, "factor on every element")];

    public override bool Scans => false;

    public override TensorMerge Prepare(TensorInputs inputs, TensorScan scan) => new WeightedTensorMerge(inputs, [inputs.Values["scale", 0]]);
}
