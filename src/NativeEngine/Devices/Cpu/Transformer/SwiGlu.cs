using System.Runtime.CompilerServices;

namespace NativeEngine.Devices.Cpu;

internal sealed unsafe partial class CpuKernels<L>
{
    public void SwiGlu(Tensor<float> gate, Tensor<float> up, Tensor<float> y)
    {
        Require.That(gate.Length == up.Length && y.Length == gate.Length, $"swiglu: gate {gate.Shape}, up {up.Shape}, y {y.Shape} differ in length");
        _team.For(new SwiGluJob(gate.Pointer, up.Pointer, y.Pointer), gate.Length, ElementGrain);
    }

    public void SwiGluBackward(Tensor<float> dy, Tensor<float> gate, Tensor<float> up, Tensor<float> dGate, Tensor<float> dUp)
    {
        long n = dy.Length;
        Require.That(gate.Length == n && up.Length == n && dGate.Length == n && dUp.Length == n,
            $"swiglu backward: dy {dy.Shape}, gate {gate.Shape}, up {up.Shape}, dGate {dGate.Shape}, dUp {dUp.Shape} differ in length");
        _team.For(new SwiGluBackwardJob(dy.Pointer, gate.Pointer, up.Pointer, dGate.Pointer, dUp.Pointer), n, ElementGrain);
    }

    private readonly struct SwiGluJob(float* gate, float* up, float* y) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            float* g = gate, u = up, to = y;
            long i = first;
            for (; i + 16 <= last; i += 16)
            {
                L.Store(Value(L.Load(g + i), L.Load(u + i)), to + i);
            }
            if (i < last)
            {
                LaneMath<L>.StorePartial(Value(LaneMath<L>.LoadPartial(g + i, last - i), LaneMath<L>.LoadPartial(u + i, last - i)), to + i, last - i);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static L Value(L gate, L up) => gate * LaneMath<L>.Sigmoid(gate) * up;
    }

    private readonly struct SwiGluBackwardJob(float* dy, float* gate, float* up, float* dGate, float* dUp) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            float* d = dy, g = gate, u = up, toGate = dGate, toUp = dUp;
            long i = first;
            for (; i + 16 <= last; i += 16)
            {
                var (ofGate, ofUp) = Gradient(L.Load(d + i), L.Load(g + i), L.Load(u + i));
                L.Store(ofGate, toGate + i);
                L.Store(ofUp, toUp + i);
            }
            if (i < last)
            {
                long rest = last - i;
                var (ofGate, ofUp) = Gradient(
                    LaneMath<L>.LoadPartial(d + i, rest), LaneMath<L>.LoadPartial(g + i, rest), LaneMath<L>.LoadPartial(u + i, rest));
                LaneMath<L>.StorePartial(ofGate, toGate + i, rest);
                LaneMath<L>.StorePartial(ofUp, toUp + i, rest);
            }
        }

        // silu'(x) = s + x s (1 - s) with s = 1 / (1 + e^-x).
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static (L OfGate, L OfUp) Gradient(L dy, L gate, L up)
        {
            L s = LaneMath<L>.Sigmoid(gate), silu = gate * s;
            return (dy * up * L.Fma(silu, L.Create(1f) - s, s), dy * silu);
        }
    }
}
