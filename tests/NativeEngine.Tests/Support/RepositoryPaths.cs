namespace NativeEngine.Tests.Support;

/// <summary>Where the tests find things: the repository root, the built executable, and the shared data that may lie beside the checkout.</summary>
public static class RepositoryPaths
{
#if DEBUG
    private const string Configuration = "Debug";
#else
    private const string Configuration = "Release";
#endif

    /// <summary>The folder that holds NativeEngine.sln, found upwards from the test assembly.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>The executable built in the same configuration as the tests.</summary>
    public static string Executable { get; } = Path.Combine(
        Root, "src", "NativeEngine.Cli", "bin", Configuration, "net10.0", OperatingSystem.IsWindows() ? "nengine.exe" : "nengine");

    /// <summary>A path inside the repository.</summary>
    public static string InRepository(string relative) => Path.Combine(Root, relative);

    /// <summary>A path inside the shared folder beside the repository; it need not exist, see <see cref="FactWithSharedDataAttribute"/>.</summary>
    public static string Shared(string relative) => Path.Combine(Path.GetDirectoryName(Root) ?? Root, "shared", relative);

    private static string FindRoot()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "NativeEngine.sln")))
            {
                return folder.FullName;
            }
        }
        throw new InvalidOperationException($"no NativeEngine.sln in any folder above {AppContext.BaseDirectory}");
    }
}
