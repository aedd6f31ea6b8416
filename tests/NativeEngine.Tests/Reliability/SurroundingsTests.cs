using System.Diagnostics;
using System.Globalization;
using NativeEngine.Tests.Support;
using Xunit.Abstractions;

namespace NativeEngine.Tests.Reliability;

/// <summary>
/// Places, shells and machines that are not as one would like. Each ends with a documented exit code and, where it failed, one sentence; where it did not, the result is
/// that of a quiet machine.
/// </summary>
public sealed class SurroundingsTests(WritingRuns runs, ITestOutputHelper talk) : IClassFixture<WritingRuns>
{
    /// <summary>
    /// What to do before a run and around it: a shell script that finds the folder in $0 and the command line in "$@". A second line of output that begins with "skipped" is
    /// the reason why the machine does not allow it.
    /// </summary>
    private static readonly Dictionary<string, (string Script, int[] Codes)> _surroundings = new()
    {
        ["read-only folder"] = ("""unshare -m sh -c 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" || { echo skipped; exit 99; }; exec "$@"' "$0" "$@" """, [2, 3]),
        ["no home"] = ("""exec env -u HOME -u XDG_CACHE_HOME -u TMPDIR "$@" """, [0]),
        ["empty environment"] = ("""exec env -i "PATH=$PATH" "DOTNET_ROOT=$DOTNET_ROOT" "NENGINE_CUDA_LIBRARY=$NENGINE_CUDA_LIBRARY" "NENGINE_OPENCL_LIBRARY=$NENGINE_OPENCL_LIBRARY" "$@" """, [0]),
        ["Turkish"] = ("""LANG=tr_TR.UTF-8 LC_ALL=tr_TR.UTF-8 exec "$@" """, [0]),
        ["German, with ICU if there is one"] = ("""DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=0 LANG=de_DE.UTF-8 LC_ALL=de_DE.UTF-8 exec "$@" """, [0]),
        ["closed stdout"] = ("""exec "$@" >&-""", [0]),
        ["closed stderr"] = ("""exec "$@" 2>&-""", [0]),
        ["closed stdin"] = ("""exec "$@" <&-""", [0]),
        ["all three closed"] = ("""exec "$@" <&- >&- 2>&-""", [0]),
        ["reader gone"] = ("""{ "$@"; echo $? >"$0.code"; } | true; exit $(cat "$0.code")""", [0]),
        ["stdout full"] = ("""exec "$@" --json >/dev/full""", [4]),
        ["deleted working folder"] = ("""mkdir "$0.gone" && cd "$0.gone" && rmdir "$0.gone" && exec "$@" """, [0]),
        ["no /dev/shm"] = ("""unshare -m sh -c 'mount -t tmpfs -o ro,size=4k none /dev/shm || { echo skipped; exit 99; }; exec "$@"' "$0" "$@" """, [0]),
        ["no temporary folder"] = ("""TMPDIR=/nowhere/at-all exec "$@" """, [0]),
        ["not root"] = ("""[ "$(id -u)" = 0 ] && command -v setpriv >/dev/null || { echo skipped; exit 99; }; exec setpriv --reuid 65534 --regid 65534 --clear-groups "$@" """, [2, 3]),
        ["few files"] = ("""ulimit -n 100; exec "$@" """, [0]),
        ["3 GB of address space"] = ("""ulimit -v 3000000; exec "$@" """, [0, 4]),
        ["2 GB of address space"] = ("""ulimit -v 2000000; exec "$@" """, [0, 4]),
        ["a heap of 16 MB"] = ("""DOTNET_GCHeapHardLimit=0x1000000 exec "$@" """, [0, 4]),
        ["a control group of 400 MB"] = (
            """
            group=/sys/fs/cgroup/nengine-test-$$
            grep -qw memory /sys/fs/cgroup/cgroup.subtree_control 2>/dev/null && mkdir $group && echo 400M >$group/memory.max || { rmdir $group 2>/dev/null; echo skipped; exit 99; }
            sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' $group "$@"; code=$?; rmdir $group; exit $code
            """, [0, 4]),
    };

