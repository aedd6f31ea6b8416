using System.Runtime.CompilerServices;

namespace NativeEngine.Devices.Cpu;

internal sealed unsafe partial class CpuKernels<L>
{
    public void Momentum(
        Tensor<float> gradient, Tensor<float> gradientScale, float learningRate, float mu, float weightDecay, Tensor<float> parameter,
        Tensor<float> velocity)
    {
        long n = parameter.Length;
        Require.That(gradient.Length == n && velocity.Length == n && gradientScale.Length == 1,
            $"momentum: gradient {gradient.Shape}, gradient scale {gradientScale.Shape}, parameter {parameter.Shape}, velocity {velocity.Shape}");
        float decay = (float)(1.0 - ((double)learningRate * weightDecay));
        _team.For(new MomentumJob(gradient.Pointer, *gradientScale.Pointer, learningRate, mu, decay, parameter.Pointer, velocity.Pointer), n, ElementGrain);
    }

    public void Lion(
        Tensor<float> gradient, Tensor<float> gradientScale, float learningRate, float beta1, float beta2, float weightDecay,
        Tensor<float> parameter, Tensor<float> m)
    {
        long n = parameter.Length;
        Require.That(gradient.Length == n && m.Length == n && gradientScale.Length == 1,
            $"lion: gradient {gradient.Shape}, gradient scale {gradientScale.Shape}, parameter {parameter.Shape}, m {m.Shape}");
        float decay = (float)(1.0 - ((double)learningRate * weightDecay));
        _team.For(new LionJob(gradient.Pointer, *gradientScale.Pointer, learningRate, beta1, beta2, decay, parameter.Pointer, m.Pointer), n, ElementGrain);
    }

    private readonly struct MomentumJob(
        float* gradient, float gradientScale, float learningRate, float mu, float decay, float* parameter, float* velocity) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            float* g = gradient, p = parameter, v = velocity;
            long i = first;
            for (; i + 16 <= last; i += 16)
            {
                var (moved, kept) = Update(L.Load(g + i), L.Load(p + i), L.Load(v + i));
                L.Store(moved, p + i);
                L.Store(kept, v + i);
            }
            if (i < last)
            {
                long rest = last - i;
                var (moved, kept) = Update(
                    LaneMath<L>.LoadPartial(g + i, rest), LaneMath<L>.LoadPartial(p + i, rest), LaneMath<L>.LoadPartial(v + i, rest));
                LaneMath<L>.StorePartial(moved, p + i, rest);
                LaneMath<L>.StorePartial(kept, v + i, rest);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private (L Parameter, L Velocity) Update(L g, L parameter, L velocity)
        {
            velocity = L.Fma(L.Create(mu), velocity, g * L.Create(gradientScale));
            return (L.Fma(parameter, L.Create(decay), L.Zero - (L.Create(learningRate) * velocity)), velocity);
        }
    }

    private readonly struct LionJob(
        float* gradient, float gradientScale, float learningRate, float beta1, float beta2, float decay, float* parameter, float* m) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            float* g = gradient, p = parameter, m1 = m;
            long i = first;
            for (; i + 16 <= last; i += 16)
            {
                var (moved, kept) = Update(L.Load(g + i), L.Load(p + i), L.Load(m1 + i));
                L.Store(moved, p + i);
                L.Store(kept, m1 + i);
            }
            if (i < last)
            {
                long rest = last - i;
                var (moved, kept) = Update(
                    LaneMath<L>.LoadPartial(g + i, rest), LaneMath<L>.LoadPartial(p + i, rest), LaneMath<L>.LoadPartial(m1 + i, rest));
                LaneMath<L>.StorePartial(moved, p + i, rest);
                LaneMath<L>.StorePartial(kept, m1 + i, rest);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private (L Parameter, L M) Update(L g, L parameter, L m)
        {
            g *= L.Create(gradientScale);
            L direction = L.Fma(L.Create(beta1), m, L.Create(1f - beta1) * g);
            // Neither above nor below 0 leaves 0 or NaN as it is.
            L negative = L.SelectGreater(L.Zero, direction, L.Create(-1f), direction);
            L sign = L.SelectGreater(direction, L.Zero, L.Create(1f), negative);
            return (
                L.Fma(parameter, L.Create(decay), L.Zero - (L.Create(learningRate) * sign)), L.Fma(L.Create(beta2), m, L.Create(1f - beta2) * g));
        }
    }
}
