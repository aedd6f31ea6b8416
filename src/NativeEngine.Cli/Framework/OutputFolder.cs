namespace NativeEngine.Cli;

/// <summary>
/// The folder a verb writes into, checked before any heavy work: created if absent, refused when it holds something (unless work is
/// resumed), and proven writable. Disposed without <see cref="Keep"/> it is emptied and removed again if this run created it or found
/// it empty, so a failure leaves nothing half-made behind.
/// </summary>
internal sealed class OutputFolder : IDisposable
{
    private readonly bool _created;
    private bool _keep;

    private OutputFolder(string path, bool created, bool keep) => (Path, _created, _keep) = (path, created, keep);

    /// <summary>The absolute path.</summary>
    public string Path { get; }

    /// <summary>Opens the folder. With <paramref name="resume"/> its content is welcome and always kept.</summary>
    public static OutputFolder Open(string path, bool resume)
    {
        string full = Check(path, resume);
        bool created = !Directory.Exists(full), empty = created || !Directory.EnumerateFileSystemEntries(full).Any();
        try
        {
            Directory.CreateDirectory(full);
            string probe = System.IO.Path.Combine(full, $".nengine-probe-{Environment.ProcessId}");
            using (File.Create(probe, 1, FileOptions.DeleteOnClose))
            {
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new EngineException(ErrorKind.BadInput, $"the output folder '{path}' cannot be written: {error.Message}", "choose another --output", error);
        }
        return new OutputFolder(full, created, keep: !empty);
    }

    /// <summary>The same refusals without touching anything, for --dry-run. Returns the absolute path.</summary>
    public static string Check(string path, bool resume)
    {
        if (string.IsNullOrWhiteSpace(path))
        {
            throw new EngineException(ErrorKind.Usage, "--output is empty", "give a folder");
        }
        if (File.Exists(path))
        {
            throw new EngineException(ErrorKind.Usage, $"the output folder '{path}' is a file", "choose another --output");
        }
        if (!resume && Directory.Exists(path) && Directory.EnumerateFileSystemEntries(path).Any())
        {
            throw new EngineException(ErrorKind.Usage, $"the output folder '{path}' is not empty", "choose another --output, or continue with --resume where the verb has it");
        }
        return System.IO.Path.GetFullPath(path);
    }

    /// <summary>From now on the folder holds something worth keeping, whatever happens later.</summary>
    public void Keep() => _keep = true;

    public void Dispose()
    {
        if (_keep)
        {
            return;
        }
        try
        {
            foreach (string entry in Directory.EnumerateFileSystemEntries(Path))
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
            if (_created)
            {
                Directory.Delete(Path);
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The failure that brought us here is the one to report.
        }
    }
}

/// <summary>The rule for an output that is one file.</summary>
internal static class OutputFile
{
    /// <summary>
    /// Refuses a path that cannot become a file (a folder, an absent or unwritable parent) before any work is done, creating nothing
    /// that lasts. Returns the absolute path.
    /// </summary>
    public static string Check(string path)
    {
        if (string.IsNullOrWhiteSpace(path) || Directory.Exists(path))
        {
            throw new EngineException(ErrorKind.Usage, $"the output file '{path}' is a folder or empty", "give a file name");
        }
        string full = Path.GetFullPath(path);
        string folder = Path.GetDirectoryName(full)!;
        if (!Directory.Exists(folder))
        {
            throw new EngineException(ErrorKind.BadInput, $"the output file '{path}' cannot be written: there is no folder '{Path.GetDirectoryName(path)}'", $"mkdir -p {Path.GetDirectoryName(path)}");
        }
        try
        {
            using (File.Create(Path.Combine(folder, $".nengine-probe-{Environment.ProcessId}"), 1, FileOptions.DeleteOnClose))
            {
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new EngineException(ErrorKind.BadInput, $"the output file '{path}' cannot be written: {error.Message}", "choose another --output", error);
        }
        return full;
    }
}
