using System.Buffers;
using System.IO.Compression;
using System.Text.Encodings.Web;
using System.Text.Json;
using NativeEngine.Formats;

namespace NativeEngine.Data;

/// <summary>Writes JSONL files, compressed when the name ends in <c>.gz</c>, published atomically.</summary>
public static class JsonlWriter
{
    private static readonly JsonWriterOptions _options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes examples in the form <see cref="JsonlReader"/> reads. Returns their number.</summary>
    public static long Write(string path, IEnumerable<Example> examples, CancellationToken cancellation = default)
    {
        long count = 0;
        Publish(path, stream =>
        {
            foreach (var example in examples)
            {
                cancellation.ThrowIfCancellationRequested();
                Append(stream, example);
                count++;
            }
        });
        return count;
    }

    /// <summary>Writes the lines that examples were read from as they stand, with all their fields; the reader must have kept them.</summary>
    public static void WriteLines(string path, IEnumerable<Example> examples) => Publish(path, stream =>
    {
        foreach (var example in examples)
        {
            stream.Write(example.RawLine.Span);
            stream.WriteByte((byte)'\n');
        }
    });

    /// <summary>One example as a line.</summary>
    internal static void Append(Stream stream, Example example)
    {
        // Not into the stream itself: the writer's end would hand every line to the system.
        var line = new ArrayBufferWriter<byte>(256);
        using (var writer = new Utf8JsonWriter(line, _options))
        {
            writer.WriteStartObject();
            writer.WriteString("source", example.Source);
            if (example.PlainText is null)
            {
                writer.WriteString("prompt", example.Prompt);
                writer.WriteString("completion", example.Completion);
            }
            else
            {
                writer.WriteString("text", example.PlainText);
            }
            writer.WriteEndObject();
        }
        line.Write("\n"u8);
        stream.Write(line.WrittenSpan);
    }

    internal static void Publish(string path, Action<Stream> write) => AtomicFile.Write(path, stream =>
    {
        if (!path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase))
        {
            write(stream);
            return;
        }
        using var gzip = new GZipStream(stream, CompressionLevel.Optimal, leaveOpen: true);
        write(gzip);
    });
}
