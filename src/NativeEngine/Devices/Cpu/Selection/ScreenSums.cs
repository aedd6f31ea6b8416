using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace NativeEngine.Devices.Cpu;

/// <summary>What is summed over the bytes of two rows of integers, a register at a time. Sums are exact, so every width gives the same.</summary>
internal unsafe interface IScreenTerm<TVector>
    where TVector : struct
{
    /// <summary>Bytes of a register.</summary>
    static abstract int Bytes { get; }

    static abstract TVector Load(byte* source);

    static abstract TVector Add(TVector a, TVector b, TVector sum);

    static abstract int Sum(TVector value);
}

/// <summary>Tiles of pairs: rows lie as they are, the columns are the lanes.</summary>
internal static unsafe class ScreenSums<TVector, TTerm>
    where TVector : struct
    where TTerm : struct, IScreenTerm<TVector>
{
    /// <summary>4 rows by 4 in 16 accumulators: 8 loads for 16 terms. Adds to sums [4,4] with row length ld.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Tile4x4(byte* a, byte* b, long stride, long bytes, double* sums, long ld)
    {
        TVector c00 = default, c01 = default, c02 = default, c03 = default, c10 = default, c11 = default, c12 = default, c13 = default;
        TVector c20 = default, c21 = default, c22 = default, c23 = default, c30 = default, c31 = default, c32 = default, c33 = default;
        byte* a1 = a + stride, a2 = a1 + stride, a3 = a2 + stride, b1 = b + stride, b2 = b1 + stride, b3 = b2 + stride;
        for (long k = 0; k < bytes; k += TTerm.Bytes)
        {
            TVector y0 = TTerm.Load(b + k), y1 = TTerm.Load(b1 + k), y2 = TTerm.Load(b2 + k), y3 = TTerm.Load(b3 + k);
            TVector x = TTerm.Load(a + k);
            c00 = TTerm.Add(x, y0, c00);
            c01 = TTerm.Add(x, y1, c01);
            c02 = TTerm.Add(x, y2, c02);
            c03 = TTerm.Add(x, y3, c03);
            x = TTerm.Load(a1 + k);
            c10 = TTerm.Add(x, y0, c10);
            c11 = TTerm.Add(x, y1, c11);
            c12 = TTerm.Add(x, y2, c12);
            c13 = TTerm.Add(x, y3, c13);
            x = TTerm.Load(a2 + k);
            c20 = TTerm.Add(x, y0, c20);
            c21 = TTerm.Add(x, y1, c21);
            c22 = TTerm.Add(x, y2, c22);
            c23 = TTerm.Add(x, y3, c23);
            x = TTerm.Load(a3 + k);
            c30 = TTerm.Add(x, y0, c30);
            c31 = TTerm.Add(x, y1, c31);
            c32 = TTerm.Add(x, y2, c32);
            c33 = TTerm.Add(x, y3, c33);
        }
        Fold(c00, c01, c02, c03, sums);
        Fold(c10, c11, c12, c13, sums + ld);
        Fold(c20, c21, c22, c23, sums + (2 * ld));
        Fold(c30, c31, c32, c33, sums + (3 * ld));
    }

    /// <summary>2 rows by 4, for machines with sixteen registers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Tile2x4(byte* a, byte* b, long stride, long bytes, double* sums, long ld)
    {
        TVector c00 = default, c01 = default, c02 = default, c03 = default, c10 = default, c11 = default, c12 = default, c13 = default;
        byte* a1 = a + stride, b1 = b + stride, b2 = b1 + stride, b3 = b2 + stride;
        for (long k = 0; k < bytes; k += TTerm.Bytes)
        {
            TVector x = TTerm.Load(a + k), z = TTerm.Load(a1 + k), y = TTerm.Load(b + k);
            c00 = TTerm.Add(x, y, c00);
            c10 = TTerm.Add(z, y, c10);
            y = TTerm.Load(b1 + k);
            c01 = TTerm.Add(x, y, c01);
            c11 = TTerm.Add(z, y, c11);
            y = TTerm.Load(b2 + k);
            c02 = TTerm.Add(x, y, c02);
            c12 = TTerm.Add(z, y, c12);
            y = TTerm.Load(b3 + k);
            c03 = TTerm.Add(x, y, c03);
            c13 = TTerm.Add(z, y, c13);
        }
        Fold(c00, c01, c02, c03, sums);
        Fold(c10, c11, c12, c13, sums + ld);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Fold(TVector a, TVector b, TVector c, TVector d, double* sums)
    {
        sums[0] += TTerm.Sum(a);
        sums[1] += TTerm.Sum(b);
        sums[2] += TTerm.Sum(c);
        sums[3] += TTerm.Sum(d);
    }
}

/// <summary>Sum of |a - b| of unsigned bytes: one instruction for a whole register.</summary>
internal readonly unsafe struct ByteDifferences512 : IScreenTerm<Vector512<int>>
{
    public static int Bytes => 64;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Load(byte* source) => Vector512.Load(source).AsInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Add(Vector512<int> a, Vector512<int> b, Vector512<int> sum) => Avx512BW.SumAbsoluteDifferences(a.AsByte(), b.AsByte()).AsInt32() + sum;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Sum(Vector512<int> value) => Vector512.Sum(value);
}

/// <inheritdoc cref="ByteDifferences512"/>
internal readonly unsafe struct ByteDifferences256 : IScreenTerm<Vector256<int>>
{
    public static int Bytes => 32;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Load(byte* source) => Vector256.Load(source).AsInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Add(Vector256<int> a, Vector256<int> b, Vector256<int> sum) => Avx2.SumAbsoluteDifferences(a.AsByte(), b.AsByte()).AsInt32() + sum;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Sum(Vector256<int> value) => Vector256.Sum(value);
}

/// <inheritdoc cref="ByteDifferences512"/>
internal readonly unsafe struct ByteDifferences128 : IScreenTerm<Vector128<int>>
{
    public static int Bytes => 16;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> Load(byte* source) => Vector128.Load(source).AsInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> Add(Vector128<int> a, Vector128<int> b, Vector128<int> sum)
    {
        if (Sse2.IsSupported)
        {
            return Sse2.SumAbsoluteDifferences(a.AsByte(), b.AsByte()).AsInt32() + sum;
        }
        var difference = Vector128.Max(a.AsByte(), b.AsByte()) - Vector128.Min(a.AsByte(), b.AsByte());
        var (low, high) = Vector128.Widen(Vector128.WidenLower(difference) + Vector128.WidenUpper(difference));
        return (low + high).AsInt32() + sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Sum(Vector128<int> value) => Vector128.Sum(value);
}

/// <summary>Sum of min(a, b) of signed 16-bit integers; |a - b| = a + b - 2 min(a, b) needs no wider difference.</summary>
internal readonly unsafe struct ShortMinima512 : IScreenTerm<Vector512<int>>
{
    public static int Bytes => 64;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Load(byte* source) => Vector512.Load(source).AsInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Add(Vector512<int> a, Vector512<int> b, Vector512<int> sum) =>
        Avx512BW.MultiplyAddAdjacent(Avx512BW.Min(a.AsInt16(), b.AsInt16()), Vector512.Create((short)1)) + sum;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Sum(Vector512<int> value) => Vector512.Sum(value);
}

/// <inheritdoc cref="ShortMinima512"/>
internal readonly unsafe struct ShortMinima256 : IScreenTerm<Vector256<int>>
{
    public static int Bytes => 32;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Load(byte* source) => Vector256.Load(source).AsInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Add(Vector256<int> a, Vector256<int> b, Vector256<int> sum) =>
        Avx2.MultiplyAddAdjacent(Avx2.Min(a.AsInt16(), b.AsInt16()), Vector256.Create((short)1)) + sum;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Sum(Vector256<int> value) => Vector256.Sum(value);
}

/// <inheritdoc cref="ShortMinima512"/>
internal readonly unsafe struct ShortMinima128 : IScreenTerm<Vector128<int>>
{
    public static int Bytes => 16;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> Load(byte* source) => Vector128.Load(source).AsInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<int> Add(Vector128<int> a, Vector128<int> b, Vector128<int> sum)
    {
        var smaller = Vector128.Min(a.AsInt16(), b.AsInt16());
        if (Sse2.IsSupported)
        {
            return Sse2.MultiplyAddAdjacent(smaller, Vector128.Create((short)1)) + sum;
        }
        var (low, high) = Vector128.Widen(smaller);
        return low + high + sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int Sum(Vector128<int> value) => Vector128.Sum(value);
}
