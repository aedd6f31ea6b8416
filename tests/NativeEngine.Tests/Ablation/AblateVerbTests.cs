using System.Diagnostics;
using NativeEngine.Ablation;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Ablation;

/// <summary>The verbs through the executable: several processes on one cache, killed at random moments, with and without file locks.</summary>
public sealed class AblateVerbTests : IDisposable
{
    private readonly AblationKit _kit = new();

    public void Dispose() => _kit.Dispose();

    [Fact]
    public void Plan_TextAndJson_TellUnitsCostAndBreakEven()
    {
        string text = Run("plan", "out").Expect(0).StdOut;
        Assert.Contains("4 units of about 700 tokens, 3 domains", text, StringComparison.Ordinal);
        Assert.Contains("merging pays from 3 candidates of two units on", text, StringComparison.Ordinal);
        var json = Run("plan", "out", "--json").Expect(0).Json();
        Assert.Equal(4, json.GetProperty("units").GetInt32());
        Assert.Equal(4 * AblationKit.Steps, json.GetProperty("steps").GetInt32());
        Assert.True(File.Exists(_kit.File("out/plan.json")));
        _kit.Write(training: "  pull: 1");
        Assert.Contains("belongs to another study", Run("plan", "out").Expect(2).StdErr, StringComparison.Ordinal);
    }

    [Fact]
    public void Train_DryRun_TouchesNothing()
    {
        Run("train", "out", "--dry-run", "--json").Expect(0);
        Assert.False(Directory.Exists(_kit.File("out")));
    }

    [Fact]
    public void Cache_ListVerifyGc_AnswerInJson()
    {
        Run("train", "out", "--json").Expect(0);
        string cache = _kit.File("out/cache");
        Assert.Equal(5, NEngine.Run("ablate", "cache", "list", cache, "--json").Expect(0).Json().GetProperty("entries").GetArrayLength());
        Assert.Equal(0, NEngine.Run("ablate", "cache", "verify", cache, "--json").Expect(0).Json().GetProperty("damaged").GetArrayLength());
        string model = Directory.GetFiles(cache, "model.safetensors", SearchOption.AllDirectories)[0];
        File.WriteAllBytes(model, [.. File.ReadAllBytes(model)[..^1], 77]);
        Assert.Equal(1, NEngine.Run("ablate", "cache", "verify", cache, "--json").Expect(7).Json().GetProperty("damaged").GetArrayLength());
        Assert.Equal(0, NEngine.Run("ablate", "cache", "gc", cache, "--max-size", "1b", "--json").Expect(0).Json().GetProperty("deleted").GetArrayLength());
        Assert.Equal(5, NEngine.Run("ablate", "cache", "gc", cache, "--max-size", "1b", "--grace", "0", "--json").Expect(0).Json().GetProperty("deleted").GetArrayLength());
        Assert.Contains("is no unit cache", NEngine.Run("ablate", "cache", "list", _kit.File("out")).Expect(3).StdErr, StringComparison.Ordinal);
    }

    /// <summary>NENGINE_TEST_KILLS says how often; 6 unless given.</summary>
    [Fact]
    public async Task Train_KilledAtAnyMomentWithSharedCache_EndsWithTheSameBytesAndTrainsNothingTwice()
    {
        int kills = int.TryParse(Environment.GetEnvironmentVariable("NENGINE_TEST_KILLS"), out int asked) ? asked : 6;
        Run("train", "undisturbed", "--json").Expect(0);
        var random = new Random(7);
        for (int round = 0; kills > 0; round++)
        {
            string cache = _kit.File($"shared{round}");
            // Every other round without the advisory locks of .NET, as on a file system that ignores them.
            string? unlocked = round % 2 == 1 ? "1" : null;
            var trained = new List<string>();
            for (int burst = 0; kills > 0 && burst < 3; burst++)
            {
                var running = Enumerable.Range(0, 2).Select(rank => Start(round, rank, cache, unlocked)).ToList();
                // Starting up takes longer than all the work: the moment counts from the first claim on.
                while (running.All(r => !r.Process.HasExited) && !(Directory.Exists(Path.Combine(cache, "claims")) && Directory.EnumerateFileSystemEntries(Path.Combine(cache, "claims")).Any()))
                {
                    Thread.Sleep(1);
                }
                foreach (var (process, output) in running)
                {
                    Thread.Sleep(random.Next(0, 120));
                    process.Kill();
                    process.WaitForExit();
                    trained.AddRange(Trained(await output));
                    process.Dispose();
                    kills--;
                }
                var sound = new UnitCache(cache);
                Assert.Empty(sound.Verify(setAside: false));
            }
            foreach (var (process, output) in Enumerable.Range(0, 2).Select(rank => Start(round, rank, cache, unlocked)).ToList())
            {
                Assert.True(process.WaitForExit(60_000), "a process hangs");
                string log = await output;
                Assert.True(process.ExitCode == 0, log);
                Assert.DoesNotContain("warning", log, StringComparison.Ordinal);
                trained.AddRange(Trained(await output));
                process.Dispose();
            }
            Assert.Equal(trained.Count, trained.Distinct().Count());
            AssertSameModels(_kit.File("undisturbed/cache"), cache);
            Assert.Empty(new UnitCache(cache).Verify(setAside: false));
        }
    }

