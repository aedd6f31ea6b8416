using NativeEngine.Ablation.Mixtures;
using NativeEngine.Ablation.Ranking;
using NativeEngine.Evaluation;
using NativeEngine.Model;
using NativeEngine.Tests.Reference;

namespace NativeEngine.Tests.Ablation;

public sealed class MixtureEvaluationTests
{
    [Fact]
    public void Losses_DocumentsWithinTheContext_EqualThePerplexityEvaluator()
    {
        using var tiny = new TinyPool();
        using var evaluator = tiny.Evaluator();
        var mixture = Mixture.Uniform(5, [0, 2, 3]);
        double[] got = evaluator.Losses(mixture, tiny.Set.Table.Blocks).ToArray();
        tiny.Merged.Set(mixture);
        // The evaluator of single models cuts documents at the context; windows go on. Compare where they agree.
        var expected = new PerplexityEvaluator(tiny.Merged.Model).ExampleLosses(NativeEngine.Data.MixtureDataset.Build(
            NativeEngine.Data.MixtureSynthesizer.Generate(60, 5, NativeEngine.Data.SynthesisSplit.Train), NativeEngine.Data.ByteTokenizer.Create(),
            NativeEngine.Data.DatasetOptions.Evaluation(33)));
        int compared = 0;
        for (int i = 0; i < got.Length; i++)
        {
            int input = tiny.Set.Inputs[i];
            if (tiny.Set.Table[i].Tokens <= 32)
            {
                Assert.Equal(expected[input].All, got[i], 1e-9);
                compared++;
            }
        }
        Assert.InRange(compared, 5, got.Length);
        Assert.Equal(tiny.Data.Report.LabelTokens, tiny.Set.Table.Tokens);
    }

    [Fact]
    public void Losses_LongDocuments_ScoreEveryTokenOnce()
    {
        using var tiny = new TinyPool(documents: 200);
        long labels = 0;
        for (int b = 0; b < tiny.Set.Table.Blocks; b++)
        {
            labels += tiny.Set.Batches(b).Sum(p => p.Batch.LabelCount);
        }
        Assert.Equal(tiny.Set.Table.Tokens, labels);
        Assert.Contains(Enumerable.Range(0, tiny.Set.Table.Count), i => tiny.Set.Table[i].Tokens > tiny.Config.ContextLength);
        Assert.True(tiny.Set.Table.Blocks > 2, $"{tiny.Set.Table.Blocks} blocks");
        // Every domain is in the first block.
        Assert.DoesNotContain(tiny.Set.Table.DomainLosses(new double[tiny.Set.Table.BlockEnds[0]]), double.IsNaN);
    }

    [Fact]
    public void Losses_ThreadsAndPath_SameBits()
    {
        double[]? expected = null;
        for (int threads = 1; threads <= 3; threads++)
        {
            using var tiny = new TinyPool(threads: threads);
            using var evaluator = tiny.Evaluator();
            var mixtures = MixtureCandidates.AllSubsets(5).Select(set => Mixture.Uniform(5, set)).ToList();
            // Another order of visiting for every number of threads.
            foreach (var mixture in threads == 2 ? mixtures.AsEnumerable().Reverse() : mixtures)
            {
                evaluator.Losses(mixture, threads == 3 ? 1 : tiny.Set.Table.Blocks);
            }
            double[] got = [.. mixtures.SelectMany(m => evaluator.Losses(m, tiny.Set.Table.Blocks).ToArray())];
            expected ??= got;
            Assert.Equal(expected, got);
        }
    }

