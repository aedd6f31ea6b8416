using System.Collections.Concurrent;
using System.Diagnostics;
using NativeEngine.Ablation;
using NativeEngine.Formats;
using NativeEngine.Tests.Reliability;
using NativeEngine.Tests.Support;
using Xunit.Abstractions;

namespace NativeEngine.Tests.Ablation;

/// <summary>
/// Whole studies, two processes on one folder and one cache, killed with SIGKILL at random moments of every phase. A resumed study has the bytes of an undisturbed
/// one; what is in the cache is never trained again, and no two living processes train the same.
/// </summary>
public sealed class StudyKillTests(ITestOutputHelper talk) : IDisposable
{
    private const string Sections = """
        candidates:
          all_subsets: true
          dirichlet: {count: 60, step: 0.05}
        evaluation:
          levels: [2, k^0.5]
          resamples: 100
        search:
          finalists: 8
          surrogate: 10
          descent: {steps: 4}
        confirm:
          best: 2
          spread: 4
        """;

    private static readonly string[] _phases = ["plan", "train", "rank", "confirm"];

    private readonly AblationKit _kit = new();
    private readonly int[] _killed = new int[_phases.Length], _atWork = new int[_phases.Length];

    public void Dispose() => _kit.Dispose();

    // Eight kills here; the chore "kills" asks for more.
    [FactOnUnix]
    public void Study_KilledAtAnyMoment_EndsWithTheSameBytesAndTrainsNothingTwice()
    {
        int kills = Sweep.KillsOfAWorkflow(8);
        _kit.Write(training: "  seeds: [1, 2]", rest: Sections);
        var random = new CounterRandom((ulong)kills, RandomPurpose.Test);
        var lasts = new double[_phases.Length];
        for (int p = 0; p < _phases.Length; p++)
        {
            var clock = Stopwatch.StartNew();
            new StudyProcess(_kit, _phases[p], "calm", locks: true).ToItsEnd();
            lasts[p] = clock.Elapsed.TotalMilliseconds;
        }
        ulong draw = 0;
        int rounds = 0;
        for (; _killed.Sum() < kills; rounds++)
        {
            // Every other study without the advisory locks of .NET, as on a file system that ignores them.
            string name = $"study{rounds}";
            for (int p = 0; p < _phases.Length; p++)
            {
                if (_killed.Sum() < kills)
                {
                    Kill(name, p, lasts[p], locks: rounds % 2 == 0, () => random.Below(draw++, 1000) / 1000.0);
                }
                var before = Labels(name);
                StudyProcess[] last = [Start(name, p, rounds % 2 == 0), Start(name, p, rounds % 2 == 0)];
                Array.ForEach(last, process => process.ToItsEnd());
                RequireTrainedOnce(name, last, before);
            }
            AssertSameStudy(_kit.File("calm"), _kit.File(name));
        }
        Sweep.Report(talk, "kills", _killed.Sum(), $"ablate plan, train, rank, confirm: {_killed.Sum()} kills in {rounds} studies of two processes ({string.Join(", ", _phases.Select((phase, p) => $"{phase} {_killed[p]}, {_atWork[p]} of them after its first trace on disk"))}): every file as in the undisturbed study, nothing trained twice, no entry damaged");
    }

    // Two processes begin a phase; each is killed at a moment of its own, half of them counted from the first trace of work, since starting up takes longer than these small works.
    private void Kill(string name, int phase, double lasts, bool locks, Func<double> random)
    {
        var before = Labels(name);
        StudyProcess[] pair = [Start(name, phase, locks), Start(name, phase, locks)];
        if (random() < 0.5)
        {
            while (!HasTrace(name, phase) && pair.Any(p => !p.HasExited))
            {
                Thread.Sleep(1);
            }
            lasts /= 3;
        }
        Thread.Sleep((int)(lasts * random()));
        foreach (var process in random() < 0.5 ? pair : [pair[1], pair[0]])
        {
            bool trace = HasTrace(name, phase);
            if (process.Kill())
            {
                _killed[phase]++;
                _atWork[phase] += trace ? 1 : 0;
            }
            Thread.Sleep((int)(100 * random()));
        }
        RequireTrainedOnce(name, pair, before);
        if (Directory.Exists(Path.Combine(_kit.File(name), "cache", "entries")))
        {
            Assert.Empty(new UnitCache(Path.Combine(_kit.File(name), "cache"), create: false).Verify(setAside: false));
        }
    }

    private StudyProcess Start(string name, int phase, bool locks) => new(_kit, _phases[phase], name, locks);

    // What only a process that is past its start leaves.
    private bool HasTrace(string name, int phase)
    {
        string folder = _kit.File(name);
        return _phases[phase] switch
        {
            "plan" => Directory.Exists(folder),
            "rank" => Holds(Path.Combine(folder, "losses")),
            _ => Holds(Path.Combine(folder, "cache", "claims")),
        };

        static bool Holds(string path) => Directory.Exists(path) && Directory.EnumerateFiles(path).Any();
    }

