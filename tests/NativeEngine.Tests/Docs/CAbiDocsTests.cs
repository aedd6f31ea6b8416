using System.Text.RegularExpressions;
using NativeEngine.Tests.CApi;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Docs;

/// <summary>docs/c-abi.md against the library.</summary>
public sealed partial class CAbiDocsTests
{
    private static string Page => File.ReadAllText(RepositoryPaths.InRepository("docs/c-abi.md"));

    [FactWithNativeLibrary]
    public void Program_AsWritten_PrintsWhatThePageSays()
    {
        using var folder = new TemporaryFolder();
        Compile(folder, "first", 0);
        string printed = NativeLibraryKit.Run(folder.File("first"), []).Expect(0).StdOut;
        Assert.Contains("$ ./first\n" + printed, Page, StringComparison.Ordinal);
    }

    [FactWithNativeLibrary]
    public void Fields_AsWritten_PrintsWhatThePageSays()
    {
        using var folder = new TemporaryFolder();
        Compile(folder, "own", 1);
        folder.Write("articles.jsonl", Lines().Match(Page).Groups[1].Value);
        foreach (string command in (string[])["./own body", "./own"])
        {
            string printed = NativeLibraryKit.Run("/bin/sh", ["-c", $"cd {folder.Path} && {command} 2>&1 || true"]).Expect(0).StdOut;
            Assert.Contains($"$ {command}\n{printed}", Page, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Page_PathsItNames_Exist()
    {
        var paths = Path().Matches(Page).Select(m => m.Groups[1].Value).ToHashSet();
        Assert.True(paths.Count >= 4);
        Assert.All(paths, p => Assert.True(File.Exists(RepositoryPaths.InRepository(p)), p));
    }

    private static void Compile(TemporaryFolder folder, string name, int program)
    {
        string source = folder.Write(name + ".c", Program().Matches(Page)[program].Groups[1].Value);
        NativeLibraryKit.Run(NativeLibraryKit.Compiler!, [
            "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", source, "-I", NativeLibraryKit.Header, "-L", NativeLibraryKit.Folder, "-lnative_engine", $"-Wl,-rpath,{NativeLibraryKit.Folder}",
            "-o", folder.File(name),
        ]).Expect(0);
    }

    [GeneratedRegex("```c\n(.*?)```", RegexOptions.Singleline)]
    private static partial Regex Program();

    [GeneratedRegex("\\$ cat articles.jsonl\n(.*?)\\$ ", RegexOptions.Singleline)]
    private static partial Regex Lines();

    [GeneratedRegex("`((?:tools|src)/[A-Za-z_./]+\\.(?:c|py|h|cs))`")]
    private static partial Regex Path();
}
