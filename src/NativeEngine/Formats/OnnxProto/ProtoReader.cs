using System.Globalization;
using System.Text;
using System.Text.Unicode;

namespace NativeEngine.Formats;

/// <summary>
/// Reads the fields of one protobuf message: <c>while (reader.Next()) switch (reader.Field)</c>, each field taken once or skipped. Nothing is
/// allocated but the strings asked for, and every length is compared with what the message has left. Stricter than protobuf itself: groups,
/// overlong varints and fields of another wire type are refused, and what ends in Once refuses a repeated singular field, because readers
/// disagree on which of the two counts.
/// </summary>
internal ref struct ProtoReader
{
    private const int Varint = 0, Fixed64 = 1, LengthDelimited = 2, Fixed32 = 5;

    private readonly string _file;
    private readonly long _origin;
    private readonly ReadOnlySpan<byte> _bytes;
    private int _at;
    private int _wire;
    private ulong _seen;

    /// <summary>A reader of a message that starts at byte <paramref name="origin"/> of the file.</summary>
    public ProtoReader(string file, ReadOnlySpan<byte> bytes, long origin = 0)
    {
        _file = file;
        _bytes = bytes;
        _origin = origin;
    }

    /// <summary>The number of the field that <see cref="Next"/> found.</summary>
    public int Field { get; private set; }

    /// <summary>Where the reader stands in the file, in bytes.</summary>
    public readonly long Offset => _origin + _at;

    /// <summary>Moves to the next field; false at the end of the message.</summary>
    public bool Next()
    {
        if (_at == _bytes.Length)
        {
            return false;
        }
        ulong tag = Number();
        ulong field = tag >> 3;
        _wire = (int)(tag & 7);
        if (field is 0 or > (1 << 29) - 1)
        {
            throw Bad($"a field has the number {field}");
        }
        Field = (int)field;
        return _wire is Varint or Fixed64 or LengthDelimited or Fixed32 ? true : throw Bad($"field {Field} has the wire type {_wire}, which no ONNX file uses");
    }

    /// <summary>The field as a 64-bit integer.</summary>
    public long Int()
    {
        Require(Varint);
        return (long)Number();
    }

    /// <summary>The field as bytes.</summary>
    public ReadOnlySpan<byte> Bytes()
    {
        Require(LengthDelimited);
        return Take(Number());
    }

    /// <summary>The field as text.</summary>
    public string Text()
    {
        var bytes = Bytes();
        return Utf8.IsValid(bytes) ? Encoding.UTF8.GetString(bytes) : throw Bad($"field {Field} is not UTF-8");
    }

    /// <summary>The field as a nested message.</summary>
    public ProtoReader Message()
    {
        var bytes = Bytes();
        return new ProtoReader(_file, bytes, Offset - bytes.Length);
    }

    /// <inheritdoc cref="Int"/>
    public long IntOnce()
    {
        Once();
        return Int();
    }

    /// <inheritdoc cref="Bytes"/>
    public ReadOnlySpan<byte> BytesOnce()
    {
        Once();
        return Bytes();
    }

    /// <inheritdoc cref="Text"/>
    public string TextOnce()
    {
        Once();
        return Text();
    }

    /// <inheritdoc cref="Message"/>
    public ProtoReader MessageOnce()
    {
        Once();
        return Message();
    }

    /// <summary>Adds the integers of a repeated field, packed or one by one; at most <paramref name="limit"/> in all.</summary>
    public void Ints(List<long> values, int limit)
    {
        if (_wire == Varint)
        {
            values.Add((long)Number());
        }
        else
        {
            var packed = Message();
            while (packed._at < packed._bytes.Length && values.Count <= limit)
            {
                values.Add((long)packed.Number());
            }
        }
        if (values.Count > limit)
        {
            throw Bad($"field {Field} has more than {limit} values");
        }
    }

    /// <summary>How many numbers this occurrence of a repeated numeric field holds; skips them. <paramref name="width"/> is 4 or 8 for fixed ones, 0 for varints.</summary>
    public long CountNumbers(int width)
    {
        int single = width switch { 4 => Fixed32, 8 => Fixed64, _ => Varint };
        if (_wire == single)
        {
            Skip();
            return 1;
        }
        var packed = Message();
        if (width > 0)
        {
            return packed._bytes.Length % width == 0 ? packed._bytes.Length / width
                : throw Bad($"field {Field} has {packed._bytes.Length} bytes, not a multiple of {width}");
        }
        long count = 0;
        for (; packed._at < packed._bytes.Length; count++)
        {
            packed.Number();
        }
        return count;
    }

    /// <summary>Passes over the field.</summary>
    public void Skip()
    {
        switch (_wire)
        {
            case Varint:
                Number();
                break;
            case Fixed64:
                Take(8);
                break;
            case Fixed32:
                Take(4);
                break;
            default:
                Take(Number());
                break;
        }
    }

    /// <summary>A sentence about what stands here, to throw.</summary>
    public readonly EngineException Bad(string sentence) =>
        FormatErrors.Bad(_file, string.Create(CultureInfo.InvariantCulture, $"at byte {Offset}: {sentence}"), "is it a complete ONNX file?");

    private void Once()
    {
        ulong bit = 1UL << Field;
        if ((_seen & bit) != 0)
        {
            throw Bad($"field {Field} appears twice in a message that may have it once");
        }
        _seen |= bit;
    }

    private readonly void Require(int wire)
    {
        if (_wire != wire)
        {
            throw Bad($"field {Field} has the wire type {_wire}, expected {wire}");
        }
    }

    private ReadOnlySpan<byte> Take(ulong count)
    {
        if (count > (ulong)(_bytes.Length - _at))
        {
            throw Bad($"field {Field} claims {count} bytes, the message has {_bytes.Length - _at} left");
        }
        var taken = _bytes.Slice(_at, (int)count);
        _at += (int)count;
        return taken;
    }

    private ulong Number()
    {
        ulong value = 0;
        for (int shift = 0; shift < 70; shift += 7)
        {
            if (_at == _bytes.Length)
            {
                throw Bad("the message ends within a number");
            }
            byte b = _bytes[_at++];
            if (shift == 63 && b > 1)
            {
                break;
            }
            value |= (ulong)(b & 127) << shift;
            if (b < 128)
            {
                return value;
            }
        }
        throw Bad("a number has more than 64 bits");
    }
}
