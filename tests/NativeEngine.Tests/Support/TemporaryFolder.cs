namespace NativeEngine.Tests.Support;

/// <summary>A fresh empty folder that is deleted with everything in it: <c>using var folder = new TemporaryFolder();</c></summary>
public sealed class TemporaryFolder : IDisposable
{
    /// <summary>The absolute path.</summary>
    public string Path { get; } = Directory.CreateTempSubdirectory("nengine-test-").FullName;

    /// <summary>A path inside the folder; nothing is created.</summary>
    public string File(string relative) => System.IO.Path.Combine(Path, relative);

    /// <summary>Writes a UTF-8 text file into the folder and returns its path.</summary>
    public string Write(string relative, string text)
    {
        string path = File(relative);
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(path)!);
        System.IO.File.WriteAllText(path, text);
        return path;
    }

    public void Dispose()
    {
        try
        {
            Directory.Delete(Path, recursive: true);
        }
        catch (IOException)
        {
            // Left for the system's own cleaning: a child process may still hold a file.
        }
    }
}
