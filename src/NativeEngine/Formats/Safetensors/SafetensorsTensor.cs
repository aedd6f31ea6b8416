namespace NativeEngine.Formats;

/// <summary>
/// A tensor in a memory-mapped safetensors file. Elements are numbered 0..ElementCount-1 in row-major order and can be read in any
/// pieces, so that a tensor of any size is streamed in bounded memory. Valid until its file is disposed.
/// </summary>
public sealed class SafetensorsTensor
{
    // Conversions go through pieces of the mapping: a span has at most 2^31 - 1 bytes.
    private const int PieceElements = 1 << 26;

    private readonly MappedFile _map;
    private readonly long _start;
    private readonly SafetensorsEntry _entry;

    internal SafetensorsTensor(MappedFile map, long dataStart, SafetensorsEntry entry)
    {
        _map = map;
        _entry = entry;
        _start = dataStart + entry.Begin;
    }

    /// <summary>The name in the file.</summary>
    public string Name => _entry.Name;

    /// <summary>The stored element type.</summary>
    public DType DType => _entry.DType;

    /// <summary>The dimensions, slowest first; a scalar has none.</summary>
    public ReadOnlySpan<long> Shape => _entry.Shape;

    /// <summary>The product of the dimensions (1 for a scalar).</summary>
    public long ElementCount => _entry.ElementCount;

    /// <summary>Stored bytes.</summary>
    public long ByteLength => _entry.End - _entry.Begin;

    /// <summary>The file it lies in, as the path was given.</summary>
    public string File => _map.Path;

    /// <summary>Where its bytes begin in the file.</summary>
    public long FileOffset => _start;

    /// <summary>
    /// Stored bytes of a range of the tensor, without a copy. Valid until the file is disposed. Any dtype.
    /// </summary>
    public ReadOnlySpan<byte> Bytes(long offset, int count)
    {
        RequireRange(offset, count, ByteLength, "bytes");
        return _map.Bytes(_start + offset, count);
    }

    /// <summary>
    /// Reads a range of the stored bytes into memory where it is not there yet, for looking at it soon. Errors: BadInput when the file cannot be read
    /// there or has been cut short since it was opened, which would otherwise end the process (Linux).
    /// </summary>
    internal void Bring(long offset, long count)
    {
        RequireRange(offset, count, ByteLength, "bytes");
        _map.Bring(_start + offset, count);
    }

    /// <summary>Lets the system take back the memory of a range of the stored bytes; they can be read again.</summary>
    internal void Forget(long offset, long count)
    {
        RequireRange(offset, count, ByteLength, "bytes");
        _map.Forget(_start + offset, count);
    }

    /// <summary>
    /// Reads elements [start, start + target.Length) as float32. Exact from F32, BF16 and F16; F64 is rounded to nearest (overflow gives
    /// infinity). Any other dtype is BadInput.
    /// </summary>
    public void ReadFloat32(long start, Span<float> target)
    {
        if (!DType.IsFloat())
        {
            throw FormatErrors.Bad(File, $"tensor {FormatErrors.Quote(Name)} is {DType.FileName()}; F32, BF16, F16 or F64 is needed here");
        }
        RequireRange(start, target.Length, ElementCount, "elements");
        int size = DType.Bits() / 8;
        while (target.Length > 0)
        {
            int count = Math.Min(target.Length, PieceElements);
            ElementConversion.ToFloat32(DType, _map.Bytes(_start + (start * size), count * size), target[..count]);
            start += count;
            target = target[count..];
        }
    }

    /// <summary>Reads elements [start, start + target.Length) as int64, from any integer dtype or BOOL; any other is BadInput.</summary>
    public void ReadInt64(long start, Span<long> target)
    {
        if (!DType.IsInteger())
        {
            throw FormatErrors.Bad(File, $"tensor {FormatErrors.Quote(Name)} is {DType.FileName()}; an integer type is needed here");
        }
        RequireRange(start, target.Length, ElementCount, "elements");
        int size = DType.Bits() / 8;
        while (target.Length > 0)
        {
            int count = Math.Min(target.Length, PieceElements);
            int tooLarge = ElementConversion.ToInt64(DType, _map.Bytes(_start + (start * size), count * size), target[..count]);
            if (tooLarge >= 0)
            {
                throw FormatErrors.Bad(File, $"tensor {FormatErrors.Quote(Name)}: element {start + tooLarge} is above 2^63-1");
            }
            start += count;
            target = target[count..];
        }
    }

    /// <summary>The whole tensor as float32 (at most 2^31 - 1 elements; larger ones are read in pieces).</summary>
    public float[] ToFloat32()
    {
        if (ElementCount > Array.MaxLength)
        {
            throw new EngineException(ErrorKind.WillNotFit,
                $"{File}: tensor {FormatErrors.Quote(Name)} has {FormatErrors.Count(ElementCount)} elements, one array holds at most {FormatErrors.Count(Array.MaxLength)}");
        }
        var values = new float[ElementCount];
        ReadFloat32(0, values);
        return values;
    }

    private void RequireRange(long start, long count, long length, string unit)
    {
        if (start < 0 || start > length - count)
        {
            throw new ArgumentOutOfRangeException(nameof(start), start, $"tensor {FormatErrors.Quote(Name)} has {length} {unit}; asked for {count} from {start}");
        }
    }
}
