using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace NativeEngine.Benchmarks.Goals;

/// <summary>What this machine can do at best, measured in the same run.</summary>
/// <param name="FmaGflops">float32 operations a second of independent fused multiply-adds in registers, 10^9.</param>
/// <param name="MinFmaGterms">Pairs of one minimum and one fused multiply-add a second, 10^9 elements.</param>
/// <param name="CopyGigabytes">Bytes read and written a second by copying arrays larger than the caches, 10^9.</param>
internal sealed record Roofs(double FmaGflops, double MinFmaGterms, double CopyGigabytes)
{
    private const int Accumulators = 12;
    private const long Steps = 4_000_000;

    /// <summary>The best of several short runs of each.</summary>
    public static Roofs Measure(int threads, bool quick)
    {
        int runs = quick ? 2 : 7;
        double lanes = Vector512.IsHardwareAccelerated ? 16 : 8;
        double fma = Best(runs, threads, i => Vector512.IsHardwareAccelerated ? Fma512(Steps, i) : Fma256(Steps, i));
        double min = Best(runs, threads, i => Vector512.IsHardwareAccelerated ? MinFma512(Steps, i) : MinFma256(Steps, i));
        double work = lanes * Accumulators * Steps * threads * 1e-9;
        return new Roofs(2 * work / fma, work / min, Copy(runs, threads, quick ? 1L << 24 : 1L << 29));
    }

    private static double Best(int runs, int threads, Func<int, float> work)
    {
        double best = double.MaxValue;
        for (int run = 0; run <= runs; run++)
        {
            double seconds = OnThreads(threads, i => GC.KeepAlive(work(i)));
            best = run == 0 ? best : Math.Min(best, seconds);
        }
        return best;
    }

    private static unsafe double Copy(int runs, int threads, long bytes)
    {
        byte* from = (byte*)NativeMemory.AlignedAlloc((nuint)bytes, 4096), to = (byte*)NativeMemory.AlignedAlloc((nuint)bytes, 4096);
        long share = bytes / threads;
        double best = double.MaxValue;
        // The first run touches every page.
        NativeMemory.Fill(from, (nuint)bytes, 1);
        for (int run = 0; run <= runs; run++)
        {
            double seconds = OnThreads(threads, i => Buffer.MemoryCopy(from + (i * share), to + (i * share), share, share));
            best = run == 0 ? best : Math.Min(best, seconds);
        }
        NativeMemory.AlignedFree(from);
        NativeMemory.AlignedFree(to);
        return 2e-9 * share * threads / best;
    }

    private static double OnThreads(int threads, Action<int> work)
    {
        using var gate = new Barrier(threads + 1);
        var team = Enumerable.Range(0, threads).Select(i => new Thread(() =>
        {
            gate.SignalAndWait();
            work(i);
            gate.SignalAndWait();
        })).ToArray();
        Array.ForEach(team, t => t.Start());
        gate.SignalAndWait();
        long start = Stopwatch.GetTimestamp();
        gate.SignalAndWait();
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        Array.ForEach(team, t => t.Join());
        return seconds;
    }

