using System.Runtime.InteropServices;

namespace NativeEngine.Formats;

/// <summary>
/// Takes the elements of one tensor in row-major order, in as many pieces as the caller likes, and stores them in the declared type.
/// Writing more or fewer elements than declared, or a type that does not fit, is a mistake of the calling program (ArgumentException).
/// </summary>
public sealed class TensorSink
{
    private readonly Stream _stream;
    private readonly string _name;
    private readonly DType _type;
    private readonly long _bytes;
    private readonly long? _start;
    private long _written, _placed;

    /// <summary>With a <paramref name="start"/> in the file, the sink takes nothing but <see cref="WriteAt"/>, and other tensors may be written meanwhile.</summary>
    internal TensorSink(Stream stream, string name, DType type, long elementCount, long? start = null)
    {
        _start = start;
        _stream = stream;
        _name = name;
        _type = type;
        _bytes = elementCount * type.Bits() / 8;
    }

    /// <summary>Float32 elements, stored as F32 (the same bits) or BF16 (rounded to nearest, ties to even).</summary>
    public void Write(ReadOnlySpan<float> values)
    {
        if (_type == DType.F32)
        {
            WriteBytes(MemoryMarshal.AsBytes(values));
            return;
        }
        if (_type != DType.BF16)
        {
            throw Mismatch("float32 values");
        }
        Span<ushort> piece = stackalloc ushort[4096];
        while (values.Length > 0)
        {
            int count = Math.Min(values.Length, piece.Length);
            HalfPrecision.NarrowToBFloat16(values[..count], piece[..count]);
            WriteBytes(MemoryMarshal.AsBytes(piece[..count]));
            values = values[count..];
        }
    }

    /// <summary>Elements of an I32 tensor.</summary>
    public void Write(ReadOnlySpan<int> values) => WriteBytes(_type == DType.I32 ? MemoryMarshal.AsBytes(values) : throw Mismatch("int32 values"));

    /// <summary>Elements of an I64 tensor.</summary>
    public void Write(ReadOnlySpan<long> values) => WriteBytes(_type == DType.I64 ? MemoryMarshal.AsBytes(values) : throw Mismatch("int64 values"));

    /// <summary>Stored bytes as they are, any dtype: for copying a tensor without conversion, and for U8.</summary>
    public void WriteBytes(ReadOnlySpan<byte> bytes)
    {
        if (_start is not null)
        {
            throw new ArgumentException($"tensor {_name} is written with others at a time, so its bytes need their place");
        }
        if (bytes.Length > _bytes - _written)
        {
            throw new ArgumentException($"tensor {_name} was declared with {_bytes} bytes; {bytes.Length} more after {_written} are too many");
        }
        _stream.Write(bytes);
        _written += bytes.Length;
    }

    /// <summary>
    /// Stored bytes at an offset within the tensor, from several threads at a time, each byte once. A tensor is written either so or in
    /// order, into a file (not a device).
    /// </summary>
    public void WriteAt(long offset, ReadOnlySpan<byte> bytes)
    {
        if (offset < 0 || bytes.Length > _bytes - offset)
        {
            throw new ArgumentException($"tensor {_name} was declared with {_bytes} bytes; {bytes.Length} at {offset} are too many");
        }
        ((PublishStream)_stream).WriteAt((_start ?? _stream.Position) + offset, bytes);
        Interlocked.Add(ref _placed, bytes.Length);
    }

    internal void Complete()
    {
        if (_placed > 0)
        {
            _stream.Position = (_start ?? _stream.Position) + _placed;
            _written += _placed;
        }
        if (_written != _bytes)
        {
            throw new ArgumentException($"tensor {_name} was declared with {_bytes} bytes; only {_written} were written");
        }
    }

    private ArgumentException Mismatch(string what) => new($"tensor {_name} was declared {_type.FileName()}; {what} do not go into it");
}
