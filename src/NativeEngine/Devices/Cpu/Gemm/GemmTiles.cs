using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace NativeEngine.Devices.Cpu;

/// <summary>
/// The register tiles of the matrix product. A is read in place by broadcast: element (i, p) is a[i * rowStride + p * stepStride]. B is a
/// packed panel: step p holds the tile's columns side by side. Accumulators start from C or from 0 and take one FMA a step, so an element's
/// bits do not depend on the tile it falls in. Every sixteen steps a tile asks memory for twelve lines of what is needed later.
/// </summary>
internal static unsafe partial class Gemm<L>
{
    /// <summary>Lines a tile asks for: twelve a group, <see cref="Line"/> floats apart, a group each sixteen steps, <see cref="Group"/> floats apart. Start is null for none.</summary>
    private readonly struct Ahead(float* start, long line, long group)
    {
        public readonly float* Start = start;

        public readonly long Line = line, Group = group;
    }

    /// <summary>Lines of a group.</summary>
    private const long GroupLines = 12;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Ask(float* first, long line)
    {
        if (Sse.IsSupported)
        {
            float* second = first + (3 * line), third = first + (6 * line), fourth = first + (9 * line);
            Sse.Prefetch1(first);
            Sse.Prefetch1(first + line);
            Sse.Prefetch1(first + (2 * line));
            Sse.Prefetch1(second);
            Sse.Prefetch1(second + line);
            Sse.Prefetch1(second + (2 * line));
            Sse.Prefetch1(third);
            Sse.Prefetch1(third + line);
            Sse.Prefetch1(third + (2 * line));
            Sse.Prefetch1(fourth);
            Sse.Prefetch1(fourth + line);
            Sse.Prefetch1(fourth + (2 * line));
        }
    }

