using System.Runtime.CompilerServices;

namespace NativeEngine.Devices.Cpu;

internal sealed unsafe partial class CpuKernels<L>
{
    public void ClipScale(Tensor<float> sumOfSquares, float maximumNorm, Tensor<float> scale)
    {
        Require.That(sumOfSquares.Length == 1 && scale.Length == 1, $"clip scale: sum of squares {sumOfSquares.Shape}, scale {scale.Shape}; both have one element");
        float value = maximumNorm / (MathF.Sqrt(*sumOfSquares.Pointer) + 1e-6f);
        *scale.Pointer = value > 1f ? 1f : value;
    }

    public void AdamW(
        Tensor<float> gradient, Tensor<float> gradientScale, AdamWStep constants, Tensor<float> parameter, Tensor<float> m, Tensor<float> v)
    {
        long n = parameter.Length;
        Require.That(gradient.Length == n && m.Length == n && v.Length == n && gradientScale.Length == 1,
            $"adamw: gradient {gradient.Shape}, gradient scale {gradientScale.Shape}, parameter {parameter.Shape}, m {m.Shape}, v {v.Shape}");
        Require.That(constants.Step >= 1, $"adamw: step {constants.Step}; steps count from 1");
        _team.For(new AdamWJob(gradient.Pointer, *gradientScale.Pointer, constants, parameter.Pointer, m.Pointer, v.Pointer), n, ElementGrain);
    }

    private readonly struct AdamWJob(float* gradient, float gradientScale, AdamWStep constants, float* parameter, float* m, float* v) : IRangeJob
    {
        private readonly AdamWFactors _factors = new(constants);

        public void Run(long first, long last, int worker)
        {
            float* g = gradient, p = parameter, m1 = m, m2 = v;
            long i = first;
            for (; i + 16 <= last; i += 16)
            {
                Update(g + i, p + i, m1 + i, m2 + i);
            }
            if (i < last)
            {
                // The rest goes through copies of sixteen elements each.
                int rest = (int)(last - i);
                Span<float> lanes = stackalloc float[4 * ILanes<L>.Count];
                lanes.Clear();
                new Span<float>(g + i, rest).CopyTo(lanes);
                new Span<float>(p + i, rest).CopyTo(lanes[16..]);
                new Span<float>(m1 + i, rest).CopyTo(lanes[32..]);
                new Span<float>(m2 + i, rest).CopyTo(lanes[48..]);
                fixed (float* at = lanes)
                {
                    Update(at, at + 16, at + 32, at + 48);
                }
                lanes.Slice(16, rest).CopyTo(new Span<float>(p + i, rest));
                lanes.Slice(32, rest).CopyTo(new Span<float>(m1 + i, rest));
                lanes.Slice(48, rest).CopyTo(new Span<float>(m2 + i, rest));
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private void Update(float* gradient, float* parameter, float* m, float* v)
        {
            L g = L.Load(gradient) * L.Create(gradientScale);
            L first = L.Fma(L.Create(_factors.Beta1), L.Load(m), L.Create(_factors.Rest1) * g);
            L second = L.Fma(L.Create(_factors.Beta2), L.Load(v), L.Create(_factors.Rest2) * g * g);
            L step = L.Create(_factors.Rate) * first / (L.Sqrt(second * L.Create(_factors.Unbias2)) + L.Create(_factors.Epsilon));
            L.Store(first, m);
            L.Store(second, v);
            L.Store(L.Fma(L.Load(parameter), L.Create(_factors.Decay), L.Zero - step), parameter);
        }
    }
}
