using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace NativeEngine.Formats;

/// <summary>
/// The header of a .npy file (format versions 1.0, 2.0 and 3.0): magic, version, length, and a Python dictionary with exactly the keys
/// descr, fortran_order and shape. At most 10,000 bytes, NumPy's own limit, checked before anything is read. Object and structured
/// arrays, big-endian numbers, and types we do not compute with are refused by name.
/// </summary>
internal sealed record NpyHeader(DType DType, bool FortranOrder, long[] Shape, long ElementCount, long DataStart)
{
    /// <summary>The longest dictionary, in bytes.</summary>
    public const int MaxHeaderBytes = 10_000;

    private const int MaxRank = 64;

    /// <summary>The bytes a caller must have at hand for <see cref="Parse"/>: the whole header of any acceptable file.</summary>
    public static int HeadBytes(long fileLength) => (int)Math.Min(fileLength, 12 + MaxHeaderBytes);

    /// <summary>Reads and checks a header and the length of the data against the file.</summary>
    public static NpyHeader Parse(string file, long fileLength, ReadOnlySpan<byte> head)
    {
        if (fileLength < 10 || head[0] != 0x93 || !head[1..].StartsWith("NUMPY"u8))
        {
            throw FormatErrors.Bad(file, fileLength == 0 ? "not a .npy file: it is empty, so it does not begin with \\x93NUMPY and a version" : "not a .npy file: it does not begin with \\x93NUMPY and a version", "in Python: numpy.save('F.npy', array.astype('float32')) writes one");
        }
        (int major, int minor) = (head[6], head[7]);
        if (major is < 1 or > 3 || minor != 0)
        {
            throw FormatErrors.Bad(file, $".npy format version {major}.{minor}; 1.0, 2.0 and 3.0 are read");
        }
        int start = major == 1 ? 10 : 12;
        if (fileLength < start)
        {
            throw FormatErrors.Bad(file, $"truncated: {fileLength} bytes do not hold the length of the header");
        }
        long length = major == 1 ? BinaryPrimitives.ReadUInt16LittleEndian(head[8..]) : BinaryPrimitives.ReadUInt32LittleEndian(head[8..]);
        if (length > MaxHeaderBytes)
        {
            throw FormatErrors.Bad(file, $"a header of {length} bytes, the limit is {MaxHeaderBytes}");
        }
        if (start + length > fileLength)
        {
            throw FormatErrors.Bad(file, $"truncated: the header ends at byte {start + length}, the file has {fileLength} bytes");
        }
        var (descr, fortran, shape) = new PythonDictionary(file, head.Slice(start, (int)length)).Read(MaxRank);
        DType type = TypeOf(file, descr);
        long size = type.Bits() / 8, have = fileLength - start - length;
        if (FormatErrors.ElementCount(shape) is not long count || count > long.MaxValue / 8)
        {
            throw FormatErrors.Bad(file, $"the shape {FormatErrors.Shape(shape)} has more elements than a file can hold");
        }
        if (count * size != have)
        {
            string what = count * size > have ? "truncated: " : "";
            throw FormatErrors.Bad(file, $"{what}{descr} {FormatErrors.Shape(shape)} takes {count * size} bytes of data, the file has {have}");
        }
        return new NpyHeader(type, fortran, shape, count, start + length);
    }

    /// <summary>The bytes before the data of a C-ordered array: version 1.0, padded so that the data starts at a multiple of 64.</summary>
    public static byte[] Bytes(DType type, ReadOnlySpan<long> shape)
    {
        string dimensions = string.Join(", ", shape.ToArray().Select(d => d.ToString(CultureInfo.InvariantCulture)));
        string text = $"{{'descr': '{Descr(type)}', 'fortran_order': False, 'shape': ({dimensions}{(shape.Length == 1 ? "," : "")}), }}";
        int length = (10 + text.Length + 1 + 63) / 64 * 64;
        var bytes = new byte[length];
        bytes.AsSpan().Fill((byte)' ');
        bytes[0] = 0x93;
        "NUMPY\u0001\0"u8.CopyTo(bytes.AsSpan(1));
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(8), (ushort)(length - 10));
        Encoding.ASCII.GetBytes(text, bytes.AsSpan(10));
        bytes[^1] = (byte)'\n';
        return bytes;
    }

    private static DType TypeOf(string file, string descr)
    {
        if (descr.StartsWith('>') && descr.Length > 2)
        {
            throw FormatErrors.Bad(file, $"big-endian elements ({FormatErrors.Quote(descr)}) are not read", "save it with a.astype(a.dtype.newbyteorder('<'))");
        }
        if (descr.Contains('O', StringComparison.Ordinal))
        {
            throw FormatErrors.Bad(file, "an array of Python objects: reading one would run code from the file, so it is never read", "in Python: numpy.save('F.npy', numpy.stack(array).astype('float32'))");
        }
        return descr switch
        {
            "<f2" => DType.F16,
            "<f4" => DType.F32,
            "<f8" => DType.F64,
            "<i2" => DType.I16,
            "<i4" => DType.I32,
            "<i8" => DType.I64,
            "<u2" => DType.U16,
            "<u4" => DType.U32,
            "<u8" => DType.U64,
            "|i1" or "<i1" => DType.I8,
            "|u1" or "<u1" => DType.U8,
            "|b1" or "<b1" => DType.Bool,
            _ => throw FormatErrors.Bad(file, $"elements of type {FormatErrors.Quote(descr)} are not read; f2, f4, f8, i1 to i8, u1 to u8 and b1 are", "in Python: numpy.save('F.npy', array.astype('float32'))"),
        };
    }

    private static string Descr(DType type) => type switch
    {
        DType.F32 => "<f4",
        DType.F64 => "<f8",
        DType.F16 => "<f2",
        DType.I64 => "<i8",
        DType.I32 => "<i4",
        DType.U8 => "|u1",
        DType.Bool => "|b1",
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "not written as .npy"),
    };
}