    /// <summary>12 rows by 32 columns in 24 accumulators of sixteen lanes; one chain of FMAs per element, ascending k.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile12x2(long k, float* a, long rowStride, long stepStride, float* b, float* c, long ldc, bool accumulate, in Ahead ahead)
    {
        L c0a = L.Zero, c0b = L.Zero;
        L c1a = L.Zero, c1b = L.Zero;
        L c2a = L.Zero, c2b = L.Zero;
        L c3a = L.Zero, c3b = L.Zero;
        L c4a = L.Zero, c4b = L.Zero;
        L c5a = L.Zero, c5b = L.Zero;
        L c6a = L.Zero, c6b = L.Zero;
        L c7a = L.Zero, c7b = L.Zero;
        L c8a = L.Zero, c8b = L.Zero;
        L c9a = L.Zero, c9b = L.Zero;
        L c10a = L.Zero, c10b = L.Zero;
        L c11a = L.Zero, c11b = L.Zero;
        if (accumulate)
        {
            c0a = L.Load(c);
            c0b = L.Load(c + 16);
            c1a = L.Load(c + ldc);
            c1b = L.Load(c + ldc + 16);
            c2a = L.Load(c + (2 * ldc));
            c2b = L.Load(c + (2 * ldc) + 16);
            c3a = L.Load(c + (3 * ldc));
            c3b = L.Load(c + (3 * ldc) + 16);
            c4a = L.Load(c + (4 * ldc));
            c4b = L.Load(c + (4 * ldc) + 16);
            c5a = L.Load(c + (5 * ldc));
            c5b = L.Load(c + (5 * ldc) + 16);
            c6a = L.Load(c + (6 * ldc));
            c6b = L.Load(c + (6 * ldc) + 16);
            c7a = L.Load(c + (7 * ldc));
            c7b = L.Load(c + (7 * ldc) + 16);
            c8a = L.Load(c + (8 * ldc));
            c8b = L.Load(c + (8 * ldc) + 16);
            c9a = L.Load(c + (9 * ldc));
            c9b = L.Load(c + (9 * ldc) + 16);
            c10a = L.Load(c + (10 * ldc));
            c10b = L.Load(c + (10 * ldc) + 16);
            c11a = L.Load(c + (11 * ldc));
            c11b = L.Load(c + (11 * ldc) + 16);
        }
        float* a0 = a;
        float* a1 = a + (3 * rowStride);
        float* a2 = a + (6 * rowStride);
        float* a3 = a + (9 * rowStride);
        float* next = ahead.Start;
        for (long run; k > 0; k -= run)
        {
            run = k;
            if (next != null)
            {
                run = k < Line ? k : Line;
                Ask(next, ahead.Line);
                next += ahead.Group;
            }
            for (long p = run; p > 0; p--)
            {
                L ba = L.Load(b);
                L bb = L.Load(b + 16);
                L r0 = L.Create(*a0);
                c0a = L.Fma(r0, ba, c0a);
                c0b = L.Fma(r0, bb, c0b);
                L r1 = L.Create(a0[rowStride]);
                c1a = L.Fma(r1, ba, c1a);
                c1b = L.Fma(r1, bb, c1b);
                L r2 = L.Create(a0[2 * rowStride]);
                c2a = L.Fma(r2, ba, c2a);
                c2b = L.Fma(r2, bb, c2b);
                L r3 = L.Create(*a1);
                c3a = L.Fma(r3, ba, c3a);
                c3b = L.Fma(r3, bb, c3b);
                L r4 = L.Create(a1[rowStride]);
                c4a = L.Fma(r4, ba, c4a);
                c4b = L.Fma(r4, bb, c4b);
                L r5 = L.Create(a1[2 * rowStride]);
                c5a = L.Fma(r5, ba, c5a);
                c5b = L.Fma(r5, bb, c5b);
                L r6 = L.Create(*a2);
                c6a = L.Fma(r6, ba, c6a);
                c6b = L.Fma(r6, bb, c6b);
                L r7 = L.Create(a2[rowStride]);
                c7a = L.Fma(r7, ba, c7a);
                c7b = L.Fma(r7, bb, c7b);
                L r8 = L.Create(a2[2 * rowStride]);
                c8a = L.Fma(r8, ba, c8a);
                c8b = L.Fma(r8, bb, c8b);
                L r9 = L.Create(*a3);
                c9a = L.Fma(r9, ba, c9a);
                c9b = L.Fma(r9, bb, c9b);
                L r10 = L.Create(a3[rowStride]);
                c10a = L.Fma(r10, ba, c10a);
                c10b = L.Fma(r10, bb, c10b);
                L r11 = L.Create(a3[2 * rowStride]);
                c11a = L.Fma(r11, ba, c11a);
                c11b = L.Fma(r11, bb, c11b);
                a0 += stepStride;
                a1 += stepStride;
                a2 += stepStride;
                a3 += stepStride;
                b += 32;
            }
        }
        L.Store(c0a, c);
        L.Store(c0b, c + 16);
        L.Store(c1a, c + ldc);
        L.Store(c1b, c + ldc + 16);
        L.Store(c2a, c + (2 * ldc));
        L.Store(c2b, c + (2 * ldc) + 16);
        L.Store(c3a, c + (3 * ldc));
        L.Store(c3b, c + (3 * ldc) + 16);
        L.Store(c4a, c + (4 * ldc));
        L.Store(c4b, c + (4 * ldc) + 16);
        L.Store(c5a, c + (5 * ldc));
        L.Store(c5b, c + (5 * ldc) + 16);
        L.Store(c6a, c + (6 * ldc));
        L.Store(c6b, c + (6 * ldc) + 16);
        L.Store(c7a, c + (7 * ldc));
        L.Store(c7b, c + (7 * ldc) + 16);
        L.Store(c8a, c + (8 * ldc));
        L.Store(c8b, c + (8 * ldc) + 16);
        L.Store(c9a, c + (9 * ldc));
        L.Store(c9b, c + (9 * ldc) + 16);
        L.Store(c10a, c + (10 * ldc));
        L.Store(c10b, c + (10 * ldc) + 16);
        L.Store(c11a, c + (11 * ldc));
        L.Store(c11b, c + (11 * ldc) + 16);
    }

