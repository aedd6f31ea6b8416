using NativeEngine.Ablation;
using NativeEngine.Formats;
using NativeEngine.Tests.Formats;

namespace NativeEngine.Tests.Ablation;

public sealed class UnitCacheTests : IDisposable
{
    private readonly AblationKit _kit = new();
    private readonly StudyPlan _plan;
    private readonly StudyJobs _jobs;

    public UnitCacheTests() => (_plan, _jobs) = (_kit.Plan(), new StudyJobs(_kit.Plan()));

    public void Dispose() => _kit.Dispose();

    [Fact]
    public void UnitKey_AnythingThatBytesDependOn_ChangesIt()
    {
        var before = _jobs.Unit(0).Hash;
        Assert.Equal(before, new StudyJobs(_kit.Plan()).Unit(0).Hash);
        string[] changes =
        [
            "  steps: 7", "  lr: 0.02", "  batch: 5", "  seeds: [9]", "  pull: 0.1", "  lora_rank: 2", "  optimizer: lion", "  beta2: 0.9", "  weight_decay: 0.1",
            "  schedule: cosine", "  warmup: 0.5", "  clip: 0.5", "  fractions: [0.5]",
        ];
        var hashes = new HashSet<string> { before };
        foreach (string change in changes)
        {
            _kit.Write(training: "");
            string key = change.Split(':')[0];
            string text = File.ReadAllText(_kit.StudyPath);
            int training = text.IndexOf("training:", StringComparison.Ordinal);
            string tail = string.Join('\n', text[training..].Split('\n').Where(l => l.Length > 0 && !l.StartsWith(key + ":", StringComparison.Ordinal)));
            File.WriteAllText(_kit.StudyPath, text[..training] + tail + "\n" + change + "\n");
            Assert.True(hashes.Add(new StudyJobs(_kit.Plan()).Unit(0).Hash), change);
        }
        _kit.Write(units: "  tolerance: 0.9", rest: "confirm:\n  any: thing");
        Assert.Equal(before, new StudyJobs(_kit.Plan()).Unit(0).Hash);
        File.AppendAllText(_kit.File("train.jsonl"), """{"text":"one more","source":"letters"}""" + "\n");
        Assert.True(hashes.Add(new StudyJobs(_kit.Plan()).Unit(0).Hash), "a document");
    }

    [Fact]
    public void UnitCache_DamagedEntry_IsMovedAsideAndNeverRead()
    {
        var messages = new List<string>();
        var cache = new UnitCache(_kit.File("cache"));
        string entry = Publish(cache, _jobs.Seed, "content");
        Assert.Equal(entry, new UnitCache(_kit.File("cache")).Find(_jobs.Seed));
        File.WriteAllText(Path.Combine(entry, "model.safetensors"), "c0ntent");
        Assert.Single(new UnitCache(_kit.File("cache")).Verify(setAside: false));
        Assert.Null(new UnitCache(_kit.File("cache")) { OnDamage = messages.Add }.Find(_jobs.Seed));
        Assert.Contains("does not match its checksum", Assert.Single(messages), StringComparison.Ordinal);
        Assert.Single(Directory.GetDirectories(_kit.File("cache/damaged")));
        Assert.Equal(entry, Publish(cache, _jobs.Seed, "content"));
    }

    [Fact]
    public void UnitCache_EntryUnderAnotherKeysName_IsNotRead()
    {
        var cache = new UnitCache(_kit.File("cache"));
        string entry = Publish(cache, _jobs.Seed, "content");
        Directory.Move(entry, Path.Combine(Path.GetDirectoryName(entry)!, _jobs.Unit(0).Hash));
        Assert.Contains("describes another key", Assert.Single(new UnitCache(_kit.File("cache")).Verify(setAside: false)), StringComparison.Ordinal);
        Assert.Null(new UnitCache(_kit.File("cache")).Find(_jobs.Unit(0)));
    }

    [Fact]
    public void Collect_AgeSizeAndGrace_DeletesTheLeastRecentlyUsed()
    {
        var cache = new UnitCache(_kit.File("cache"));
        string[] entries = [.. Enumerable.Range(0, 4).Select(u => Publish(cache, _jobs.Unit(u), new string('x', 1000)))];
        for (int i = 0; i < 4; i++)
        {
            Directory.SetLastWriteTimeUtc(entries[i], DateTime.UtcNow.AddDays(-10 + i));
        }
        long size = cache.List()[0].Bytes;
        Assert.Empty(cache.Collect(TimeSpan.FromDays(1), 0, grace: TimeSpan.FromDays(20)));
        Assert.Equal([_jobs.Unit(0).Hash], cache.Collect(TimeSpan.FromDays(9.5), null, TimeSpan.Zero, dryRun: true).Select(e => e.Key));
        Assert.Equal([_jobs.Unit(0).Hash], cache.Collect(TimeSpan.FromDays(9.5), null, TimeSpan.Zero).Select(e => e.Key));
        Assert.Equal([_jobs.Unit(1).Hash, _jobs.Unit(2).Hash], cache.Collect(null, size + 100, TimeSpan.Zero).Select(e => e.Key));
        Assert.Null(cache.Find(_jobs.Unit(1)));
        Assert.NotNull(cache.Find(_jobs.Unit(3)));
    }

