namespace NativeEngine.Formats;

/// <summary>
/// A NumPy .npy array, memory-mapped and checked when opened. Elements are numbered in C (row-major) order whatever the order in the file,
/// and can be read in any pieces; Fortran order costs one scattered access an element. Read: f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1,
/// little-endian. Never read: objects. The file must end with the array.
/// </summary>
public sealed class NpyFile : IDisposable
{
    // Conversions go through pieces of the mapping: a span has at most 2^31 - 1 bytes.
    private const int PieceElements = 1 << 26;

    private readonly MappedFile _map;
    private readonly NpyHeader _header;
    private readonly int _size;

    private NpyFile(MappedFile map)
    {
        _map = map;
        _header = NpyHeader.Parse(map.Path, map.Length, map.Bytes(0, NpyHeader.HeadBytes(map.Length)));
        _size = _header.DType.Bits() / 8;
    }

    /// <summary>The path as it was given.</summary>
    public string Path => _map.Path;

    /// <summary>The stored element type.</summary>
    public DType DType => _header.DType;

    /// <summary>The dimensions, slowest first in C order; a scalar has none.</summary>
    public ReadOnlySpan<long> Shape => _header.Shape;

    /// <summary>The product of the dimensions.</summary>
    public long ElementCount => _header.ElementCount;

    /// <summary>True when the file stores the first dimension fastest.</summary>
    public bool FortranOrder => _header.FortranOrder;

    /// <summary>The first dimension of an array of one or more; 1 for a scalar.</summary>
    public long Rows => _header.Shape.Length == 0 ? 1 : _header.Shape[0];

    /// <summary>Elements of one row: the product of the other dimensions.</summary>
    public long RowLength => _header.Shape.Length == 0 ? 1 : FormatErrors.ElementCount(_header.Shape.AsSpan(1))!.Value;

    /// <summary>Opens and checks a file; whatever is wrong is one BadInput sentence.</summary>
    public static NpyFile Open(string path) => Of(MappedFile.Open(path));

    /// <summary>Reads one that is in memory already; the bytes must not change until it is disposed. <paramref name="name"/> is for messages.</summary>
    public static NpyFile Parse(string name, byte[] bytes) => Of(MappedFile.Of(name, bytes));

    private static NpyFile Of(MappedFile map)
    {
        try
        {
            return new NpyFile(map);
        }
        catch
        {
            map.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Reads elements [start, start + target.Length) in C order as float32: exact from f4, f2 and the 8- and 16-bit types, rounded to nearest
    /// from f8 (overflow gives infinity) and the wider integers.
    /// </summary>
    public void ReadFloat32(long start, Span<float> target)
    {
        RequireRange(start, target.Length);
        if (Scattered)
        {
            var walk = new FortranWalk(_header.Shape, start);
            for (int i = 0; i < target.Length; i++)
            {
                ElementConversion.ToFloat32(DType, At(walk.Next(), 1), target.Slice(i, 1));
            }
            return;
        }
        for (int done = 0; done < target.Length; done += PieceElements)
        {
            Span<float> piece = target.Slice(done, Math.Min(PieceElements, target.Length - done));
            ElementConversion.ToFloat32(DType, At(start + done, piece.Length), piece);
        }
    }

    /// <summary>Reads rows [first, first + target.Length / RowLength) as float32; the target holds whole rows.</summary>
    public void ReadRows(long first, Span<float> target)
    {
        if (RowLength == 0 ? target.Length > 0 : target.Length % RowLength != 0)
        {
            throw new ArgumentException($"rows have {RowLength} elements; a target of {target.Length} does not hold whole rows");
        }
        ReadFloat32(first * RowLength, target);
    }

    /// <summary>Reads elements [start, start + target.Length) in C order as int64. BadInput for float arrays and for u8 above 2^63-1.</summary>
    public void ReadInt64(long start, Span<long> target)
    {
        if (!DType.IsInteger())
        {
            throw FormatErrors.Bad(Path, $"the array is {DType}; whole numbers (i1 to i8, u1 to u8) are needed here");
        }
        RequireRange(start, target.Length);
        if (Scattered)
        {
            var walk = new FortranWalk(_header.Shape, start);
            for (int i = 0; i < target.Length; i++)
            {
                RequireSmall(ElementConversion.ToInt64(DType, At(walk.Next(), 1), target.Slice(i, 1)), start + i);
            }
            return;
        }
        for (int done = 0; done < target.Length; done += PieceElements)
        {
            Span<long> piece = target.Slice(done, Math.Min(PieceElements, target.Length - done));
            RequireSmall(ElementConversion.ToInt64(DType, At(start + done, piece.Length), piece), start + done);
        }
    }

    /// <summary>The whole array as float32 (at most 2^31 - 1 elements).</summary>
    public float[] ToFloat32()
    {
        var values = new float[ArrayLength()];
        ReadFloat32(0, values);
        return values;
    }

    /// <summary>The whole array as int64 (at most 2^31 - 1 elements).</summary>
    public long[] ToInt64()
    {
        var values = new long[ArrayLength()];
        ReadInt64(0, values);
        return values;
    }

    /// <summary>Lets the system take back the memory of what was read so far.</summary>
    internal void Forget() => _map.Forget();

    /// <summary>Unmaps the file.</summary>
    public void Dispose() => _map.Dispose();

    private bool Scattered => FortranOrder && _header.Shape.Length > 1;

    private ReadOnlySpan<byte> At(long element, int count) => _map.Bytes(_header.DataStart + (element * _size), count * _size);

    private int ArrayLength() => ElementCount <= Array.MaxLength
        ? (int)ElementCount
        : throw new EngineException(ErrorKind.WillNotFit,
            $"{Path}: {FormatErrors.Count(ElementCount)} elements, one array holds at most {FormatErrors.Count(Array.MaxLength)}");

    private void RequireSmall(int tooLarge, long start)
    {
        if (tooLarge >= 0)
        {
            throw FormatErrors.Bad(Path, $"element {start + tooLarge} is above 2^63-1");
        }
    }

    private void RequireRange(long start, long count)
    {
        if (start < 0 || start > ElementCount - count)
        {
            throw new ArgumentOutOfRangeException(nameof(start), start, $"the array has {ElementCount} elements; asked for {count} from {start}");
        }
    }

    /// <summary>The places in a Fortran-ordered file of consecutive elements in C order.</summary>
    private sealed class FortranWalk
    {
        private readonly long[] _shape;
        private readonly long[] _strides;
        private readonly long[] _index;
        private long _place;

        public FortranWalk(long[] shape, long start)
        {
            _shape = shape;
            _index = new long[shape.Length];
            _strides = new long[shape.Length];
            long stride = 1;
            for (int d = 0; d < shape.Length; d++)
            {
                _strides[d] = stride;
                stride *= Math.Max(shape[d], 1);
            }
            for (int d = shape.Length - 1; d >= 0; d--)
            {
                _index[d] = start % Math.Max(shape[d], 1);
                start /= Math.Max(shape[d], 1);
                _place += _index[d] * _strides[d];
            }
        }

        public long Next()
        {
            long place = _place;
            for (int d = _shape.Length - 1; d >= 0; d--)
            {
                _place += _strides[d];
                if (++_index[d] < _shape[d])
                {
                    break;
                }
                _place -= _index[d] * _strides[d];
                _index[d] = 0;
            }
            return place;
        }
    }
}
