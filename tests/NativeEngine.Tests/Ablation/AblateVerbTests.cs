using System.Diagnostics;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Ablation;

/// <summary>The verbs through the executable: what they say, and a process that hangs while another shares its cache.</summary>
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
        // --seed is part of what a study is: the same folder refuses another one.
        Assert.Contains("belongs to another study", Run("plan", "out", "--seed", "2").Expect(2).StdErr, StringComparison.Ordinal);
        Run("plan", "seeded", "--seed", "2").Expect(0);
        Assert.NotEqual(File.ReadAllText(_kit.File("out/plan.json")), File.ReadAllText(_kit.File("seeded/plan.json")));
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

    [FactOnUnix]
    public async Task Train_ProcessThatHangsAndWakes_IsTakenOverAndHarmsNothing()
    {
        const int Stop = 19, Continue = 18;
        Run("train", "undisturbed", "--json").Expect(0);
        for (int round = 100; ; round++)
        {
            Assert.True(round < 110, "in ten attempts no process was stopped with a claim in its hands");
            string cache = _kit.File($"hung{round}");
            var (hung, first) = Start(round, 0, cache);
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
            var (other, second) = Start(round, 1, cache, "--patience", "0.5");
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

    private (Process Process, Task<string> Output) Start(int round, int rank, string cache, params string[] extra)
    {
        var process = NEngine.Start(
            ["ablate", "train", _kit.StudyPath, "--output", _kit.File($"out{round}-{rank}"), "--cache", cache, "--threads", "1", "--verbose", "--checkpoint-seconds", "0", .. extra],
            new Dictionary<string, string?> { ["RANK"] = rank.ToString(), ["WORLD_SIZE"] = "2" });
        _ = process.StandardOutput.ReadToEndAsync();
        return (process, process.StandardError.ReadToEndAsync());
    }

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
