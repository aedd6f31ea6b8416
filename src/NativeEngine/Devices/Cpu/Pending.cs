namespace NativeEngine.Devices.Cpu;

// Kernels still to be written; each leaves this file when its own file is there.
internal sealed unsafe partial class CpuKernels<L>
{
    public void Momentum(Tensor<float> gradient, Tensor<float> gradientScale, float learningRate, float mu, float weightDecay, Tensor<float> parameter, Tensor<float> velocity) => throw new NotSupportedException();

    public void Lion(Tensor<float> gradient, Tensor<float> gradientScale, float learningRate, float beta1, float beta2, float weightDecay, Tensor<float> parameter, Tensor<float> m) => throw new NotSupportedException();

    public void Gaussian(ulong seed, uint stream, Tensor<float> x) => throw new NotSupportedException();
}
