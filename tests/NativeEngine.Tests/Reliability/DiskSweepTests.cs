using System.Collections.Concurrent;
using System.Diagnostics;
using NativeEngine.Tests.Support;
using Xunit.Abstractions;

namespace NativeEngine.Tests.Reliability;

/// <summary>
/// What becomes of files when a change on disk fails, or when the process ends in the middle of one. A few places here; the chore "faults" takes every change, and "kills" kills
/// more often. What a fault or a kill is depends on the verb and its number alone.
/// </summary>
public sealed class DiskSweepTests(WritingRuns runs, ITestOutputHelper talk) : IClassFixture<WritingRuns>
{
    /// <summary>What a change meets.</summary>
    private enum Fault
    {
        /// <summary>A full disk that stays full.</summary>
        Full,
        /// <summary>A full disk that has space again for the next change.</summary>
        FullOnce,
        /// <summary>A disk that fails once.</summary>
        Broken,
    }

    public static TheoryData<string> Names => [.. Sweep.Verbs(WritingRuns.Names)];

    public static TheoryData<string> NamesOfTheCore => [.. Sweep.Verbs(["train", "merge", "select"])];

    [TheoryWithFaults]
    [MemberData(nameof(Names))]
    public void Run_TheNthChangeFails_ASentenceAndNoHarm(string name)
    {
        int changes = runs.Counts(name).Changes, failed = 0, came = 0;
        Assert.True(changes > 3, $"{name} makes only {changes} changes");
        var places = Places(changes);
        var folders = new ConcurrentDictionary<int, string>();
        Sweep.Run($"faults in {name}, {places.Count}", i => i >= places.Count, (worker, i) =>
        {
            string folder = folders.GetOrAdd(worker, _ => runs.NewFolder());
            var (n, fault) = places[i];
            runs.Prepare(name, folder);
            var result = NEngine.Run(
                runs.Args(name, folder), null, runs.Shim.Environs(folder, n, fault == Fault.Broken ? FaultShim.InputOutput : FaultShim.NoSpace, stays: fault == Fault.Full));
            string? hit = FaultShim.Hit(folder);
            string context = $"{fault} at change {n} of {changes} ({hit})";
            Assert.True(hit is not null, $"{name}: there was no change {n}");
            Assert.True(
                result.ExitCode == 0 || (fault == Fault.Broken ? result.ExitCode is 2 or 3 : result.ExitCode == 4), $"{name}, {context}: exit code {result.ExitCode}\n{result.StdErr}");
            Assert.DoesNotContain("   at ", result.StdErr, StringComparison.Ordinal);
            if (result.ExitCode == 0)
            {
                // What is not worth a run is missing, with a warning; all else is there.
                Interlocked.Increment(ref came);
            }
            else
            {
                Interlocked.Increment(ref failed);
                string[] sentences = [.. result.StdErr.Split('\n').Where(l => l.StartsWith("error: ", StringComparison.Ordinal))];
                Assert.True(sentences.Length == 1, $"{name}, {context}: not one sentence:\n{result.StdErr}");
                Assert.True(sentences[0].Contains(folder, StringComparison.Ordinal), $"{name}, {context}: names no file: {sentences[0]}");
                string[] causes = fault == Fault.Broken ? ["Input/output error", "errno 5"] : ["the disk is full", "No space left", "errno 28"];
                Assert.True(causes.Any(c => sentences[0].Contains(c, StringComparison.Ordinal)), $"{name}, {context}: names no cause: {sentences[0]}");
            }
            runs.AssertNothingHalfMade(name, folder, context, temporaries: false);
            runs.MakeRoom(name, folder);
            NEngine.Run(runs.Args(name, folder)).Expect(0);
            runs.AssertCalm(name, folder, "run again after " + context);
        });
        Sweep.Report(talk, "faults", places.Count, $"{name}: {changes} changes on disk, {places.Count} faults: {failed} runs ended with their sentence, {came} came through; no file was harmed");
    }

