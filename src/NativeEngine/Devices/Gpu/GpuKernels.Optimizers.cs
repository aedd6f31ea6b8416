namespace NativeEngine.Devices.Gpu;

internal sealed partial class GpuKernels
{
    public void ClipScale(Tensor<float> sumOfSquares, float maximumNorm, Tensor<float> scale)
    {
        Require.That(sumOfSquares.Length == 1 && scale.Length == 1, $"clip scale: sum of squares {sumOfSquares.Shape}, scale {scale.Shape}; both have one element");
        Run("clip_scale", 1, Of(sumOfSquares), Of(maximumNorm), Of(scale));
    }

    public void AdamW(
        Tensor<float> gradient, Tensor<float> gradientScale, AdamWStep constants, Tensor<float> parameter, Tensor<float> m, Tensor<float> v)
    {
        long n = parameter.Length;
        Require.That(gradient.Length == n && m.Length == n && v.Length == n && gradientScale.Length == 1,
            $"adamw: gradient {gradient.Shape}, gradient scale {gradientScale.Shape}, parameter {parameter.Shape}, m {m.Shape}, v {v.Shape}");
        Require.That(constants.Step >= 1, $"adamw: step {constants.Step}; steps count from 1");
        var f = new AdamWFactors(constants);
        Run("adamw", Groups(n, ElementsPerGroup),
            Of(gradient), Of(gradientScale), Of(parameter), Of(m), Of(v), Of(n), Of(f.Beta1), Of(f.Rest1), Of(f.Beta2), Of(f.Rest2), Of(f.Decay), Of(f.Rate),
            Of(f.Unbias2), Of(f.Epsilon), Flag(Aligned(0, gradient, parameter, m, v)));
    }

    public void Momentum(
        Tensor<float> gradient, Tensor<float> gradientScale, float learningRate, float mu, float weightDecay, Tensor<float> parameter,
        Tensor<float> velocity)
    {
        long n = parameter.Length;
        Require.That(gradient.Length == n && velocity.Length == n && gradientScale.Length == 1,
            $"momentum: gradient {gradient.Shape}, gradient scale {gradientScale.Shape}, parameter {parameter.Shape}, velocity {velocity.Shape}");
        float decay = (float)(1.0 - ((double)learningRate * weightDecay));
        Run("momentum", Groups(n, ElementsPerGroup),
            Of(gradient), Of(gradientScale), Of(parameter), Of(velocity), Of(n), Of(mu), Of(decay), Of(learningRate),
            Flag(Aligned(0, gradient, parameter, velocity)));
    }

    public void Lion(
        Tensor<float> gradient, Tensor<float> gradientScale, float learningRate, float beta1, float beta2, float weightDecay,
        Tensor<float> parameter, Tensor<float> m)
    {
        long n = parameter.Length;
        Require.That(gradient.Length == n && m.Length == n && gradientScale.Length == 1,
            $"lion: gradient {gradient.Shape}, gradient scale {gradientScale.Shape}, parameter {parameter.Shape}, m {m.Shape}");
        float decay = (float)(1.0 - ((double)learningRate * weightDecay));
        Run("lion", Groups(n, ElementsPerGroup),
            Of(gradient), Of(gradientScale), Of(parameter), Of(m), Of(n), Of(beta1), Of(1f - beta1), Of(beta2), Of(1f - beta2), Of(decay),
            Of(learningRate), Flag(Aligned(0, gradient, parameter, m)));
    }
}
