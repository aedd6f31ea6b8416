using Microsoft.Win32.SafeHandles;

using NativeEngine.Native;

namespace NativeEngine.Formats;

/// <summary>A file being written: turns the file system's failures into sentences that name the file it will become.</summary>
internal sealed class PublishStream(FileStream inner, string path) : Stream
{
    // Taken while nothing is buffered: asking for it flushes, which only one thread may do.
    private readonly SafeFileHandle _handle = inner.SafeFileHandle;

    public override bool CanRead => false;

    public override bool CanSeek => inner.CanSeek;

    public override bool CanWrite => true;

    public override long Length => inner.Length;

    public override long Position { get => inner.Position; set => inner.Position = value; }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        try
        {
            inner.Write(buffer);
        }
        catch (IOException e)
        {
            throw WriteErrors.Translate(path, Reached() + buffer.Length, e);
        }
    }

    /// <summary>Writes at a position of a seekable file, past the buffer and without moving <see cref="Position"/>; several threads may at a time.</summary>
    public void WriteAt(long position, ReadOnlySpan<byte> bytes)
    {
        try
        {
            RandomAccess.Write(_handle, bytes, position);
        }
        catch (IOException e)
        {
            throw WriteErrors.Translate(path, position + bytes.Length, e);
        }
    }

    public override void Flush()
    {
        try
        {
            inner.Flush();
        }
        catch (IOException e)
        {
            throw WriteErrors.Translate(path, Reached(), e);
        }
    }

    /// <summary>Flush and fsync.</summary>
    public void FlushToDisk()
    {
        try
        {
            inner.Flush(flushToDisk: !OperatingSystem.IsLinux());
            LibC.FsyncFile(inner.SafeFileHandle);
        }
        catch (IOException e)
        {
            throw WriteErrors.Translate(path, Reached(), e);
        }
    }

    public override long Seek(long offset, SeekOrigin origin) => inner.Seek(offset, origin);

    public override void SetLength(long value) => inner.SetLength(value);

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("a published file is only written");

    private long Reached() => inner.CanSeek ? inner.Position : 0;
}

/// <summary>What the file system says when writing fails, as sentences.</summary>
internal static class WriteErrors
{
    /// <summary>A full disk or a used-up quota, on any system (ENOSPC, EDQUOT; ERROR_DISK_FULL, ERROR_HANDLE_DISK_FULL).</summary>
    public static bool IsDiskFull(IOException e)
        => OperatingSystem.IsWindows()
            ? (uint)e.HResult is 0x80070070 or 0x80070027
            : e.HResult is 28 || e.HResult == (OperatingSystem.IsMacOS() ? 69 : 122);

    /// <summary>WillNotFit for a full disk, otherwise Usage: this output cannot be written.</summary>
    public static EngineException Translate(string path, long bytes, Exception e)
        => e is IOException io && IsDiskFull(io)
            ? DiskFull(path, bytes > 0 ? $"the disk is full and does not hold its first {FormatErrors.Count(bytes)} bytes" : "the disk is full", e)
            : new EngineException(ErrorKind.Usage, $"cannot write {path}: {e.Message}",
                "check that the folder exists and may be written to", e);

    /// <summary>Refuses a file that the disk cannot hold, before writing it. Unknown free space lets it pass.</summary>
    public static void RequireSpace(string folder, string path, long bytes)
    {
        long free;
        try
        {
            free = new DriveInfo(folder).AvailableFreeSpace;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return;
        }
        if (bytes > free)
        {
            throw DiskFull(path, $"it needs {FormatErrors.Count(bytes)} bytes, the disk has {FormatErrors.Count(free)} free", null);
        }
    }

    private static EngineException DiskFull(string path, string why, Exception? e)
        => new(ErrorKind.WillNotFit, $"cannot write {path}: {why}; what was there before is untouched",
            "free some space or choose another --output", e);
}