    public static TheoryData<string, string> Cases()
    {
        var cases = new TheoryData<string, string>();
        string[] verbs = ["train", "merge", "select"];
        int next = 0;
        foreach (string surroundings in _surroundings.Keys)
        {
            // Every verb somewhere, the three of the core in turn.
            foreach (string verb in new[] { verbs[next % 3], WritingRuns.Names[next % WritingRuns.Names.Count] }.Distinct())
            {
                cases.Add(surroundings, verb);
            }
            next++;
        }
        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Run_Somewhere_EndsAsDocumented(string surroundings, string verb)
    {
        if (!OperatingSystem.IsLinux() || (FaultShim.Missing is { } missing && Skipped(missing)))
        {
            return;
        }
        var (script, codes) = _surroundings[surroundings];
        string folder = runs.NewFolder();
        runs.Calm(verb);
        runs.Prepare(verb, folder);
        var (code, stdout, stderr) = Shell(script, folder, runs.Args(verb, folder));
        if (code == 99 && stdout.Contains("skipped", StringComparison.Ordinal))
        {
            Skipped($"{surroundings}: this machine does not allow it");
            return;
        }
        Assert.True(codes.Contains(code), $"{verb}, {surroundings}: exit code {code}\n{stdout}\n{stderr}");
        AssertOneSentence(code, stderr, $"{verb}, {surroundings}");
        if (code == 0)
        {
            runs.AssertCalm(verb, folder, surroundings);
        }
        else if (surroundings != "stdout full")
        {
            runs.AssertNothingHalfMade(verb, folder, surroundings, temporaries: false);
        }
    }

    [Theory]
    [InlineData("naïve 数据 ☃ 'quoted' and spaces")]
    [InlineData("-starts-with-a-dash")]
    [InlineData("İstanbul ıI")]
    [InlineData("{long}")]
    public void Run_NameOfTheFolder_DoesNotMatter(string name)
    {
        string parent = runs.NewFolder(), folder = Path.Combine(parent, name == "{long}" ? string.Join('/', Enumerable.Repeat(new string('x', 200), 15)) : name);
        foreach (string verb in (string[])["train", "select", "merge"])
        {
            runs.Prepare(verb, folder);
            NEngine.Run(runs.Args(verb, folder)).Expect(0);
            runs.AssertCalm(verb, folder, name);
        }
        string tooLong = Path.Combine(folder, new string('y', 300));
        foreach (string verb in (string[])["train", "select", "merge", "export", "cluster", "tokenize"])
        {
            var result = NEngine.Run(runs.Args(verb, tooLong));
            Assert.True(result.ExitCode is 2 or 3, $"{verb}: exit code {result.ExitCode}\n{result.StdErr}");
            AssertOneSentence(result.ExitCode, result.StdErr, verb);
        }
    }

    /// <summary>Inputs that are not what their name says.</summary>
    [Theory]
    [InlineData("a loop of links")]
    [InlineData("a folder")]
    [InlineData("an empty file")]
    [InlineData("nothing")]
    [InlineData("a device")]
    public void Run_InputIsSomethingElse_ASentence(string what)
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }
        string folder = runs.NewFolder();
        Directory.CreateDirectory(folder);
        string bad = Path.Combine(folder, "bad");
        switch (what)
        {
            case "a loop of links":
                File.CreateSymbolicLink(bad, bad);
                break;
            case "a folder":
                Directory.CreateDirectory(bad);
                break;
            case "an empty file":
                File.WriteAllText(bad, "");
                break;
            case "a device":
                File.CreateSymbolicLink(bad, "/dev/zero");
                break;
            default:
                break;
        }
        foreach (string[] line in (string[][])
        [
            ["select", "--features", bad, "--budget", "1"], ["train", "--model", bad, "--output", Path.Combine(folder, "o")], ["train", "--model", "preset:0.2m", "--data", bad, "--output", Path.Combine(folder, "o")],
            ["merge", bad, Path.Combine(folder, "o")], ["merge", "--linear", $"{bad}=1", "--output", Path.Combine(folder, "o")], ["eval", "--model", bad, "--data", bad], ["verify", bad, "--features", bad],
            ["ablate", "plan", bad, "--output", Path.Combine(folder, "o")], ["report", bad], ["data", "inspect", bad], ["export", "--model", bad, "--output", Path.Combine(folder, "m.onnx")],
        ])
        {
            var start = DateTime.UtcNow;
            var (code, _, stderr) = Shell("exec timeout 20 \"$@\" </dev/null", folder, [.. line, "--threads", "1"]);
            Assert.True(code is 2 or 3, $"{string.Join(' ', line)} with {what}: exit code {code} after {(DateTime.UtcNow - start).TotalSeconds:F0} s\n{stderr}");
            AssertOneSentence(code, stderr, string.Join(' ', line));
        }
        if (what is not "an empty file")
        {
            string said = NEngine.Run("doctor", "--config", bad).Expect(3).StdErr;
            AssertOneSentence(3, said, "doctor --config");
            Assert.True(what is "nothing" || !said.Contains("did you mean", StringComparison.Ordinal), said);
        }
        Assert.DoesNotContain(Directory.GetFileSystemEntries(folder), e => Path.GetFileName(e) != "bad");
    }

    /// <summary>What is mapped into memory cannot be a pipe: that is said at once, not when somebody writes into it.</summary>
    [Fact]
    public void Run_PipeForAModelOrFeatures_ASentenceAtOnce()
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }
        string folder = runs.NewFolder(), pipe = Path.Combine(folder, "p.npy"), output = Path.Combine(folder, "o");
        Directory.CreateDirectory(folder);
        foreach (string[] line in (string[][])
        [
            ["select", "--features", pipe, "--budget", "1"], ["merge", "--linear", $"{pipe}=1", "--output", output], ["train", "--model", pipe, "--output", output],
            ["eval", "--model", pipe, "--data", pipe], ["verify", pipe, "--features", pipe], ["report", pipe], ["export", "--model", pipe, "--output", output + ".onnx"],
        ])
        {
            var (code, _, stderr) = Shell("""[ -p "$0/p.npy" ] || mkfifo "$0/p.npy"; exec timeout 20 "$@" </dev/null""", folder, [.. line, "--threads", "1"]);
            Assert.True(code is 2 or 3, $"{string.Join(' ', line)}: exit code {code}\n{stderr}");
            AssertOneSentence(code, stderr, string.Join(' ', line));
        }
    }

    /// <summary>Data may come through a pipe, which is read once.</summary>
    [Fact]
    public void Run_DataThroughAPipe_TheSameResult()
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }
        string folder = runs.NewFolder(), pipe = Path.Combine(folder, "pipe");
        Directory.CreateDirectory(folder);
        string[] train = [.. runs.Args("train", folder).Where(a => a != "--resume")];
        string model = train[Array.IndexOf(train, "--model") + 1], data = train[Array.IndexOf(train, "--data") + 1];
        string Through(string file, params string[] line)
        {
            var (code, stdout, stderr) = Shell($"""rm -f "$0/pipe"; mkfifo "$0/pipe"; cat '{file}' >"$0/pipe" & exec timeout 60 "$@" """, folder, line);
            Assert.True(code == 0, $"{string.Join(' ', line)}: exit code {code}\n{stderr}");
            return stdout;
        }
        string file = NEngine.Run("eval", "--model", model, "--data", data, "--threads", "1").Expect(0).StdOut;
        Assert.Equal(file.Replace(data, pipe, StringComparison.Ordinal), Through(data, "eval", "--model", model, "--data", pipe, "--threads", "1"));
        train[Array.IndexOf(train, "--data") + 1] = pipe;
        Through(data, train);
        Assert.Equal(runs.Calm("train")["run/model.safetensors"], Sha(Path.Combine(folder, "run", "model.safetensors")));
        // Read twice, it would be half a file the second time.
        var (twice, _, said) = Shell("exec \"$@\"", folder, ["cluster", "--model", model, "--data", pipe, "--output", Path.Combine(folder, "o.txt")]);
        Assert.True(twice == 2 && said.Contains("can be read once", StringComparison.Ordinal), said);

        static string Sha(string path) => Convert.ToBase64String(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(path))) + " " + new FileInfo(path).Length;
    }

    /// <summary>An output that is an input would be gone before it is known whether the work succeeds.</summary>
    [Fact]
    public void Run_OutputIsAnInput_IsRefusedAndTheInputStays()
    {
        string folder = runs.NewFolder();
        Directory.CreateDirectory(folder);
        string link = Path.Combine(folder, "link");
        foreach (var (verb, option) in new[] { ("select", "--features"), ("select", "--sources"), ("cluster", "--data"), ("features", "--data"), ("tokenize", "data tokenize"), ("split", "data split") })
        {
            foreach (bool throughLink in (bool[])[false, true])
            {
                string[] args = runs.Args(verb, folder);
                int at = option.StartsWith("--", StringComparison.Ordinal) ? Array.IndexOf(args, option) + 1 : 2;
                string copy = Path.Combine(folder, "input" + Path.GetExtension(args[at]));
                File.Copy(args[at], copy, overwrite: true);
                byte[] before = File.ReadAllBytes(copy);
                args[at] = copy;
                File.Delete(link);
                File.CreateSymbolicLink(link, copy);
                args[Array.IndexOf(args, "--output") + 1] = throughLink ? link : copy;
                var result = NEngine.Run(args);
                Assert.True(result.ExitCode == 2 && result.StdErr.Contains("is also an input", StringComparison.Ordinal), $"{verb} {option}: {result.ExitCode} {result.StdErr}");
                Assert.Equal(before, File.ReadAllBytes(copy));
            }
        }
        string[] twice = runs.Args("split", folder);
        twice[Array.IndexOf(twice, "--valid") + 1] = twice[Array.IndexOf(twice, "--output") + 1];
        Assert.Contains("both", NEngine.Run(twice).Expect(2).StdErr, StringComparison.Ordinal);
    }

    /// <summary>Of processes that train into one folder at the same time one works, the others say so and touch nothing.</summary>
    [Fact]
    public void Train_TwoProcessesOnOneFolder_OneWorksAndTheOtherIsRefused()
    {
        for (int round = 0; round < 2; round++)
        {
            string folder = runs.NewFolder();
            runs.Calm("train");
            runs.Prepare("train", folder);
            string[] args = [.. runs.Args("train", folder).Where(a => round == 1 || a != "--resume")];
            var both = Enumerable.Range(0, 3).Select(_ => NEngine.Start(args)).Select(p => (Process: p, Out: p.StandardOutput.ReadToEndAsync(), Err: p.StandardError.ReadToEndAsync())).ToList();
            var ended = both.Select(p => NEngine.Finish(p.Process, p.Out, p.Err)).ToList();
            both.ForEach(p => p.Process.Dispose());
            Assert.Contains(ended, e => e.ExitCode == 0);
            foreach (var refused in ended.Where(e => e.ExitCode != 0))
            {
                Assert.True(refused.ExitCode == 2, $"{refused.ExitCode}: {refused.StdErr}");
                Assert.True(refused.StdErr.Contains("another process", StringComparison.Ordinal) || refused.StdErr.Contains("is not empty", StringComparison.Ordinal), refused.StdErr);
            }
            runs.AssertCalm("train", folder, $"round {round}");
        }
    }

    /// <summary>The clock jumps back by a day while a run is under way, and files come from the future.</summary>
    [TheoryWithFaults]
    [InlineData("train")]
    [InlineData("ablate train")]
    public void Run_ClockSetBack_TheSameResult(string verb)
    {
        string folder = runs.NewFolder();
        runs.Prepare(verb, folder);
        var environs = runs.Shim.Environs(folder, at: 0);
        environs["FAULTS_CLOCK_JUMP"] = "30";
        environs["FAULTS_CLOCK_BY"] = "-86400";
        NEngine.Run(runs.Args(verb, folder), null, environs).Expect(0);
        runs.AssertCalm(verb, folder, "the clock was set back");
        foreach (string file in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
        {
            File.SetLastWriteTimeUtc(file, DateTime.UtcNow.AddDays(3));
        }
        NEngine.Run(runs.Args(verb, folder)).Expect(0);
        runs.AssertCalm(verb, folder, "the files come from the future");
    }

    private static void AssertOneSentence(int code, string stderr, string context)
    {
        Assert.DoesNotContain("   at ", stderr, StringComparison.Ordinal);
        Assert.DoesNotContain("defect", stderr, StringComparison.Ordinal);
        Assert.DoesNotContain("Unhandled", stderr, StringComparison.Ordinal);
        int errors = stderr.Split('\n').Count(l => l.StartsWith("error: ", StringComparison.Ordinal));
        Assert.True(code == 0 ? errors == 0 : errors == 1, string.Create(CultureInfo.InvariantCulture, $"{context}: {errors} sentences with exit code {code}:\n{stderr}"));
    }

    private bool Skipped(string why)
    {
        talk.WriteLine("skipped: " + why);
        return true;
    }

    private static (int Code, string StdOut, string StdErr) Shell(string script, string folder, string[] arguments)
    {
        var start = new ProcessStartInfo("sh", ["-c", script + "\n", folder, RepositoryPaths.Executable, .. arguments]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["NENGINE_CUDA_LIBRARY"] = start.Environment["NENGINE_OPENCL_LIBRARY"] = NEngine.Nowhere;
        start.Environment.TryAdd("DOTNET_ROOT", "");
        using var shell = Process.Start(start)!;
        var (stdout, stderr) = (shell.StandardOutput.ReadToEndAsync(), shell.StandardError.ReadToEndAsync());
        Assert.True(NEngine.WaitForExit(shell), "a process hangs");
        shell.WaitForExit();
        return (shell.ExitCode, stdout.Result, stderr.Result);
    }
}
