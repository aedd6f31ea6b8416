using System.Diagnostics;
using System.Text.Json;
using NativeEngine.Data;
using NativeEngine.Formats;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Cli;

/// <summary>train under a real mpirun; skipped, and printed as skipped, where there is none.</summary>
public sealed class MpiTrainTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [FactWithMpi]
    public void Train_TwoAndThreeRanks_PicksAndLossesOfOneProcess()
    {
        string data = Data(200);
        NEngine.Run([.. Line(data, "one", 6)]).Expect(0);
        string[] one = Steps("one");
        foreach (int ranks in new[] { 2, 3 })
        {
            using var process = Start(ranks, Line(data, $"r{ranks}", 6));
            var result = Finish(process);
            result.Expect(0);
            using var json = JsonDocument.Parse(Document(result.StdOut));
            Assert.Equal(6, json.RootElement.GetProperty("steps").GetInt32());
            Assert.Equal(one, Steps($"r{ranks}"));
            Assert.True(File.Exists(_folder.File($"r{ranks}/model.safetensors")));
        }
    }

    [FactWithMpi]
    public void Train_ALostRank_EndsAllWithASentenceAndCanGoOn()
    {
        string data = Data(200), output = _folder.File("lost");
        using var process = Start(2, [.. Line(data, "lost", 4000), "--checkpoint-every", "2"]);
        WaitFor(process, () => Directory.Exists(output) && Directory.GetDirectories(output, "checkpoint-*").Length > 0);
        Kill(Children(process).Last());
        var result = Finish(process);
        Assert.NotEqual(0, result.ExitCode);
        Assert.Contains("another rank was lost", result.StdErr, StringComparison.Ordinal);
        Assert.Contains("--resume", result.StdErr, StringComparison.Ordinal);
        var resumed = NEngine.Run([.. Line(data, "lost", 4000), "--resume", "--dry-run"]);
        Assert.Equal(0, resumed.ExitCode);
        long step = Newest(output);
        Assert.True(step >= 2);
        // On one process, to two steps further: the options of a checkpoint do not hold the number of ranks, only that of the steps.
        using var going = NEngine.Start([.. Line(data, "lost", 4000), "--resume", "--checkpoint-every", "1"]);
        WaitFor(going, () => Newest(output) > step);
        NEngine.Signal(going, 15);
        going.WaitForExit();
        Assert.Equal(75, going.ExitCode);
    }

    [FactWithMpi]
    public void Train_Usr1ToOneRank_AllStopAfterTheSameStep()
    {
        string data = Data(200), output = _folder.File("stopped");
        using var process = Start(2, Line(data, "stopped", 4000));
        WaitFor(process, () => File.Exists(Path.Combine(output, "metrics.jsonl")) && new FileInfo(Path.Combine(output, "metrics.jsonl")).Length > 200);
        Signal(Children(process).Last(), 10);
        var result = Finish(process);
        Assert.Equal(75, result.ExitCode);
        Assert.True(Newest(output) > 0);
    }

    [FactWithMpi]
    public void Train_MistakeOfAllRanks_OneExitCode()
    {
        using var process = Start(2, ["train", "--model", "preset:0.2m", "--data", "/no/such.jsonl", "--output", _folder.File("x")]);
        var result = Finish(process);
        Assert.Equal(3, result.ExitCode);
        Assert.Contains("there is no such file", result.StdErr, StringComparison.Ordinal);
    }

    [FactWithMpi]
    public void Select_TwoAndThreeRanks_PicksOfOneProcessToTheBit()
    {
        const int Columns = 5;
        var random = new CounterRandom(9, RandomPurpose.Test);
        int[] bounds = [0, 130, 210, 300];
        float[] features = [.. Enumerable.Range(0, bounds[^1] * Columns).Select(i => (float)random.Normal((ulong)i))];
        string[] sources = [.. Enumerable.Range(0, bounds[^1]).Select(i => i % 4 == 0 ? "small" : "large")];
        Write("all", 0, bounds[^1]);
        string[] line = ["--budget", "40", "--threads", "1", "--json"];
        var one = NEngine.Run(["select", "--features", _folder.File("all.npy"), "--sources", _folder.File("all.txt"), "--algorithm", "sparse", .. line]).Expect(0).Json();
        foreach (int ranks in new[] { 2, 3 })
        {
            for (int r = 0; r < ranks; r++)
            {
                Write($"part-{r}", bounds[r], r == ranks - 1 ? bounds[^1] : bounds[r + 1]);
            }
            using var process = Start(ranks, ["select", "--features", _folder.File("part-{rank}.npy"), "--sources", _folder.File("part-{rank}.txt"), .. line]);
            using var json = JsonDocument.Parse(Document(Finish(process).Expect(0).StdOut));
            foreach (string member in new[] { "n", "indices", "weights", "gains", "objective", "sources", "certificate" })
            {
                Assert.Equal(one.GetProperty(member).GetRawText(), json.RootElement.GetProperty(member).GetRawText());
            }
        }
        using var same = Start(2, ["select", "--features", _folder.File("all.npy"), .. line]);
        var refused = Finish(same);
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("the same file for every rank", refused.StdErr, StringComparison.Ordinal);

        void Write(string name, int from, int to)
        {
            NpyWriter.WriteFloat32(_folder.File($"{name}.npy"), [to - from, Columns], features.AsSpan(from * Columns, (to - from) * Columns).ToArray());
            File.WriteAllLines(_folder.File($"{name}.txt"), sources[from..to]);
        }
    }

    public void Dispose() => _folder.Dispose();

    private string Data(int count)
    {
        string path = _folder.File("train.jsonl");
        JsonlWriter.Write(path, MixtureSynthesizer.Generate(count, 5, SynthesisSplit.Train));
        return path;
    }

    private string[] Line(string data, string output, int steps) =>
    [
        "train", "--model", "preset:0.2m", "--data", data, "--seq-len", "48", "--loss-on", "all", "--pool", "16", "--batch", "8", "--steps", $"{steps}",
        "--threads", "1", "--json", "--output", _folder.File(output),
    ];

    /// <summary>What every step trained, and its loss to four digits.</summary>
    private string[] Steps(string output) =>
    [
        .. File.ReadLines(_folder.File($"{output}/metrics.jsonl")).Select(line =>
        {
            using var json = JsonDocument.Parse(line);
            return $"{json.RootElement.GetProperty("step")} {json.RootElement.GetProperty("loss").GetDouble():F3} {json.RootElement.GetProperty("trained")} {json.RootElement.GetProperty("tokens")}";
        }),
    ];

    private static long Newest(string output) =>
        Directory.Exists(output) ? Directory.GetDirectories(output, "checkpoint-*").Select(d => long.Parse(d.Split('-')[^1])).DefaultIfEmpty(0).Max() : 0;

    // mpirun gives its processes a terminal whose first bytes may be control characters.
    private static string Document(string stdout) => stdout[stdout.IndexOf('{', StringComparison.Ordinal)..];

    private static Process Start(int ranks, string[] line) => Process.Start(new ProcessStartInfo("mpirun",
        ["--allow-run-as-root", "--oversubscribe", "--mca", "odls_base_sigkill_timeout", "10", "-x", "TERM=dumb", "-np", $"{ranks}", RepositoryPaths.Executable, .. line])
    { RedirectStandardOutput = true, RedirectStandardError = true })!;

    private static NEngineResult Finish(Process process)
    {
        var stdout = process.StandardOutput.ReadToEndAsync();
        var stderr = process.StandardError.ReadToEndAsync();
        return NEngine.Finish(process, stdout, stderr, TimeSpan.FromSeconds(90));
    }

    private static void WaitFor(Process process, Func<bool> condition)
    {
        for (int i = 0; i < 6000 && !process.HasExited && !condition(); i++)
        {
            Thread.Sleep(10);
        }
        Assert.True(condition(), process.HasExited ? "the run ended early" : "the run did not get there");
    }

    private static int[] Children(Process process) =>
        [.. File.ReadAllText($"/proc/{process.Id}/task/{process.Id}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(int.Parse).Where(IsOurs).Order()];

    private static bool IsOurs(int id) => File.ReadAllText($"/proc/{id}/cmdline").Contains("nengine", StringComparison.Ordinal);

    private static void Kill(int id) => Signal(id, 9);

    private static void Signal(int id, int signal)
    {
        using var kill = Process.Start("kill", [$"-{signal}", $"{id}"]);
        kill.WaitForExit();
        Assert.Equal(0, kill.ExitCode);
    }
}

/// <summary>A test that needs mpirun and an MPI library; skipped, and printed as skipped, where one is missing.</summary>
public sealed class FactWithMpiAttribute : FactAttribute
{
    public FactWithMpiAttribute() => Skip = OperatingSystem.IsLinux() && File.Exists("/usr/bin/mpirun") ? null : "needs mpirun (Debian: openmpi-bin)";
}
