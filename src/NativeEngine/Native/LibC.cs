using System.Runtime.InteropServices;

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

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int Fsync(int descriptor);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int descriptor);
}
