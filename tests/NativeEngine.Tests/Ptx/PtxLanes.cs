using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace NativeEngine.Tests.Ptx;

internal interface IUnary32 { static abstract Vector256<uint> Do(Vector256<uint> a); }

internal interface IBinary32 { static abstract Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b); }

internal interface ITernary32 { static abstract Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b, Vector256<uint> c); }

internal interface IUnary64 { static abstract Vector256<ulong> Do(Vector256<ulong> a); }

internal interface IBinary64 { static abstract Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b); }

internal interface ITernary64 { static abstract Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b, Vector256<ulong> c); }

internal interface ILane1<TA, TD> { static abstract TD Do(TA a); }

internal interface ILane2<TA, TB, TD> { static abstract TD Do(TA a, TB b); }

internal interface ILane3<TA, TB, TC, TD> { static abstract TD Do(TA a, TB b, TC c); }

internal interface IPredicate { static abstract uint Do(uint a, uint b); }

internal interface IShift { static abstract ulong Do(ulong a, int count); }

/// <summary>
/// Executes an operation for the 32 lanes of a warp. A register is 32 lanes of four or eight bytes; operations of one vector width run on all
/// lanes and store those of the mask, others run lane by lane.
/// </summary>
internal static unsafe class PtxLanes
{
    private static readonly Vector256<uint>[] _masks32 = [.. Enumerable.Range(0, 256).Select(b => Vector256.Create(
        Bit(b, 0), Bit(b, 1), Bit(b, 2), Bit(b, 3), Bit(b, 4), Bit(b, 5), Bit(b, 6), Bit(b, 7)))];

    private static readonly Vector256<ulong>[] _masks64 = [.. Enumerable.Range(0, 16).Select(b => Vector256.Create(
        Long(b, 0), Long(b, 1), Long(b, 2), Long(b, 3)))];

    private static uint Bit(int bits, int at) => (bits >> at & 1) != 0 ? uint.MaxValue : 0;

    private static ulong Long(int bits, int at) => (bits >> at & 1) != 0 ? ulong.MaxValue : 0;

    public static void Nothing(PtxWarp w, in PtxInstruction i, uint mask)
    {
    }

    public static void Unary32<T>(PtxWarp w, in PtxInstruction i, uint mask)
        where T : IUnary32
    {
        uint* d = (uint*)(w.Registers + i.D), a = (uint*)(w.Registers + i.A);
        for (int l = 0; l < 32; l += 8)
        {
            Store(T.Do(Vector256.Load(a + l)), d + l, mask >> l);
        }
    }

    public static void Binary32<T>(PtxWarp w, in PtxInstruction i, uint mask)
        where T : IBinary32
    {
        uint* d = (uint*)(w.Registers + i.D), a = (uint*)(w.Registers + i.A), b = (uint*)(w.Registers + i.B);
        if (mask == uint.MaxValue)
        {
            T.Do(Vector256.Load(a), Vector256.Load(b)).Store(d);
            T.Do(Vector256.Load(a + 8), Vector256.Load(b + 8)).Store(d + 8);
            T.Do(Vector256.Load(a + 16), Vector256.Load(b + 16)).Store(d + 16);
            T.Do(Vector256.Load(a + 24), Vector256.Load(b + 24)).Store(d + 24);
            return;
        }
        for (int l = 0; l < 32; l += 8)
        {
            Store(T.Do(Vector256.Load(a + l), Vector256.Load(b + l)), d + l, mask >> l);
        }
    }

    public static void Ternary32<T>(PtxWarp w, in PtxInstruction i, uint mask)
        where T : ITernary32
    {
        uint* d = (uint*)(w.Registers + i.D), a = (uint*)(w.Registers + i.A), b = (uint*)(w.Registers + i.B), c = (uint*)(w.Registers + i.C);
        if (mask == uint.MaxValue)
        {
            T.Do(Vector256.Load(a), Vector256.Load(b), Vector256.Load(c)).Store(d);
            T.Do(Vector256.Load(a + 8), Vector256.Load(b + 8), Vector256.Load(c + 8)).Store(d + 8);
            T.Do(Vector256.Load(a + 16), Vector256.Load(b + 16), Vector256.Load(c + 16)).Store(d + 16);
            T.Do(Vector256.Load(a + 24), Vector256.Load(b + 24), Vector256.Load(c + 24)).Store(d + 24);
            return;
        }
        for (int l = 0; l < 32; l += 8)
        {
            Store(T.Do(Vector256.Load(a + l), Vector256.Load(b + l), Vector256.Load(c + l)), d + l, mask >> l);
        }
    }