    [Fact]
    public void Prepare_SeveralLanes_SameBits()
    {
        using var tiny = new TinyPool(threads: 3);
        var mixtures = MixtureCandidates.AllSubsets(5).Select(set => Mixture.Uniform(5, set)).ToList();
        using var alone = tiny.Evaluator(level: new LevelRule(1.5, 0));
        double[] expected = [.. mixtures.SelectMany(m => alone.Losses(m, tiny.Set.Table.Blocks).ToArray())];
        using var lanes = new MergeLanes(tiny.Pool, tiny.Device, 3);
        using var evaluator = new MergedEvaluator(tiny.Pool, tiny.Merged, tiny.Set, null, new LevelRule(1.5, 0), lanes);
        var heard = new List<int>();
        evaluator.Prepare(mixtures, 1);
        evaluator.Prepare(mixtures, tiny.Set.Table.Blocks, heard.Add);
        long scored = evaluator.TokensScored;
        Assert.Equal(mixtures.Count * tiny.Set.Table.Tokens, scored);
        Assert.Equal(Enumerable.Range(0, mixtures.Count), heard.Order());
        double[] got = [.. mixtures.SelectMany(m => evaluator.Losses(m, tiny.Set.Table.Blocks).ToArray())];
        Assert.Equal(expected, got);
        Assert.Equal(scored, evaluator.TokensScored);
        using var other = new MergedEvaluator(tiny.Pool, tiny.Merged, tiny.Set, null, null, lanes);
        Assert.ThrowsAny<OperationCanceledException>(() => other.Prepare(mixtures, 1, null, new CancellationToken(true)));
    }

    [Fact]
    public void Cache_SecondRun_ComputesNothingAndGivesTheSameBits()
    {
        using var tiny = new TinyPool();
        string folder = tiny.Beside("losses");
        var mixture = Mixture.Of([1, 2, 0, 0, 3]);
        double[] first = Run(null);
        double[] second = Run(0);
        Assert.Equal(first, second);
        Assert.Single(Directory.EnumerateFiles(folder));

        double[] Run(long? computed)
        {
            using var cache = new LossCache(folder);
            using var evaluator = tiny.Evaluator(cache);
            double[] losses = evaluator.Losses(mixture, tiny.Set.Table.Blocks).ToArray();
            Assert.Equal(computed ?? tiny.Set.Table.Blocks, evaluator.Blocks.Computed);
            return losses;
        }
    }

    [Fact]
    public void Cache_CutOrDamagedRecords_AreComputedAgain()
    {
        using var tiny = new TinyPool();
        string folder = tiny.Beside("losses");
        var mixture = Mixture.Uniform(5, [0, 1]);
        double[] expected;
        using (var cache = new LossCache(folder))
        {
            using var evaluator = tiny.Evaluator(cache);
            expected = evaluator.Losses(mixture, tiny.Set.Table.Blocks).ToArray();
        }
        string file = Directory.EnumerateFiles(folder).Single();
        byte[] whole = File.ReadAllBytes(file);
        var random = new CounterRandom(1, RandomPurpose.Test);
        for (int trial = 0; trial < 200; trial++)
        {
            byte[] bent = [.. whole];
            int at = (int)random.Below((ulong)(2 * trial), bent.Length);
            if (trial % 2 == 0)
            {
                bent = bent[..at];
            }
            else
            {
                bent[at] ^= (byte)(1 + random.Below((ulong)((2 * trial) + 1), 255));
            }
            File.WriteAllBytes(file, bent);
            using var cache = new LossCache(folder);
            Assert.True(cache.Count < tiny.Set.Table.Blocks || bent.Length == whole.Length);
            for (int b = 0; b < tiny.Set.Table.Blocks; b++)
            {
                using var evaluator = tiny.Evaluator();
                string key = MixtureEvaluator.RecordKey(evaluator.KeyOf(mixture), tiny.Set.BlockKeys[b]);
                if (cache.Find(key) is { } found)
                {
                    Assert.Equal(expected[tiny.Set.Table.Block(b)], found);
                }
            }
        }
    }

    [Fact]
    public void Ensemble_OneUnit_EqualsItsAverage()
    {
        using var tiny = new TinyPool();
        using var average = tiny.Evaluator();
        var ensemble = new EnsembleEvaluator(tiny.Pool, tiny.Merged, tiny.Set);
        foreach (int unit in (int[])[0, 4])
        {
            double[] a = average.DomainLosses(Mixture.Uniform(5, [unit])), b = ensemble.DomainLosses(Mixture.Uniform(5, [unit]));
            Assert.All(a.Zip(b), p => Assert.Equal(p.First, p.Second, 1e-6));
        }
        // Jensen: an ensemble is no worse than the mean of its members' losses.
        double[] mixed = ensemble.DomainLosses(Mixture.Uniform(5, [0, 1, 2]));
        for (int d = 0; d < mixed.Length; d++)
        {
            Assert.True(mixed[d] <= Enumerable.Range(0, 3).Average(u => ensemble.DomainLosses(Mixture.Uniform(5, [u]))[d]) + 1e-12);
        }
    }

