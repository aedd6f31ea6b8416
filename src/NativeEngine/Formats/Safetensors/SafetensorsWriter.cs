using System.Buffers;
using System.Buffers.Binary;
using System.Text.Json;

namespace NativeEngine.Formats;

/// <summary>What a tensor to be written is called and how it is stored.</summary>
/// <param name="Name">The name in the file.</param>
/// <param name="DType">The stored type.</param>
/// <param name="Shape">The dimensions, slowest first; empty for a scalar.</param>
public sealed record TensorSpec(string Name, DType DType, params long[] Shape)
{
    /// <summary>The product of the dimensions.</summary>
    public long ElementCount => FormatErrors.ElementCount(Shape)
        ?? throw new ArgumentException($"tensor {Name}: the shape {FormatErrors.Shape(Shape)} has too many elements");

    /// <summary>Stored bytes.</summary>
    public long ByteLength => checked(ElementCount * DType.Bits()) / 8;
}

/// <summary>
/// Writes safetensors files: the tensors are declared first, then asked for one by one, so that memory stays bounded by what the callback
/// holds. As in the reference implementation, wider types come first so that every tensor is aligned (otherwise the given order is kept),
/// and the header is padded with spaces to a multiple of 8. Published atomically (<see cref="AtomicFile"/>).
/// </summary>
public static class SafetensorsWriter
{
    /// <summary>The metadata that Hugging Face transformers asks for in a model file.</summary>
    public static IReadOnlyDictionary<string, string> ModelMetadata { get; } =
        new Dictionary<string, string>(StringComparer.Ordinal) { ["format"] = "pt" }.AsReadOnly();

    /// <summary>
    /// Writes a file. <paramref name="write"/> is called once for every tensor, in file order, and fills its sink. Without
    /// <paramref name="metadata"/> <see cref="ModelMetadata"/> is written; keys are sorted. Errors: WillNotFit for a full disk or a
    /// header above 100,000,000 bytes; ArgumentException for a repeated name or a sink that was not filled.
    /// </summary>
    public static void Write(string path, IReadOnlyList<TensorSpec> tensors, Action<TensorSpec, TensorSink> write,
        IReadOnlyDictionary<string, string>? metadata = null, CancellationToken cancellation = default) =>
        WriteFile(path, tensors, metadata, (stream, ordered) =>
        {
            foreach (TensorSpec tensor in ordered)
            {
                cancellation.ThrowIfCancellationRequested();
                var sink = new TensorSink(stream, tensor.Name, tensor.DType, tensor.ElementCount);
                write(tensor, sink);
                sink.Complete();
            }
        });

    /// <summary>
    /// Writes a file whose tensors are filled in any order, from several threads at a time: <paramref name="write"/> is called once with all of them,
    /// in file order, and fills their sinks with <see cref="TensorSink.WriteAt"/>. Otherwise as <see cref="Write"/>; not onto a device.
    /// </summary>
    public static void WriteTogether(string path, IReadOnlyList<TensorSpec> tensors, Action<IReadOnlyList<(TensorSpec Spec, TensorSink Sink)>> write,
        IReadOnlyDictionary<string, string>? metadata = null) =>
        WriteFile(path, tensors, metadata, (stream, ordered) =>
        {
            stream.Flush();
            var sinks = new List<(TensorSpec Spec, TensorSink Sink)>();
            long at = stream.Position;
            foreach (TensorSpec tensor in ordered)
            {
                sinks.Add((tensor, new TensorSink(stream, tensor.Name, tensor.DType, tensor.ElementCount, at)));
                at += tensor.ByteLength;
            }
            write(sinks);
            foreach (var (_, sink) in sinks)
            {
                sink.Complete();
            }
        });

    private static void WriteFile(string path, IReadOnlyList<TensorSpec> tensors, IReadOnlyDictionary<string, string>? metadata, Action<Stream, TensorSpec[]> fill)
    {
        TensorSpec[] ordered = [.. tensors.OrderByDescending(t => t.DType.Bits())];
        byte[] header = Header(path, ordered, metadata ?? ModelMetadata);
        AtomicFile.Write(path, stream =>
        {
            stream.Write(header);
            fill(stream, ordered);
        }, expectedBytes: header.Length + ordered.Sum(t => t.ByteLength));
    }

    /// <summary>Writes float32 tensors that are in memory already.</summary>
    public static void WriteFloat32(string path, IReadOnlyDictionary<string, string>? metadata,
        params (string Name, long[] Shape, ReadOnlyMemory<float> Values)[] tensors)
    {
        var values = tensors.ToDictionary(t => t.Name, t => t.Values, StringComparer.Ordinal);
        Write(path, [.. tensors.Select(t => new TensorSpec(t.Name, DType.F32, t.Shape))],
            (tensor, sink) => sink.Write(values[tensor.Name].Span), metadata);
    }

    /// <summary>The length field and the padded JSON of a file.</summary>
    internal static byte[] Header(string path, IReadOnlyList<TensorSpec> tensors, IReadOnlyDictionary<string, string> metadata,
        int maxBytes = SafetensorsHeader.MaxHeaderBytes)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        buffer.GetSpan(8)[..8].Clear();
        buffer.Advance(8);
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            WriteMetadata(json, metadata);
            var names = new HashSet<string>(StringComparer.Ordinal) { "__metadata__" };
            long offset = 0;
            foreach (TensorSpec tensor in tensors)
            {
                if (!names.Add(tensor.Name))
                {
                    throw new ArgumentException($"cannot write {path}: the tensor name {FormatErrors.Quote(tensor.Name)} is used twice or reserved");
                }
                WriteEntry(json, tensor, offset);
                offset = checked(offset + tensor.ByteLength);
                RequireHeaderFits(path, tensors.Count, json.BytesCommitted + json.BytesPending, maxBytes);
            }
            json.WriteEndObject();
        }
        int padding = (8 - (buffer.WrittenCount % 8)) % 8;
        RequireHeaderFits(path, tensors.Count, buffer.WrittenCount - 8 + padding, maxBytes);
        buffer.GetSpan(8)[..padding].Fill((byte)' ');
        buffer.Advance(padding);
        byte[] header = buffer.WrittenSpan.ToArray();
        BinaryPrimitives.WriteInt64LittleEndian(header, header.Length - 8);
        return header;
    }

    private static void RequireHeaderFits(string path, int tensors, long bytes, int maxBytes)
    {
        if (bytes > maxBytes)
        {
            throw new EngineException(ErrorKind.WillNotFit,
                $"cannot write {path}: {tensors} tensors need a header of more than {maxBytes} bytes, which no reader accepts", "write several files");
        }
    }

    private static void WriteMetadata(Utf8JsonWriter json, IReadOnlyDictionary<string, string> metadata)
    {
        if (metadata.Count == 0)
        {
            return;
        }
        json.WriteStartObject("__metadata__"u8);
        foreach ((string key, string value) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            json.WriteString(key, value);
        }
        json.WriteEndObject();
    }

    private static void WriteEntry(Utf8JsonWriter json, TensorSpec tensor, long offset)
    {
        json.WriteStartObject(tensor.Name);
        json.WriteString("dtype"u8, tensor.DType.FileName());
        json.WriteStartArray("shape"u8);
        foreach (long dimension in tensor.Shape)
        {
            json.WriteNumberValue(dimension);
        }
        json.WriteEndArray();
        json.WriteStartArray("data_offsets"u8);
        json.WriteNumberValue(offset);
        json.WriteNumberValue(checked(offset + tensor.ByteLength));
        json.WriteEndArray();
        json.WriteEndObject();
    }
}