    [TheoryWithFaults]
    [MemberData(nameof(Names))]
    public void Run_KilledAtAnyMoment_EndsAsIfNothingHadHappened(string name)
    {
        const int DrawsOfARound = 16, InChange = 0, Anywhere = 1, Late = 2;
        int kills = Sweep.Kills is { } asked ? (asked + WritingRuns.Names.Count - 1) / WritingRuns.Names.Count : 2;
        var (changes, deletions) = runs.Counts(name);
        int[] counts = new int[3];
        int lasts = (int)runs.Lasts(name).TotalMilliseconds;
        var random = new CounterRandom(1, RandomPurpose.Test);
        var folders = new ConcurrentDictionary<int, string>();
        Sweep.Run($"kills of {name}", _ => Volatile.Read(ref counts[InChange]) + Volatile.Read(ref counts[Anywhere]) >= kills, (worker, round) =>
        {
            string folder = folders.GetOrAdd(worker, _ => runs.NewFolder());
            ulong draw = (ulong)round * DrawsOfARound;
            runs.Prepare(name, folder);
            string context = $"round {round}:";
            // One kill, or several in a row while the work is taken up again.
            int inARow = 1 + (int)random.Below(draw++, 3), most = changes + deletions;
            for (int k = 0; k < inARow; k++)
            {
                bool atChange = random.Below(draw++, 4) > 0;
                int at = 1 + (int)random.Below(draw++, (uint)most);
                using var process = NEngine.Start(runs.Args(name, folder), runs.Shim.Environs(folder, atChange ? at : 0));
                var (stdout, stderr) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
                if (!atChange)
                {
                    process.WaitForExit((int)random.Below(draw++, (uint)(lasts * 5 / 4)));
                    process.Kill();
                }
                Assert.True(NEngine.WaitForExit(process), $"{name}, {context}: a process hangs");
                Task.WaitAll(stdout, stderr);
                context += atChange ? $" in change {at} ({FaultShim.Hit(folder) ?? "there was none"})" : " at some time";
                bool killed = process.ExitCode == 137;
                Assert.True(killed || process.ExitCode == 0, $"{name}, {context}: exit code {process.ExitCode}\n{stderr.Result}");
                Interlocked.Increment(ref counts[!killed ? Late : atChange ? InChange : Anywhere]);
                runs.AssertNothingHalfMade(name, folder, context, temporaries: true);
                // Who goes on has less to do.
                most = Math.Max(4, most - (killed && atChange ? at : 0));
                runs.MakeRoom(name, folder);
            }
            NEngine.Run(runs.Args(name, folder)).Expect(0);
            runs.AssertCalm(name, folder, "run again after " + context);
        });
        Sweep.Report(talk, "kills", counts[InChange] + counts[Anywhere], $"{name}: {counts[InChange]} kills in one of {changes + deletions} changes on disk, {counts[Anywhere]} at a random moment, {counts[Late]} runs ended before; all ended with the same files");
    }

    /// <summary>A real file system that is too small, as small as it gets and larger, until the run fits: no shim, and whatever the kernel does.</summary>
    [Theory]
    [MemberData(nameof(NamesOfTheCore))]
    public void Run_OnASmallFileSystem_ExitsWith4AndLeavesNoTemporary(string name)
    {
        if (!Shell("unshare -m mount -t tmpfs -o size=64k none /mnt 2>&1", []).StartsWith("0", StringComparison.Ordinal))
        {
            talk.WriteLine("skipped: mounting a file system is not allowed here");
            return;
        }
        string folder = runs.NewFolder();
        Directory.CreateDirectory(folder);
        var codes = new List<string>();
        int step = Sweep.AllFaults ? 1 : 8;
        for (int pages = 2; ; pages += step)
        {
            Assert.True(pages < 4000, $"{name} never fits: {string.Join(' ', codes)}");
            string said = Shell(
                $"""exec 2>&1; unshare -m sh -c 'mount -t tmpfs -o size={pages * 4}k none "$0" && "$@" >/dev/null; code=$?; find "$0" -name ".tmp-*"; exit $code' "$@" """,
                [folder, RepositoryPaths.Executable, .. runs.Args(name, folder)]);
            string code = said.Split('\n')[0];
            Assert.DoesNotContain("/.tmp-", said, StringComparison.Ordinal);
            codes.Add(code);
            if (code == "0" && !said.Contains("warning", StringComparison.Ordinal))
            {
                break;
            }
            Assert.True(code is "4" or "0", $"{name} on {pages} pages: {said}");
            Assert.True(said.Contains("the disk is full", StringComparison.Ordinal) || said.Contains("No space left", StringComparison.Ordinal) || said.Contains("bytes, the disk has", StringComparison.Ordinal), said);
        }
        Assert.Equal("4", codes[0]);
        int small = codes.Count(code => code != "0"), without = codes.Count - 1 - small;
        Sweep.Report(talk, "small file systems", codes.Count - 1, $"{name}: of file systems of 2, {2 + step} … {2 + ((codes.Count - 2) * step)} pages {small} ended with exit code 4 and {without} with what is not worth a run left out; none left a temporary file");
    }

    /// <summary>The exit code on the first line, then what was said.</summary>
    private static string Shell(string script, string[] arguments)
    {
        var start = new ProcessStartInfo("sh", ["-c", script + "\n", .. arguments.Prepend("sh")]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["NENGINE_CUDA_LIBRARY"] = start.Environment["NENGINE_OPENCL_LIBRARY"] = NEngine.Nowhere;
        using var shell = Process.Start(start)!;
        string said = shell.StandardOutput.ReadToEnd();
        shell.WaitForExit();
        return shell.ExitCode + "\n" + said;
    }

    private static List<(int At, Fault Fault)> Places(int changes)
    {
        const int Few = 3, Many = 300;
        bool all = Sweep.AllFaults;
        int count = all ? changes : Few;
        return
        [
            .. from i in Enumerable.Range(0, count)
               let n = 1 + (int)((long)i * (changes - 1) / Math.Max(1, count - 1))
               // Of very many changes, which are much alike, each meets one kind in turn.
               from fault in all && changes <= Many ? Enum.GetValues<Fault>() : [(Fault)(i % 3)]
               select (n, fault),
        ];
    }
}