    /// <summary>12 rows by 16 columns in 12 accumulators of sixteen lanes; one chain of FMAs per element, ascending k.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile12x1(long k, float* a, long rowStride, long stepStride, float* b, float* c, long ldc, bool accumulate, in Ahead ahead)
    {
        L c0a = L.Zero;
        L c1a = L.Zero;
        L c2a = L.Zero;
        L c3a = L.Zero;
        L c4a = L.Zero;
        L c5a = L.Zero;
        L c6a = L.Zero;
        L c7a = L.Zero;
        L c8a = L.Zero;
        L c9a = L.Zero;
        L c10a = L.Zero;
        L c11a = L.Zero;
        if (accumulate)
        {
            c0a = L.Load(c);
            c1a = L.Load(c + ldc);
            c2a = L.Load(c + (2 * ldc));
            c3a = L.Load(c + (3 * ldc));
            c4a = L.Load(c + (4 * ldc));
            c5a = L.Load(c + (5 * ldc));
            c6a = L.Load(c + (6 * ldc));
            c7a = L.Load(c + (7 * ldc));
            c8a = L.Load(c + (8 * ldc));
            c9a = L.Load(c + (9 * ldc));
            c10a = L.Load(c + (10 * ldc));
            c11a = L.Load(c + (11 * ldc));
        }
        float* a0 = a;
        float* a1 = a + (3 * rowStride);
        float* a2 = a + (6 * rowStride);
        float* a3 = a + (9 * rowStride);
        float* next = ahead.Start;
        for (long run; k > 0; k -= run)
        {
            run = k;
            if (next != null)
            {
                run = k < Line ? k : Line;
                Ask(next, ahead.Line);
                next += ahead.Group;
            }
            for (long p = run; p > 0; p--)
            {
                L ba = L.Load(b);
                L r0 = L.Create(*a0);
                c0a = L.Fma(r0, ba, c0a);
                L r1 = L.Create(a0[rowStride]);
                c1a = L.Fma(r1, ba, c1a);
                L r2 = L.Create(a0[2 * rowStride]);
                c2a = L.Fma(r2, ba, c2a);
                L r3 = L.Create(*a1);
                c3a = L.Fma(r3, ba, c3a);
                L r4 = L.Create(a1[rowStride]);
                c4a = L.Fma(r4, ba, c4a);
                L r5 = L.Create(a1[2 * rowStride]);
                c5a = L.Fma(r5, ba, c5a);
                L r6 = L.Create(*a2);
                c6a = L.Fma(r6, ba, c6a);
                L r7 = L.Create(a2[rowStride]);
                c7a = L.Fma(r7, ba, c7a);
                L r8 = L.Create(a2[2 * rowStride]);
                c8a = L.Fma(r8, ba, c8a);
                L r9 = L.Create(*a3);
                c9a = L.Fma(r9, ba, c9a);
                L r10 = L.Create(a3[rowStride]);
                c10a = L.Fma(r10, ba, c10a);
                L r11 = L.Create(a3[2 * rowStride]);
                c11a = L.Fma(r11, ba, c11a);
                a0 += stepStride;
                a1 += stepStride;
                a2 += stepStride;
                a3 += stepStride;
                b += 16;
            }
        }
        L.Store(c0a, c);
        L.Store(c1a, c + ldc);
        L.Store(c2a, c + (2 * ldc));
        L.Store(c3a, c + (3 * ldc));
        L.Store(c4a, c + (4 * ldc));
        L.Store(c5a, c + (5 * ldc));
        L.Store(c6a, c + (6 * ldc));
        L.Store(c7a, c + (7 * ldc));
        L.Store(c8a, c + (8 * ldc));
        L.Store(c9a, c + (9 * ldc));
        L.Store(c10a, c + (10 * ldc));
        L.Store(c11a, c + (11 * ldc));
    }

