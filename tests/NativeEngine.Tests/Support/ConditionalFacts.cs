namespace NativeEngine.Tests.Support;

/// <summary>A test that needs files of the shared folder beside the repository; skipped, and printed as skipped, where one is missing.</summary>
public sealed class FactWithSharedDataAttribute : FactAttribute
{
    /// <param name="paths">Relative to the shared folder, for example "golden/colm.json".</param>
    public FactWithSharedDataAttribute(params string[] paths) => Skip = Reason.MissingShared(paths);
}

/// <summary>The theory of the same kind as <see cref="FactWithSharedDataAttribute"/>.</summary>
public sealed class TheoryWithSharedDataAttribute : TheoryAttribute
{
    /// <param name="paths">Relative to the shared folder.</param>
    public TheoryWithSharedDataAttribute(params string[] paths) => Skip = Reason.MissingShared(paths);
}

/// <summary>A test of something only Unix has: signals, /dev/full, broken pipes.</summary>
public sealed class FactOnUnixAttribute : FactAttribute
{
    public FactOnUnixAttribute() => Skip = OperatingSystem.IsWindows() ? "needs a Unix system" : null;
}

/// <summary>A test of something only Linux has: asking for the pages of a mapping without touching them.</summary>
public sealed class FactOnLinuxAttribute : FactAttribute
{
    public FactOnLinuxAttribute() => Skip = OperatingSystem.IsLinux() ? null : "needs Linux";
}

internal static class Reason
{
    public static string? MissingShared(string[] paths)
    {
        foreach (string path in paths)
        {
            string full = RepositoryPaths.Shared(path);
            if (!File.Exists(full) && !Directory.Exists(full))
            {
                return $"needs ../shared/{path}, which is not beside this checkout";
            }
        }
        return null;
    }
}
