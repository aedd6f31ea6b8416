using NativeEngine.Ablation;
using NativeEngine.Devices.Cpu;
using NativeEngine.Formats;
using NativeEngine.Model;

namespace NativeEngine.Tests.Ablation;

public sealed class UnitTrainerTests : IDisposable
{
    private readonly AblationKit _kit = new();
    private readonly CpuDevice _device = new(threads: 1);

    public void Dispose()
    {
        _device.Dispose();
        _kit.Dispose();
    }

    [Fact]
    public void TrainUnits_Twice_TrainsEveryModelOnce()
    {
        var (plan, models) = Trained("cache");
        var again = AblationKit.Runner(plan, new UnitCache(_kit.File("cache")), _device, _ => Assert.Fail("trained again")).TrainUnits();
        Assert.Equal((0, plan.Units.Count + 1, 0), (again.Trained, again.Found, again.ByOthers));
        Assert.Equal(plan.Units.Count + 1, Enumerable.Range(0, plan.Units.Count).Select(u => models.Unit(u)).Append(models.Seed).Select(f => Convert.ToHexString(AblationKit.Model(f))).Distinct().Count());
        var cost = models.Cost(models.Jobs.Unit(0))!;
        Assert.Equal((AblationKit.Steps, AblationKit.Steps * 4 * 15), (cost.Steps, cost.Tokens));
    }

    [Fact]
    public void TrainUnits_StoppedAtAnyStep_ContinuesToTheSameBytes()
    {
        var (plan, models) = Trained("undisturbed");
        foreach (string every in new[] { "0", "1000" })
        {
            string folder = $"stopped{every}";
            var options = new UnitCacheOptions { CheckpointEvery = TimeSpan.FromSeconds(int.Parse(every)) };
            int stops = 0;
            for (bool done = false; !done;)
            {
                using var stop = new CancellationTokenSource();
                int steps = 0;
                try
                {
                    AblationKit.Runner(plan, new UnitCache(_kit.File(folder), options), _device, _ =>
                    {
                        if (++steps == 2 + (stops % 3))
                        {
                            stop.Cancel();
                        }
                    }).TrainUnits(stop.Token);
                    done = true;
                }
                catch (OperationCanceledException)
                {
                    stops++;
                }
            }
            Assert.True(stops > 4, $"only {stops} stops");
            AssertSame(models, StudyModels.Require(plan, new UnitCache(_kit.File(folder))), plan);
            Assert.Empty(Directory.GetFileSystemEntries(_kit.File($"{folder}/work")));
            Assert.Empty(Directory.GetFileSystemEntries(_kit.File($"{folder}/claims")));
        }
    }

