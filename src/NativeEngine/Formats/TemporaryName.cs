using System.Diagnostics;
using System.Globalization;

namespace NativeEngine.Formats;

/// <summary>
/// The names of unfinished files and folders: <c>.tmp-NAME-PID-N</c>, beside what they will become. A reader never sees one under
/// its final name, and what a killed process left behind can be told by name.
/// </summary>
public static class TemporaryName
{
    private const string Prefix = ".tmp-";

    /// <summary>True for the name of an unfinished file or folder.</summary>
    public static bool IsTemporary(string name) => ProcessOf(name) is not null;

    /// <summary>
    /// Deletes the unfinished files and folders directly inside a folder whose writing process is gone (or began after they were last
    /// touched, so that its number was re-used). Only the owner of a folder should call this: processes of other machines that share
    /// the folder are not seen. Returns how many were deleted; a folder that does not exist has none. With a name, only what would have become that.
    /// </summary>
    public static int DeleteLeftovers(string folder, string name = "")
    {
        if (!Directory.Exists(folder))
        {
            return 0;
        }
        int deleted = 0;
        foreach (FileSystemInfo entry in new DirectoryInfo(folder).GetFileSystemInfos(Prefix + Stem(name) + "*"))
        {
            if (ProcessOf(entry.Name) is not int process || IsAtWork(process, entry.LastWriteTimeUtc))
            {
                continue;
            }
            deleted += DeleteQuietly(entry.FullName) ? 1 : 0;
        }
        return deleted;
    }

    /// <summary>
    /// This thread's n-th temporary path beside a final path: threads that write the same file do not meet. Long names are cut so that the
    /// result still is a legal file name.
    /// </summary>
    internal static string Beside(string path, int attempt)
    {
        return Path.Combine(Path.GetDirectoryName(path)!, string.Create(CultureInfo.InvariantCulture,
            $"{Prefix}{Stem(Path.GetFileName(path))}-{Environment.ProcessId}-{(1000 * Environment.CurrentManagedThreadId) + attempt}"));
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

    private static int? ProcessOf(string name)
    {
        string[] parts = name.Split('-');
        return name.StartsWith(Prefix, StringComparison.Ordinal) && parts.Length >= 4
            && int.TryParse(parts[^1], NumberStyles.None, CultureInfo.InvariantCulture, out _)
            && int.TryParse(parts[^2], NumberStyles.None, CultureInfo.InvariantCulture, out int process) ? process : null;
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
