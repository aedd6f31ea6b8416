using System.Runtime.Intrinsics;

namespace NativeEngine.Tests.Ptx;

// What each instruction means, on vectors of lanes or on single ones. IEEE arithmetic, as the .rn forms that clang emits for our kernels ask for.

internal readonly struct Copy32 : IUnary32 { public static Vector256<uint> Do(Vector256<uint> a) => a; }

internal readonly struct Copy64 : IUnary64 { public static Vector256<ulong> Do(Vector256<ulong> a) => a; }

internal readonly struct AddF32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => (a.AsSingle() + b.AsSingle()).AsUInt32(); }

internal readonly struct SubtractF32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => (a.AsSingle() - b.AsSingle()).AsUInt32(); }

internal readonly struct MultiplyF32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => (a.AsSingle() * b.AsSingle()).AsUInt32(); }

internal readonly struct DivideF32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => (a.AsSingle() / b.AsSingle()).AsUInt32(); }

internal readonly struct MinimumF32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => Vector256.MinNumber(a.AsSingle(), b.AsSingle()).AsUInt32(); }

internal readonly struct MaximumF32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => Vector256.MaxNumber(a.AsSingle(), b.AsSingle()).AsUInt32(); }

internal readonly struct NegateF32 : IUnary32 { public static Vector256<uint> Do(Vector256<uint> a) => (-a.AsSingle()).AsUInt32(); }

internal readonly struct AbsF32 : IUnary32 { public static Vector256<uint> Do(Vector256<uint> a) => Vector256.Abs(a.AsSingle()).AsUInt32(); }

internal readonly struct SqrtF32 : IUnary32 { public static Vector256<uint> Do(Vector256<uint> a) => Vector256.Sqrt(a.AsSingle()).AsUInt32(); }

internal readonly struct ReciprocalF32 : IUnary32 { public static Vector256<uint> Do(Vector256<uint> a) => (Vector256.Create(1f) / a.AsSingle()).AsUInt32(); }

internal readonly struct RoundF32 : IUnary32 { public static Vector256<uint> Do(Vector256<uint> a) => Vector256.Round(a.AsSingle(), MidpointRounding.ToEven).AsUInt32(); }

internal readonly struct FmaF32 : ITernary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b, Vector256<uint> c) => Vector256.FusedMultiplyAdd(a.AsSingle(), b.AsSingle(), c.AsSingle()).AsUInt32(); }

internal readonly struct LessF32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => Vector256.LessThan(a.AsSingle(), b.AsSingle()).AsUInt32(); }

internal readonly struct LessEqualF32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => Vector256.LessThanOrEqual(a.AsSingle(), b.AsSingle()).AsUInt32(); }

internal readonly struct GreaterF32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => Vector256.GreaterThan(a.AsSingle(), b.AsSingle()).AsUInt32(); }

internal readonly struct GreaterEqualF32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => Vector256.GreaterThanOrEqual(a.AsSingle(), b.AsSingle()).AsUInt32(); }

internal readonly struct EqualF32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => Vector256.Equals(a.AsSingle(), b.AsSingle()).AsUInt32(); }

internal readonly struct NumbersF32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => (Vector256.Equals(a.AsSingle(), a.AsSingle()) & Vector256.Equals(b.AsSingle(), b.AsSingle())).AsUInt32(); }

internal readonly struct AddF64 : IBinary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b) => (a.AsDouble() + b.AsDouble()).AsUInt64(); }

internal readonly struct SubtractF64 : IBinary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b) => (a.AsDouble() - b.AsDouble()).AsUInt64(); }

internal readonly struct MultiplyF64 : IBinary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b) => (a.AsDouble() * b.AsDouble()).AsUInt64(); }

internal readonly struct DivideF64 : IBinary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b) => (a.AsDouble() / b.AsDouble()).AsUInt64(); }

internal readonly struct MinimumF64 : IBinary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b) => Vector256.MinNumber(a.AsDouble(), b.AsDouble()).AsUInt64(); }

internal readonly struct MaximumF64 : IBinary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b) => Vector256.MaxNumber(a.AsDouble(), b.AsDouble()).AsUInt64(); }

internal readonly struct NegateF64 : IUnary64 { public static Vector256<ulong> Do(Vector256<ulong> a) => (-a.AsDouble()).AsUInt64(); }

