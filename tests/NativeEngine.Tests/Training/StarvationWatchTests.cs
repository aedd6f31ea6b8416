using System.Text;
using NativeEngine.Cli;
using NativeEngine.Cli.Verbs;
using NativeEngine.Training;

namespace NativeEngine.Tests.Training;

/// <summary>The watch for starved sources against drawn batches: how often it errs, and how soon it finds what was planted.</summary>
public sealed class StarvationWatchTests
{
    // Expected examples of each source in a pool of 32; the last is rare.
    private static readonly double[] _shares = [0.5, 0.25, 0.125, 0.08, 0.045];

    [Theory]
    [InlineData(4, 2, 1, 1 / 2.0)]
    [InlineData(4, 2, 2, 1 / 6.0)]
    [InlineData(4, 3, 2, 0)]
    [InlineData(4, 0, 2, 1)]
    [InlineData(10, 4, 3, 1 / 6.0)]
    public void LogNone_SmallPools_AsCounted(int m, int b, int p, double expected)
    {
        int[] batches = [.. Enumerable.Range(0, 1 << m).Where(set => int.PopCount(set) == b)];
        Assert.Equal(expected, batches.Count(set => (set & ((1 << p) - 1)) == 0) / (double)batches.Length, 1e-12);
        Assert.Equal(expected, Math.Exp(StarvationWatch.LogNone(m, b, p)), 1e-12);
    }

    [Fact]
    public void Observe_RandomBatches_ErrsLessOftenThanItsLevel()
    {
        const int Trainings = 2000;
        const double Level = 0.2;
        int erred = 0;
        for (int training = 0; training < Trainings; training++)
        {
            var (random, watch, any) = (new Random(training), new StarvationWatch(Level), false);
            for (int step = 0; step < 60; step++)
            {
                var (pool, trained) = Draw(random, keep: training % 2 == 0 ? 4 : -1, starve: -1);
                any |= watch.Observe(pool, trained, training % 2 == 0 ? pool[4] : 0).Count > 0;
            }
            erred += any ? 1 : 0;
        }
        // Four standard deviations above the level; and it does err now and then, so the level is no idle promise.
        Assert.InRange(erred, 1, (Level * Trainings) + (4 * Math.Sqrt(Trainings * Level * (1 - Level))));
    }

    [Fact]
    public void Observe_TwentyThousandRandomSteps_SaysNothing()
    {
        var (random, watch) = (new Random(5), new StarvationWatch());
        for (int step = 0; step < 20_000; step++)
        {
            var (pool, trained) = Draw(random, keep: -1, starve: -1);
            Assert.Empty(watch.Observe(pool, trained, 0));
        }
    }

    [Theory]
    [InlineData(0, 4)]
    [InlineData(2, 12)]
    [InlineData(4, 60)]
    public void Observe_PlantedStarvation_IsFoundOnceWithItsNumbers(int starve, int soon)
    {
        var (random, watch) = (new Random(9), new StarvationWatch());
        long drawn = 0;
        double log = 0;
        int steps = 0;
        var found = new List<(int Step, StarvedSource Starved)>();
        for (int step = 0; step < 300; step++)
        {
            var (pool, trained) = Draw(random, keep: -1, starve: step < 100 ? -1 : starve);
            found.AddRange(watch.Observe(pool, trained, 0).Select(s => (step, s)));
            if (trained[starve] > 0)
            {
                (drawn, log, steps) = (0, 0, 0);
            }
            else if (found.Count == 0 || found[0].Step == step)
            {
                (drawn, log, steps) = (drawn + pool[starve], log + StarvationWatch.LogNone(32, trained.Sum(), pool[starve]), steps + (pool[starve] > 0 ? 1 : 0));
            }
        }
        var (at, starved) = Assert.Single(found);
        Assert.InRange(at, 100, 100 + soon);
        Assert.Equal((starve, steps, drawn), (starved.Source, starved.Steps, starved.Drawn));
        Assert.Equal(Math.Exp(log), starved.Probability, 1e-9 * starved.Probability);
        Assert.InRange(starved.Probability, 0, 1e-6);
    }

    [Fact]
    public void Observe_WhatChanceDecidesNothingAbout_SaysNothing()
    {
        var watch = new StarvationWatch();
        for (int step = 0; step < 1000; step++)
        {
            // Source 1 is not drawn; kept sources take the whole budget, so source 2 had no chance.
            Assert.Empty(watch.Observe([20, 0, 12], [16, 0, 0], 16));
        }
    }

    [Fact]
    public void Restart_OtherSources_CountAnew()
    {
        var watch = new StarvationWatch();
        int Steps()
        {
            int steps = 1;
            for (; watch.Observe([16, 16], [16, 0], 0).Count == 0; steps++)
            {
            }
            return steps;
        }
        // C(16, 16) / C(32, 16) = 1.7e-9 a step.
        Assert.Equal(1, Steps());
        Assert.Empty(watch.Observe([16, 16], [16, 0], 0));
        watch.Restart();
        Assert.Equal(1, Steps());
    }

    [Fact]
    public void WarnOfStarved_StepsWithoutASource_OneSentenceUnlessStepsWereSpoilt()
    {
        var step = new StepReport(0, 1, 1, 1, 16, 0, 1, 1, [16, 16], [16, 0], double.NaN, 0, 1);
        Assert.Equal("", Said(step with { Skipped = true }, step with { Faults = [new StepFault("x", "y", 0)] }));
        string said = Said(step with { Step = 7 }, step with { Step = 8 });
        Assert.StartsWith("warning: step 7: no example of the source rare was trained in 1 step whose pools had 16 of them, which has the probability 1.7E-09 by chance", said, StringComparison.Ordinal);
        Assert.Single(said.TrimEnd('\n').Split('\n'));

        static string Said(params StepReport[] steps)
        {
            var (stream, watch) = (new MemoryStream(), new StarvationWatch());
            var talk = new TalkWriter(stream, terminal: false, color: false);
            foreach (var step in steps)
            {
                TrainReport.WarnOfStarved(step, watch, ["common", "rare"], talk);
            }
            return Encoding.UTF8.GetString(stream.ToArray());
        }
    }

    // A pool of 32 by shares; half of those that are not kept, without the starved source.
    private static (int[] Pool, int[] Trained) Draw(Random random, int keep, int starve)
    {
        int[] pool = new int[_shares.Length], trained = new int[_shares.Length], members = new int[32];
        for (int i = 0; i < members.Length; i++)
        {
            double u = random.NextDouble();
            int s = 0;
            for (; s < _shares.Length - 1 && u >= _shares[s]; s++)
            {
                u -= _shares[s];
            }
            pool[members[i] = s]++;
        }
        int[] free = [.. members.Where(s => s != keep && s != starve)];
        random.Shuffle(free);
        foreach (int s in free.Take((32 - (keep < 0 ? 0 : pool[keep])) / 2))
        {
            trained[s]++;
        }
        if (keep >= 0)
        {
            trained[keep] = pool[keep];
        }
        return (pool, trained);
    }
}
