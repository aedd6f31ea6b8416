namespace NativeEngine.Formats;

/// <summary>Writes .npy files (version 1.0, C order, little-endian, data 64-byte aligned), atomically.</summary>
public static class NpyWriter
{
    /// <summary>
    /// Writes an array through a sink that takes its elements in C order, in any pieces. Types: F32, F64, F16, I64, I32, U8, Bool; the sink
    /// takes float32 for F32, int64 for I64, int32 for I32, and stored bytes for all.
    /// </summary>
    public static void Write(string path, DType type, ReadOnlySpan<long> shape, Action<TensorSink> write)
    {
        byte[] header = NpyHeader.Bytes(type, shape);
        var array = new TensorSpec("of " + path, type, shape.ToArray());
        AtomicFile.Write(path, stream =>
        {
            stream.Write(header);
            var sink = new TensorSink(stream, array.Name, type, array.ElementCount);
            write(sink);
            sink.Complete();
        }, expectedBytes: header.Length + array.ByteLength);
    }

    /// <summary>Writes float32 values as f4.</summary>
    public static void WriteFloat32(string path, ReadOnlySpan<long> shape, ReadOnlyMemory<float> values)
        => Write(path, DType.F32, shape, sink => sink.Write(values.Span));

    /// <summary>Writes int64 values as i8.</summary>
    public static void WriteInt64(string path, ReadOnlySpan<long> shape, ReadOnlyMemory<long> values)
        => Write(path, DType.I64, shape, sink => sink.Write(values.Span));

    /// <summary>Writes int32 values as i4.</summary>
    public static void WriteInt32(string path, ReadOnlySpan<long> shape, ReadOnlyMemory<int> values)
        => Write(path, DType.I32, shape, sink => sink.Write(values.Span));
}
