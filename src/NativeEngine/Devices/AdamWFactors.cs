namespace NativeEngine.Devices;

/// <summary>
/// The constants of one AdamW step as every device multiplies by them: made in double, rounded once.
/// m = Beta1 m + Rest1 g; v = Beta2 v + Rest2 g^2; p = p Decay - Rate m / (sqrt(v Unbias2) + Epsilon).
/// </summary>
internal readonly struct AdamWFactors(AdamWStep step)
{
    public readonly float Beta1 = step.Beta1, Rest1 = 1f - step.Beta1;
    public readonly float Beta2 = step.Beta2, Rest2 = 1f - step.Beta2;
    public readonly float Decay = (float)(1.0 - ((double)step.LearningRate * step.WeightDecay));
    public readonly float Rate = (float)(step.LearningRate / (1.0 - Power(step.Beta1, step.Step)));
    public readonly float Unbias2 = (float)(1.0 / (1.0 - Power(step.Beta2, step.Step)));
    public readonly float Epsilon = step.Epsilon;

    /// <summary>x^n by repeated squaring: the same bits on every platform.</summary>
    private static double Power(double x, long n)
    {
        double power = 1;
        for (; n > 0; n >>= 1, x *= x)
        {
            power = (n & 1) != 0 ? power * x : power;
        }
        return power;
    }
}

/// <summary>The constants of a feature's Adam transform, bias corrections included: u = (Decay1 m + Weight1 f) / (sqrt(Decay2 v + Weight2 f^2) + eps).</summary>
internal readonly struct AdamTransformFactors
{
    public readonly float Decay1, Weight1, Decay2, Weight2;

    /// <summary>For a feature that comes after <paramref name="step"/> optimizer steps.</summary>
    public AdamTransformFactors(double beta1, double beta2, long step)
    {
        double correction1 = 1 / (1 - Math.Pow(beta1, step + 1)), correction2 = 1 / (1 - Math.Pow(beta2, step + 1));
        (Decay1, Weight1) = ((float)(beta1 * correction1), (float)((1 - beta1) * correction1));
        (Decay2, Weight2) = ((float)(beta2 * correction2), (float)((1 - beta2) * correction2));
    }
}
