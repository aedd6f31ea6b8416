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
        var rule = new MomentumRule(*gradientScale.Pointer, learningRate, mu, decay);
        _team.For(new RuleJob<MomentumRule>(rule, gradient.Pointer, parameter.Pointer, velocity.Pointer), n, ElementGrain);
    }

    public void Lion(
        Tensor<float> gradient, Tensor<float> gradientScale, float learningRate, float beta1, float beta2, float weightDecay,
        Tensor<float> parameter, Tensor<float> m)
    {
        long n = parameter.Length;
        Require.That(gradient.Length == n && m.Length == n && gradientScale.Length == 1,
            $"lion: gradient {gradient.Shape}, gradient scale {gradientScale.Shape}, parameter {parameter.Shape}, m {m.Shape}");
        float decay = (float)(1.0 - ((double)learningRate * weightDecay));
        var rule = new LionRule(*gradientScale.Pointer, learningRate, beta1, beta2, decay);
        _team.For(new RuleJob<LionRule>(rule, gradient.Pointer, parameter.Pointer, m.Pointer), n, ElementGrain);
    }

    /// <summary>What becomes of a parameter and the one state it has.</summary>
    private interface IRule
    {
        (L Parameter, L State) Update(L g, L parameter, L state);
    }

    private readonly struct RuleJob<R>(R rule, float* gradient, float* parameter, float* state) : IRangeJob
        where R : struct, IRule
    {
        public void Run(long first, long last, int worker)
        {
            float* g = gradient, p = parameter, s = state;
            var own = rule;
            long i = first;
            for (; i + 16 <= last; i += 16)
            {
                var (moved, kept) = own.Update(L.Load(g + i), L.Load(p + i), L.Load(s + i));
                L.Store(moved, p + i);
                L.Store(kept, s + i);
            }
            if (i < last)
            {
                long rest = last - i;
                var (moved, kept) = own.Update(LaneMath<L>.LoadPartial(g + i, rest), LaneMath<L>.LoadPartial(p + i, rest), LaneMath<L>.LoadPartial(s + i, rest));
                LaneMath<L>.StorePartial(moved, p + i, rest);
                LaneMath<L>.StorePartial(kept, s + i, rest);
            }
        }
    }

    private readonly struct MomentumRule(float gradientScale, float learningRate, float mu, float decay) : IRule
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public (L Parameter, L State) Update(L g, L parameter, L velocity)
        {
            velocity = L.Fma(L.Create(mu), velocity, g * L.Create(gradientScale));
            return (L.Fma(parameter, L.Create(decay), L.Zero - (L.Create(learningRate) * velocity)), velocity);
        }
    }

    private readonly struct LionRule(float gradientScale, float learningRate, float beta1, float beta2, float decay) : IRule
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public (L Parameter, L State) Update(L g, L parameter, L m)
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
