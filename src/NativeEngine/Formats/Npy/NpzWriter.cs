using System.IO.Compression;
using System.Runtime.InteropServices;

namespace NativeEngine.Formats;

/// <summary>Writes .npz archives as numpy.savez does (arrays stored, not packed), atomically; the same arrays give the same bytes.</summary>
public sealed class NpzWriter
{
    // The earliest that a ZIP can tell: times would make archives of equal arrays differ.
    private static readonly DateTimeOffset _noTime = new(1980, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly ZipArchive _archive;

    private NpzWriter(ZipArchive archive) => _archive = archive;

    /// <summary>Writes an archive of what <paramref name="fill"/> adds.</summary>
    public static void Write(string path, Action<NpzWriter> fill) => AtomicFile.Write(path, stream =>
    {
        using var archive = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true);
        fill(new NpzWriter(archive));
    });

    /// <summary>Adds a one-dimensional array of int64.</summary>
    public void Add(string name, ReadOnlySpan<long> values) => Add(name, DType.I64, values);

    /// <summary>Adds a one-dimensional array of float64.</summary>
    public void Add(string name, ReadOnlySpan<double> values) => Add(name, DType.F64, values);

    private void Add<T>(string name, DType type, ReadOnlySpan<T> values)
        where T : unmanaged
    {
        var entry = _archive.CreateEntry(name + ".npy", CompressionLevel.NoCompression);
        entry.LastWriteTime = _noTime;
        using var stream = entry.Open();
        stream.Write(NpyHeader.Bytes(type, [values.Length]));
        stream.Write(MemoryMarshal.AsBytes(values));
    }
}
