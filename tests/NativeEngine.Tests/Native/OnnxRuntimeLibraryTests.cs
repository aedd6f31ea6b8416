using NativeEngine.Native;
using NativeEngine.Tests.Formats;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Native;

/// <summary>Where the library is looked for, in which order, and what is told of it.</summary>
public sealed class OnnxRuntimeLibraryTests
{
    [Fact]
    public void Find_NamedFolderWithoutIt_OnlyThatIsTried()
    {
        using var folder = new TemporaryFolder();
        var library = OnnxRuntimeLibrary.Find(folder.Path, _ => "/never/looked/at");
        Assert.False(library.IsFound);
        Assert.Equal([new LibraryAttempt(folder.Path, "no ONNX Runtime library in this folder")], library.Attempts);
        var error = Expect.Fails(ErrorKind.DeviceUnavailable, () => library.Require(), folder.Path);
        Assert.Contains(OnnxRuntimeLibrary.Variable, error.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public void Find_Variable_StandsForTheOption()
    {
        var library = OnnxRuntimeLibrary.Find(null, name => name == OnnxRuntimeLibrary.Variable ? "/no/such/folder" : null);
        Assert.Equal([new LibraryAttempt("/no/such/folder", "not there")], library.Attempts);
    }

    [Fact]
    public void Find_FileThatIsNoLibrary_SaysSo()
    {
        using var folder = new TemporaryFolder();
        string name = OperatingSystem.IsWindows() ? "onnxruntime.dll" : OperatingSystem.IsMacOS() ? "libonnxruntime.dylib" : "libonnxruntime.so.1";
        string file = folder.Write(name, "not a library");
        folder.Write(name.Replace("onnxruntime", "onnxruntime_providers_shared", StringComparison.Ordinal), "not looked at");
        var attempt = Assert.Single(OnnxRuntimeLibrary.Find(folder.Path).Attempts);
        Assert.Equal(file, attempt.Path);
        Assert.StartsWith("cannot be loaded: ", attempt.Outcome, StringComparison.Ordinal);
    }

    [FactOnUnix]
    public void Find_AnotherLibrary_IsRefusedByItsMissingFunction()
    {
        var attempt = Assert.Single(OnnxRuntimeLibrary.Find(OperatingSystem.IsMacOS() ? "libSystem.dylib" : "libc.so.6").Attempts);
        Assert.Contains("OrtGetApiBase is missing", attempt.Outcome, StringComparison.Ordinal);
    }

    [Fact]
    public void Find_NothingNamed_TheProgramsFolderFirstAndTheLoaderLast()
    {
        var attempts = OnnxRuntimeLibrary.Find(null, _ => null).Attempts;
        Assert.Equal(AppContext.BaseDirectory, attempts[0].Path);
        if (attempts[^1].Outcome.StartsWith("loaded", StringComparison.Ordinal))
        {
            return;
        }
        Assert.Contains(attempts, a => a.Path.EndsWith(Path.Combine("runtimes", System.Runtime.InteropServices.RuntimeInformation.RuntimeIdentifier, "native"), StringComparison.Ordinal));
        Assert.Contains(attempts, a => a.Path.Contains(Path.Combine("node_modules", "onnxruntime-node"), StringComparison.Ordinal));
        Assert.Contains("onnxruntime", attempts[^1].Path, StringComparison.Ordinal);
        Assert.All(attempts, a => Assert.NotEmpty(a.Outcome));
    }

    [FactWithOnnxRuntime]
    public void Doctor_NamedLibrary_TellsVersionAndProviders()
    {
        var report = NEngine.Run("doctor", "--json", "--ort-lib", OnnxRuntime.Library!.Path!).Expect(0).Json().GetProperty("onnxruntime");
        Assert.True(report.GetProperty("available").GetBoolean());
        Assert.Equal(OnnxRuntime.Library.Version, report.GetProperty("version").GetString());
        Assert.Contains("CPUExecutionProvider", report.GetProperty("providers").EnumerateArray().Select(p => p.GetString()));
        Assert.StartsWith("loaded", report.GetProperty("tried")[0].GetProperty("outcome").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Doctor_NoLibrary_ListsEveryPlace()
    {
        string text = NEngine.Run("doctor", "--ort-lib", "/no/such/libonnxruntime.so").Expect(0).StdOut;
        Assert.Contains("onnx runtime  not found", text, StringComparison.Ordinal);
        Assert.Contains("/no/such/libonnxruntime.so: not there", text, StringComparison.Ordinal);
    }
}