    [Fact]
    public void Gradient_DifferencesInDouble_Agree()
    {
        using var tiny = new TinyPool(units: 3, documents: 12, movement: 0.2);
        double[] domainWeights = [.. Enumerable.Repeat(1.0 / tiny.Set.Table.Domains.Count, tiny.Set.Table.Domains.Count)];
        using var gradient = new MixtureGradient(tiny.Pool, tiny.Merged, tiny.Set, domainWeights);
        var at = Mixture.Of([0.5, 0.2, 0.3]);
        int blocks = tiny.Set.Table.Blocks;
        var got = gradient.At(at, blocks);
        Assert.Equal(Reference([.. at.Weights]), got.Score, 1e-5);
        for (int u = 0; u < 3; u++)
        {
            const double H = 1e-4;
            double[] up = [.. at.Weights], down = [.. at.Weights];
            up[u] += H;
            down[u] -= H;
            double slope = (Reference(up) - Reference(down)) / (2 * H);
            Assert.Equal(slope, got.Slopes[u], 1e-4 + (1e-3 * Math.Abs(slope)));
            Assert.True(Math.Abs(slope) > 1e-3, $"slope {u} is {slope}");
        }

        double Reference(double[] weights)
        {
            var parameters = tiny.Pool.Layout.Entries.ToDictionary(e => e.Name, e =>
            {
                var values = new double[e.Shape.Count];
                for (int i = 0; i < values.Length; i++)
                {
                    for (int u = 0; u < 3; u++)
                    {
                        values[i] += weights[u] * tiny.Pool.Weights(u, e)[i];
                    }
                }
                return values;
            });
            var model = new ReferenceLlama(tiny.Config, parameters);
            var sums = new double[domainWeights.Length];
            for (int b = 0; b < blocks; b++)
            {
                foreach (var (batch, documents) in tiny.Set.Batches(b))
                {
                    int[] tokens = tiny.Device.Download(batch.Tokens), offsets = tiny.Device.Download(batch.Offsets);
                    int[] rows = tiny.Device.Download(batch.LabelRows), targets = tiny.Device.Download(batch.Targets);
                    int[] target = [.. Enumerable.Repeat(-1, tokens.Length)];
                    for (int r = 0; r < rows.Length; r++)
                    {
                        target[rows[r]] = targets[r];
                    }
                    for (int s = 0; s < batch.Sequences; s++)
                    {
                        sums[tiny.Set.Table[documents[s]].Domain] += model.Losses(tokens[offsets[s]..offsets[s + 1]], target[offsets[s]..offsets[s + 1]]).Sum();
                    }
                }
            }
            return sums.Select((sum, d) => domainWeights[d] * sum / tiny.Set.Table.TokensOf(d)).Sum();
        }
    }

    [Fact]
    public void Descent_ExactGradient_ReachesTheLatticeMinimum()
    {
        using var tiny = new TinyPool(units: 3, documents: 20, movement: 0.05);
        using var evaluator = tiny.Evaluator();
        var score = MixtureScore.Uniform(tiny.Set.Table.Domains.Count);
        using var gradient = new MixtureGradient(tiny.Pool, tiny.Merged, tiny.Set, score.DomainWeights);
        var found = MixtureDescent.Run(Mixture.Of([1, 1, 1]), m => gradient.At(m, tiny.Set.Table.Blocks), options: new DescentOptions { StepSize = 20 });
        double best = MixtureCandidates.Lattice(3, 20).Min(p => score.Of(evaluator.DomainLosses(Mixture.Of([.. p.Select(v => (double)v)]))));
        Assert.True(score.Of(evaluator.DomainLosses(found.Mixture)) <= best + 1e-4, $"{found.Mixture} {found.Score} against {best}, {found.Trace.Count} steps");
        Assert.True(found.Converged);
    }