    public static void Unary64<T>(PtxWarp w, in PtxInstruction i, uint mask)
        where T : IUnary64
    {
        ulong* d = (ulong*)(w.Registers + i.D), a = (ulong*)(w.Registers + i.A);
        for (int l = 0; l < 32; l += 4)
        {
            Store(T.Do(Vector256.Load(a + l)), d + l, mask >> l);
        }
    }

    public static void Binary64<T>(PtxWarp w, in PtxInstruction i, uint mask)
        where T : IBinary64
    {
        ulong* d = (ulong*)(w.Registers + i.D), a = (ulong*)(w.Registers + i.A), b = (ulong*)(w.Registers + i.B);
        for (int l = 0; l < 32; l += 4)
        {
            Store(T.Do(Vector256.Load(a + l), Vector256.Load(b + l)), d + l, mask >> l);
        }
    }

    public static void Ternary64<T>(PtxWarp w, in PtxInstruction i, uint mask)
        where T : ITernary64
    {
        ulong* d = (ulong*)(w.Registers + i.D), a = (ulong*)(w.Registers + i.A), b = (ulong*)(w.Registers + i.B), c = (ulong*)(w.Registers + i.C);
        for (int l = 0; l < 32; l += 4)
        {
            Store(T.Do(Vector256.Load(a + l), Vector256.Load(b + l), Vector256.Load(c + l)), d + l, mask >> l);
        }
    }

    public static void AddImmediate64(PtxWarp w, in PtxInstruction i, uint mask)
    {
        ulong* d = (ulong*)(w.Registers + i.D), a = (ulong*)(w.Registers + i.A);
        var offset = Vector256.Create((ulong)i.Immediate);
        for (int l = 0; l < 32; l += 4)
        {
            Store(Vector256.Load(a + l) + offset, d + l, mask >> l);
        }
    }

    public static void Compare32<T>(PtxWarp w, in PtxInstruction i, uint mask)
        where T : IBinary32
    {
        uint* a = (uint*)(w.Registers + i.A), b = (uint*)(w.Registers + i.B), d = (uint*)(w.Registers + i.D);
        uint bits = 0;
        for (int l = 0; l < 32; l += 8)
        {
            bits |= T.Do(Vector256.Load(a + l), Vector256.Load(b + l)).ExtractMostSignificantBits() << l;
        }
        *d = (*d & ~mask) | (bits & mask);
    }

    public static void Compare64<T>(PtxWarp w, in PtxInstruction i, uint mask)
        where T : IBinary64
    {
        ulong* a = (ulong*)(w.Registers + i.A), b = (ulong*)(w.Registers + i.B);
        uint* d = (uint*)(w.Registers + i.D);
        uint bits = 0;
        for (int l = 0; l < 32; l += 4)
        {
            bits |= T.Do(Vector256.Load(a + l), Vector256.Load(b + l)).ExtractMostSignificantBits() << l;
        }
        *d = (*d & ~mask) | (bits & mask);
    }

    public static void Select32(PtxWarp w, in PtxInstruction i, uint mask)
    {
        uint* d = (uint*)(w.Registers + i.D), a = (uint*)(w.Registers + i.A), b = (uint*)(w.Registers + i.B);
        uint chosen = *(uint*)(w.Registers + i.C);
        for (int l = 0; l < 32; l += 8)
        {
            Store(Vector256.ConditionalSelect(_masks32[(byte)(chosen >> l)], Vector256.Load(a + l), Vector256.Load(b + l)), d + l, mask >> l);
        }
    }

    public static void Select64(PtxWarp w, in PtxInstruction i, uint mask)
    {
        ulong* d = (ulong*)(w.Registers + i.D), a = (ulong*)(w.Registers + i.A), b = (ulong*)(w.Registers + i.B);
        uint chosen = *(uint*)(w.Registers + i.C);
        for (int l = 0; l < 32; l += 4)
        {
            Store(Vector256.ConditionalSelect(_masks64[(int)(chosen >> l & 15)], Vector256.Load(a + l), Vector256.Load(b + l)), d + l, mask >> l);
        }
    }

    public static void Predicate<T>(PtxWarp w, in PtxInstruction i, uint mask)
        where T : IPredicate
    {
        uint* d = (uint*)(w.Registers + i.D);
        *d = (*d & ~mask) | (T.Do(*(uint*)(w.Registers + i.A), *(uint*)(w.Registers + i.B)) & mask);
    }

    public static void Shift64<T>(PtxWarp w, in PtxInstruction i, uint mask)
        where T : IShift
    {
        ulong* d = (ulong*)(w.Registers + i.D), a = (ulong*)(w.Registers + i.A);
        uint* count = (uint*)(w.Registers + i.B);
        for (int l = 0; l < 32; l++)
        {
            if ((mask >> l & 1) != 0)
            {
                d[l] = T.Do(a[l], (int)Math.Min(count[l], 64));
            }
        }
    }