internal readonly struct AbsF64 : IUnary64 { public static Vector256<ulong> Do(Vector256<ulong> a) => Vector256.Abs(a.AsDouble()).AsUInt64(); }

internal readonly struct SqrtF64 : IUnary64 { public static Vector256<ulong> Do(Vector256<ulong> a) => Vector256.Sqrt(a.AsDouble()).AsUInt64(); }

internal readonly struct ReciprocalF64 : IUnary64 { public static Vector256<ulong> Do(Vector256<ulong> a) => (Vector256.Create(1.0) / a.AsDouble()).AsUInt64(); }

internal readonly struct RoundF64 : IUnary64 { public static Vector256<ulong> Do(Vector256<ulong> a) => Vector256.Round(a.AsDouble(), MidpointRounding.ToEven).AsUInt64(); }

internal readonly struct FmaF64 : ITernary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b, Vector256<ulong> c) => Vector256.FusedMultiplyAdd(a.AsDouble(), b.AsDouble(), c.AsDouble()).AsUInt64(); }

internal readonly struct LessF64 : IBinary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b) => Vector256.LessThan(a.AsDouble(), b.AsDouble()).AsUInt64(); }

internal readonly struct LessEqualF64 : IBinary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b) => Vector256.LessThanOrEqual(a.AsDouble(), b.AsDouble()).AsUInt64(); }

internal readonly struct GreaterF64 : IBinary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b) => Vector256.GreaterThan(a.AsDouble(), b.AsDouble()).AsUInt64(); }

internal readonly struct GreaterEqualF64 : IBinary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b) => Vector256.GreaterThanOrEqual(a.AsDouble(), b.AsDouble()).AsUInt64(); }

internal readonly struct EqualF64 : IBinary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b) => Vector256.Equals(a.AsDouble(), b.AsDouble()).AsUInt64(); }

internal readonly struct NumbersF64 : IBinary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b) => (Vector256.Equals(a.AsDouble(), a.AsDouble()) & Vector256.Equals(b.AsDouble(), b.AsDouble())).AsUInt64(); }

internal readonly struct Add32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => a + b; }

internal readonly struct Add64 : IBinary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b) => a + b; }

internal readonly struct Subtract32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => a - b; }

internal readonly struct Subtract64 : IBinary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b) => a - b; }

internal readonly struct Multiply32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => a * b; }

internal readonly struct Multiply64 : IBinary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b) => a * b; }

internal readonly struct And32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => a & b; }

internal readonly struct And64 : IBinary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b) => a & b; }

internal readonly struct Or32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => a | b; }

internal readonly struct Or64 : IBinary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b) => a | b; }

internal readonly struct Xor32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => a ^ b; }

internal readonly struct Xor64 : IBinary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b) => a ^ b; }

internal readonly struct MultiplyAdd32 : ITernary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b, Vector256<uint> c) => (a * b) + c; }

internal readonly struct MultiplyAdd64 : ITernary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b, Vector256<ulong> c) => (a * b) + c; }

internal readonly struct Negate32 : IUnary32 { public static Vector256<uint> Do(Vector256<uint> a) => (-a.AsInt32()).AsUInt32(); }

internal readonly struct Negate64 : IUnary64 { public static Vector256<ulong> Do(Vector256<ulong> a) => (-a.AsInt64()).AsUInt64(); }

internal readonly struct Not32 : IUnary32 { public static Vector256<uint> Do(Vector256<uint> a) => ~a; }

internal readonly struct Not64 : IUnary64 { public static Vector256<ulong> Do(Vector256<ulong> a) => ~a; }

internal readonly struct Abs32 : IUnary32 { public static Vector256<uint> Do(Vector256<uint> a) => Vector256.Abs(a.AsInt32()).AsUInt32(); }

internal readonly struct MinimumS32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => Vector256.Min(a.AsInt32(), b.AsInt32()).AsUInt32(); }

internal readonly struct MaximumS32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => Vector256.Max(a.AsInt32(), b.AsInt32()).AsUInt32(); }

internal readonly struct MinimumU32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => Vector256.Min(a, b); }

internal readonly struct MaximumU32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => Vector256.Max(a, b); }

