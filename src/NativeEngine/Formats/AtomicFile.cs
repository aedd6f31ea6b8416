using System.Text;
using NativeEngine.Native;

namespace NativeEngine.Formats;

/// <summary>
/// Publishes files atomically: a reader, or a restart after a crash or power loss, sees the old file or the whole new one. The bytes
/// go to a temporary name in the same folder, are forced to disk, renamed over the old file, and the folder is forced to disk.
/// What a dead process left of the same file goes first. A symbolic link is followed; what lies under /dev (but for /dev/shm, which holds files) is a device and is written in place.
/// Errors: WillNotFit for a full disk, Usage for a path that cannot be written; both leave the old file intact and no temporary.
/// </summary>
public static class AtomicFile
{
    private const long LargeFile = 1 << 24;

    /// <summary>
    /// Writes a file through a callback. If the callback throws, nothing changes on disk. With <paramref name="expectedBytes"/> the
    /// free space is checked before anything is written.
    /// </summary>
    public static void Write(string path, Action<Stream> write, long expectedBytes = 0)
    {
        string target = Resolve(path);
        if (IsDevice(target))
        {
            WriteInPlace(target, path, write);
            return;
        }
        string folder = Path.GetDirectoryName(target)
            ?? throw new EngineException(ErrorKind.Usage, $"cannot write {path}: it is a folder, a file name is needed", $"{path.TrimEnd('/')}/NAME");
        if (Directory.Exists(target))
        {
            throw new EngineException(ErrorKind.Usage, $"cannot write {path}: it is a folder, a file name is needed", $"{path.TrimEnd('/')}/NAME");
        }
        TemporaryName.DeleteLeftovers(folder, Path.GetFileName(target));
        if (expectedBytes > 0)
        {
            WriteErrors.RequireSpace(folder, path, expectedBytes);
        }
        FileStream file = CreateBeside(target, path);
        string temporary = file.Name;
        if (expectedBytes >= LargeFile)
        {
            LibC.Reserve(file.SafeFileHandle, expectedBytes);
        }
        bool published = false;
        try
        {
            var stream = new PublishStream(file, path);
            write(stream);
            stream.FlushToDisk();
            file.Dispose();
            try
            {
                File.Move(temporary, target, overwrite: true);
                published = true;
                LibC.FsyncFolder(folder);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw WriteErrors.Translate(path, 0, e);
            }
        }
        finally
        {
            if (!published)
            {
                CloseAndDelete(file, temporary);
            }
        }
    }

    /// <summary>Publishes bytes.</summary>
    public static void WriteAllBytes(string path, ReadOnlyMemory<byte> bytes)
        => Write(path, stream => stream.Write(bytes.Span), bytes.Length);

    /// <summary>Publishes text as UTF-8 without a byte order mark.</summary>
    public static void WriteAllText(string path, string text) => WriteAllBytes(path, Encoding.UTF8.GetBytes(text));

    private static bool IsDevice(string path) => !OperatingSystem.IsWindows()
        && path.StartsWith("/dev/", StringComparison.Ordinal) && !path.StartsWith("/dev/shm/", StringComparison.Ordinal);

    private static string Resolve(string path)
    {
        try
        {
            string full = Path.GetFullPath(path);
            return new FileInfo(full).LinkTarget is null || IsDevice(full)
                ? full
                : File.ResolveLinkTarget(full, returnFinalTarget: true)!.FullName;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            throw WriteErrors.Translate(path, 0, e);
        }
    }

    private static void WriteInPlace(string target, string path, Action<Stream> write)
    {
        FileStream device;
        try
        {
            device = new FileStream(target, FileMode.Open, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw WriteErrors.Translate(path, 0, e);
        }
        using (device)
        {
            var stream = new PublishStream(device, path);
            write(stream);
            stream.Flush();
        }
    }

    private static FileStream CreateBeside(string target, string path)
    {
        for (int attempt = 0; ; attempt++)
        {
            string temporary = TemporaryName.Beside(target, attempt);
            try
            {
                return new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 1 << 16);
            }
            catch (IOException) when (attempt < 1000 && Path.Exists(temporary))
            {
                // Another writer of the same file, or a leftover of a process that had our number: take the next name.
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw WriteErrors.Translate(path, 0, e);
            }
        }
    }

    // Closing flushes what is still buffered, which fails again on a full disk: that failure is already reported.
    private static void CloseAndDelete(FileStream file, string temporary)
    {
        try
        {
            file.Dispose();
        }
        catch (IOException)
        {
        }
        TemporaryName.DeleteQuietly(temporary);
    }
}