    public static void Lane1<TA, TD, T>(PtxWarp w, in PtxInstruction i, uint mask)
        where TA : unmanaged
        where TD : unmanaged
        where T : ILane1<TA, TD>
    {
        byte* d = w.Registers + i.D, a = w.Registers + i.A;
        for (int l = 0; l < 32; l++)
        {
            if ((mask >> l & 1) != 0)
            {
                *(TD*)(d + (l * sizeof(TD))) = T.Do(*(TA*)(a + (l * sizeof(TA))));
            }
        }
    }

    public static void Lane2<TA, TB, TD, T>(PtxWarp w, in PtxInstruction i, uint mask)
        where TA : unmanaged
        where TB : unmanaged
        where TD : unmanaged
        where T : ILane2<TA, TB, TD>
    {
        byte* d = w.Registers + i.D, a = w.Registers + i.A, b = w.Registers + i.B;
        for (int l = 0; l < 32; l++)
        {
            if ((mask >> l & 1) != 0)
            {
                *(TD*)(d + (l * sizeof(TD))) = T.Do(*(TA*)(a + (l * sizeof(TA))), *(TB*)(b + (l * sizeof(TB))));
            }
        }
    }

    public static void Lane3<TA, TB, TC, TD, T>(PtxWarp w, in PtxInstruction i, uint mask)
        where TA : unmanaged
        where TB : unmanaged
        where TC : unmanaged
        where TD : unmanaged
        where T : ILane3<TA, TB, TC, TD>
    {
        byte* d = w.Registers + i.D, a = w.Registers + i.A, b = w.Registers + i.B, c = w.Registers + i.C;
        for (int l = 0; l < 32; l++)
        {
            if ((mask >> l & 1) != 0)
            {
                *(TD*)(d + (l * sizeof(TD))) = T.Do(*(TA*)(a + (l * sizeof(TA))), *(TB*)(b + (l * sizeof(TB))), *(TC*)(c + (l * sizeof(TC))));
            }
        }
    }

    public static void Unpack64(PtxWarp w, in PtxInstruction i, uint mask)
    {
        uint* a = (uint*)(w.Registers + i.A);
        Halves(w, i, mask, a, static (word, high) => word[high ? 1 : 0], 2);
    }

    public static void Unpack32(PtxWarp w, in PtxInstruction i, uint mask)
    {
        uint* a = (uint*)(w.Registers + i.A);
        Halves(w, i, mask, a, static (word, high) => high ? *word >> 16 : *word & 0xFFFF, 1);
    }

    private delegate uint Half(uint* word, bool high);

    private static void Halves(PtxWarp w, in PtxInstruction i, uint mask, uint* a, Half half, int words)
    {
        for (int l = 0; l < 32; l++)
        {
            if ((mask >> l & 1) != 0)
            {
                uint low = half(a + (l * words), false), high = half(a + (l * words), true);
                if (i.B >= 0)
                {
                    ((uint*)(w.Registers + i.B))[l] = low;
                }
                if (i.C >= 0)
                {
                    ((uint*)(w.Registers + i.C))[l] = high;
                }
            }
        }
    }

    public static void Pack64(PtxWarp w, in PtxInstruction i, uint mask)
    {
        ulong* d = (ulong*)(w.Registers + i.D);
        uint* low = (uint*)(w.Registers + i.B), high = (uint*)(w.Registers + i.C);
        for (int l = 0; l < 32; l++)
        {
            d[l] = (mask >> l & 1) != 0 ? low[l] | ((ulong)high[l] << 32) : d[l];
        }
    }

    public static void Pack32(PtxWarp w, in PtxInstruction i, uint mask)
    {
        uint* d = (uint*)(w.Registers + i.D), low = (uint*)(w.Registers + i.B), high = (uint*)(w.Registers + i.C);
        for (int l = 0; l < 32; l++)
        {
            d[l] = (mask >> l & 1) != 0 ? (low[l] & 0xFFFF) | (high[l] << 16) : d[l];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(Vector256<uint> value, uint* to, uint mask)
    {
        byte bits = (byte)mask;
        (bits == byte.MaxValue ? value : Vector256.ConditionalSelect(_masks32[bits], value, Vector256.Load(to))).Store(to);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(Vector256<ulong> value, ulong* to, uint mask)
    {
        int bits = (int)(mask & 15);
        (bits == 15 ? value : Vector256.ConditionalSelect(_masks64[bits], value, Vector256.Load(to))).Store(to);
    }
}
