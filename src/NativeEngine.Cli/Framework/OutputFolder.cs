using NativeEngine.Formats;

namespace NativeEngine.Cli;

/// <summary>
/// The folder a verb writes into, checked before any heavy work: created if absent, refused when it holds something (unless work is
/// resumed), proven writable, and locked against other processes. Disposed without <see cref="Keep"/> it is emptied and removed again if this run created it or found
/// it empty, so a failure leaves nothing half-made behind.
/// </summary>
internal sealed class OutputFolder : IDisposable
{
    private const string LockName = ".nengine-lock";

    private readonly bool _created;
    private readonly FileStream _lock;
    private bool _keep;

    private OutputFolder(string path, bool created, bool keep, FileStream held) => (Path, _created, _keep, _lock) = (path, created, keep, held);

    /// <summary>The absolute path.</summary>
    public string Path { get; }

    /// <summary>Opens the folder. With <paramref name="resume"/> its content is welcome and always kept.</summary>
    public static OutputFolder Open(string path, bool resume)
    {
        string full = Check(path, resume);
        bool created = !Directory.Exists(full);
        FileStream held;
        try
        {
            Directory.CreateDirectory(full);
            WriteProbe.Try(full);
            held = Lock(full);
        }
        catch (IOException error) when ((error.HResult & 0xFFFF) is InUse or InUseOnWindows)
        {
            throw new EngineException(ErrorKind.Usage, $"another process is writing into the output folder '{path}'", "wait for it, or choose another --output", error);
        }
        catch (IOException error) when (Failure.IsDiskFull(error))
        {
            throw new EngineException(ErrorKind.WillNotFit, $"the output folder '{path}' cannot be written: the disk is full", "free some space or choose another --output", error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new EngineException(ErrorKind.BadInput, $"the output folder '{path}' cannot be written: {error.Message}", "choose another --output", error);
        }
        try
        {
            // Another process may have worked here since the first look.
            Check(path, resume);
            return new OutputFolder(full, created, keep: !IsEmpty(full), held);
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    /// <summary>The same refusals without touching anything, for --dry-run. Returns the absolute path. <paramref name="resumable"/>: the verb has --resume.</summary>
    public static string Check(string path, bool resume, bool resumable = false)
    {
        if (string.IsNullOrWhiteSpace(path))
        {
            throw new EngineException(ErrorKind.Usage, "--output is empty", "--output runs/first");
        }
        if (File.Exists(path))
        {
            throw new EngineException(ErrorKind.Usage, $"the output folder '{path}' is a file", $"--output {Free(path)}");
        }
        if (!resume && Directory.Exists(path) && !IsEmpty(path))
        {
            throw new EngineException(ErrorKind.Usage, $"the output folder '{path}' is not empty", $"--output {Free(path)}{(resumable ? ", or --resume to go on there" : "")}");
        }
        for (string? above = System.IO.Path.GetDirectoryName(path); above is { Length: > 0 }; above = System.IO.Path.GetDirectoryName(above))
        {
            if (File.Exists(above))
            {
                throw new EngineException(ErrorKind.Usage, $"the output folder '{path}' cannot be made: '{above}' is a file", $"--output {Free(above)}");
            }
        }
        return System.IO.Path.GetFullPath(path);
    }

    /// <summary>From now on the folder holds something worth keeping, whatever happens later.</summary>
    public void Keep() => _keep = true;

    public void Dispose()
    {
        if (_keep)
        {
            _lock.Dispose();
            return;
        }
        try
        {
            foreach (string entry in Directory.EnumerateFileSystemEntries(Path).Where(e => System.IO.Path.GetFileName(e) != LockName))
            {
                if (Directory.Exists(entry) && File.ResolveLinkTarget(entry, returnFinalTarget: false) is null)
                {
                    Directory.Delete(entry, recursive: true);
                }
                else
                {
                    File.Delete(entry);
                }
            }
            _lock.Dispose();
            if (_created)
            {
                Directory.Delete(Path);
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The failure that brought us here is the one to report.
        }
        finally
        {
            _lock.Dispose();
        }
    }

    // EAGAIN, and ERROR_SHARING_VIOLATION.
    private const int InUse = 11, InUseOnWindows = 32;

    // The system takes the lock back from a process that dies; its file stays until somebody comes again.
    private static FileStream Lock(string folder)
    {
        string path = System.IO.Path.Combine(folder, LockName);
        while (true)
        {
            var held = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 1, FileOptions.DeleteOnClose);
            if (File.Exists(path))
            {
                return held;
            }
            // It was the last owner's, who deleted it meanwhile.
            held.Dispose();
        }
    }

    // The next name that nothing has: runs/x-2.
    private static string Free(string path)
    {
        string name = System.IO.Path.TrimEndingDirectorySeparator(path);
        return Enumerable.Range(2, int.MaxValue - 2).Select(i => FormattableString.Invariant($"{name}-{i}")).First(p => !System.IO.Path.Exists(p));
    }

    // What is unfinished counts as nothing: another process's probe, or what one that was killed has left.
    private static bool IsEmpty(string folder) =>
        Directory.EnumerateFileSystemEntries(folder).Select(e => System.IO.Path.GetFileName(e)).All(name => name == LockName || TemporaryName.IsTemporary(name));
}

/// <summary>The rule for an output that is one file.</summary>
internal static class OutputFile
{
    /// <summary>
    /// Refuses a path that cannot become a file (a folder, an absent or unwritable parent) or is one of the inputs, before any work is done, creating nothing
    /// that lasts. An input may be null, -, or carry a #part. Returns the absolute path.
    /// </summary>
    public static string Check(string path, params ReadOnlySpan<string?> inputs)
    {
        if (string.IsNullOrWhiteSpace(path))
        {
            throw new EngineException(ErrorKind.Usage, "the name of the output file is empty", "give a file name");
        }
        if (Directory.Exists(path))
        {
            throw new EngineException(ErrorKind.Usage, $"the output file '{path}' is a folder", $"name a file in it: {Path.Combine(path, "NAME")}");
        }
        string full = Path.GetFullPath(path);
        string folder = Path.GetDirectoryName(full)!;
        if (!Directory.Exists(folder))
        {
            throw new EngineException(ErrorKind.BadInput, $"the output file '{path}' cannot be written: there is no folder '{Path.GetDirectoryName(path)}'", $"mkdir -p {Path.GetDirectoryName(path)}");
        }
        try
        {
            WriteProbe.Try(folder);
        }
        catch (IOException error) when (Failure.IsDiskFull(error))
        {
            throw new EngineException(ErrorKind.WillNotFit, $"the output file '{path}' cannot be written: the disk is full", "free some space or choose another --output", error);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new EngineException(ErrorKind.BadInput, $"the output file '{path}' cannot be written: {error.Message}", "choose another --output", error);
        }
        foreach (string? input in inputs)
        {
            if (input is not null && Real(full) is { } real && (real == Real(input) || real == Real(input.Split('#')[0])))
            {
                throw new EngineException(ErrorKind.Usage, $"the output file '{path}' is also an input", "choose another --output");
            }
        }
        return full;
    }

    /// <summary>Refuses a name without the ending by which others know what the file is; devices need none.</summary>
    public static void RequireEnding(string path, string ending)
    {
        if (!path.EndsWith(ending, StringComparison.OrdinalIgnoreCase) && !path.StartsWith("/dev/", StringComparison.Ordinal))
        {
            throw new EngineException(ErrorKind.Usage, $"--output is {path}, expected a name that ends in {ending}, by which others know what it is", $"--output {Path.ChangeExtension(path, ending)}");
        }
    }

    /// <summary>Refuses two outputs that are one file.</summary>
    public static void RequireApart(string first, string? a, string second, string? b)
    {
        if (a is not null && b is not null && (Path.GetFullPath(a) == Path.GetFullPath(b) || (Real(a) is { } real && real == Real(b))))
        {
            throw new EngineException(ErrorKind.Usage, $"{first} and {second} both name '{a}'", $"choose another {second}");
        }
    }

    // The file that is there, behind all links; null when there is none.
    private static string? Real(string path)
    {
        try
        {
            var file = new FileInfo(path);
            return !file.Exists ? null : file.LinkTarget is null ? file.FullName : file.ResolveLinkTarget(returnFinalTarget: true)?.FullName;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return null;
        }
    }
}

/// <summary>Whether a folder takes files, found out by making one.</summary>
internal static class WriteProbe
{
    private const string Name = "probe";

    /// <summary>Makes an empty file and deletes it, and those of processes that were killed in between. Errors: what the system says.</summary>
    public static void Try(string folder)
    {
        TemporaryName.DeleteLeftovers(folder, Name);
        using (File.Create(TemporaryName.For(Path.Combine(folder, Name)), 1, FileOptions.DeleteOnClose))
        {
        }
    }
}