    /// <summary>4 rows by 32 columns in 8 accumulators of sixteen lanes, for the last rows; one chain of FMAs per element, ascending k.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile4x2(long k, float* a, long rowStride, long stepStride, float* b, float* c, long ldc, bool accumulate)
    {
        L c0a = L.Zero, c0b = L.Zero;
        L c1a = L.Zero, c1b = L.Zero;
        L c2a = L.Zero, c2b = L.Zero;
        L c3a = L.Zero, c3b = L.Zero;
        if (accumulate)
        {
            c0a = L.Load(c);
            c0b = L.Load(c + 16);
            c1a = L.Load(c + ldc);
            c1b = L.Load(c + ldc + 16);
            c2a = L.Load(c + (2 * ldc));
            c2b = L.Load(c + (2 * ldc) + 16);
            c3a = L.Load(c + (3 * ldc));
            c3b = L.Load(c + (3 * ldc) + 16);
        }
        for (long p = 0; p < k; p++)
        {
            L ba = L.Load(b);
            L bb = L.Load(b + 16);
            L r0 = L.Create(*a);
            c0a = L.Fma(r0, ba, c0a);
            c0b = L.Fma(r0, bb, c0b);
            L r1 = L.Create(a[rowStride]);
            c1a = L.Fma(r1, ba, c1a);
            c1b = L.Fma(r1, bb, c1b);
            L r2 = L.Create(a[2 * rowStride]);
            c2a = L.Fma(r2, ba, c2a);
            c2b = L.Fma(r2, bb, c2b);
            L r3 = L.Create(a[3 * rowStride]);
            c3a = L.Fma(r3, ba, c3a);
            c3b = L.Fma(r3, bb, c3b);
            a += stepStride;
            b += 32;
        }
        L.Store(c0a, c);
        L.Store(c0b, c + 16);
        L.Store(c1a, c + ldc);
        L.Store(c1b, c + ldc + 16);
        L.Store(c2a, c + (2 * ldc));
        L.Store(c2b, c + (2 * ldc) + 16);
        L.Store(c3a, c + (3 * ldc));
        L.Store(c3b, c + (3 * ldc) + 16);
    }

    /// <summary>6 rows by 16 columns in 6 accumulators of sixteen lanes; one chain of FMAs per element, ascending k.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tile6x1(long k, float* a, long rowStride, long stepStride, float* b, float* c, long ldc, bool accumulate, in Ahead ahead)
    {
        L c0a = L.Zero;
        L c1a = L.Zero;
        L c2a = L.Zero;
        L c3a = L.Zero;
        L c4a = L.Zero;
        L c5a = L.Zero;
        if (accumulate)
        {
            c0a = L.Load(c);
            c1a = L.Load(c + ldc);
            c2a = L.Load(c + (2 * ldc));
            c3a = L.Load(c + (3 * ldc));
            c4a = L.Load(c + (4 * ldc));
            c5a = L.Load(c + (5 * ldc));
        }
        float* a0 = a;
        float* a1 = a + (3 * rowStride);
        float* next = ahead.Start;
        for (long run; k > 0; k -= run)
        {
            run = k;
            if (next != null)
            {
                run = k < Line ? k : Line;
                Ask(next, ahead.Line);
                next += ahead.Group;
            }
            for (long p = run; p > 0; p--)
            {
                L ba = L.Load(b);
                L r0 = L.Create(*a0);
                c0a = L.Fma(r0, ba, c0a);
                L r1 = L.Create(a0[rowStride]);
                c1a = L.Fma(r1, ba, c1a);
                L r2 = L.Create(a0[2 * rowStride]);
                c2a = L.Fma(r2, ba, c2a);
                L r3 = L.Create(*a1);
                c3a = L.Fma(r3, ba, c3a);
                L r4 = L.Create(a1[rowStride]);
                c4a = L.Fma(r4, ba, c4a);
                L r5 = L.Create(a1[2 * rowStride]);
                c5a = L.Fma(r5, ba, c5a);
                a0 += stepStride;
                a1 += stepStride;
                b += 16;
            }
        }
        L.Store(c0a, c);
        L.Store(c1a, c + ldc);
        L.Store(c2a, c + (2 * ldc));
        L.Store(c3a, c + (3 * ldc));
        L.Store(c4a, c + (4 * ldc));
        L.Store(c5a, c + (5 * ldc));
    }
}
