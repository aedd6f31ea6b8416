namespace NativeEngine.Devices.Cpu;

internal sealed unsafe partial class CpuKernels<L>
{
    public void Rope(Tensor<int> positions, Tensor<float> cos, Tensor<float> sin, int heads, bool inverse, Tensor<float> x)
    {
        long half = cos.RowLength;
        Require.That(positions.Length == x.Rows && x.RowLength == 2 * half * heads && sin.Rows == cos.Rows && sin.RowLength == half,
            $"rope: {positions.Length} positions, cos {cos.Shape}, sin {sin.Shape}, {heads} heads, x {x.Shape}; x must be [{positions.Length} x {2 * half * heads}]");
        RequireIndices("rope", positions, cos.Rows);
        var job = new RopeJob(positions.Pointer, cos.Pointer, sin.Pointer, heads, inverse ? -1f : 1f, x.Pointer, half);
        _team.For(job, x.Rows, RowGrain(x.RowLength));
    }

    private readonly struct RopeJob(int* positions, float* cos, float* sin, int heads, float direction, float* x, long half) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            float* head = x + (first * heads * 2 * half);
            for (long r = first; r < last; r++)
            {
                long angle = positions[r] * half;
                for (int i = 0; i < heads; i++)
                {
                    Rotate(cos + angle, sin + angle, direction, head, head + half, half);
                    head += 2 * half;
                }
            }
        }

        private static void Rotate(float* cos, float* sin, float direction, float* a, float* b, long half)
        {
            L sign = L.Create(direction);
            long j = 0;
            for (; j + 16 <= half; j += 16)
            {
                L c = L.Load(cos + j), s = L.Load(sin + j) * sign;
                L low = L.Load(a + j), high = L.Load(b + j);
                L.Store(L.Fma(low, c, L.Zero - (high * s)), a + j);
                L.Store(L.Fma(high, c, low * s), b + j);
            }
            for (; j < half; j++)
            {
                float c = cos[j], s = sin[j] * direction, low = a[j], high = b[j];
                a[j] = MathF.FusedMultiplyAdd(low, c, 0f - (high * s));
                b[j] = MathF.FusedMultiplyAdd(high, c, low * s);
            }
        }
    }
}
