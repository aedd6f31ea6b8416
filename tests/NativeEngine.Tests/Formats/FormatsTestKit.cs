using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Formats;

internal static class FormatsTestKit
{
    /// <summary>Writes bytes into the folder and returns the path.</summary>
    public static string Put(this TemporaryFolder folder, string name, byte[] bytes)
    {
        File.WriteAllBytes(folder.File(name), bytes);
        return folder.File(name);
    }

    /// <summary>What lies directly in the folder, sorted.</summary>
    public static string[] Names(this TemporaryFolder folder)
        => [.. Directory.GetFileSystemEntries(folder.Path).Select(p => Path.GetFileName(p)!).Order(StringComparer.Ordinal)];
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

/// <summary>A test on /dev/full, which refuses every byte; skipped, and printed as skipped, where there is none.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class FactWithFullDeviceAttribute : FactAttribute
{
    public FactWithFullDeviceAttribute() => Skip = File.Exists("/dev/full") ? null : "needs /dev/full";
}
