using FsCheck;
using NativeEngine.Ablation.Mixtures;
using NativeEngine.Data;
using NativeEngine.Tests.Merging;
using NativeEngine.Training;

namespace NativeEngine.Tests.Properties;

/// <summary>Schedules, shares, random numbers, merges, mixtures.</summary>
public sealed class ArithmeticProperties
{
    [Fact]
    public void Schedule_AnyRun_RisesThenFallsBetweenFloorAndPeak() => Property.Holds((int length, int warm, int rest) =>
    {
        long steps = Property.In(1, 300, length), warmup = Property.In(0, (int)steps, warm);
        var schedule = new LearningRateSchedule(Math.ScaleB(1, -Property.In(0, 20, rest)), steps, warmup, (ScheduleShape)Property.In(0, 2, rest / 21), Property.In(0, 10, rest / 63) / 10.0);
        double before = 0;
        for (long step = 0; step <= steps + 3; step++)
        {
            double rate = schedule.At(step), allowed = 1e-12 * schedule.Peak;
            Assert.InRange(rate, step < warmup ? double.Epsilon : schedule.Floor * schedule.Peak - allowed, schedule.Peak + allowed);
            Assert.True(step < warmup ? rate > before : step == warmup || rate <= before + allowed, $"step {step}: {rate} after {before}");
            before = rate;
        }
        Assert.Equal(schedule.Shape == ScheduleShape.Constant || steps == warmup ? schedule.Peak : schedule.Floor * schedule.Peak, schedule.At(steps + 1000), 1e-12 * schedule.Peak);
    }, times: 500);

    [Fact]
    public void RankShares_AnyLengthsAndRanks_EveryExampleOnce() => Property.Holds((int[] raw, int world) =>
    {
        int[] lengths = [.. raw.Select(r => Property.In(1, 500, r))];
        int ranks = Property.In(1, 9, world);
        int[] places = [.. Enumerable.Range(0, lengths.Length)];
        var balanced = Enumerable.Range(0, ranks).Select(r => RankShares.Balance(lengths, r, ranks)).ToArray();
        Assert.Equal(places, balanced.SelectMany(s => s).Order());
        // The longest first: no rank has more than the mean and one example.
        Assert.All(balanced, share => Assert.InRange(share.Sum(i => lengths[i]), 0, (lengths.Sum() / ranks) + lengths.DefaultIfEmpty().Max()));
        Assert.Equal(lengths, Enumerable.Range(0, ranks).SelectMany(r => RankShares.Deal(lengths, r, ranks).Select((value, i) => (Place: (i * ranks) + r, value))).OrderBy(p => p.Place).Select(p => p.value));
        var stretches = RankShares.Stretches(lengths, ranks);
        Assert.Equal(places, stretches.SelectMany(s => places[s]));
        Assert.Equal(Enumerable.Range(0, ranks * 7), Enumerable.Range(0, ranks).SelectMany(r => Enumerable.Range(0, 7).Select(i => RankShares.PoolIndex(r, 7, i))));
    }, times: 500);

    [Fact]
    public void CounterRandom_AnyTwoCounters_GiveDifferentBlocksInAnyOrder() => Property.Holds((DoNotSize<ulong> seed, DoNotSize<ulong> a, DoNotSize<ulong> b) =>
    {
        var random = new CounterRandom(seed.Item, RandomPurpose.Test);
        var (first, second) = (random.Block(a.Item), random.Block(b.Item));
        // One round function of the counter for a key: it cannot give a block twice.
        Assert.Equal(a.Item == b.Item, first == second);
        Assert.Equal(first, new CounterRandom(seed.Item, RandomPurpose.Test).Block(a.Item));
        Assert.NotEqual(first, new CounterRandom(seed.Item, RandomPurpose.Shuffle).Block(a.Item));
        Assert.NotEqual(first, new CounterRandom(seed.Item, RandomPurpose.Test, 1).Block(a.Item));
        Assert.NotEqual(first, new CounterRandom(seed.Item + 1, RandomPurpose.Test).Block(a.Item));
        int bound = (int)(b.Item % 1000) + 1;
        Assert.InRange(random.Below(a.Item, bound), 0, bound - 1);
        Assert.Equal(Enumerable.Range(0, bound), random.Permutation(bound).Order());
    }, times: 1000);

    [Fact]
    public void Linear_AnyModels_IsLinearAndDoesNotDependOnTheirOrder()
    {
        using var kit = new MergeKit();
        Property.Holds((int[] raw, int size, int factor) =>
        {
            int count = Property.In(1, 40, size);
            double scale = Property.In(-8, 8, factor) / 2.0;
            double[] weights = [1, 0.5, 2];
            double[][] a = Models(raw, count, 3), b = Models(raw, count, 11);
            double[] Merge(double[][] models, double[] by, bool normalize = false) => kit.Merge("linear", models, parameters: [("weight", by), ("normalize", normalize)]);
            double[] sum = Merge([.. a.Zip(b, (x, y) => x.Zip(y, (p, q) => p + (scale * q)).ToArray())], weights), left = Merge(a, weights), right = Merge(b, weights);
            Close(left.Zip(right, (p, q) => p + (scale * q)), sum);
            Close(left, Merge([a[2], a[0], a[1]], [weights[2], weights[0], weights[1]]));
            // Normalized, the mean of one model with itself is that model.
            Close(a[0], Merge([a[0], a[0], a[0]], weights, normalize: true));
        }, times: 200);
    }

    [Fact]
    public void Mixture_AnyWeightsAndCaps_SumToOneWithinTheCaps() => Property.Holds((int[] raw, int cap) =>
    {
        double[] weights = [.. raw.Append(1).Select(r => (double)Property.In(0, 20, r))];
        if (weights.All(w => w == 0))
        {
            return;
        }
        var mixture = Mixture.Of(weights);
        Assert.Equal(1, mixture.Weights.Sum(), 1e-12);
        Assert.Equal(mixture, Mixture.Of([.. weights.Select(w => w * 4)]));
        // Caps with room for the units that have a weight.
        double most = Math.Max(1.0 / mixture.Units.Count, Property.In(1, 10, cap) / 10.0) * (1 + 1e-9);
        double[] capped = new MixtureRules { Caps = [.. weights.Select(_ => most)] }.Capped([.. mixture.Weights]);
        Assert.Equal(1, capped.Sum(), 1e-9);
        Assert.All(capped, w => Assert.InRange(w, 0, most * (1 + 1e-9)));
    }, times: 500);

    private static double[][] Models(int[] raw, int count, int salt) =>
        [.. Enumerable.Range(0, 3).Select(m => Enumerable.Range(0, count).Select(i => (raw.Length == 0 ? i : raw[(i + m) % raw.Length]) * salt % 31 / 4.0).ToArray())];

    private static void Close(IEnumerable<double> expected, double[] got) => Assert.All(expected.Zip(got), pair => Assert.Equal(pair.First, pair.Second, 1e-9 * (1 + Math.Abs(pair.First))));
}
