using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace NativeEngine.Formats;

/// <summary>
/// The names of unfinished files and folders: <c>.tmp-NAME-SYSTEM-PID-N</c>, beside what they will become. A reader never sees one under
/// its final name, and what a killed process left behind can be told by name: SYSTEM is a hash of the host's name and its process namespace.
/// </summary>
public static class TemporaryName
{
    private const string Prefix = ".tmp-";
    private static readonly TimeSpan _longAgo = TimeSpan.FromDays(1);
    private static readonly string _system = ThisSystem();

    /// <summary>True for the name of an unfinished file or folder.</summary>
    public static bool IsTemporary(string name) => WriterOf(name) is not null;

    /// <summary>
    /// Deletes the unfinished files and folders directly inside a folder whose writing process is gone (or began after they were last
    /// touched, so that its number was re-used); those of other machines that share the folder when they were not touched for a day. Returns how many
    /// were deleted; a folder that does not exist has none. With a name, only what would have become that.
    /// </summary>
    public static int DeleteLeftovers(string folder, string name = "")
    {
        int deleted = 0;
        try
        {
            foreach (FileSystemInfo entry in Directory.Exists(folder) ? new DirectoryInfo(folder).GetFileSystemInfos(Prefix + Stem(name) + "*") : [])
            {
                bool left = WriterOf(entry.Name) is var (system, process)
                    && (system == _system ? !IsAtWork(process, entry.LastWriteTimeUtc) : DateTime.UtcNow - entry.LastWriteTimeUtc > _longAgo);
                deleted += left && DeleteQuietly(entry.FullName) ? 1 : 0;
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A folder that cannot be looked through keeps what it has.
        }
        return deleted;
    }

    /// <summary>This thread's temporary path beside a final path.</summary>
    public static string For(string path) => Beside(path, 0);

    /// <summary>
    /// This thread's n-th temporary path beside a final path: threads that write the same file do not meet. Long names are cut so that the
    /// result still is a legal file name.
    /// </summary>
    internal static string Beside(string path, int attempt)
    {
        return Path.Combine(Path.GetDirectoryName(path)!, string.Create(CultureInfo.InvariantCulture,
            $"{Prefix}{Stem(Path.GetFileName(path))}-{_system}-{Environment.ProcessId}-{(1000 * Environment.CurrentManagedThreadId) + attempt}"));
    }

    /// <summary>Deletes a file or a whole folder; false when it stays. A leftover never stands in anybody's way.</summary>
    internal static bool DeleteQuietly(string path)
    {
        try
        {
            if (Directory.Exists(path))
            {
                Directory.Delete(path, recursive: true);
            }
            else
            {
                File.Delete(path);
            }
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static string Stem(string name) => name.Length > 50 ? name[..50] : name;

    // Earlier versions did not name the system.
    private static (string System, int Process)? WriterOf(string name)
    {
        string[] parts = name.Split('-');
        return name.StartsWith(Prefix, StringComparison.Ordinal) && parts.Length >= 4
            && int.TryParse(parts[^1], NumberStyles.None, CultureInfo.InvariantCulture, out _)
            && int.TryParse(parts[^2], NumberStyles.None, CultureInfo.InvariantCulture, out int process)
            ? (parts.Length >= 5 && parts[^3].Length == _system.Length && parts[^3].All(char.IsAsciiHexDigitLower) ? parts[^3] : _system, process) : null;
    }

    // Processes are told apart by number only within a namespace; a container has its own host name, and often its own namespace.
    private static string ThisSystem()
    {
        string space = "";
        try
        {
            space = new FileInfo("/proc/self/ns/pid").LinkTarget ?? "";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Not Linux, or hidden: the host's name alone.
        }
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Environment.MachineName + space)))[..8];
    }

    private static bool IsAtWork(int process, DateTime touched)
    {
        try
        {
            using var other = Process.GetProcessById(process);
            return other.StartTime.ToUniversalTime() <= touched.AddSeconds(2);
        }
        catch (ArgumentException)
        {
            return false;
        }
        catch (Exception e) when (e is InvalidOperationException or System.ComponentModel.Win32Exception)
        {
            return true;
        }
    }
}
