namespace NativeEngine.Tests.Formats;

/// <summary>A folder of one test, deleted with it.</summary>
internal sealed class TempFolder : IDisposable
{
    public string Root { get; } = Directory.CreateTempSubdirectory("nengine-test-").FullName;

    public string File(string name) => Path.Combine(Root, name);

    public string Put(string name, byte[] bytes)
    {
        System.IO.File.WriteAllBytes(File(name), bytes);
        return File(name);
    }

    public string[] Names() => [.. Directory.GetFileSystemEntries(Root).Select(p => Path.GetFileName(p)!).Order(StringComparer.Ordinal)];

    public void Dispose() => Directory.Delete(Root, recursive: true);
}

/// <summary>A test of something the machine may lack: then it is reported as skipped, with the reason.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class FactIfPathAttribute : FactAttribute
{
    public FactIfPathAttribute(string path)
    {
        if (!Path.Exists(path.StartsWith('/') ? path : RepositoryFile(path)))
        {
            Skip = $"{path} is not on this machine";
        }
    }

    /// <summary>A path relative to the repository root.</summary>
    public static string RepositoryFile(string relative)
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "NativeEngine.sln")))
        {
            folder = folder.Parent;
        }
        return Path.GetFullPath(Path.Combine(folder?.FullName ?? ".", relative));
    }
}

internal static class Expect
{
    /// <summary>The call fails with this kind, and the sentence names each of the parts.</summary>
    public static EngineException Fails(ErrorKind kind, Action action, params string[] parts)
    {
        var e = Assert.Throws<EngineException>(action);
        Assert.Equal(kind, e.Kind);
        foreach (string part in parts)
        {
            Assert.Contains(part, e.Message, StringComparison.Ordinal);
        }
        return e;
    }
}