    [Fact]
    public void Racing_AgainstExhaustive_KeepsTheBest()
    {
        using var tiny = new TinyPool(units: 5, documents: 200, movement: 0.3);
        using var evaluator = tiny.Evaluator();
        var score = MixtureScore.Uniform(tiny.Set.Table.Domains.Count);
        Mixture[] all = [.. MixtureCandidates.Lattice(5, 4).Select(p => Mixture.Of([.. p.Select(v => (double)v)]))];
        var race = Racing.Run(evaluator, score, all, finalists: 8, keep: 2);
        Assert.True(race.Rounds.Count >= 3, $"{race.Rounds.Count} rounds");
        Assert.Equal(all.Length, race.Rounds[0].Entered);
        Assert.Equal(tiny.Set.Table.Tokens, race.Rounds[^1].Tokens);
        Assert.Equal(Racing.Tokens(race.Rounds), evaluator.TokensScored);
        double[] exhaustive = [.. all.Select(m => score.Of(evaluator.DomainLosses(m)))];
        double regret = exhaustive[race.Order[0]] - exhaustive.Min();
        Assert.True(regret < 0.1 * (exhaustive.Max() - exhaustive.Min()), $"regret {regret} of a range of {exhaustive.Max() - exhaustive.Min()}");
        Assert.All(race.Order.Take(race.Rounds[^1].Entered), c => Assert.Equal(exhaustive[c], race.Scores[c]));
    }

    [Fact]
    public void Domination_SmallTable_MarksWhatAnotherBeatsEverywhere()
    {
        double[][] losses = [[1, 5, 9], [2, 4, 1], [2, 5, 0], [1, 5, 9], [2, 4, 0.5]];
        Assert.Equal([false, true, false, false, false], Domination.Of(losses, [1, 1, 1]));
        // The third domain does not count: the second and the fifth are equal, and equals do not beat each other.
        Assert.Equal([false, false, true, false, false], Domination.Of(losses, [1, 2, 0]));
    }

    [Fact]
    public void Surrogate_OnMerges_HasASmallMeasuredError()
    {
        using var tiny = new TinyPool(units: 4, documents: 30);
        using var evaluator = tiny.Evaluator();
        var score = MixtureScore.Uniform(tiny.Set.Table.Domains.Count);
        double Score(Mixture m) => score.Of(evaluator.DomainLosses(m));
        var design = QuadraticSurrogate.Design(4);
        var fit = QuadraticSurrogate.Fit(design, [.. design.Select(Score)]);
        var held = DirichletSampler.Draw(4, new DirichletOptions { Count = 30 }, new MixtureRules(), tiny.Pool.Names, 3);
        var error = fit.Measure(held, [.. held.Select(Score)]);
        double[] values = [.. held.Select(Score)];
        Assert.True(error.RootMeanSquare < 0.2 * (values.Max() - values.Min()), $"{error} of a range of {values.Max() - values.Min()}");
    }

    [Fact]
    public void Worth_Exact_AddsUpAndMatchesTheDefinition()
    {
        using var tiny = new TinyPool(units: 4, documents: 40, movement: 0.2);
        using var evaluator = tiny.Evaluator();
        var score = MixtureScore.Uniform(tiny.Set.Table.Domains.Count);
        double[] seed = evaluator.SeedLosses();
        int blocks = tiny.Set.Table.Blocks;
        var worth = new UnitWorth(evaluator, score, seed, 4, blocks).Compute(resamples: 50);
        double Value(int mask) => mask == 0 ? score.Of(tiny.Set.Table.DomainLosses(seed))
            : score.Of(evaluator.DomainLosses(Mixture.Uniform(4, Enumerable.Range(0, 4).Where(u => (mask >> u & 1) != 0))));
        Assert.True(worth.Exact);
        Assert.Equal(Value(0) - Value(15), worth.Shapley.Sum(w => w.Value), 1e-9);
        for (int u = 0; u < 4; u++)
        {
            double[] gains = [.. Enumerable.Range(0, 16).Where(m => (m >> u & 1) == 0).Select(m => Value(m) - Value(m | 1 << u))];
            Assert.Equal(gains.Average(), worth.Banzhaf[u].Value, 1e-9);
            Assert.Equal(Value(15 & ~(1 << u)) - Value(15), worth.LeaveOneOut[u].Value, 1e-9);
            Assert.True(worth.Shapley[u].Interval.Low < worth.Shapley[u].Interval.High);
        }
        var sampled = new UnitWorth(evaluator, score, seed, 4, blocks).Compute(exactUpTo: 2, orders: 2000, resamples: 5);
        Assert.False(sampled.Exact);
        Assert.Equal(Value(0) - Value(15), sampled.Shapley.Sum(w => w.Value), 1e-9);
        for (int u = 0; u < 4; u++)
        {
            Assert.Equal(worth.Shapley[u].Value, sampled.Shapley[u].Value, 0.1 * (Math.Abs(worth.Shapley.Max(w => w.Value)) + 0.01));
        }
    }

