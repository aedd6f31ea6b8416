using System.Diagnostics;
using System.Text;
using System.Text.Json;

namespace NativeEngine.Tests.Support;

/// <summary>What a finished run of the executable left behind.</summary>
public sealed record NEngineResult(int ExitCode, string StdOut, string StdErr)
{
    /// <summary>stdout as the one JSON document that --json promises; throws when it is not exactly one.</summary>
    public JsonElement Json()
    {
        using var document = JsonDocument.Parse(StdOut);
        return document.RootElement.Clone();
    }

    /// <summary>Fails with both streams in the message unless the exit code is the expected one.</summary>
    public NEngineResult Expect(int exitCode)
    {
        Assert.True(ExitCode == exitCode, $"exit code {ExitCode}, expected {exitCode}\n--- stdout\n{StdOut}\n--- stderr\n{StdErr}");
        return this;
    }
}

/// <summary>Runs the real built executable as a process, the way a user does.</summary>
public static class NEngine
{
    /// <summary>A library that is not there: verbs are tested without the machine's GPUs unless a test shows them.</summary>
    public const string Nowhere = "/nowhere/a-library";

    private static readonly TimeSpan _defaultTimeout = TimeSpan.FromSeconds(120);

    /// <summary>Runs to the end with these arguments and nothing else.</summary>
    public static NEngineResult Run(params string[] args) => Run(args, stdin: null);

    /// <summary>
    /// Runs to the end. <paramref name="env"/> adds to the environment (a null value removes a variable). A run longer than
    /// <paramref name="timeout"/> (two minutes by default) is killed and fails the test.
    /// </summary>
    public static NEngineResult Run(
        string[] args,
        string? stdin,
        IReadOnlyDictionary<string, string?>? env = null,
        string? workingFolder = null,
        TimeSpan? timeout = null)
    {
        using var process = Start(args, env, workingFolder);
        var stdout = process.StandardOutput.ReadToEndAsync();
        var stderr = process.StandardError.ReadToEndAsync();
        if (stdin is not null)
        {
            process.StandardInput.Write(stdin);
        }
        process.StandardInput.Close();
        return Finish(process, stdout, stderr, timeout);
    }

    /// <summary>Starts a run with all three streams redirected; end it with <see cref="Finish"/>.</summary>
    public static Process Start(string[] args, IReadOnlyDictionary<string, string?>? env = null, string? workingFolder = null)
    {
        var utf8 = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
        var start = new ProcessStartInfo(RepositoryPaths.Executable)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardInputEncoding = utf8,
            StandardOutputEncoding = utf8,
            StandardErrorEncoding = utf8,
            WorkingDirectory = workingFolder ?? RepositoryPaths.Root,
        };
        foreach (string arg in args)
        {
            start.ArgumentList.Add(arg);
        }
        start.Environment["NENGINE_CUDA_LIBRARY"] = start.Environment["NENGINE_OPENCL_LIBRARY"] = Nowhere;
        foreach (var (name, value) in env ?? new Dictionary<string, string?>())
        {
            start.Environment[name] = value;
        }
        return Process.Start(start) ?? throw new InvalidOperationException($"{RepositoryPaths.Executable} did not start");
    }

    /// <summary>Waits for the end of a started run and collects what it wrote.</summary>
    public static NEngineResult Finish(Process process, Task<string> stdout, Task<string> stderr, TimeSpan? timeout = null)
    {
        var limit = timeout ?? _defaultTimeout;
        if (!process.WaitForExit(limit))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"nengine {string.Join(' ', process.StartInfo.ArgumentList)} ran longer than {limit}\n{stderr.Result}");
        }
        process.WaitForExit();
        return new NEngineResult(process.ExitCode, stdout.Result, stderr.Result);
    }

    /// <summary>Sends a Unix signal by its number (2 INT, 10 USR1, 15 TERM).</summary>
    public static void Signal(Process process, int signal)
    {
        using var kill = Process.Start("kill", ["-" + signal, process.Id.ToString()]);
        kill.WaitForExit();
        Assert.Equal(0, kill.ExitCode);
    }
}
