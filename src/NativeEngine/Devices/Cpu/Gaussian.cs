namespace NativeEngine.Devices.Cpu;

internal sealed unsafe partial class CpuKernels<L>
{
    public void Gaussian(ulong seed, uint stream, Tensor<float> x) =>
        _team.For(new GaussianJob(new CounterRandom(seed, RandomPurpose.Direction, stream), x.Pointer), x.Length, ElementGrain);

    private readonly struct GaussianJob(CounterRandom random, float* x) : IRangeJob
    {
        /// <summary>Values made at a time: sixteen blocks of four. The grain is a multiple of it.</summary>
        private const int Step = 64;

        public void Run(long first, long last, int worker)
        {
            float* values = stackalloc float[Step];
            for (long i = first; i < last; i += Step)
            {
                Make((ulong)i / 4, values);
                int count = (int)Math.Min(Step, last - i);
                new Span<float>(values, count).CopyTo(new Span<float>(x + i, count));
            }
        }

        private void Make(ulong block, float* values)
        {
            const float Unit = 1f / (1 << 24);
            float* uniform = stackalloc float[Step];
            for (int b = 0; b < 16; b++)
            {
                var (r0, a0, r1, a1) = random.Block(block + (ulong)b);
                uniform[b] = ((int)(r0 >> 8) + 1) * Unit;
                uniform[16 + b] = (int)(a0 >> 8) * Unit;
                uniform[32 + b] = ((int)(r1 >> 8) + 1) * Unit;
                uniform[48 + b] = (int)(a1 >> 8) * Unit;
            }
            for (int pair = 0; pair < 2; pair++)
            {
                float* at = uniform + (32 * pair);
                L radius = L.Sqrt(L.Create(-2f) * LaneMath<L>.Log(L.Load(at)));
                LaneMath<L>.SinCosTurns(L.Load(at + 16), out L sin, out L cos);
                L.Store(radius * cos, at);
                L.Store(radius * sin, at + 16);
            }
            for (int b = 0; b < 16; b++)
            {
                for (int word = 0; word < 4; word++)
                {
                    values[(4 * b) + word] = uniform[(16 * word) + b];
                }
            }
        }
    }
}