internal readonly struct MinimumS64 : IBinary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b) => Vector256.Min(a.AsInt64(), b.AsInt64()).AsUInt64(); }

internal readonly struct MaximumS64 : IBinary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b) => Vector256.Max(a.AsInt64(), b.AsInt64()).AsUInt64(); }

internal readonly struct Equal32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => Vector256.Equals(a, b); }

internal readonly struct LessU32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => Vector256.LessThan(a, b); }

internal readonly struct GreaterU32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => Vector256.GreaterThan(a, b); }

internal readonly struct LessS32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => Vector256.LessThan(a.AsInt32(), b.AsInt32()).AsUInt32(); }

internal readonly struct GreaterS32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => Vector256.GreaterThan(a.AsInt32(), b.AsInt32()).AsUInt32(); }

internal readonly struct Equal64 : IBinary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b) => Vector256.Equals(a, b); }

internal readonly struct LessU64 : IBinary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b) => Vector256.LessThan(a, b); }

internal readonly struct GreaterU64 : IBinary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b) => Vector256.GreaterThan(a, b); }

internal readonly struct LessS64 : IBinary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b) => Vector256.LessThan(a.AsInt64(), b.AsInt64()).AsUInt64(); }

internal readonly struct GreaterS64 : IBinary64 { public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b) => Vector256.GreaterThan(a.AsInt64(), b.AsInt64()).AsUInt64(); }

internal readonly struct Opposite32<T> : IBinary32
    where T : IBinary32
{
    public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => ~T.Do(a, b);
}

internal readonly struct Opposite64<T> : IBinary64
    where T : IBinary64
{
    public static Vector256<ulong> Do(Vector256<ulong> a, Vector256<ulong> b) => ~T.Do(a, b);
}

internal static class Shifts
{
    public static Vector256<uint> Each(Vector256<uint> a, Vector256<uint> b, Func<uint, int, uint> shift)
    {
        var result = a;
        for (int l = 0; l < 8; l++)
        {
            result = result.WithElement(l, shift(a[l], (int)Math.Min(b[l], 32)));
        }
        return result;
    }
}

internal readonly struct ShiftLeft32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => Vector256.EqualsAll(b, Vector256.Create(b[0])) && b[0] < 32 ? a << (int)b[0] : Shifts.Each(a, b, (x, n) => n > 31 ? 0 : x << n); }

internal readonly struct ShiftLeft16 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => Shifts.Each(a, b, (x, n) => n > 15 ? 0 : (x << n) & 0xFFFF); }

internal readonly struct ShiftRight32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => Vector256.EqualsAll(b, Vector256.Create(b[0])) && b[0] < 32 ? a >>> (int)b[0] : Shifts.Each(a, b, (x, n) => n > 31 ? 0 : x >> n); }

internal readonly struct ShiftRightSigned32 : IBinary32 { public static Vector256<uint> Do(Vector256<uint> a, Vector256<uint> b) => Shifts.Each(a, b, (x, n) => (uint)((int)x >> Math.Min(n, 31))); }

internal readonly struct ShiftLeft64 : IShift { public static ulong Do(ulong a, int count) => count > 63 ? 0 : a << count; }

internal readonly struct ShiftRight64 : IShift { public static ulong Do(ulong a, int count) => count > 63 ? 0 : a >> count; }

internal readonly struct ShiftRightSigned64 : IShift { public static ulong Do(ulong a, int count) => (ulong)((long)a >> Math.Min(count, 63)); }

internal readonly struct PredicateAnd : IPredicate { public static uint Do(uint a, uint b) => a & b; }

internal readonly struct PredicateOr : IPredicate { public static uint Do(uint a, uint b) => a | b; }

internal readonly struct PredicateXor : IPredicate { public static uint Do(uint a, uint b) => a ^ b; }

internal readonly struct PredicateNot : IPredicate { public static uint Do(uint a, uint b) => ~a; }

internal readonly struct PredicateCopy : IPredicate { public static uint Do(uint a, uint b) => a; }

internal readonly struct MultiplyHighU32 : ILane2<uint, uint, uint> { public static uint Do(uint a, uint b) => (uint)(((ulong)a * b) >> 32); }

internal readonly struct MultiplyHighS32 : ILane2<int, int, int> { public static int Do(int a, int b) => (int)(((long)a * b) >> 32); }

