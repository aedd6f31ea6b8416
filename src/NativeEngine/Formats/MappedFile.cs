using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace NativeEngine.Formats;

/// <summary>
/// A read-only memory-mapped file of any size, or the bytes of one that are in memory already. Spans point into the mapping: they must not be used after Dispose. A file that another
/// process cuts short while it is mapped ends this process on some systems; published files are replaced, never cut, so this needs somebody else's hand.
/// </summary>
internal sealed unsafe class MappedFile : IDisposable
{
    private readonly MemoryMappedFile? _mapping;
    private readonly MemoryMappedViewAccessor? _view;
    private readonly SafeFileHandle? _handle;
    private GCHandle _pinned;
    private byte* _start;

    private MappedFile(string path, byte[] bytes)
    {
        (Path, Length) = (path, bytes.Length);
        if (Length > 0)
        {
            _pinned = GCHandle.Alloc(bytes, GCHandleType.Pinned);
            _start = (byte*)_pinned.AddrOfPinnedObject();
        }
    }

    private MappedFile(string path, SafeFileHandle handle)
    {
        Path = path;
        _handle = handle;
        Length = RandomAccess.GetLength(handle);
        if (Length == 0)
        {
            handle.Dispose();
            return;
        }
        _mapping = MemoryMappedFile.CreateFromFile(handle, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false);
        try
        {
            _view = _mapping.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
        }
        catch
        {
            _mapping.Dispose();
            throw;
        }
        byte* pointer = null;
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref pointer);
        _start = pointer + _view.PointerOffset;
    }

    /// <summary>The path as it was given.</summary>
    public string Path { get; }

    /// <summary>Bytes in the file when it was opened.</summary>
    public long Length { get; }

    /// <summary>Maps a file; a missing, unreadable or unmappable one is BadInput.</summary>
    public static MappedFile Open(string path)
    {
        SafeFileHandle? handle = null;
        try
        {
            InputFile.RequireMappable(path);
            handle = File.OpenHandle(path);
            return new MappedFile(path, handle);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            handle?.Dispose();
            throw FormatErrors.Unreadable(path, e);
        }
    }

    /// <summary>A file's bytes in memory, which must not change until this is disposed; <paramref name="name"/> is for messages.</summary>
    public static MappedFile Of(string name, byte[] bytes) => new(name, bytes);

    /// <summary>A range of the file. The caller has checked it against the length.</summary>
    public ReadOnlySpan<byte> Bytes(long offset, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, Length - count);
        if (count == 0)
        {
            return default;
        }
        ObjectDisposedException.ThrowIf(_start == null, this);
        return new ReadOnlySpan<byte>(_start + offset, count);
    }

    /// <summary>
    /// Makes a range ready to be looked at: what is not in memory yet is read now, so that a file that cannot be read there, or has been cut short, is
    /// BadInput instead of the end of the process (on Linux; between this and looking it must stay whole). The caller has checked the range against the length.
    /// </summary>
    public void Bring(long offset, long count)
    {
        if (_handle is null || _start == null || count == 0 || Native.LibC.IsCached(_handle, offset, count) || Native.LibC.Populate(_start + offset, count))
        {
            return;
        }
        long now = RandomAccess.GetLength(_handle);
        throw FormatErrors.Bad(Path, now < Length
            ? $"had {FormatErrors.Count(Length)} bytes when it was opened and ends now at {FormatErrors.Count(now)}"
            : $"cannot be read between bytes {FormatErrors.Count(offset)} and {FormatErrors.Count(offset + count)}: a fault of its disk or network");
    }

    /// <summary>Lets the system take back the memory of a range; it can be read again. The caller has checked it against the length.</summary>
    public void Forget(long offset, long count)
    {
        if (_start != null && _view is not null)
        {
            Native.LibC.Forget(_start + offset, count);
        }
    }

    /// <summary>Lets the system take back the memory of everything read so far; it can be read again.</summary>
    public void Forget() => Forget(0, Length);

    public void Dispose()
    {
        if (_start != null)
        {
            _start = null;
            if (_pinned.IsAllocated)
            {
                _pinned.Free();
                return;
            }
            _view!.SafeMemoryMappedViewHandle.ReleasePointer();
            _view.Dispose();
            _mapping!.Dispose();
        }
    }
}