    [Fact]
    public void Safety_FarApart_RaisesTheBarrier()
    {
        using var near = new TinyPool(units: 3, documents: 20, movement: 0.02);
        using var evaluator = near.Evaluator();
        var score = MixtureScore.Uniform(near.Set.Table.Domains.Count);
        var report = MergeSafety.Measure(near.Pool, evaluator, score, evaluator.SeedLosses(), near.Set.Table.Blocks);
        Assert.Equal(1, report.Cosines[0, 0], 1e-12);
        // Independent random changes: cosines near 0, signs disagree about as often as coins do.
        Assert.InRange(report.Cosines[0, 1], -0.1, 0.1);
        Assert.InRange(report.Whole.SignConflict, 0.15, 0.35);
        Assert.Equal(near.Pool.Layout.Entries.Count, report.Tensors.Count);
        Assert.True(report.Whole.Movement > 0);
    }

    [Fact]
    public void Alignment_PermutedUnit_ComesBack()
    {
        using var tiny = new TinyPool(units: 2, movement: 0.01);
        using var device = new NativeEngine.Devices.Cpu.CpuDevice(1);
        var (_, weights) = ModelFolder.Load(tiny.UnitFolder(1), device);
        using var owned = weights;
        float[] original = device.Download(weights.Flat);
        var config = tiny.Config;
        int[] hidden = new CounterRandom(1, RandomPurpose.Test).Permutation(config.IntermediateSize);
        PermuteRows(LlamaConfig.Name(1, "mlp.gate_proj"), hidden, config.HiddenSize);
        PermuteRows(LlamaConfig.Name(1, "mlp.up_proj"), hidden, config.HiddenSize);
        PermuteColumns(LlamaConfig.Name(1, "mlp.down_proj"), hidden, 1);
        int block = config.HeadSize * config.HiddenSize;
        int[] heads = [3, 2, 0, 1], groups = [1, 0];
        PermuteRows(LlamaConfig.Name(0, "self_attn.q_proj"), heads, block);
        PermuteColumns(LlamaConfig.Name(0, "self_attn.o_proj"), heads, config.HeadSize);
        PermuteRows(LlamaConfig.Name(0, "self_attn.k_proj"), groups, block);
        PermuteRows(LlamaConfig.Name(0, "self_attn.v_proj"), groups, block);
        ModelFolder.Save(tiny.UnitFolder(1), config, weights, NativeEngine.Data.ByteTokenizer.Create());
        using var plain = tiny.Open();
        using var pool = tiny.Open(aligned: UnitAlignment.ToSeed);
        Assert.Equal(0, pool.Moved[0]);
        Assert.True(pool.Moved[1] > 4, $"{pool.Moved[1]} moved");
        Assert.NotEqual(plain.UnitKeys[1], pool.UnitKeys[1]);
        foreach (var entry in pool.Layout.Entries)
        {
            Assert.Equal(original.AsSpan((int)entry.Offset, (int)entry.Shape.Count).ToArray(), pool.Weights(1, entry).ToArray());
        }

        void PermuteRows(string name, int[] order, int size)
        {
            float[] old = device.Download(weights[name]);
            device.Upload<float>([.. order.SelectMany(a => old[(a * size)..((a + 1) * size)])], weights[name]);
        }

        void PermuteColumns(string name, int[] order, int size)
        {
            float[] old = device.Download(weights[name]);
            int columns = order.Length * size;
            device.Upload<float>([.. Enumerable.Range(0, old.Length / columns).SelectMany(r => order.SelectMany(a => old[((r * columns) + (a * size))..((r * columns) + ((a + 1) * size))]))], weights[name]);
        }
    }
}
