using System.Buffers;
using System.Buffers.Binary;
using System.Numerics;
using System.Text;

namespace NativeEngine.Formats;

/// <summary>
/// Writes an event file as TensorBoard reads it: records of length (8 bytes), its checksum, an Event message, its checksum; little-endian, checksums are
/// CRC-32C rotated by 15 bits plus 0xa282ead8. An Event has wall_time = 1 (double), step = 2 (int64), file_version = 3 (string), summary = 5; a summary
/// has values = 1, a value tag = 1 (string) and simple_value = 2 (float).
/// </summary>
public sealed class TensorBoardWriter : IDisposable
{
    private readonly FileStream _file;
    private readonly ArrayBufferWriter<byte> _event = new(1024), _value = new(256), _summary = new(1024);

    /// <summary>Starts a new file, in place of one of the same name.</summary>
    public TensorBoardWriter(string path, double wallTime)
    {
        _file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
        _event.Clear();
        Fixed64(_event, 1, wallTime);
        Bytes(_event, 3, "brain.Event:2"u8);
        Record(_event.WrittenSpan);
        _file.Flush();
    }

    /// <summary>Appends one event with some scalars; a value that is not finite is written as it is.</summary>
    public void Scalars(long step, double wallTime, IEnumerable<(string Tag, double Value)> scalars)
    {
        _summary.Clear();
        foreach (var (tag, value) in scalars)
        {
            _value.Clear();
            Bytes(_value, 1, Encoding.UTF8.GetBytes(tag));
            Key(_value, 2, 5);
            BinaryPrimitives.WriteSingleLittleEndian(_value.GetSpan(4), (float)value);
            _value.Advance(4);
            Bytes(_summary, 1, _value.WrittenSpan);
        }
        _event.Clear();
        Fixed64(_event, 1, wallTime);
        Key(_event, 2, 0);
        Varint(_event, (ulong)step);
        Bytes(_event, 5, _summary.WrittenSpan);
        Record(_event.WrittenSpan);
    }

    /// <summary>Hands what was written to the system.</summary>
    public void Flush() => _file.Flush();

    /// <summary>Forces what was written to disk.</summary>
    public void FlushToDisk() => _file.Flush(flushToDisk: true);

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    /// <summary>CRC-32C (Castagnoli) in the rotated form of the record format.</summary>
    internal static uint MaskedCrc(ReadOnlySpan<byte> data)
    {
        uint crc = uint.MaxValue;
        int i = 0;
        for (; i + 8 <= data.Length; i += 8)
        {
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(data[i..]));
        }
        for (; i < data.Length; i++)
        {
            crc = BitOperations.Crc32C(crc, data[i]);
        }
        return BitOperations.RotateRight(~crc, 15) + 0xa282ead8;
    }

    private void Record(ReadOnlySpan<byte> data)
    {
        Span<byte> head = stackalloc byte[12];
        BinaryPrimitives.WriteUInt64LittleEndian(head, (ulong)data.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(head[8..], MaskedCrc(head[..8]));
        _file.Write(head);
        _file.Write(data);
        BinaryPrimitives.WriteUInt32LittleEndian(head, MaskedCrc(data));
        _file.Write(head[..4]);
    }

    private static void Key(ArrayBufferWriter<byte> to, int field, int wire) => Varint(to, (ulong)((field << 3) | wire));

    private static void Varint(ArrayBufferWriter<byte> to, ulong value)
    {
        for (; value >= 0x80; value >>= 7)
        {
            to.Write([(byte)(value | 0x80)]);
        }
        to.Write([(byte)value]);
    }

    private static void Fixed64(ArrayBufferWriter<byte> to, int field, double value)
    {
        Key(to, field, 1);
        BinaryPrimitives.WriteDoubleLittleEndian(to.GetSpan(8), value);
        to.Advance(8);
    }

    private static void Bytes(ArrayBufferWriter<byte> to, int field, ReadOnlySpan<byte> bytes)
    {
        Key(to, field, 2);
        Varint(to, (ulong)bytes.Length);
        to.Write(bytes);
    }
}