    [Fact]
    public async Task TrainUnits_ClaimsThatLie_StillPublishTheSameBytesOnce()
    {
        var (plan, models) = Trained("undisturbed");
        var options = new UnitCacheOptions { Exclusive = false, CheckpointEvery = TimeSpan.Zero };
        await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => Task.Run(() =>
        {
            using var device = new CpuDevice(threads: 1);
            AblationKit.Runner(plan, new UnitCache(_kit.File("lying"), options) { OnDamage = Assert.Fail }, device).TrainUnits();
        })));
        AssertSame(models, StudyModels.Require(plan, new UnitCache(_kit.File("lying")) { OnDamage = Assert.Fail }), plan);
        Assert.Empty(new UnitCache(_kit.File("lying")).Verify(setAside: false));
    }

    [Fact]
    public async Task TrainUnits_SeveralAtOnce_ShareTheWork()
    {
        var (plan, models) = Trained("undisturbed");
        var trained = new System.Collections.Concurrent.ConcurrentBag<string>();
        var reports = await Task.WhenAll(Enumerable.Range(0, 3).Select(rank => Task.Run(() =>
        {
            using var device = new CpuDevice(threads: 1);
            return new StudyRunner(plan, new StudyJobs(plan), new UnitCache(_kit.File("shared")), device, new WorkShare(rank, 3, "test"))
            {
                OnDone = (label, _, _, here) =>
                {
                    if (here)
                    {
                        trained.Add(label);
                    }
                },
            }.TrainUnits();
        })));
        Assert.Equal(plan.Units.Count + 1, trained.Count);
        Assert.Equal(trained.Count, trained.Distinct().Count());
        Assert.All(reports, r => Assert.Equal(plan.Units.Count + 1, r.Trained + r.Found + r.ByOthers));
        AssertSame(models, StudyModels.Require(plan, new UnitCache(_kit.File("shared"))), plan);
    }

    [Fact]
    public void Unit_FractionWithConstantRate_IsTheModelOfThatBudget()
    {
        var (_, models) = Trained("whole");
        byte[] half = AblationKit.Model(models.Unit(1, fraction: 0.5));
        _kit.Write(training: "  fractions: [1]");
        File.WriteAllText(_kit.StudyPath, File.ReadAllText(_kit.StudyPath).Replace($"steps: {AblationKit.Steps}", $"steps: {AblationKit.Steps / 2}", StringComparison.Ordinal));
        var (_, short_) = Trained("half");
        Assert.Equal(half, AblationKit.Model(short_.Unit(1)));
        Assert.Contains("not at 0.5", Assert.Throws<EngineException>(() => short_.Unit(1, fraction: 0.5)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Pull_Stronger_StaysNearerToTheSeed()
    {
        var distances = new List<double>();
        foreach (string pull in new[] { "0", "10", "100" })
        {
            _kit.Write(training: $"  pull: {pull}");
            var (_, models) = Trained("pull" + pull);
            distances.Add(Distance(models.Seed, models.Unit(0)));
        }
        Assert.True(distances[0] > distances[1] && distances[1] > distances[2], string.Join(' ', distances));
        // rate times pull is 1: every step ends at the seed.
        Assert.Equal(0, distances[2]);
    }

    [Fact]
    public void Lora_Unit_DiffersFromTheSeedInTheAdaptedMatricesAlone()
    {
        _kit.Write(training: "  lora_rank: 2\n  lora_targets: [q, down]");
        var (_, models) = Trained("lora");
        using var seed = SafetensorsModel.Open(models.Seed);
        foreach (string folder in new[] { models.Unit(0), models.Unit(0, fraction: 0.5) })
        {
            using var unit = SafetensorsModel.Open(folder);
            foreach (var tensor in seed.Tensors)
            {
                bool adapted = tensor.Name.Contains("q_proj", StringComparison.Ordinal) || tensor.Name.Contains("down_proj", StringComparison.Ordinal);
                bool same = tensor.Bytes(0, (int)tensor.ByteLength).SequenceEqual(unit[tensor.Name].Bytes(0, (int)tensor.ByteLength));
                Assert.True(same != adapted, tensor.Name);
            }
        }
    }

    [Fact]
    public void Import_Folder_StandsInForAPlannedUnitAndAddsNewOnes()
    {
        var (plan, models) = Trained("own");
        _kit.Write(units: $"  import:\n    - {{unit: letters, model: {models.Unit(3)}}}\n    - {{unit: foreign, source: words, model: {models.Unit(1)}}}");
        var (with, imported) = Trained("imported");
        Assert.Equal([.. plan.Units.Select(u => u.Name), "foreign"], with.Units.Select(u => u.Name));
        Assert.Equal(AblationKit.Model(models.Unit(3)), AblationKit.Model(imported.Unit(0)));
        Assert.Equal(AblationKit.Model(models.Unit(1)), AblationKit.Model(imported.Unit(4)));
        Assert.Equal(AblationKit.Model(models.Unit(2)), AblationKit.Model(imported.Unit(2)));
        using (var device = new CpuDevice(threads: 1))
        {
            var error = Assert.Throws<EngineException>(() => AblationKit.Runner(with, new UnitCache(_kit.File("imported")), device).TrainMixtures([[0, 0, 0, 1, 1]]));
            Assert.Contains("imported without data", error.Message, StringComparison.Ordinal);
        }
        _kit.Write(units: "  import: [{unit: letters, model: nowhere}]");
        Assert.Contains("nowhere is no folder here", Assert.Throws<EngineException>(() => new StudyJobs(_kit.Plan())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void TrainMixtures_Twice_TrainsOnceWithTheStepsOfAllItsUnits()
    {
        var (plan, _) = Trained("cache");
        var cache = new UnitCache(_kit.File("cache"));
        double[] weights = [1, 1, 0, 0];
        var report = AblationKit.Runner(plan, cache, _device).TrainMixtures([weights, [2, 2, 0, 0]]);
        Assert.Equal((1, 2L * AblationKit.Steps), (report.Trained, report.Steps));
        var models = StudyModels.Require(plan, cache);
        Assert.NotNull(models.Mixture(weights));
        Assert.Null(models.Mixture([1, 0, 1, 0]));
        Assert.NotEqual(AblationKit.Model(models.Unit(0)), AblationKit.Model(models.Mixture(weights)!));
        Assert.Equal(0, AblationKit.Runner(plan, cache, _device).TrainMixtures([weights]).Trained);
    }

    [Fact]
    public void Require_UnitsMissing_SaysWhichAndWhatToDo()
    {
        var error = Assert.Throws<EngineException>(() => StudyModels.Require(_kit.Plan(), new UnitCache(_kit.File("empty"))));
        Assert.Contains("5 models are not trained yet, the first is seed", error.Message, StringComparison.Ordinal);
        Assert.Contains("ablate train", error.Hint!, StringComparison.Ordinal);
    }

    private (StudyPlan Plan, StudyModels Models) Trained(string cache)
    {
        var plan = _kit.Plan();
        var opened = new UnitCache(_kit.File(cache));
        AblationKit.Runner(plan, opened, _device).TrainUnits();
        return (plan, StudyModels.Require(plan, opened));
    }

    private static void AssertSame(StudyModels expected, StudyModels actual, StudyPlan plan)
    {
        Assert.Equal(AblationKit.Model(expected.Seed), AblationKit.Model(actual.Seed));
        foreach (var unit in plan.Units)
        {
            foreach (double fraction in plan.Study.Training.Fractions)
            {
                Assert.Equal(AblationKit.Model(expected.Unit(unit.Index, 0, fraction)), AblationKit.Model(actual.Unit(unit.Index, 0, fraction)));
            }
        }
    }

    private double Distance(string a, string b)
    {
        var (_, x) = ModelFolder.Load(a, _device);
        var (_, y) = ModelFolder.Load(b, _device);
        using (x)
        using (y)
        {
            return _device.Download(x.Flat).Zip(_device.Download(y.Flat)).Sum(p => Math.Pow(p.First - p.Second, 2));
        }
    }
}
