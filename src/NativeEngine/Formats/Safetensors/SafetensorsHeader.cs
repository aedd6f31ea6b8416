using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace NativeEngine.Formats;

/// <summary>One tensor as the header describes it; Begin and End are byte offsets in the data section.</summary>
internal sealed record SafetensorsEntry(string Name, DType DType, long[] Shape, long ElementCount, long Begin, long End);

/// <summary>
/// The header of a safetensors file: 8 bytes little-endian length, JSON, data. Every length, shape and offset is checked here against
/// the size of the file, so that nothing later has to. Stricter than the reference: repeated keys are refused (two readers must never see
/// different tensors), a shape has at most 64 dimensions, a file at most 500,000 tensors. As in the reference, unknown fields of an
/// entry are ignored and white space around the JSON is allowed.
/// </summary>
internal sealed class SafetensorsHeader
{
    /// <summary>The longest header, as in the reference implementation.</summary>
    public const int MaxHeaderBytes = 100_000_000;

    private const int MaxTensors = 500_000;
    private const int MaxRank = 64;
    private const int MaxDepth = 8;
    private const string MetadataKey = "__metadata__";

    private readonly string _file;
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);

    private SafetensorsHeader(string file) => _file = file;

    /// <summary>Where the data section begins in the file.</summary>
    public long DataStart { get; private init; }

    /// <summary>The tensors in the order of the header.</summary>
    public List<SafetensorsEntry> Entries { get; } = [];

    /// <summary>The string map under __metadata__, empty when there is none.</summary>
    public Dictionary<string, string> Metadata { get; } = new(StringComparer.Ordinal);

    /// <summary>
    /// Reads and checks a header. <paramref name="head"/> is the file from its beginning, at least up to the end of the header.
    /// </summary>
    public static SafetensorsHeader Parse(string file, long fileLength, ReadOnlySpan<byte> head)
    {
        int length = HeaderLength(file, fileLength, head);
        ReadOnlySpan<byte> json = head.Slice(8, length);
        if (!Utf8.IsValid(json))
        {
            throw FormatErrors.Bad(file, $"the header is not UTF-8 (byte {8 + FirstInvalid(json)} of the file)");
        }
        var header = new SafetensorsHeader(file) { DataStart = 8 + length };
        try
        {
            header.ReadJson(json);
        }
        catch (JsonException e)
        {
            throw FormatErrors.Bad(file, $"the header is not the JSON it should be: {e.Message}", inner: e);
        }
        header.CheckLayout(fileLength - header.DataStart);
        return header;
    }

    /// <summary>The checked length of the JSON; <paramref name="head"/> needs only the first 8 bytes.</summary>
    public static int HeaderLength(string file, long fileLength, ReadOnlySpan<byte> head)
    {
        if (fileLength < 8)
        {
            throw FormatErrors.Bad(file, $"not a safetensors file: it has {fileLength} bytes, the length of the header alone takes 8");
        }
        ulong length = BinaryPrimitives.ReadUInt64LittleEndian(head);
        if (length > MaxHeaderBytes)
        {
            throw FormatErrors.Bad(file, $"not a safetensors file: its first 8 bytes give a header of {length} bytes, the limit is {MaxHeaderBytes}");
        }
        if ((long)length > fileLength - 8)
        {
            throw FormatErrors.Bad(file, $"truncated: the header ends at byte {length + 8}, the file has {fileLength} bytes");
        }
        return (int)length;
    }

    private static int FirstInvalid(ReadOnlySpan<byte> text)
    {
        int position = 0;
        while (position < text.Length && Rune.DecodeFromUtf8(text[position..], out _, out int consumed) == System.Buffers.OperationStatus.Done)
        {
            position += consumed;
        }
        return position;
    }

    private void ReadJson(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = MaxDepth });
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            throw Bad($"the header must be a JSON object, got {Kind(reader.TokenType)}");
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string name = Text(ref reader);
            if (!_names.Add(name))
            {
                throw Bad($"the name {FormatErrors.Quote(name)} stands twice in the header", "readers disagree about such a file; write it again");
            }
            reader.Read();
            if (name == MetadataKey)
            {
                ReadMetadata(ref reader);
                continue;
            }
            if (Entries.Count == MaxTensors)
            {
                throw Bad($"more than {FormatErrors.Count(MaxTensors)} tensors");
            }
            Entries.Add(ReadEntry(ref reader, name));
        }
        reader.Read();
    }

    private void ReadMetadata(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw Bad($"__metadata__ must be an object of strings, got {Kind(reader.TokenType)}");
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string key = Text(ref reader);
            reader.Read();
            if (reader.TokenType != JsonTokenType.String)
            {
                throw Bad($"__metadata__ {FormatErrors.Quote(key)} must be a string, got {Kind(reader.TokenType)}");
            }
            if (!Metadata.TryAdd(key, Text(ref reader)))
            {
                throw Bad($"__metadata__ {FormatErrors.Quote(key)} stands twice");
            }
        }
    }

    private SafetensorsEntry ReadEntry(ref Utf8JsonReader reader, string name)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw Bad($"{Tensor(name)} must be an object, got {Kind(reader.TokenType)}");
        }
        DType? type = null;
        long[]? shape = null, offsets = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string field = Field(ref reader);
            reader.Read();
            switch (field)
            {
                case "dtype" when type is null:
                    type = ReadType(ref reader, name);
                    break;
                case "shape" when shape is null:
                    shape = ReadIntegers(ref reader, name, field, MaxRank);
                    break;
                case "data_offsets" when offsets is null:
                    offsets = ReadIntegers(ref reader, name, field, 2);
                    break;
                case "dtype" or "shape" or "data_offsets":
                    throw Bad($"{Tensor(name)}: \"{field}\" stands twice");
                default:
                    reader.Skip();
                    break;
            }
        }
        if (type is not { } dtype || shape is null || offsets is null)
        {
            string missing = type is null ? "dtype" : shape is null ? "shape" : "data_offsets";
            throw Bad($"{Tensor(name)} has no \"{missing}\"");
        }
        if (offsets.Length != 2 || offsets[0] > offsets[1])
        {
            throw Bad($"{Tensor(name)}: data_offsets must be [begin, end] with begin ≤ end, got {FormatErrors.Shape(offsets)}");
        }
        return Checked(name, dtype, shape, offsets[0], offsets[1]);
    }

    private SafetensorsEntry Checked(string name, DType type, long[] shape, long begin, long end)
    {
        if (FormatErrors.ElementCount(shape) is not long count || count > long.MaxValue / 64)
        {
            throw Bad($"{Tensor(name)}: the shape {FormatErrors.Shape(shape)} has more elements than a file can hold");
        }
        long bits = count * type.Bits();
        if (bits % 8 != 0)
        {
            throw Bad($"{Tensor(name)}: {count} elements of {type.FileName()} do not fill whole bytes");
        }
        if (bits / 8 != end - begin)
        {
            throw Bad($"{Tensor(name)}: {type.FileName()} {FormatErrors.Shape(shape)} takes {bits / 8} bytes, data_offsets [{begin}, {end}] give {end - begin}");
        }
        return new SafetensorsEntry(name, type, shape, count, begin, end);
    }

    private DType ReadType(ref Utf8JsonReader reader, string name)
    {
        if (reader.TokenType != JsonTokenType.String)
        {
            throw Bad($"{Tensor(name)}: dtype must be a string, got {Kind(reader.TokenType)}");
        }
        string type = Text(ref reader);
        return DTypes.Parse(type) ?? throw Bad($"{Tensor(name)}: unknown dtype {FormatErrors.Quote(type)}");
    }

    private long[] ReadIntegers(ref Utf8JsonReader reader, string name, string field, int limit)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            throw Bad($"{Tensor(name)}: {field} must be an array of integers, got {Kind(reader.TokenType)}");
        }
        var values = new List<long>(4);
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.Number || reader.ValueSpan[0] == (byte)'-' || !reader.TryGetInt64(out long value))
            {
                string got = reader.TokenType == JsonTokenType.Number ? FormatErrors.Quote(Encoding.UTF8.GetString(reader.ValueSpan)) : Kind(reader.TokenType);
                throw Bad($"{Tensor(name)}: {field} must be whole numbers from 0 to 2^63-1, got {got} at place {values.Count}");
            }
            if (values.Count == limit)
            {
                throw Bad($"{Tensor(name)}: {field} has more than {limit} numbers");
            }
            values.Add(value);
        }
        return [.. values];
    }

    private void CheckLayout(long dataLength)
    {
        int[] order = Enumerable.Range(0, Entries.Count).ToArray();
        Array.Sort(order, (a, b) => (Entries[a].Begin, Entries[a].End, a).CompareTo((Entries[b].Begin, Entries[b].End, b)));
        long end = 0;
        SafetensorsEntry? before = null;
        foreach (int i in order)
        {
            SafetensorsEntry entry = Entries[i];
            if (entry.Begin != end)
            {
                string what = entry.Begin > end ? "leaves a hole" : "overlaps";
                throw Bad($"{Tensor(entry.Name)} begins at byte {entry.Begin} of the data and {what}: {(before is null ? "the beginning of the data" : Tensor(before.Name))} ends at {end}");
            }
            end = entry.End;
            before = entry;
        }
        if (end > dataLength)
        {
            throw Bad($"truncated: the tensors need {end} bytes of data, the file has {dataLength} (it should be {DataStart + end} bytes long)",
                "copy or download it again");
        }
        if (end < dataLength)
        {
            throw Bad($"{dataLength - end} bytes lie after the last tensor: the file should end at byte {DataStart + end}, it has {DataStart + dataLength}");
        }
    }

    private static string Tensor(string name) => $"tensor {FormatErrors.Quote(name)}";

    // A header has these three words for every tensor. What has escapes may have half of a surrogate pair.
    private string Field(ref Utf8JsonReader reader) => reader.ValueIsEscaped ? Text(ref reader)
        : reader.ValueTextEquals("dtype"u8) ? "dtype" : reader.ValueTextEquals("shape"u8) ? "shape" : reader.ValueTextEquals("data_offsets"u8) ? "data_offsets" : Text(ref reader);

    private string Text(ref Utf8JsonReader reader)
    {
        try
        {
            return reader.GetString()!;
        }
        catch (InvalidOperationException e)
        {
            throw FormatErrors.Bad(_file, $"a string of the header (byte {8 + reader.TokenStartIndex} of the file) has half of a surrogate pair", inner: e);
        }
    }

    private EngineException Bad(string sentence, string? hint = null) => FormatErrors.Bad(_file, sentence, hint);

    private static string Kind(JsonTokenType type) => type switch
    {
        JsonTokenType.StartObject => "an object",
        JsonTokenType.StartArray => "an array",
        JsonTokenType.String => "a string",
        JsonTokenType.Number => "a number",
        JsonTokenType.True or JsonTokenType.False => "a boolean",
        JsonTokenType.Null => "null",
        _ => "nothing",
    };
}
