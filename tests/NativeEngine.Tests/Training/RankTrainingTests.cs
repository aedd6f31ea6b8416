using NativeEngine.Data;
using NativeEngine.Native;

namespace NativeEngine.Tests.Training;

/// <summary>Several ranks against one: the same picks, gradients equal up to rounding, the same bits on every rank and in every run.</summary>
public sealed class RankTrainingTests
{
    private sealed record Trace(List<int[]> Chosen, List<double> Losses, float[] FirstGradient, float[] Parameters);

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(5)]
    public void Step_SeveralRanks_PicksAndGradientsOfOne(int count)
    {
        var one = Train(new SingleRank());
        var all = ThreadRanks.Run(count, Train);
        var again = ThreadRanks.Run(count, Train);
        foreach (var trace in all.Concat(again))
        {
            // The ranks agree to the bit, and so do two runs.
            Assert.Equal(all[0].Parameters, trace.Parameters);
            Assert.Equal(all[0].Losses, trace.Losses);
            Assert.Equal(one.Chosen.Count, trace.Chosen.Count);
            Assert.All(one.Chosen.Zip(trace.Chosen), pair => Assert.Equal(pair.First, pair.Second));
        }
        Assert.All(one.Losses.Zip(all[0].Losses), pair => Assert.Equal(pair.First, pair.Second, 1e-5));
        float largest = one.FirstGradient.Max(Math.Abs);
        Assert.True(largest > 0);
        Assert.All(one.FirstGradient.Zip(all[0].FirstGradient), pair => Assert.Equal(pair.First, pair.Second, 1e-5 * largest));
    }

    [Fact]
    public void Sum_AnyLength_TheSumInTheOrderOfTheRanks()
    {
        foreach (int length in new[] { 0, 1, 2, 3, 1000 })
        {
            var results = ThreadRanks.Run(3, ranks =>
            {
                float[] values = [.. Enumerable.Range(0, length).Select(i => ((ranks.Rank + 1) * 0.1f) + i)];
                ranks.Sum(values);
                return values;
            });
            float[] expected = [.. Enumerable.Range(0, length).Select(i => (float)((double)(0.1f + i) + ((2 * 0.1f) + i) + ((3 * 0.1f) + i)))];
            Assert.All(results, r => Assert.Equal(expected, r));
        }
    }

    [Fact]
    public void Any_OneSaysSo_AllHearIt()
    {
        Assert.All(ThreadRanks.Run(3, ranks => ranks.Any(ranks.Rank == 1)), Assert.True);
        Assert.All(ThreadRanks.Run(3, ranks => ranks.Any(false)), Assert.False);
    }

    [Fact]
    public void Balance_AnyRanks_EveryExampleOnceAndTokensAlike()
    {
        var random = new CounterRandom(1, RandomPurpose.Test);
        int[] lengths = [.. Enumerable.Range(0, 61).Select(i => 1 + (int)random.Below((ulong)i, 200))];
        for (int ranks = 1; ranks < 9; ranks++)
        {
            var shares = Enumerable.Range(0, ranks).Select(r => RankShares.Balance(lengths, r, ranks)).ToList();
            Assert.Equal(Enumerable.Range(0, 61), shares.SelectMany(s => s).Order());
            Assert.All(shares, s => Assert.Equal(s.Order(), s));
            var tokens = shares.Select(s => s.Sum(i => lengths[i])).ToList();
            Assert.True(tokens.Max() - tokens.Min() <= lengths.Max(), string.Join(' ', tokens));
        }
        Assert.Empty(RankShares.Balance([7], 1, 2));
    }

    [Fact]
    public void Stretches_AnyRanks_CoverTheExamplesInOrder()
    {
        int[] lengths = [5, 1, 1, 9, 2, 2, 2, 1];
        for (int ranks = 1; ranks < 12; ranks++)
        {
            int at = 0;
            foreach (var stretch in RankShares.Stretches(lengths, ranks))
            {
                Assert.Equal(at, stretch.Start.Value);
                at = stretch.End.Value;
            }
            Assert.Equal(lengths.Length, at);
        }
        Assert.Equal([0..0, 0..0], RankShares.Stretches([], 2));
    }

    private static Trace Train(RankGroup ranks)
    {
        using var tiny = new TinyTraining(TinyTraining.Options(), ranks: ranks);
        var trace = new Trace([], [], new float[tiny.Trainer.Gradients.Flat.Length], new float[tiny.Trainer.Trained.Flat.Length]);
        for (int step = 0; step < 5; step++)
        {
            var report = tiny.Trainer.Step();
            trace.Chosen.Add([.. report.Chosen]);
            trace.Losses.Add(report.Loss);
            if (step == 0)
            {
                tiny.Model.Device.Download(tiny.Trainer.Gradients.Flat, trace.FirstGradient);
            }
        }
        tiny.Model.Device.Download(tiny.Trainer.Trained.Flat, trace.Parameters);
        return trace;
    }
}
