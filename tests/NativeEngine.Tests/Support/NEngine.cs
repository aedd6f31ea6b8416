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

    /// <summary>How long a run may take: two minutes; NENGINE_TEST_PATIENCE gives other seconds, for sweeps of low priority.</summary>
    private static readonly TimeSpan _patience = TimeSpan.FromSeconds(int.TryParse(Environment.GetEnvironmentVariable("NENGINE_TEST_PATIENCE"), out int seconds) ? seconds : 120);

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
        if (!WaitForExit(process, timeout))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"nengine {string.Join(' ', process.StartInfo.ArgumentList)} ran longer than {timeout ?? _patience}\n{stderr.Result}");
        }
        process.WaitForExit();
        return new NEngineResult(process.ExitCode, stdout.Result, stderr.Result);
    }

    /// <summary>
    /// Waits for the end of a process, <paramref name="timeout"/> at most (two minutes by default); false when that is over. It is counted in turns of half a second, so that time
    /// for which the tests and what they started were stopped together (SIGSTOP, a machine asleep) is not the process's.
    /// </summary>
    public static bool WaitForExit(Process process, TimeSpan? timeout = null)
    {
        const double Turn = 0.5;
        for (double left = (timeout ?? _patience).TotalSeconds; left > 0; left -= Turn)
        {
            if (process.WaitForExit(TimeSpan.FromSeconds(Math.Min(left, Turn))))
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>Sends a Unix signal by its number (2 INT, 10 USR1, 15 TERM).</summary>
    public static void Signal(Process process, int signal)
    {
        using var kill = Process.Start("kill", ["-" + signal, process.Id.ToString()]);
        kill.WaitForExit();
        Assert.Equal(0, kill.ExitCode);
    }
}
