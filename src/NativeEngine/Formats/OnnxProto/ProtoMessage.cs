using System.Buffers.Binary;
using System.Text;

namespace NativeEngine.Formats;

/// <summary>
/// A protobuf message being written. Fields go out in the order they are added; large ones (a model's weights) are only declared with their
/// length and written when the whole message is, so that memory stays bounded by what the callback holds.
/// </summary>
internal sealed class ProtoMessage
{
    private const int Varint = 0, LengthDelimited = 2, Fixed32 = 5;

    private readonly List<(byte[]? Bytes, Action<Stream>? Write)> _parts = [];
    private readonly MemoryStream _open = new();

    /// <summary>Bytes of the message.</summary>
    public long Length { get; private set; }

    /// <summary>A field of an integer type.</summary>
    public ProtoMessage Int(int field, long value)
    {
        Tag(field, Varint);
        Number((ulong)value);
        return this;
    }

    /// <summary>A field of type float.</summary>
    public ProtoMessage Float(int field, float value)
    {
        Tag(field, Fixed32);
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteSingleLittleEndian(bytes, value);
        Append(bytes);
        return this;
    }

    /// <summary>A field of type string.</summary>
    public ProtoMessage Text(int field, string value) => Bytes(field, Encoding.UTF8.GetBytes(value));

    /// <summary>A field of type bytes.</summary>
    public ProtoMessage Bytes(int field, ReadOnlySpan<byte> value)
    {
        Tag(field, LengthDelimited);
        Number((ulong)value.Length);
        Append(value);
        return this;
    }

    /// <summary>A field of type bytes that is written later: <paramref name="write"/> writes exactly <paramref name="length"/> bytes.</summary>
    public ProtoMessage Bytes(int field, long length, Action<Stream> write)
    {
        Tag(field, LengthDelimited);
        Number((ulong)length);
        Close();
        _parts.Add((null, write));
        Length += length;
        return this;
    }

    /// <summary>A nested message, which must be complete.</summary>
    public ProtoMessage Message(int field, ProtoMessage value)
    {
        Tag(field, LengthDelimited);
        Number((ulong)value.Length);
        return Splice(value);
    }

    /// <summary>The fields of another message, which must be complete, as fields of this one.</summary>
    public ProtoMessage Splice(ProtoMessage value)
    {
        Close();
        value.Close();
        _parts.AddRange(value._parts);
        Length += value.Length;
        return this;
    }

    /// <summary>Writes the whole message.</summary>
    public void WriteTo(Stream stream)
    {
        Close();
        foreach (var (bytes, write) in _parts)
        {
            if (bytes is not null)
            {
                stream.Write(bytes);
            }
            else
            {
                write!(stream);
            }
        }
    }

    /// <summary>The whole message in memory.</summary>
    public byte[] ToArray()
    {
        using var stream = new MemoryStream(checked((int)Length));
        WriteTo(stream);
        return stream.ToArray();
    }

    private void Tag(int field, int wire) => Number(((ulong)field << 3) | (uint)wire);

    private void Number(ulong value)
    {
        Span<byte> bytes = stackalloc byte[10];
        int count = 0;
        for (; value > 127; value >>= 7)
        {
            bytes[count++] = (byte)(value | 128);
        }
        bytes[count++] = (byte)value;
        Append(bytes[..count]);
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        _open.Write(bytes);
        Length += bytes.Length;
    }

    private void Close()
    {
        if (_open.Length > 0)
        {
            _parts.Add((_open.ToArray(), null));
            _open.SetLength(0);
        }
    }
}