    [FactOnUnix]
    public async Task Train_ProcessThatHangsAndWakes_IsTakenOverAndHarmsNothing()
    {
        const int Stop = 19, Continue = 18;
        Run("train", "undisturbed", "--json").Expect(0);
        for (int round = 100; ; round++)
        {
            Assert.True(round < 110, "in ten attempts no process was stopped with a claim in its hands");
            string cache = _kit.File($"hung{round}");
            var (hung, first) = Start(round, 0, cache, null);
            while (!hung.HasExited && !(Directory.Exists(Path.Combine(cache, "claims")) && Directory.EnumerateFiles(Path.Combine(cache, "claims")).Any()))
            {
                Thread.Sleep(1);
            }
            if (hung.HasExited)
            {
                continue;
            }
            NEngine.Signal(hung, Stop);
            bool holds = Directory.EnumerateFiles(Path.Combine(cache, "claims")).Any();
            var (other, second) = Start(round, 1, cache, null, "--patience", "0.5");
            Assert.True(other.WaitForExit(60_000), "the second process waits for ever");
            NEngine.Signal(hung, Continue);
            Assert.True(hung.WaitForExit(60_000), "the first process does not end");
            Assert.True(other.ExitCode == 0 && hung.ExitCode == 0, await first + await second);
            AssertSameModels(_kit.File("undisturbed/cache"), cache);
            hung.Dispose();
            other.Dispose();
            if (holds)
            {
                return;
            }
        }
    }

    private (Process Process, Task<string> Output) Start(int round, int rank, string cache, string? unlocked, params string[] extra)
    {
        var process = NEngine.Start(
            ["ablate", "train", _kit.StudyPath, "--output", _kit.File($"out{round}-{rank}"), "--cache", cache, "--threads", "1", "--verbose", "--checkpoint-seconds", "0", .. extra],
            new Dictionary<string, string?> { ["RANK"] = rank.ToString(), ["WORLD_SIZE"] = "2", ["DOTNET_SYSTEM_IO_DISABLEFILELOCKING"] = unlocked });
        _ = process.StandardOutput.ReadToEndAsync();
        return (process, process.StandardError.ReadToEndAsync());
    }

    private static IEnumerable<string> Trained(string log) => log.Split('\n').Where(l => l.StartsWith("trained ", StringComparison.Ordinal)).Select(l => l[..l.LastIndexOf(" (", StringComparison.Ordinal)]);

    private static void AssertSameModels(string expected, string actual)
    {
        string[] files = [.. Directory.GetFiles(Path.Combine(expected, "entries"), "*.safetensors", SearchOption.AllDirectories).Select(f => Path.GetRelativePath(expected, f)).Order()];
        Assert.NotEmpty(files);
        Assert.Equal(files, Directory.GetFiles(Path.Combine(actual, "entries"), "*.safetensors", SearchOption.AllDirectories).Select(f => Path.GetRelativePath(actual, f)).Order());
        Assert.All(files, f => Assert.Equal(File.ReadAllBytes(Path.Combine(expected, f)), File.ReadAllBytes(Path.Combine(actual, f))));
    }

    private NEngineResult Run(string verb, string output, params string[] extra) =>
        NEngine.Run(["ablate", verb, _kit.StudyPath, "--output", _kit.File(output), "--threads", "1", .. extra]);
}
