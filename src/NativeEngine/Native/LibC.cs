using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace NativeEngine.Native;

/// <summary>The few functions of the C library that .NET does not offer.</summary>
internal static partial class LibC
{
    private const int Eio = 5;
    private const int Enospc = 28;

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
    /// Forces a file to disk and throws an <see cref="IOException"/> with the errno as HResult when that fails, about which FileStream.Flush(flushToDisk: true) was
    /// found to keep silent; it must not be asked before, since the system tells a failure once. On Linux only.
    /// </summary>
    public static void FsyncFile(SafeFileHandle file)
    {
        if (!OperatingSystem.IsLinux() || Fsync((int)file.DangerousGetHandle()) == 0)
        {
            return;
        }
        if (Marshal.GetLastPInvokeError() is var error and (Eio or Enospc))
        {
            throw new IOException($"fsync failed with errno {error}", error);
        }
    }

    /// <summary>
    /// Gives a file a name that nobody has, beside the one it has: 0, or the errno (17 where the name is taken). Of any number of processes that try the same name one succeeds.
    /// Not for Windows.
    /// </summary>
    public static int Link(string file, string name) => HardLink(file, name) == 0 ? 0 : Marshal.GetLastPInvokeError();

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

    /// <summary>Whether a range of a file lies in memory as a whole; false when the system cannot tell (Linux before 6.5, a file of somebody else's).</summary>
    public static unsafe bool IsCached(SafeFileHandle file, long offset, long length)
    {
        const nint CacheStat = 451;
        if (!OperatingSystem.IsLinux() || RuntimeInformation.ProcessArchitecture is not (Architecture.X64 or Architecture.Arm64))
        {
            return false;
        }
        long* range = stackalloc long[] { offset, length };
        long* pages = stackalloc long[5];
        long page = Environment.SystemPageSize, wanted = ((offset + length - 1) / page) - (offset / page) + 1;
        return SystemCall(CacheStat, (int)file.DangerousGetHandle(), range, pages, 0) == 0 && pages[0] >= wanted;
    }

    /// <summary>
    /// Reads a range of a mapping into memory and maps its pages, so that touching them neither waits nor fails. False when the system says that it would
    /// fail: the file has been cut short, or its device cannot read it. True where there is no such question (Linux before 5.14, other systems).
    /// </summary>
    public static unsafe bool Populate(byte* start, long length)
    {
        const int WillNeed = 3, PopulateRead = 22, Efault = 14;
        if (!OperatingSystem.IsLinux())
        {
            return true;
        }
        long page = Environment.SystemPageSize, first = (long)start / page * page;
        nuint bytes = (nuint)((long)start + length - first);
        _ = Advise((void*)first, bytes, WillNeed);
        return Advise((void*)first, bytes, PopulateRead) == 0 || Marshal.GetLastPInvokeError() != Efault;
    }

    /// <summary>
    /// Reserves a new file's place on its disk, so that writing in any order finds it: shorter waits of threads that write at a time. A hint, on Linux only; not on
    /// a file system in memory, where it would fill pages that are filled anyway.
    /// </summary>
    public static unsafe void Reserve(SafeFileHandle file, long bytes)
    {
        const long InMemory = 0x01021994;
        const int KeepSize = 1;
        long* about = stackalloc long[64];
        if (OperatingSystem.IsLinux() && FileSystem((int)file.DangerousGetHandle(), about) == 0 && about[0] != InMemory)
        {
            _ = Allocate((int)file.DangerousGetHandle(), KeepSize, 0, bytes);
        }
    }

    /// <summary>
    /// Zeroed memory of the system's own in pages of 2 MiB where it has them: fewer misses of address translation, one fault instead of 512, and each page is zeroed by the thread that
    /// first touches it. Starts on such a page; <see cref="UnmapLarge"/> gives it back. Linux only; 0 when there is none.
    /// </summary>
    public static nint MapLarge(long bytes)
    {
        const int ReadWrite = 3, PrivateAnonymous = 0x22, HugePages = 14;
        long length = Pages(bytes), mapped = length + LargePage;
        nint start = Map(0, (nuint)mapped, ReadWrite, PrivateAnonymous, -1, 0);
        if (start == -1)
        {
            return 0;
        }
        nint first = (nint)((start + LargePage - 1) / LargePage * LargePage);
        Return(start, first - start);
        Return((nint)(first + length), (nint)(start + mapped) - (nint)(first + length));
        unsafe
        {
            _ = Advise((void*)first, (nuint)length, HugePages);
        }
        return first;

        static void Return(nint from, nint count)
        {
            if (count > 0)
            {
                _ = Unmap(from, (nuint)count);
            }
        }
    }

    /// <summary>Gives back what <see cref="MapLarge"/> gave for so many bytes.</summary>
    public static void UnmapLarge(nint start, long bytes) => _ = Unmap(start, (nuint)Pages(bytes));

    /// <summary>What a path leads to, links followed; unknown where there is nothing, and where the system cannot be asked (Linux only).</summary>
    public static unsafe FileKind KindOf(string path)
    {
        if (!OperatingSystem.IsLinux() || path.Contains('\0'))
        {
            return FileKind.Unknown;
        }
        const int WorkingFolder = -100, TypeOnly = 1, Mode = 28, TypeBits = 0xF000;
        byte* answer = stackalloc byte[256];
        try
        {
            return Statx(WorkingFolder, path, 0, TypeOnly, answer) != 0 ? FileKind.Unknown : (*(ushort*)(answer + Mode) & TypeBits) switch
            {
                0x1000 or 0xC000 => FileKind.Pipe,
                0x2000 or 0x6000 => FileKind.Device,
                0x4000 => FileKind.Folder,
                0x8000 => FileKind.File,
                _ => FileKind.Unknown,
            };
        }
        catch (EntryPointNotFoundException)
        {
            // Old C libraries do not have it.
            return FileKind.Unknown;
        }
    }

    private const long LargePage = 2 << 20;

    private static long Pages(long bytes) => (bytes + Environment.SystemPageSize - 1) / Environment.SystemPageSize * Environment.SystemPageSize;

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial nint Map(nint start, nuint length, int protection, int flags, int descriptor, long offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Unmap(nint start, nuint length);

    [LibraryImport("libc", EntryPoint = "syscall")]
    private static unsafe partial nint SystemCall(nint number, nint descriptor, long* range, long* pages, nint flags);

    [LibraryImport("libc", EntryPoint = "fstatfs")]
    private static unsafe partial int FileSystem(int descriptor, long* about);

    [LibraryImport("libc", EntryPoint = "fallocate")]
    private static partial int Allocate(int descriptor, int mode, long offset, long length);

    [LibraryImport("libc", EntryPoint = "madvise", SetLastError = true)]
    private static unsafe partial int Advise(void* start, nuint length, int advice);

    [LibraryImport("libc", EntryPoint = "link", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int HardLink(string file, string name);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static unsafe partial int Statx(int folder, string path, int flags, uint mask, byte* answer);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Fsync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int descriptor);
}

/// <summary>What a path leads to.</summary>
internal enum FileKind
{
    /// <summary>Nothing, or not known.</summary>
    Unknown,
    /// <summary>Bytes on a disk.</summary>
    File,
    /// <summary>A folder.</summary>
    Folder,
    /// <summary>A pipe or a socket.</summary>
    Pipe,
    /// <summary>A character or a block device.</summary>
    Device,
}