    // Named accumulators: an array of them would live in memory.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Fma512(long steps, int seed)
    {
        Vector512<float> x = Vector512.Create(0.999f), y = Vector512.Create(1e-3f * (seed + 1));
        Vector512<float> a = y, b = y, c = y, d = y, e = y, f = y, g = y, h = y, i = y, j = y, k = y, l = y;
        for (long step = 0; step < steps; step++)
        {
            a = Vector512.FusedMultiplyAdd(a, x, y);
            b = Vector512.FusedMultiplyAdd(b, x, y);
            c = Vector512.FusedMultiplyAdd(c, x, y);
            d = Vector512.FusedMultiplyAdd(d, x, y);
            e = Vector512.FusedMultiplyAdd(e, x, y);
            f = Vector512.FusedMultiplyAdd(f, x, y);
            g = Vector512.FusedMultiplyAdd(g, x, y);
            h = Vector512.FusedMultiplyAdd(h, x, y);
            i = Vector512.FusedMultiplyAdd(i, x, y);
            j = Vector512.FusedMultiplyAdd(j, x, y);
            k = Vector512.FusedMultiplyAdd(k, x, y);
            l = Vector512.FusedMultiplyAdd(l, x, y);
        }
        return Vector512.Sum(a + b + c + d + e + f + g + h + i + j + k + l);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Fma256(long steps, int seed)
    {
        Vector256<float> x = Vector256.Create(0.999f), y = Vector256.Create(1e-3f * (seed + 1));
        Vector256<float> a = y, b = y, c = y, d = y, e = y, f = y, g = y, h = y, i = y, j = y, k = y, l = y;
        for (long step = 0; step < steps; step++)
        {
            a = Vector256.FusedMultiplyAdd(a, x, y);
            b = Vector256.FusedMultiplyAdd(b, x, y);
            c = Vector256.FusedMultiplyAdd(c, x, y);
            d = Vector256.FusedMultiplyAdd(d, x, y);
            e = Vector256.FusedMultiplyAdd(e, x, y);
            f = Vector256.FusedMultiplyAdd(f, x, y);
            g = Vector256.FusedMultiplyAdd(g, x, y);
            h = Vector256.FusedMultiplyAdd(h, x, y);
            i = Vector256.FusedMultiplyAdd(i, x, y);
            j = Vector256.FusedMultiplyAdd(j, x, y);
            k = Vector256.FusedMultiplyAdd(k, x, y);
            l = Vector256.FusedMultiplyAdd(l, x, y);
        }
        return Vector256.Sum(a + b + c + d + e + f + g + h + i + j + k + l);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float MinFma512(long steps, int seed)
    {
        Vector512<float> x = Vector512.Create(0.999f), y = Vector512.Create(1e-3f * (seed + 1)), z = Vector512.Create(0.25f);
        Vector512<float> a = y, b = y, c = y, d = y, e = y, f = y, g = y, h = y, i = y, j = y, k = y, l = y;
        for (long step = 0; step < steps; step++)
        {
            a = Vector512.FusedMultiplyAdd(Vector512.MinNative(a, z), x, y);
            b = Vector512.FusedMultiplyAdd(Vector512.MinNative(b, z), x, y);
            c = Vector512.FusedMultiplyAdd(Vector512.MinNative(c, z), x, y);
            d = Vector512.FusedMultiplyAdd(Vector512.MinNative(d, z), x, y);
            e = Vector512.FusedMultiplyAdd(Vector512.MinNative(e, z), x, y);
            f = Vector512.FusedMultiplyAdd(Vector512.MinNative(f, z), x, y);
            g = Vector512.FusedMultiplyAdd(Vector512.MinNative(g, z), x, y);
            h = Vector512.FusedMultiplyAdd(Vector512.MinNative(h, z), x, y);
            i = Vector512.FusedMultiplyAdd(Vector512.MinNative(i, z), x, y);
            j = Vector512.FusedMultiplyAdd(Vector512.MinNative(j, z), x, y);
            k = Vector512.FusedMultiplyAdd(Vector512.MinNative(k, z), x, y);
            l = Vector512.FusedMultiplyAdd(Vector512.MinNative(l, z), x, y);
        }
        return Vector512.Sum(a + b + c + d + e + f + g + h + i + j + k + l);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float MinFma256(long steps, int seed)
    {
        Vector256<float> x = Vector256.Create(0.999f), y = Vector256.Create(1e-3f * (seed + 1)), z = Vector256.Create(0.25f);
        Vector256<float> a = y, b = y, c = y, d = y, e = y, f = y, g = y, h = y, i = y, j = y, k = y, l = y;
        for (long step = 0; step < steps; step++)
        {
            a = Vector256.FusedMultiplyAdd(Vector256.MinNative(a, z), x, y);
            b = Vector256.FusedMultiplyAdd(Vector256.MinNative(b, z), x, y);
            c = Vector256.FusedMultiplyAdd(Vector256.MinNative(c, z), x, y);
            d = Vector256.FusedMultiplyAdd(Vector256.MinNative(d, z), x, y);
            e = Vector256.FusedMultiplyAdd(Vector256.MinNative(e, z), x, y);
            f = Vector256.FusedMultiplyAdd(Vector256.MinNative(f, z), x, y);
            g = Vector256.FusedMultiplyAdd(Vector256.MinNative(g, z), x, y);
            h = Vector256.FusedMultiplyAdd(Vector256.MinNative(h, z), x, y);
            i = Vector256.FusedMultiplyAdd(Vector256.MinNative(i, z), x, y);
            j = Vector256.FusedMultiplyAdd(Vector256.MinNative(j, z), x, y);
            k = Vector256.FusedMultiplyAdd(Vector256.MinNative(k, z), x, y);
            l = Vector256.FusedMultiplyAdd(Vector256.MinNative(l, z), x, y);
        }
        return Vector256.Sum(a + b + c + d + e + f + g + h + i + j + k + l);
    }
}