internal readonly struct WideU32 : ILane2<uint, uint, ulong> { public static ulong Do(uint a, uint b) => (ulong)a * b; }

internal readonly struct WideS32 : ILane2<int, int, long> { public static long Do(int a, int b) => (long)a * b; }

internal readonly struct WideU16 : ILane2<uint, uint, uint> { public static uint Do(uint a, uint b) => (a & 0xFFFF) * (b & 0xFFFF); }

internal readonly struct WideAddU32 : ILane3<uint, uint, ulong, ulong> { public static ulong Do(uint a, uint b, ulong c) => ((ulong)a * b) + c; }

internal readonly struct WideAddS32 : ILane3<int, int, long, long> { public static long Do(int a, int b, long c) => ((long)a * b) + c; }

internal readonly struct DivideU32 : ILane2<uint, uint, uint> { public static uint Do(uint a, uint b) => b == 0 ? unchecked((uint)(-1)) : a / b; }

internal readonly struct RemainderU32 : ILane2<uint, uint, uint> { public static uint Do(uint a, uint b) => b == 0 ? a : a % b; }

internal readonly struct DivideU64 : ILane2<ulong, ulong, ulong> { public static ulong Do(ulong a, ulong b) => b == 0 ? unchecked((ulong)(-1)) : a / b; }

internal readonly struct RemainderU64 : ILane2<ulong, ulong, ulong> { public static ulong Do(ulong a, ulong b) => b == 0 ? a : a % b; }

internal readonly struct DivideS32 : ILane2<int, int, int> { public static int Do(int a, int b) => b == 0 ? unchecked((int)(-1)) : a / b; }

internal readonly struct RemainderS32 : ILane2<int, int, int> { public static int Do(int a, int b) => b == 0 ? a : a % b; }

internal readonly struct DivideS64 : ILane2<long, long, long> { public static long Do(long a, long b) => b == 0 ? unchecked((long)(-1)) : a / b; }

internal readonly struct RemainderS64 : ILane2<long, long, long> { public static long Do(long a, long b) => b == 0 ? a : a % b; }

internal readonly struct ExtractU32 : ILane3<uint, uint, uint, uint> { public static uint Do(uint a, uint b, uint c) => (uint)((a >> (int)Math.Min(b & 0xFF, 31)) & ((1ul << (int)Math.Min(c & 0xFF, 32)) - 1)); }

internal readonly struct Truncate : ILane1<ulong, uint> { public static uint Do(ulong a) => (uint)a; }

internal readonly struct ExtendU32 : ILane1<uint, ulong> { public static ulong Do(uint a) => a; }

internal readonly struct ExtendS32 : ILane1<int, long> { public static long Do(int a) => a; }

internal readonly struct ExtendU16 : ILane1<uint, uint> { public static uint Do(uint a) => a & 0xFFFF; }

internal readonly struct ExtendS16 : ILane1<uint, int> { public static int Do(uint a) => (short)a; }

internal readonly struct ExtendU16To64 : ILane1<uint, ulong> { public static ulong Do(uint a) => a & 0xFFFF; }

internal readonly struct TruncateTo16 : ILane1<ulong, uint> { public static uint Do(ulong a) => (uint)a & 0xFFFF; }

internal readonly struct ToS32 : ILane1<float, int> { public static int Do(float a) => (int)a; }

internal readonly struct ToU32 : ILane1<float, uint> { public static uint Do(float a) => (uint)a; }

internal readonly struct FromS32 : ILane1<int, float> { public static float Do(int a) => a; }

internal readonly struct FromU32 : ILane1<uint, float> { public static float Do(uint a) => a; }

internal readonly struct FromS64 : ILane1<long, float> { public static float Do(long a) => a; }

internal readonly struct FromU64 : ILane1<ulong, float> { public static float Do(ulong a) => a; }

internal readonly struct DoubleFromS32 : ILane1<int, double> { public static double Do(int a) => a; }

internal readonly struct DoubleFromS64 : ILane1<long, double> { public static double Do(long a) => a; }

internal readonly struct Widen : ILane1<float, double> { public static double Do(float a) => a; }

internal readonly struct Round : ILane1<double, float> { public static float Do(double a) => (float)a; }
