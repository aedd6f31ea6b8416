using System.Runtime.InteropServices;

namespace NativeEngine.Native;

/// <summary>The few functions of the C library that .NET does not offer.</summary>
internal static partial class LibC
{
    private const int Eio = 5;
    private const int Enospc = 28;

    /// <summary>Bytes of a large page on the processors of today.</summary>
    public const long LargePage = 2 << 20;

    /// <summary>
    /// Makes renames and new names inside a folder durable (fsync of the folder). Does nothing on Windows, nor where the folder or
    /// its file system does not allow it; a reported write error is thrown as an <see cref="IOException"/> with the errno as HResult.
    /// </summary>
    public static void FsyncFolder(string folder)
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }
        int descriptor = Open(folder, 0);
        if (descriptor < 0)
        {
            return;
        }
        int error = Fsync(descriptor) == 0 ? 0 : Marshal.GetLastPInvokeError();
        _ = Close(descriptor);
        if (error is Eio or Enospc)
        {
            throw new IOException($"fsync of the folder {folder} failed with errno {error}", error);
        }
    }

    /// <summary>
    /// Tells the system that a range of a read-only mapping is not needed for now, so that it does not count as this process's memory; it is read
    /// again when it is touched. Whole pages within the range; a hint, on Linux only.
    /// </summary>
    public static unsafe void Forget(byte* start, long length)
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }
        long page = Environment.SystemPageSize, first = ((long)start + page - 1) / page * page, last = ((long)start + length) / page * page;
        if (last > first)
        {
            const int DontNeed = 4;
            _ = Advise((void*)first, (nuint)(last - first), DontNeed);
        }
    }

    /// <summary>Asks for large pages under memory that starts at a multiple of <see cref="LargePage"/>; a hint, on Linux only.</summary>
    public static unsafe void PreferLargePages(void* start, long length)
    {
        if (OperatingSystem.IsLinux())
        {
            const int HugePage = 14;
            _ = Advise(start, (nuint)length, HugePage);
        }
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static unsafe partial int Advise(void* start, nuint length, int advice);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Fsync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int descriptor);
}
