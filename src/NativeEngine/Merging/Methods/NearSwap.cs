namespace NativeEngine.Merging.Methods;

/// <summary>
/// nearswap: elements close to the base are taken from the model, far ones hardly: k = clamp(t / max(|b - θ|, 1e-6), 0, 1), result k θ + (1-k) b.
/// </summary>
internal sealed class NearSwap : MergeMethod
{
    public override string Name => "nearswap";

    public override string Formula => "k x + (1-k) b, k = clamp(t / max(|b - x|, 1e-6), 0, 1)";

    public override BaseRule Base => BaseRule.Required;

    public override (int Min, int Max) Models => (1, 1);

    public override IReadOnlyList<MergeParameter> Parameters { get; } = [new("t", double.NaN, false, "distance up to which the model is taken")];

    public override bool Scans => false;

    public override TensorMerge Prepare(TensorInputs inputs, TensorScan scan) => new Merge(inputs, inputs.Values["t"]);

    private sealed class Merge(TensorInputs inputs, double t) : TensorMerge
    {
        public override void Combine(long start, Span<double> output, MergeScratch scratch)
        {
            var b = scratch.Doubles(0, output.Length);
            inputs.First.Read(start, output);
            inputs.Base!.Read(start, b);
            for (int i = 0; i < output.Length; i++)
            {
                double k = Math.Clamp(t / Math.Max(Math.Abs(b[i] - output[i]), 1e-6), 0, 1);
                output[i] = (k * output[i]) + ((1 - k) * b[i]);
            }
        }
    }
}
