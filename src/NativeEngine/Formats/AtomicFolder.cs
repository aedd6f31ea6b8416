using System.Runtime.ExceptionServices;
using System.Security.Cryptography;
using System.Text.Json;
using NativeEngine.Native;

namespace NativeEngine.Formats;

/// <summary>
/// Publishes a whole folder at once: it is filled under a temporary name beside its final one, every file and folder is forced to disk,
/// checksums.json (bytes and SHA-256 of every file) is written last, then it is renamed into place. A folder under its final name that
/// <see cref="Verify"/> accepts is exactly what was written. What a dead process left of the same folder goes first.
/// </summary>
public static class AtomicFolder
{
    /// <summary>The list of files with their sizes and hashes.</summary>
    public const string ChecksumsName = "checksums.json";

    /// <summary>
    /// Fills and publishes a folder. <paramref name="fill"/> receives the path to write into; if it throws, nothing remains. An existing
    /// folder of that name is a Usage error unless it is empty or <paramref name="replace"/> is set: then it is moved aside, and deleted
    /// after the new one is in place. Cost: every file is read once more for its hash, unless <paramref name="checksums"/> is off: then
    /// there is no checksums.json, for folders that other programs expect in a form of their own.
    /// </summary>
    public static void Publish(
        string path, Action<string> fill, bool replace = false, bool checksums = true, CancellationToken cancellation = default)
    {
        string target = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        string parent = Path.GetDirectoryName(target)
            ?? throw new EngineException(ErrorKind.Usage, $"cannot write the folder {path}: it has no folder above it");
        string temporary;
        try
        {
            if (File.Exists(target) || (!replace && Directory.Exists(target) && Directory.EnumerateFileSystemEntries(target).Any()))
            {
                throw new EngineException(ErrorKind.Usage, $"cannot write the folder {path}: it is there already", "name a new folder");
            }
            TemporaryName.DeleteLeftovers(parent, Path.GetFileName(target));
            temporary = CreateBeside(target);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw WriteErrors.Translate(path, 0, e);
        }
        try
        {
            fill(temporary);
        }
        catch (Exception e)
        {
            TemporaryName.DeleteQuietly(temporary);
            throw e switch
            {
                IOException io when WriteErrors.IsDiskFull(io) => WriteErrors.Translate(path, 0, e),
                EngineException engine when engine.Message.Contains(temporary, StringComparison.Ordinal) => Renamed(engine, temporary, path),
                _ => Same(e),
            };
        }
        try
        {
            Seal(temporary, checksums, cancellation);
            MoveIntoPlace(temporary, target, replace);
            LibC.FsyncFolder(parent);
        }
        catch (EngineException e) when (e.Message.Contains(temporary, StringComparison.Ordinal))
        {
            throw Renamed(e, temporary, path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw WriteErrors.Translate(path, 0, e);
        }
        finally
        {
            TemporaryName.DeleteQuietly(temporary);
        }
    }

    /// <summary>
    /// Compares a folder with its checksums.json: null when every listed file is there with its size and hash, otherwise a sentence that
    /// says what is wrong. Files that are not listed do not count.
    /// </summary>
    public static string? Verify(string folder, CancellationToken cancellation = default)
    {
        try
        {
            foreach (var (name, expected, sum) in ReadChecksums(StrictJson.Load(Path.Combine(folder, ChecksumsName))))
            {
                string file = Path.Combine(folder, name);
                if (!File.Exists(file))
                {
                    return $"{folder}: {name} is missing";
                }
                long length = new FileInfo(file).Length;
                if (length != expected)
                {
                    return $"{folder}: {name} has {length} bytes instead of {expected}";
                }
                if (Hash(file, cancellation) != sum)
                {
                    return $"{folder}: the content of {name} does not match its checksum";
                }
            }
            return null;
        }
        catch (EngineException e)
        {
            return e.Message;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return $"{folder}: cannot be read: {e.Message}";
        }
    }

    /// <summary>The files a checksums.json lists. Errors: BadInput, also for a name outside the folder.</summary>
    internal static List<(string Name, long Bytes, string Sha256)> ReadChecksums(StrictJson json)
    {
        json.RequireSchema(1);
        var files = new List<(string, long, string)>();
        foreach ((string name, StrictJson entry) in json.Require("files").Members())
        {
            if (Path.IsPathRooted(name) || name.Split('/', '\\').Contains(".."))
            {
                throw FormatErrors.Bad(json.File, $"names {FormatErrors.Quote(name)}, which is outside the folder");
            }
            files.Add((name, entry.RequireLong("bytes", 0), entry.RequireString("sha256")));
        }
        return files;
    }

    /// <summary>Deletes a folder that was published; it loses its name first, so that nobody finds half of it. Errors: WillNotFit and Usage as for a file.</summary>
    public static void Delete(string path)
    {
        string aside;
        try
        {
            aside = CreateBeside(path);
            Directory.Delete(aside);
            Directory.Move(path, aside);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw WriteErrors.Translate(path, 0, e);
        }
        TemporaryName.DeleteQuietly(aside);
    }

    // A file is told by the name it would have had.
    private static EngineException Renamed(EngineException e, string temporary, string path) =>
        new(e.Kind, e.Message.Replace(temporary, path, StringComparison.Ordinal), e.Hint, e);

    // With the stack it was thrown with.
    private static Exception Same(Exception e)
    {
        ExceptionDispatchInfo.Throw(e);
        return e;
    }

    private static string CreateBeside(string target)
    {
        for (int attempt = 0; ; attempt++)
        {
            string temporary = TemporaryName.Beside(target, attempt);
            if (!Path.Exists(temporary))
            {
                return Directory.CreateDirectory(temporary).FullName;
            }
        }
    }

    private static void Seal(string folder, bool checksums, CancellationToken cancellation)
    {
        if (checksums)
        {
            WriteChecksums(folder, cancellation);
        }
        else
        {
            foreach (string file in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
            {
                FlushToDisk(file);
            }
        }
        foreach (string inner in Directory.EnumerateDirectories(folder, "*", SearchOption.AllDirectories))
        {
            LibC.FsyncFolder(inner);
        }
        LibC.FsyncFolder(folder);
    }

    private static void WriteChecksums(string folder, CancellationToken cancellation)
    {
        string[] names = [.. Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories)
            .Select(file => Path.GetRelativePath(folder, file).Replace('\\', '/'))
            .Where(name => name != ChecksumsName)
            .Order(StringComparer.Ordinal)];
        AtomicFile.Write(Path.Combine(folder, ChecksumsName), stream =>
        {
            using var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true, NewLine = "\n" });
            json.WriteStartObject();
            json.WriteNumber("schema"u8, 1);
            json.WriteStartObject("files"u8);
            foreach (string name in names)
            {
                string file = Path.Combine(folder, name);
                FlushToDisk(file);
                json.WriteStartObject(name);
                json.WriteNumber("bytes"u8, new FileInfo(file).Length);
                json.WriteString("sha256"u8, Hash(file, cancellation));
                json.WriteEndObject();
            }
            json.WriteEndObject();
            json.WriteEndObject();
        });
    }

    // Without replace a folder that another process has published meanwhile stays: neither the deletion nor the move succeeds on one that has files.
    private static void MoveIntoPlace(string temporary, string target, bool replace)
    {
        if (!Directory.Exists(target) || !replace)
        {
            if (Directory.Exists(target))
            {
                Directory.Delete(target);
            }
            Directory.Move(temporary, target);
            return;
        }
        string aside = CreateBeside(target);
        Directory.Delete(aside);
        Directory.Move(target, aside);
        try
        {
            Directory.Move(temporary, target);
        }
        catch
        {
            Directory.Move(aside, target);
            throw;
        }
        TemporaryName.DeleteQuietly(aside);
    }

    private static void FlushToDisk(string file)
    {
        using var stream = new FileStream(file, FileMode.Open, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0);
        stream.Flush(flushToDisk: !OperatingSystem.IsLinux());
        LibC.FsyncFile(stream.SafeFileHandle);
    }

    private static string Hash(string file, CancellationToken cancellation)
    {
        using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[1 << 20];
        for (int read; (read = stream.Read(buffer)) > 0;)
        {
            cancellation.ThrowIfCancellationRequested();
            hash.AppendData(buffer, 0, read);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
