using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;

namespace NativeEngine.Profiling;

/// <summary>How memory is walked by a probe, and the bytes it moves per byte of its footprint.</summary>
internal enum StreamPattern
{
    /// <summary>Sum of x.</summary>
    Read,
    /// <summary>x = constant.</summary>
    Write,
    /// <summary>x = constant, by the runtime's own fill.</summary>
    Fill,
    /// <summary>y = x.</summary>
    Copy,
    /// <summary>y = x, by the runtime's own copy (which may bypass the caches).</summary>
    Move,
    /// <summary>y = y + x.</summary>
    Update,
    /// <summary>x = x * constant, in place.</summary>
    Scale,
}

/// <summary>In which of several ways with the same result a term is computed; the fastest one is the roof.</summary>
internal enum TermForm
{
    /// <summary>As the kind says.</summary>
    Plain,
    /// <summary>The addition as a multiplication by one and an addition.</summary>
    Fused,
    /// <summary>Likewise as a tile of distances has it: one value of a term is the instruction's own operand in memory. In 512-bit registers; else as <see cref="Fused"/>.</summary>
    FusedFromMemory,
}

/// <summary>
/// The loops that measure what the processor can do at one register width. Each is a job that every thread runs once on a part of its own.
/// The threads wait for each other before they start, and the slowest one's own time counts, so what it costs to wake threads is not in it. The
/// loops hold no calls, so they are compiled optimised at once.
/// </summary>
internal static unsafe class RoofProbes<L>
    where L : unmanaged, ILanes<L>
{
    private const long Step = 4 * ILanes<L>.Count;

    /// <summary>Seconds per pass over the memory, the best of a few samples.</summary>
    public static double Stream(ThreadTeam team, StreamPattern pattern, float* memory, long floatsPerThread, double sampleSeconds, int samples)
    {
        long floats = floatsPerThread / (2 * Step) * (2 * Step);
        long* clock = stackalloc long[1 + team.Size];
        var start = new StartLine(team.Size, clock);
        return Best(
            repeats =>
            {
                start.Reset();
                team.For(new StreamJob(pattern, memory, floatsPerThread, floats, repeats, start), team.Size, 1);
                return start.Seconds;
            },
            sampleSeconds, samples);
    }

    /// <summary>Seconds for a round of <see cref="TermsPerRound"/> terms on every thread.</summary>
    public static double Compute(ThreadTeam team, ArithmeticKind kind, TermForm form, float* sink, double sampleSeconds, int samples)
    {
        long* clock = stackalloc long[1 + team.Size];
        var start = new StartLine(team.Size, clock);
        return Best(
            repeats =>
            {
                start.Reset();
                team.For(new ComputeJob(kind, form, repeats, sink, start), team.Size, 1);
                return start.Seconds;
            },
            sampleSeconds, samples);
    }

    /// <summary>Terms of one round of one thread: chains times lanes.</summary>
    public static long TermsPerRound => Chains * ILanes<L>.Count;

    // As many independent chains as fit into the registers beside two constants.
    private static int Chains => L.Width switch { SimdWidth.Bits512 => 16, SimdWidth.Bits256 => 6, _ => 3 };

    private static double Best(Func<long, double> run, double sampleSeconds, int samples)
    {
        // The best of the samples decides whether they were long enough: a single long one may have waited for a processor.
        for (long repeats = 1; ;)
        {
            double best = double.PositiveInfinity;
            for (int i = 0; i < samples; i++)
            {
                best = Math.Min(best, run(repeats));
            }
            if (best >= 0.5 * sampleSeconds || repeats >= 1L << 40)
            {
                return best / repeats;
            }
            repeats = Math.Max(repeats + 1, (long)(repeats * Math.Clamp(sampleSeconds / Math.Max(best, 1e-7), 2, 1000)));
        }
    }

    /// <summary>Lets all parts start together and keeps the time of each; clock holds the arrivals and then a time for each part.</summary>
    private readonly struct StartLine(int parts, long* clock)
    {
        /// <summary>The slowest part's time.</summary>
        public double Seconds => new ReadOnlySpan<long>(clock + 1, parts).ToArray().Max() / (double)Stopwatch.Frequency;

        public void Reset() => new Span<long>(clock, parts + 1).Clear();

        /// <summary>Waits for all parts. Every part has a thread of its own, since none goes on before all have come.</summary>
        public long Begin()
        {
            Interlocked.Increment(ref clock[0]);
            SpinWait spin = default;
            while (Volatile.Read(ref clock[0]) < parts)
            {
                spin.SpinOnce(sleep1Threshold: -1);
            }
            return Stopwatch.GetTimestamp();
        }

        public void End(long part, long begin) => clock[1 + part] = Stopwatch.GetTimestamp() - begin;
    }

    /// <summary>Passes over each thread's own part of the memory; patterns with two arrays use its halves.</summary>
    private readonly struct StreamJob(StreamPattern pattern, float* memory, long stride, long floats, long repeats, StartLine start) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            for (long part = first; part < last; part++)
            {
                float* x = memory + (part * stride);
                float* y = x + (floats / 2);
                long begin = start.Begin();
                switch (pattern)
                {
                    case StreamPattern.Read: Read(x); break;
                    case StreamPattern.Write: Write(x); break;
                    case StreamPattern.Fill: Fill(x); break;
                    case StreamPattern.Copy: Copy(x, y); break;
                    case StreamPattern.Move: Move(x, y); break;
                    case StreamPattern.Update: Update(x, y); break;
                    default: Scale(x); break;
                }
                start.End(part, begin);
            }
        }

        private void Read(float* x)
        {
            L a = L.Zero, b = L.Zero, c = L.Zero, d = L.Zero;
            for (long r = 0; r < repeats; r++)
            {
                for (long i = 0; i < floats; i += Step)
                {
                    a += L.Load(x + i);
                    b += L.Load(x + i + 16);
                    c += L.Load(x + i + 32);
                    d += L.Load(x + i + 48);
                }
            }
            L.Store(a + b + (c + d), x);
        }

        private void Write(float* x)
        {
            L value = L.Create(1f);
            for (long r = 0; r < repeats; r++)
            {
                for (long i = 0; i < floats; i += Step)
                {
                    L.Store(value, x + i);
                    L.Store(value, x + i + 16);
                    L.Store(value, x + i + 32);
                    L.Store(value, x + i + 48);
                }
            }
        }

        private void Fill(float* x)
        {
            for (long r = 0; r < repeats; r++)
            {
                new Span<float>(x, checked((int)floats)).Fill(1f);
            }
        }

        private void Copy(float* x, float* y)
        {
            long half = floats / 2;
            for (long r = 0; r < repeats; r++)
            {
                for (long i = 0; i < half; i += Step)
                {
                    L.Store(L.Load(x + i), y + i);
                    L.Store(L.Load(x + i + 16), y + i + 16);
                    L.Store(L.Load(x + i + 32), y + i + 32);
                    L.Store(L.Load(x + i + 48), y + i + 48);
                }
            }
        }

        private void Move(float* x, float* y)
        {
            int half = checked((int)(floats / 2));
            for (long r = 0; r < repeats; r++)
            {
                new ReadOnlySpan<float>(x, half).CopyTo(new Span<float>(y, half));
            }
        }

        private void Update(float* x, float* y)
        {
            long half = floats / 2;
            for (long r = 0; r < repeats; r++)
            {
                for (long i = 0; i < half; i += Step)
                {
                    L.Store(L.Load(y + i) + L.Load(x + i), y + i);
                    L.Store(L.Load(y + i + 16) + L.Load(x + i + 16), y + i + 16);
                    L.Store(L.Load(y + i + 32) + L.Load(x + i + 32), y + i + 32);
                    L.Store(L.Load(y + i + 48) + L.Load(x + i + 48), y + i + 48);
                }
            }
        }

        private void Scale(float* x)
        {
            L minus = L.Create(-1f);
            for (long r = 0; r < repeats; r++)
            {
                for (long i = 0; i < floats; i += Step)
                {
                    L.Store(L.Load(x + i) * minus, x + i);
                    L.Store(L.Load(x + i + 16) * minus, x + i + 16);
                    L.Store(L.Load(x + i + 32) * minus, x + i + 32);
                    L.Store(L.Load(x + i + 48) * minus, x + i + 48);
                }
            }
        }
    }

    /// <summary>Rounds of one term on every chain. Values stay normal and finite; the sum goes to memory so that nothing is optimised away.</summary>
    private readonly struct ComputeJob(ArithmeticKind kind, TermForm form, long rounds, float* sink, StartLine start) : IRangeJob
    {
        public void Run(long first, long last, int worker)
        {
            for (long part = first; part < last; part++)
            {
                long begin = start.Begin();
                L sum = (kind, form) switch
                {
                    (ArithmeticKind.FusedMultiplyAdd, _) => Run<FusedMultiplyAdd>(),
                    (ArithmeticKind.SubtractMultiplyAdd, _) => Run<SubtractMultiplyAdd>(),
                    (_, TermForm.FusedFromMemory) when L.Width == SimdWidth.Bits512 => MinimumFromMemory(),
                    (_, not TermForm.Plain) => Run<MinimumFused>(),
                    _ => Run<MinimumAdd>(),
                };
                start.End(part, begin);
                L.Store(sum, sink + (part * ILanes<L>.Count));
            }
        }

        private L Run<TTerm>()
            where TTerm : struct, ITerm => Chains switch { 16 => Sixteen<TTerm>(), 6 => Six<TTerm>(), _ => Three<TTerm>() };

        private L Sixteen<TTerm>()
            where TTerm : struct, ITerm
        {
            L u = L.Create(TTerm.P), v = L.Create(TTerm.Q);
            L a = u, b = u, c = u, d = u, e = u, f = u, g = u, h = u, i = u, j = u, k = u, l = u, m = u, n = u, o = u, p = u;
            for (long r = 0; r < rounds; r++)
            {
                a = TTerm.Add(a, u, v);
                b = TTerm.Add(b, u, v);
                c = TTerm.Add(c, u, v);
                d = TTerm.Add(d, u, v);
                e = TTerm.Add(e, u, v);
                f = TTerm.Add(f, u, v);
                g = TTerm.Add(g, u, v);
                h = TTerm.Add(h, u, v);
                i = TTerm.Add(i, u, v);
                j = TTerm.Add(j, u, v);
                k = TTerm.Add(k, u, v);
                l = TTerm.Add(l, u, v);
                m = TTerm.Add(m, u, v);
                n = TTerm.Add(n, u, v);
                o = TTerm.Add(o, u, v);
                p = TTerm.Add(p, u, v);
            }
            return a + b + (c + d) + (e + f + (g + h)) + (i + j + (k + l) + (m + n + (o + p)));
        }

        /// <summary>Rows of eight ones in the first-level cache against two registers; two pointers to them, or the compiler would share their loads.</summary>
        private L MinimumFromMemory()
        {
            const int Rows = 8;
            float* x = stackalloc float[2 * Rows * 8];
            float* y = x + (Rows * 8);
            new Span<float>(x, 2 * Rows * 8).Fill(1f);
            Vector512<float> one = Vector512.Create(x[0]), u = one, v = one + one;
            Vector512<float> a = u, b = u, c = u, d = u, e = u, f = u, g = u, h = u, i = u, j = u, k = u, l = u, m = u, n = u, o = u, p = u;
            float* first = x, again = y;
            for (long r = 0; r < rounds; r++)
            {
                x = first + (r % Rows * 8);
                y = again + (r % Rows * 8);
                a = Vector512.FusedMultiplyAdd(Vector512.MinNative(u, Vector512.Create(x[0])), one, a);
                b = Vector512.FusedMultiplyAdd(Vector512.MinNative(v, Vector512.Create(y[0])), one, b);
                c = Vector512.FusedMultiplyAdd(Vector512.MinNative(u, Vector512.Create(x[1])), one, c);
                d = Vector512.FusedMultiplyAdd(Vector512.MinNative(v, Vector512.Create(y[1])), one, d);
                e = Vector512.FusedMultiplyAdd(Vector512.MinNative(u, Vector512.Create(x[2])), one, e);
                f = Vector512.FusedMultiplyAdd(Vector512.MinNative(v, Vector512.Create(y[2])), one, f);
                g = Vector512.FusedMultiplyAdd(Vector512.MinNative(u, Vector512.Create(x[3])), one, g);
                h = Vector512.FusedMultiplyAdd(Vector512.MinNative(v, Vector512.Create(y[3])), one, h);
                i = Vector512.FusedMultiplyAdd(Vector512.MinNative(u, Vector512.Create(x[4])), one, i);
                j = Vector512.FusedMultiplyAdd(Vector512.MinNative(v, Vector512.Create(y[4])), one, j);
                k = Vector512.FusedMultiplyAdd(Vector512.MinNative(u, Vector512.Create(x[5])), one, k);
                l = Vector512.FusedMultiplyAdd(Vector512.MinNative(v, Vector512.Create(y[5])), one, l);
                m = Vector512.FusedMultiplyAdd(Vector512.MinNative(u, Vector512.Create(x[6])), one, m);
                n = Vector512.FusedMultiplyAdd(Vector512.MinNative(v, Vector512.Create(y[6])), one, n);
                o = Vector512.FusedMultiplyAdd(Vector512.MinNative(u, Vector512.Create(x[7])), one, o);
                p = Vector512.FusedMultiplyAdd(Vector512.MinNative(v, Vector512.Create(y[7])), one, p);
            }
            float* sum = stackalloc float[Vector512<float>.Count];
            (a + b + (c + d) + (e + f + (g + h)) + (i + j + (k + l) + (m + n + (o + p)))).Store(sum);
            return L.Load(sum);
        }

        private L Six<TTerm>()
            where TTerm : struct, ITerm
        {
            L p = L.Create(TTerm.P), q = L.Create(TTerm.Q);
            L a = p, b = p, c = p, d = p, e = p, f = p;
            for (long r = 0; r < rounds; r++)
            {
                a = TTerm.Add(a, p, q);
                b = TTerm.Add(b, p, q);
                c = TTerm.Add(c, p, q);
                d = TTerm.Add(d, p, q);
                e = TTerm.Add(e, p, q);
                f = TTerm.Add(f, p, q);
            }
            return a + b + (c + d) + (e + f);
        }

        private L Three<TTerm>()
            where TTerm : struct, ITerm
        {
            L p = L.Create(TTerm.P), q = L.Create(TTerm.Q);
            L a = p, b = p, c = p;
            for (long r = 0; r < rounds; r++)
            {
                a = TTerm.Add(a, p, q);
                b = TTerm.Add(b, p, q);
                c = TTerm.Add(c, p, q);
            }
            return a + b + c;
        }
    }

    /// <summary>One step of a chain. The chain itself is an operand of every instruction, so none can be moved out of the loop.</summary>
    private interface ITerm
    {
        static abstract float P { get; }
        static abstract float Q { get; }
        static abstract L Add(L sum, L p, L q);
    }

    /// <summary>s p + q: converges to 2.</summary>
    private readonly struct FusedMultiplyAdd : ITerm
    {
        public static float P => 0.5f;
        public static float Q => 1f;
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static L Add(L sum, L p, L q) => L.Fma(sum, p, q);
    }

    /// <summary>s + min(s, p): grows in steps of 1 until float32 has no more.</summary>
    private readonly struct MinimumAdd : ITerm
    {
        public static float P => 1f;
        public static float Q => 1f;
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static L Add(L sum, L p, L q) => sum + L.Min(sum, p);
    }

    /// <summary>min(s, p) q + s, likewise.</summary>
    private readonly struct MinimumFused : ITerm
    {
        public static float P => 1f;
        public static float Q => 1f;
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static L Add(L sum, L p, L q) => L.Fma(L.Min(sum, p), q, sum);
    }

    /// <summary>(s - p) q + s: stays at p.</summary>
    private readonly struct SubtractMultiplyAdd : ITerm
    {
        public static float P => 1f;
        public static float Q => -0.5f;
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public static L Add(L sum, L p, L q) => L.Fma(sum - p, q, sum);
    }
}
