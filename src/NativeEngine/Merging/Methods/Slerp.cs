namespace NativeEngine.Merging.Methods;

/// <summary>The coefficients of spherical interpolation between two vectors of given inner products.</summary>
internal static class SphericalWeights
{
    /// <summary>
    /// (a, b) of a v0 + b v1: with θ the angle between them, sin((1-t)θ)/sin θ and sin(tθ)/sin θ on the vectors as they are; plain
    /// interpolation (1-t, t) when <paramref name="isStraight"/> says so of the cosine.
    /// </summary>
    public static (double A, double B) Of(double norm0, double norm1, double dot, double t, Func<double, bool> isStraight)
    {
        const double Zero = 1e-8;
        double cosine = dot / ((norm0 > Zero ? norm0 : 1) * (norm1 > Zero ? norm1 : 1));
        if (isStraight(cosine))
        {
            return (1 - t, t);
        }
        double angle = Math.Acos(Math.Clamp(cosine, -1, 1)), sine = Math.Sin(angle);
        return (Math.Sin((1 - t) * angle) / sine, Math.Sin(t * angle) / sine);
    }
}

/// <summary>
/// slerp between base_model (t = 0) and one other model (t = 1), the tensor taken as one vector: with u = v / |v| and c = u0·u1,
/// plain interpolation when |c| &gt; 0.9995, else sin((1-t)θ)/sin θ v0 + sin(tθ)/sin θ v1, cos θ = c. A zero tensor has c = 0, so the
/// result is sin(tπ/2) v1, as in mergekit. Two passes: norms, then the sum.
/// </summary>
internal sealed class Slerp : MergeMethod
{
    public override string Name => "slerp";

    public override string Formula => "sin((1-t)a)/sin a b + sin(t a)/sin a x, a = angle(b, x); straight when |cos a| > 0.9995";

    public override BaseRule Base => BaseRule.Required;

    public override (int Min, int Max) Models => (1, 1);

    public override IReadOnlyList<MergeParameter> Parameters { get; } = [new("t", double.NaN, false, "0 gives base_model, 1 the other")];

    public override TensorMerge Prepare(TensorInputs inputs, TensorScan scan)
    {
        var gram = scan.Gram(2, inputs.Count, (i, start, target, _) => (i == 0 ? inputs.Base! : inputs.First).Read(start, target));
        var (a, b) = SphericalWeights.Of(
            Math.Sqrt(gram[0, 0]), Math.Sqrt(gram[1, 1]), gram[0, 1], inputs.Values["t"], c => Math.Abs(c) > 0.9995);
        return new WeightedTensorMerge(inputs, [b], a);
    }
}