    [Fact]
    public void TryClaim_NameIsTaken_SaysSoAndLeavesNothing()
    {
        string claims = _kit.File("cache/claims");
        Directory.CreateDirectory(Path.Combine(claims, _jobs.Seed.Hash + ".000001"));
        Expect.Fails(ErrorKind.BadInput, () => new UnitCache(_kit.File("cache")).TryClaim(_jobs.Seed, default), "the unit cache cannot be written");
        Assert.Single(Directory.EnumerateFileSystemEntries(claims));
    }

    // Threads with a cache each stand for processes: nothing but the files tells them of each other.
    [Fact]
    public void TryClaim_ManyAtATime_OneHasIt()
    {
        const int Claimants = 4, Rounds = 300;
        UnitCache[] caches = [.. Enumerable.Range(0, Claimants).Select(_ => new UnitCache(_kit.File("cache")))];
        var works = new UnitWork?[Claimants];
        int[] won = new int[Rounds];
        using var barrier = new Barrier(Claimants);
        Thread[] threads = [.. Enumerable.Range(0, Claimants).Select(t => new Thread(() =>
        {
            for (int r = 0; r < Rounds; r++)
            {
                barrier.SignalAndWait();
                works[t] = caches[t].TryClaim(_jobs.Seed, default);
                barrier.SignalAndWait();
                if (t == 0)
                {
                    won[r] = works.Count(w => w is not null);
                    Array.ForEach(works, w => w?.Dispose());
                }
            }
        }))];
        Array.ForEach(threads, t => t.Start());
        Array.ForEach(threads, t => t.Join());
        Assert.All(won, n => Assert.Equal(1, n));
    }

    [Fact]
    public void TryClaim_WhileHeld_IsRefusedAndFreeAfterwards()
    {
        var cache = new UnitCache(_kit.File("cache"));
        var other = new UnitCache(_kit.File("cache"));
        using (cache.TryClaim(_jobs.Seed, default))
        {
            Assert.Null(other.TryClaim(_jobs.Seed, default));
            Assert.True(other.IsClaimed(_jobs.Seed));
            using var second = other.TryClaim(_jobs.Unit(0), default);
            Assert.NotNull(second);
        }
        using var free = other.TryClaim(_jobs.Seed, default);
        Assert.NotNull(free);
    }

    [Fact]
    public void TryClaim_OwnerThatHasEnded_IsTakenOverAtOnce()
    {
        using var ended = System.Diagnostics.Process.Start("sleep", "0");
        ended.WaitForExit();
        string dead = ProcessIdentity.Current with { Process = ended.Id } + "\nabc\n0\n";
        var cache = new UnitCache(_kit.File("cache"));
        File.WriteAllText(_kit.File($"cache/claims/{_jobs.Seed.Hash}.000003"), dead);
        using var work = cache.TryClaim(_jobs.Seed, default);
        Assert.NotNull(work);
        Assert.True(File.Exists(_kit.File($"cache/claims/{_jobs.Seed.Hash}.000004")));
    }

    [Fact]
    public void TryClaim_OwnerOfAnotherSystem_IsTakenOverWhenItsCounterStandsStill()
    {
        string foreign = (ProcessIdentity.Current with { System = "elsewhere" }) + "\nabc\n";
        string claim = _kit.File($"cache/claims/{_jobs.Seed.Hash}.000001");
        var cache = new UnitCache(_kit.File("cache"), new UnitCacheOptions { Patience = TimeSpan.FromMilliseconds(300) });
        long until = Environment.TickCount64 + 900;
        for (int beat = 0; Environment.TickCount64 < until; beat++)
        {
            File.WriteAllText(claim, foreign + beat + "\n");
            Assert.Null(cache.TryClaim(_jobs.Seed, default));
            Thread.Sleep(20);
        }
        UnitWork? work;
        while ((work = cache.TryClaim(_jobs.Seed, default)) is null)
        {
            Thread.Sleep(20);
            Assert.True(Environment.TickCount64 < until + 20_000, "a silent claim was never taken over");
        }
        work.Dispose();
    }

    [Fact]
    public void ProcessIdentity_ThisProcess_IsAliveAndReadsBack()
    {
        var current = ProcessIdentity.Current;
        Assert.True(current.IsAlive());
        Assert.Equal(current, ProcessIdentity.Parse(current.ToString()));
        Assert.Null((current with { System = "elsewhere" }).IsAlive());
        Assert.False((current with { Start = "1" }).IsAlive());
    }

    [Theory]
    [InlineData("SLURM_PROCID=2 SLURM_NTASKS=4", 2, 4)]
    [InlineData("OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=2 RANK=1 WORLD_SIZE=9", 0, 2)]
    [InlineData("RANK=3", 0, 1)]
    [InlineData("", 0, 1)]
    public void WorkShare_Variables_AreReadInPairs(string environment, int rank, int count)
    {
        var variables = environment.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(v => v.Split('=')).ToDictionary(v => v[0], v => v[1]);
        var share = WorkShare.FromEnvironment(name => variables.GetValueOrDefault(name));
        Assert.Equal((rank, count), (share.Rank, share.Count));
    }

    [Fact]
    public void WorkShare_RankPastTheCount_IsRefused() =>
        Assert.Contains("SLURM_PROCID is 4", Assert.Throws<EngineException>(() => WorkShare.FromEnvironment(name => name.StartsWith("SLURM", StringComparison.Ordinal) ? "4" : null)).Message, StringComparison.Ordinal);

    private static string Publish(UnitCache cache, UnitKey key, string content) =>
        cache.Publish(key, folder => File.WriteAllText(Path.Combine(folder, SafetensorsModel.SingleName), content), new UnitCost(1, 2, 3, 4), default);
}
