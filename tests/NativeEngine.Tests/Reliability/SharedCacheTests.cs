using System.Diagnostics;
using NativeEngine.Ablation;
using NativeEngine.Tests.Ablation;
using NativeEngine.Tests.Support;
using Xunit.Abstractions;

namespace NativeEngine.Tests.Reliability;

/// <summary>
/// Eight processes on one cache, killed at random and started again, with the locks of files and without them, as on file systems whose locks lie. Three kills here;
/// the chore "kills" asks for more.
/// </summary>
public sealed class SharedCacheTests(ITestOutputHelper talk) : IDisposable
{
    private const int Processes = 8;
    private readonly AblationKit _kit = new();

    public void Dispose() => _kit.Dispose();

    [FactOnUnix]
    public void Train_EightProcessesKilledAtAnyMoment_EveryEntryIsRightAndNothingBlocks()
    {
        int kills = Sweep.KillsOfAWorkflow(3), killed = 0, trained = 0, units = 0, rounds = 0;
        File.WriteAllText(_kit.StudyPath, File.ReadAllText(_kit.StudyPath).Replace("tokens: 700", "tokens: 150", StringComparison.Ordinal));
        NEngine.Run("ablate", "train", _kit.StudyPath, "--output", _kit.File("calm"), "--threads", "1").Expect(0);
        var expected = Models(_kit.File("calm/cache"));
        var random = new Random(kills);
        for (; killed < kills || rounds < 2; rounds++)
        {
            string cache = _kit.File($"cache{rounds}");
            string? unlocked = rounds % 2 == 1 ? "1" : null;
            var running = Enumerable.Range(0, Processes).Select(i => Start(rounds, i, cache, unlocked)).ToList();
            // The last one is left alone, so that there is an end; a killed one is started again at once.
            for (int left = Math.Min(20, Math.Max(2, kills - killed)); left > 0 && !running[^1].Process.HasExited; left--)
            {
                Thread.Sleep(random.Next(10, 120));
                int victim = random.Next(Processes - 1);
                if (!running[victim].Process.HasExited)
                {
                    running[victim].Process.Kill();
                    running[victim].Process.WaitForExit();
                    trained += Trained(running[victim].Said.Result);
                    running[victim].Process.Dispose();
                    running[victim] = Start(rounds, victim, cache, unlocked);
                    killed++;
                }
            }
            foreach (var (process, said) in running)
            {
                Assert.True(NEngine.WaitForExit(process), "a process hangs");
                Assert.True(process.ExitCode == 0, said.Result);
                Assert.DoesNotContain("warning", said.Result, StringComparison.Ordinal);
                trained += Trained(said.Result);
                process.Dispose();
            }
            var found = Models(cache);
            Assert.Equal(expected.Keys.Order(), found.Keys.Order());
            Assert.All(expected, e => Assert.True(e.Value.AsSpan().SequenceEqual(found[e.Key]), e.Key));
            Assert.Empty(new UnitCache(cache).Verify(setAside: false));
            Assert.False(Directory.Exists(Path.Combine(cache, "damaged")));
            Assert.DoesNotContain(Directory.EnumerateFileSystemEntries(Path.Combine(cache, "entries")), e => Path.GetFileName(e).StartsWith(".tmp-", StringComparison.Ordinal));
            Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(cache, "work")));
            Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(cache, "claims")));
            units += Directory.GetDirectories(Path.Combine(cache, "entries")).Length;
        }
        Sweep.Report(talk, "kills", killed, $"ablate train on a shared cache: {rounds} caches, {Processes} processes on each, {killed} kills, every other cache without locks: {units} entries, trained {trained} times; all right, no claim, no work and no temporary file left");
    }

    private (Process Process, Task<string> Said) Start(int round, int rank, string cache, string? unlocked)
    {
        var process = NEngine.Start(
            ["ablate", "train", _kit.StudyPath, "--output", _kit.File($"out{round}-{rank}"), "--cache", cache, "--threads", "1", "--verbose", "--checkpoint-seconds", "0"],
            new Dictionary<string, string?> { ["RANK"] = $"{rank}", ["WORLD_SIZE"] = $"{Processes}", ["DOTNET_SYSTEM_IO_DISABLEFILELOCKING"] = unlocked });
        _ = process.StandardOutput.ReadToEndAsync();
        return (process, process.StandardError.ReadToEndAsync());
    }

    private static int Trained(string said) => said.Split('\n').Count(l => l.StartsWith("trained ", StringComparison.Ordinal));

    private static Dictionary<string, byte[]> Models(string cache) =>
        Directory.GetFiles(Path.Combine(cache, "entries"), "*.safetensors", SearchOption.AllDirectories).ToDictionary(f => Path.GetRelativePath(cache, f), File.ReadAllBytes);
}
