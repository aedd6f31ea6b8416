using System.Diagnostics;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Cli;

/// <summary>The built executable as scripts see it: exit codes, streams, the error document.</summary>
public sealed class ProcessTests
{
    [Fact]
    public void Run_UnknownVerb_ExitsWith2AndSuggests()
    {
        var result = NEngine.Run("doctro").Expect(2);
        Assert.Empty(result.StdOut);
        Assert.Contains("unknown verb 'doctro'", result.StdErr, StringComparison.Ordinal);
        Assert.Contains("did you mean 'doctor'?", result.StdErr, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("doctor", "--thraeds", "--threads")]
    [InlineData("select", "--budgt", "--budget")] // these take arguments too, which such a word is not
    [InlineData("merge", "--liner", "--linear")]
    public void Run_UnknownOption_ExitsWith2AndSuggests(string verb, string wrong, string right)
    {
        var result = NEngine.Run(verb, wrong, "3").Expect(2);
        Assert.Contains($"unknown option '{wrong}'", result.StdErr, StringComparison.Ordinal);
        Assert.Contains($"did you mean '{right}'?", result.StdErr, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_NoVerb_ExitsWith2AndListsVerbs() =>
        Assert.Contains("doctor", NEngine.Run().Expect(2).StdErr, StringComparison.Ordinal);

    [Theory]
    [InlineData(2, "doctor", "--json", "--nonsense")]
    [InlineData(2, "doctor", "--threads", "0", "--json")]
    [InlineData(2, "--json", "nonsense")]
    [InlineData(2, "--json")]
    [InlineData(3, "doctor", "--json", "--config", "no-such-file.yaml")]
    [InlineData(5, "doctor", "--json", "--device", "cuda")]
    public void Run_FailureWithJson_IsOneErrorDocument(int code, params string[] args)
    {
        var error = NEngine.Run(args).Expect(code).Json().GetProperty("error");
        Assert.Equal(code, error.GetProperty("code").GetInt32());
        Assert.NotEqual("", error.GetProperty("message").GetString());
        Assert.True(error.TryGetProperty("hint", out _));
    }

    [Theory]
    [InlineData("cuda")]
    [InlineData("cuda:1")]
    [InlineData("opencl:0.1")]
    public void Run_DeviceThatThisBuildLacks_ExitsWith5(string device) =>
        Assert.Contains(device, NEngine.Run("doctor", "--device", device).Expect(5).StdErr, StringComparison.Ordinal);

    [Theory]
    [InlineData("--device", "gpu")]
    [InlineData("--device", "cuda:x")]
    [InlineData("--max-memory", "8Gibs")]
    [InlineData("--max-memory", "0")]
    [InlineData("--max-memory", "lots")]
    [InlineData("--threads", "1.5")]
    [InlineData("--seed", "-1")]
    [InlineData("--seed", "1,000")]
    public void Run_BadValue_ExitsWith2AndNamesOptionAndValue(string option, string value)
    {
        var result = NEngine.Run("doctor", option, value).Expect(2);
        Assert.Contains(option, result.StdErr, StringComparison.Ordinal);
        Assert.Contains(value, result.StdErr, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", result.StdErr, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_QuietAndVerbose_ExitsWith2() => NEngine.Run("doctor", "--quiet", "--verbose").Expect(2);

    [Fact]
    public void Run_Version_TellsVersionSimdAndRuntime()
    {
        var text = NEngine.Run("--version").Expect(0);
        Assert.Matches(@"^nengine \d+\.\d+\.\d+, SIMD .+, \.NET 10\.\d+", text.StdOut);
        Assert.Empty(text.StdErr);
        Assert.Matches(@"^\d+\.\d+\.\d+$", NEngine.Run("--version", "--json").Expect(0).Json().GetProperty("version").GetString());
    }

    [Fact]
    public void Run_Help_GoesToStdoutWithoutByteOrderMark()
    {
        var result = NEngine.Run("--help").Expect(0);
        Assert.StartsWith("nengine:", result.StdOut, StringComparison.Ordinal);
        Assert.Empty(result.StdErr);
        Assert.Equal(NEngine.Run("doctor", "--help").Expect(0).StdOut, NEngine.Run("help", "doctor").Expect(0).StdOut);
    }

    [Fact]
    public void Run_TurkishLocale_ChangesNothing()
    {
        var turkish = new Dictionary<string, string?> { ["LANG"] = "tr_TR.UTF-8", ["LC_ALL"] = "tr_TR.UTF-8" };
        var result = NEngine.Run(["doctor", "--print-config", "--seed", "7", "--max-memory", "1.5GIB"], stdin: null, turkish).Expect(0);
        Assert.Contains("max-memory: 1.5GIB", result.StdOut, StringComparison.Ordinal);
    }

    [Fact]
    public void Run_RedirectedStderr_HasNoEscapes() =>
        Assert.DoesNotContain('\u001b', NEngine.Run("doctor", "--device", "cuda").Expect(5).StdErr);

    [FactOnUnix]
    public void Run_ClosedStdout_IsNoCrash() => Assert.Equal("0", Shell("\"$0\" doctor --json >&-; echo $?"));

    [FactOnUnix]
    public void Run_ReaderGone_IsNoCrash() =>
        Assert.Equal("0", Shell("code=$(mktemp); { sleep 0.5; \"$0\" doctor; echo $? >\"$code\"; } | true; cat \"$code\"; rm \"$code\""));

    [FactOnUnix]
    public void Run_FullDevice_ExitsWith4() => Assert.Equal("4", Shell("\"$0\" doctor --json 2>/dev/null >/dev/full; echo $?"));

    private static string Shell(string script)
    {
        using var shell = Process.Start(new ProcessStartInfo("sh", ["-c", script, RepositoryPaths.Executable])
        {
            RedirectStandardOutput = true,
        })!;
        string output = shell.StandardOutput.ReadToEnd().Trim();
        Assert.True(shell.WaitForExit(60_000));
        return output;
    }
}