    private HashSet<string> Labels(string name) =>
        Directory.Exists(Path.Combine(_kit.File(name), "cache")) ? [.. new UnitCache(Path.Combine(_kit.File(name), "cache"), create: false).List().Select(e => e.Label)] : [];

    private void RequireTrainedOnce(string name, StudyProcess[] pair, HashSet<string> before)
    {
        foreach (var process in pair)
        {
            Assert.DoesNotContain("will be trained again", process.Log, StringComparison.Ordinal);
            Assert.DoesNotContain(process.Begun.Keys, before.Contains);
        }
        Assert.False(Directory.Exists(Path.Combine(_kit.File(name), "cache", "damaged")), "an entry was damaged");
        // Begun by both: then one was dead before the other's beginning was heard of. News of a dead process may come late, so their order says nothing.
        foreach (string label in pair[0].Begun.Keys.Intersect(pair[1].Begun.Keys))
        {
            Assert.True(
                pair[0].KilledAt < pair[1].Begun[label] || pair[1].KilledAt < pair[0].Begun[label], $"{label} was trained by two living processes\n{pair[0].Log}\n{pair[1].Log}");
        }
    }

    // Costs are times, and checksums cover them; losses are found by content, in files by process.
    private static void AssertSameStudy(string expected, string actual)
    {
        string[] files = Files(expected);
        Assert.Contains("confirm.json", files);
        Assert.Equal(files, Files(actual));
        Assert.All(files, f => Assert.True(File.ReadAllBytes(Path.Combine(expected, f)).AsSpan().SequenceEqual(File.ReadAllBytes(Path.Combine(actual, f))), $"{f} differs"));

        static string[] Files(string folder) =>
        [
            .. Directory.GetFiles(folder, "*", SearchOption.AllDirectories).Select(f => Path.GetRelativePath(folder, f))
                .Where(f => !f.StartsWith("losses", StringComparison.Ordinal) && !f.Split(Path.DirectorySeparatorChar).Any(TemporaryName.IsTemporary)
                    && Path.GetFileName(f) is not ("cost.json" or AtomicFolder.ChecksumsName)).Order(StringComparer.Ordinal),
        ];
    }

    /// <summary>A verb of a study as a process, with what it said it trains and when.</summary>
    private sealed class StudyProcess
    {
        private readonly Process _process;
        private readonly ConcurrentQueue<string> _lines = new();

        public StudyProcess(AblationKit kit, string verb, string name, bool locks)
        {
            string[] more = verb is "train" ? ["--checkpoint-seconds", "0"] : [];
            _process = NEngine.Start(
                ["ablate", verb, kit.StudyPath, "--output", kit.File(name), "--threads", "1", "--verbose", .. more],
                new Dictionary<string, string?> { ["DOTNET_SYSTEM_IO_DISABLEFILELOCKING"] = locks ? null : "1" });
            _process.StandardInput.Close();
            _process.OutputDataReceived += (_, _) => { };
            _process.ErrorDataReceived += (_, line) => Hear(line.Data);
            _process.BeginOutputReadLine();
            _process.BeginErrorReadLine();
        }

        /// <summary>When the news of a training's beginning came, by what is trained.</summary>
        public ConcurrentDictionary<string, long> Begun { get; } = new(StringComparer.Ordinal);

        /// <summary>When it was killed; never, for one that was not.</summary>
        public long KilledAt { get; private set; } = long.MaxValue;

        public string Log => string.Join('\n', _lines);

        public bool HasExited => _process.HasExited;

        /// <summary>Kills it; false when it had ended before.</summary>
        public bool Kill()
        {
            long now = Stopwatch.GetTimestamp();
            _process.Kill();
            _process.WaitForExit();
            bool killed = _process.ExitCode == 128 + 9;
            Assert.True(killed || _process.ExitCode == 0, Log);
            KilledAt = killed ? now : KilledAt;
            _process.Dispose();
            return killed;
        }

        public void ToItsEnd()
        {
            Assert.True(NEngine.WaitForExit(_process), $"a process hangs\n{Log}");
            _process.WaitForExit();
            Assert.True(_process.ExitCode == 0, Log);
            _process.Dispose();
        }

        private void Hear(string? line)
        {
            const string Training = "training ";
            _lines.Enqueue(line ?? "");
            if (line?.StartsWith(Training, StringComparison.Ordinal) == true && line.LastIndexOf(" from step ", StringComparison.Ordinal) is > 0 and var end)
            {
                Begun[line[Training.Length..end]] = Stopwatch.GetTimestamp();
            }
        }
    }
}
