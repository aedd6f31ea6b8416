namespace NativeEngine.Devices.Cpu;

// Kernels still to be written; each leaves this file when its own file is there.
internal sealed unsafe partial class CpuKernels<L>
{
    public void Fill(float value, Tensor<float> x) => throw new NotSupportedException();

    public void Copy(Tensor<float> x, Tensor<float> y) => throw new NotSupportedException();

    public void Axpy(float alpha, Tensor<float> x, Tensor<float> y) => throw new NotSupportedException();

    public void Scale(float alpha, Tensor<float> x) => throw new NotSupportedException();

    public void SumOfSquares(Tensor<float> x, Tensor<float> result) => throw new NotSupportedException();

    public void GatherRows(Tensor<float> x, Tensor<int> rows, Tensor<float> y) => throw new NotSupportedException();

    public void ScatterAddRows(Tensor<float> x, Tensor<int> rows, Tensor<float> y) => throw new NotSupportedException();

    public void RmsNorm(Tensor<float> x, Tensor<float> weight, float epsilon, Tensor<float> y, Tensor<float> inverseRms) => throw new NotSupportedException();

    public void RmsNormBackward(Tensor<float> dy, Tensor<float> x, Tensor<float> weight, Tensor<float> inverseRms, Tensor<float> dx, Tensor<float> dweight) => throw new NotSupportedException();

    public void Rope(Tensor<int> positions, Tensor<float> cos, Tensor<float> sin, int heads, bool inverse, Tensor<float> x) => throw new NotSupportedException();

    public void Attention(Tensor<float> q, Tensor<float> k, Tensor<float> v, Tensor<int> queryOffsets, Tensor<int> keyOffsets, int heads, int keyValueHeads, Tensor<float> output, Tensor<float> logSumExp) => throw new NotSupportedException();

    public void AttentionBackward(Tensor<float> dOutput, Tensor<float> q, Tensor<float> k, Tensor<float> v, Tensor<float> output, Tensor<float> logSumExp, Tensor<int> offsets, int heads, int keyValueHeads, Tensor<float> dq, Tensor<float> dk, Tensor<float> dv) => throw new NotSupportedException();

    public void SwiGlu(Tensor<float> gate, Tensor<float> up, Tensor<float> y) => throw new NotSupportedException();

    public void SwiGluBackward(Tensor<float> dy, Tensor<float> gate, Tensor<float> up, Tensor<float> dGate, Tensor<float> dUp) => throw new NotSupportedException();

    public void CrossEntropy(Tensor<float> logits, Tensor<int> targets, Tensor<float> rowWeights, Tensor<float> losses) => throw new NotSupportedException();

    public void ClipScale(Tensor<float> sumOfSquares, float maximumNorm, Tensor<float> scale) => throw new NotSupportedException();

    public void AdamW(Tensor<float> gradient, Tensor<float> gradientScale, AdamWStep constants, Tensor<float> parameter, Tensor<float> m, Tensor<float> v) => throw new NotSupportedException();

    public void Momentum(Tensor<float> gradient, Tensor<float> gradientScale, float learningRate, float mu, float weightDecay, Tensor<float> parameter, Tensor<float> velocity) => throw new NotSupportedException();

    public void Lion(Tensor<float> gradient, Tensor<float> gradientScale, float learningRate, float beta1, float beta2, float weightDecay, Tensor<float> parameter, Tensor<float> m) => throw new NotSupportedException();

    public void Gaussian(ulong seed, uint stream, Tensor<float> x) => throw new NotSupportedException();
}
