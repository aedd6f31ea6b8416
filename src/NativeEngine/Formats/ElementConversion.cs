using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace NativeEngine.Formats;

/// <summary>Little-endian stored elements to the two types the engine computes with. Addresses need not be aligned.</summary>
public static class ElementConversion
{
    /// <summary>
    /// float32 from any numeric type but those of fewer than 8 bits: exact from F32, F16, BF16, the 8- and 16-bit integers and Bool;
    /// rounded to nearest from F64 (overflow gives infinity), I64, I32, U64 and U32. The source has exactly target.Length elements.
    /// </summary>
    public static void ToFloat32(DType type, ReadOnlySpan<byte> source, Span<float> target)
    {
        switch (type)
        {
            case DType.F32:
                source.CopyTo(MemoryMarshal.AsBytes(target));
                break;
            case DType.BF16:
                HalfPrecision.WidenBFloat16(MemoryMarshal.Cast<byte, ushort>(source), target);
                break;
            case DType.F16:
                HalfPrecision.WidenHalf(MemoryMarshal.Cast<byte, ushort>(source), target);
                break;
            case DType.F64:
                for (int i = 0; i < target.Length; i++)
                {
                    target[i] = (float)Unsafe.ReadUnaligned<double>(in source[i * 8]);
                }
                break;
            case DType.U64:
                for (int i = 0; i < target.Length; i++)
                {
                    target[i] = BinaryPrimitives.ReadUInt64LittleEndian(source[(i * 8)..]);
                }
                break;
            default:
                for (int i = 0; i < target.Length; i++)
                {
                    target[i] = Integer(type, source, i);
                }
                break;
        }
    }

    /// <summary>
    /// int64 from the integer types and Bool. Returns the index of the first U64 above 2^63-1, or -1 when all fit.
    /// </summary>
    public static int ToInt64(DType type, ReadOnlySpan<byte> source, Span<long> target)
    {
        for (int i = 0; i < target.Length; i++)
        {
            long value = Integer(type, source, i);
            if (type == DType.U64 && value < 0)
            {
                return i;
            }
            target[i] = value;
        }
        return -1;
    }

    private static long Integer(DType type, ReadOnlySpan<byte> source, int i) => type switch
    {
        DType.I64 or DType.U64 => BinaryPrimitives.ReadInt64LittleEndian(source[(i * 8)..]),
        DType.I32 => BinaryPrimitives.ReadInt32LittleEndian(source[(i * 4)..]),
        DType.U32 => BinaryPrimitives.ReadUInt32LittleEndian(source[(i * 4)..]),
        DType.I16 => BinaryPrimitives.ReadInt16LittleEndian(source[(i * 2)..]),
        DType.U16 => BinaryPrimitives.ReadUInt16LittleEndian(source[(i * 2)..]),
        DType.I8 => (sbyte)source[i],
        DType.U8 => source[i],
        DType.Bool => source[i] != 0 ? 1 : 0,
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not an integer type"),
    };
}
