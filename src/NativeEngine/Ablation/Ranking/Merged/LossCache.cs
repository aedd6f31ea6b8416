using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using NativeEngine.Formats;

namespace NativeEngine.Ablation.Ranking;

/// <summary>
/// Per-document losses on disk, found by content key, shared by any number of processes. Every process appends to a file of its own; a record
/// is 32 bytes of key, a count, that many float64 and a checksum over all of it, so that a record cut short by a kill, or damaged later, is
/// passed over and computed again. Records are never changed. Not for several threads at once.
/// </summary>
public sealed class LossCache : IDisposable
{
    private const string Extension = ".losses";
    private const int HeadBytes = 36, SumBytes = 8;
    private static readonly byte[] _magic = "NELOSS1\n"u8.ToArray();

    private readonly string _folder;
    private readonly Dictionary<string, double[]> _known = new(StringComparer.Ordinal);
    private FileStream? _file;

    /// <summary>Opens a folder, creating it, and reads every whole record of every file there.</summary>
    public LossCache(string folder)
    {
        _folder = folder;
        Directory.CreateDirectory(folder);
        foreach (string file in Directory.EnumerateFiles(folder, "*" + Extension).Order(StringComparer.Ordinal))
        {
            using var map = MappedFile.Open(file);
            Damaged += Read(map, _known);
        }
    }

    /// <summary>Records known.</summary>
    public int Count => _known.Count;

    /// <summary>Records that were passed over when the folder was opened: cut short or damaged.</summary>
    public int Damaged { get; private set; }

    /// <summary>The losses of a key (SHA-256 in hexadecimal), or null.</summary>
    public double[]? Find(string key) => _known.GetValueOrDefault(key);

    /// <summary>Adds losses. They reach the disk when the system writes them, at the latest with <see cref="Flush"/>.</summary>
    public void Add(string key, ReadOnlySpan<double> losses)
    {
        if (!_known.TryAdd(key, losses.ToArray()))
        {
            return;
        }
        var record = new byte[HeadBytes + (losses.Length * sizeof(double)) + SumBytes];
        Convert.FromHexString(key).CopyTo(record, 0);
        BinaryPrimitives.WriteInt32LittleEndian(record.AsSpan(32), losses.Length);
        MemoryMarshal.AsBytes(losses).CopyTo(record.AsSpan(HeadBytes));
        BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(record.Length - SumBytes), Sum(record.AsSpan(0, record.Length - SumBytes)));
        try
        {
            // One write a record: the kernel keeps what was written when the process is killed.
            Writer().Write(record);
        }
        catch (IOException e) when (!WriteErrors.IsDiskFull(e))
        {
            throw WriteErrors.Translate(_folder, 0, e);
        }
        catch (IOException e)
        {
            throw new EngineException(ErrorKind.WillNotFit, $"{_folder}: losses could not be stored: {e.Message}", "free disk space and run the same command again; what is stored is kept", e);
        }
    }

    /// <summary>Forces everything to disk.</summary>
    public void Flush() => _file?.Flush(flushToDisk: true);

    /// <inheritdoc/>
    public void Dispose() => _file?.Dispose();

    private FileStream Writer()
    {
        if (_file is not null)
        {
            return _file;
        }
        for (int attempt = 0; ; attempt++)
        {
            string path = Path.Combine(_folder, $"{Environment.MachineName}-{Environment.ProcessId}-{attempt}{Extension}");
            try
            {
                _file = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.Read, bufferSize: 0);
                _file.Write(_magic);
                return _file;
            }
            catch (IOException) when (attempt < 100_000 && File.Exists(path))
            {
                // The number of an earlier process: its file stays as it is.
            }
        }
    }

    /// <summary>Adds the whole records of a file to those known; returns how many are cut short or damaged.</summary>
    internal static int Read(MappedFile map, Dictionary<string, double[]> known)
    {
        int damaged = 0;
        if (map.Length < _magic.Length || !map.Bytes(0, _magic.Length).SequenceEqual(_magic))
        {
            return 1;
        }
        for (long at = _magic.Length; at < map.Length;)
        {
            long left = map.Length - at;
            int count = left < HeadBytes ? -1 : BinaryPrimitives.ReadInt32LittleEndian(map.Bytes(at + 32, 4));
            long length = HeadBytes + ((long)count * sizeof(double)) + SumBytes;
            if (count < 0 || length > left || length > int.MaxValue)
            {
                return damaged + 1;
            }
            var record = map.Bytes(at, (int)length);
            if (Sum(record[..^SumBytes]) == BinaryPrimitives.ReadUInt64LittleEndian(record[^SumBytes..]))
            {
                known.TryAdd(Convert.ToHexStringLower(record[..32]), MemoryMarshal.Cast<byte, double>(record[HeadBytes..^SumBytes]).ToArray());
            }
            else
            {
                damaged++;
            }
            at += length;
        }
        return damaged;
    }

    private static ulong Sum(ReadOnlySpan<byte> bytes) => BinaryPrimitives.ReadUInt64LittleEndian(SHA256.HashData(bytes));
}
