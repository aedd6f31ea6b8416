using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace NativeEngine.Formats;

/// <summary>
/// Conversions between float32 and the two 16-bit formats. Widening is exact; narrowing to bfloat16 rounds to nearest, ties to even,
/// overflows to infinity and keeps NaN a NaN. The vector and the scalar code give the same bits.
/// </summary>
public static class HalfPrecision
{
    /// <summary>float32 from bfloat16, element by element; the spans have equal lengths.</summary>
    public static void WidenBFloat16(ReadOnlySpan<ushort> source, Span<float> target)
    {
        RequireSameLength(source.Length, target.Length);
        int i = 0;
        Span<uint> bits = MemoryMarshal.Cast<float, uint>(target);
        for (; i <= source.Length - Vector256<ushort>.Count; i += Vector256<ushort>.Count)
        {
            var (low, high) = Vector256.Widen(Vector256.Create(source[i..]));
            (low << 16).CopyTo(bits[i..]);
            (high << 16).CopyTo(bits[(i + Vector256<uint>.Count)..]);
        }
        for (; i < source.Length; i++)
        {
            bits[i] = (uint)source[i] << 16;
        }
    }

    /// <summary>float32 from IEEE half, element by element; the spans have equal lengths. NaN payloads are kept.</summary>
    public static void WidenHalf(ReadOnlySpan<ushort> source, Span<float> target)
    {
        RequireSameLength(source.Length, target.Length);
        int i = 0;
        Span<uint> bits = MemoryMarshal.Cast<float, uint>(target);
        for (; i <= source.Length - Vector256<ushort>.Count; i += Vector256<ushort>.Count)
        {
            var (low, high) = Vector256.Widen(Vector256.Create(source[i..]));
            WidenHalf(low).CopyTo(bits[i..]);
            WidenHalf(high).CopyTo(bits[(i + Vector256<uint>.Count)..]);
        }
        for (; i < source.Length; i++)
        {
            bits[i] = WidenHalf(Vector256.Create((uint)source[i]))[0];
        }
    }

    /// <summary>bfloat16 from float32 (nearest, ties to even), element by element; the spans have equal lengths.</summary>
    public static void NarrowToBFloat16(ReadOnlySpan<float> source, Span<ushort> target)
    {
        RequireSameLength(source.Length, target.Length);
        int i = 0;
        ReadOnlySpan<uint> bits = MemoryMarshal.Cast<float, uint>(source);
        for (; i <= source.Length - Vector256<ushort>.Count; i += Vector256<ushort>.Count)
        {
            Vector256<uint> low = Narrow(Vector256.Create(bits[i..]));
            Vector256<uint> high = Narrow(Vector256.Create(bits[(i + Vector256<uint>.Count)..]));
            Vector256.Narrow(low, high).CopyTo(target[i..]);
        }
        for (; i < source.Length; i++)
        {
            target[i] = (ushort)Narrow(Vector256.Create(bits[i]))[0];
        }
    }

    /// <summary>One float32 rounded to bfloat16 (nearest, ties to even).</summary>
    public static ushort ToBFloat16(float value) => (ushort)Narrow(Vector256.Create(BitConverter.SingleToUInt32Bits(value)))[0];

    /// <summary>One bfloat16 as float32, exact.</summary>
    public static float FromBFloat16(ushort value) => BitConverter.UInt32BitsToSingle((uint)value << 16);

    // Adding 0x7fff plus the lowest kept bit rounds to nearest even; a carry into the exponent is the right next binade or infinity.
    private static Vector256<uint> Narrow(Vector256<uint> bits)
    {
        Vector256<uint> rounded = (bits + Vector256.Create(0x7fffu) + ((bits >>> 16) & Vector256<uint>.One)) >>> 16;
        Vector256<uint> isNaN = Vector256.GreaterThan((bits & Vector256.Create(0x7fffffffu)).AsInt32(), Vector256.Create(0x7f800000)).AsUInt32();
        return Vector256.ConditionalSelect(isNaN, (bits >>> 16) | Vector256.Create(0x40u), rounded);
    }

    // Exponent and fraction moved into float32 position are 2^-112 times the value, subnormals included; the product is exact.
    // An all-ones half exponent (infinity, NaN) becomes an all-ones float exponent.
    private static Vector256<uint> WidenHalf(Vector256<uint> half)
    {
        Vector256<uint> magnitude = (half & Vector256.Create(0x7fffu)) << 13;
        Vector256<uint> special = Vector256.GreaterThan(magnitude.AsInt32(), Vector256.Create(0x0f7fffff)).AsUInt32();
        Vector256<uint> scaled = (magnitude.AsSingle() * Vector256.Create(5.192296858534828e33f)).AsUInt32();
        Vector256<uint> widened = Vector256.ConditionalSelect(special, magnitude | Vector256.Create(0x7f800000u), scaled);
        return widened | ((half & Vector256.Create(0x8000u)) << 16);
    }

    private static void RequireSameLength(int source, int target)
    {
        if (source != target)
        {
            throw new ArgumentException($"a conversion of {source} elements needs a target of {source}, got {target}");
        }
    }
}
