using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Selection;
using NativeEngine.Tests.Reference;

namespace NativeEngine.Tests.Properties;

/// <summary>What holds for the selection of any features: shares, greedy, certificate, weights, columns.</summary>
public sealed class SelectionProperties : IDisposable
{
    private readonly CpuDevice _device = new(threads: 2);

    public void Dispose() => _device.Dispose();

    [Fact]
    public void Share_AnySizesAndBudget_SumsToItWithinSizesFloorAndCeiling() => Property.Holds((int[] raw, int wanted) =>
    {
        int[] sizes = [.. raw.Select(r => Property.In(0, 60, r))];
        long total = sizes.Sum();
        int budget = Property.In(0, (int)total, wanted);
        foreach (var (quota, rounding) in new[]
        {
            (QuotaRule.Proportional, QuotaRounding.Floor), (QuotaRule.Proportional, QuotaRounding.Ceil), (QuotaRule.Balanced, QuotaRounding.Floor),
        })
        {
            int[] counts = SourceBudget.Share(sizes, budget, quota, rounding, new CounterRandom((ulong)wanted, RandomPurpose.Test));
            Assert.Equal(budget, counts.Sum());
            for (int q = 0; q < sizes.Length; q++)
            {
                long floor = total == 0 ? 0 : (long)sizes[q] * budget / total, ceiling = total == 0 ? 0 : (((long)sizes[q] * budget) + total - 1) / total;
                Assert.InRange(counts[q], 0, sizes[q]);
                var (least, most) = quota == QuotaRule.Balanced ? (floor, ceiling) : rounding == QuotaRounding.Floor ? (floor, floor + 1) : (ceiling - 1, ceiling);
                Assert.InRange(counts[q], least, most);
            }
        }
    }, times: 3000);

    [Fact]
    public void Maximize_AnyTinyPool_GainsFallAndTheBoundIsAboveEverySet() => Property.Holds((int[] raw, int rows, int shape) =>
    {
        int n = Property.In(2, 8, rows), h = Property.In(1, 3, shape), k = Property.In(1, n - 1, shape / 3);
        var metric = (DistanceMetric)Property.In(0, 2, shape / 30);
        // Whole numbers, so that ties are many; every other pool has halves and thirds.
        float[] x = [.. Enumerable.Range(0, n * h).Select(i => (raw.Length == 0 ? i : raw[i % raw.Length] % 7 * (i + 1) % 11) / (shape % 2 == 0 ? 1f : 3f))];
        var run = Maximize(x, n, metric, k);
        var s = new double[n * n];
        double largest = ReferenceKernels.Similarity(Array.ConvertAll(x, v => (double)v), n, h, metric, s);
        double optimum = Enumerable.Range(0, 1 << n).Where(set => System.Numerics.BitOperations.PopCount((uint)set) == k).Max(set => Value(s, n, set));
        double slack = 1e-6 * n * largest;
        Assert.InRange(optimum, double.NegativeInfinity, run.UpperBound + slack);
        Assert.InRange(run.Objective, ((1 - (1 / Math.E)) * run.UpperBound) - slack, optimum + slack);
        Assert.Equal(Value(s, n, run.Picks.Sum(p => 1 << p)), run.Objective, slack + 1e-12);
        Assert.Equal(k, run.Picks.Distinct().Count());
        Assert.Equal(run.Gains.OrderDescending(), run.Gains);
    }, times: 3000);

    [Fact]
    public void Maximize_AnyPool_IsMonotoneAndOnePickMoreKeepsThoseBefore() => Property.Holds((int[] raw, int rows, int shape) =>
    {
        var (x, n, metric) = Pool(raw, rows, shape);
        var whole = Maximize(x, n, metric, n - 1);
        for (int k = 1; k < n - 1; k += 3)
        {
            var part = Maximize(x, n, metric, k);
            Assert.Equal(whole.Picks.Take(k), part.Picks);
            Assert.Equal(whole.Gains.Take(k), part.Gains);
            Assert.InRange(part.Objective, 0, whole.Objective);
        }
    }, times: 60);

    [Fact]
    public void Objective_AnySets_IsMonotoneAndSubmodular() => Property.Holds((int[] raw, int sets, int shape) =>
    {
        const int N = 9;
        var s = new double[N * N];
        float[] x = [.. Enumerable.Range(0, N * 2).Select(i => (float)(raw.Length == 0 ? i : raw[i % raw.Length] % 13 * (i + 1) % 17))];
        ReferenceKernels.Similarity(Array.ConvertAll(x, v => (double)v), N, 2, (DistanceMetric)Property.In(0, 2, shape), s);
        int large = Property.In(0, (1 << N) - 1, sets), small = large & Property.In(0, (1 << N) - 1, shape);
        for (int e = 0; e < N; e++)
        {
            double onSmall = Gain(small, e), onLarge = Gain(large, e);
            Assert.InRange(onLarge, -1e-9, onSmall + 1e-9);
        }

        double Gain(int set, int e) => Value(s, N, set | (1 << e)) - Value(s, N, set);
    }, times: 1000);

    [Fact]
    public void Maximize_PoolPermuted_SameObjectiveAndWithoutTiesTheSamePicks()
    {
        int distinct = 0;
        Property.Holds((int[] raw, int rows, int shape) =>
        {
            var (x, n, metric) = Pool(raw, rows, shape);
            int h = x.Length / n, k = Property.In(1, n - 1, shape / 7);
            int[] order = new CounterRandom((ulong)(uint)shape, RandomPurpose.Test).Permutation(n);
            float[] permuted = [.. order.SelectMany(i => x[(i * h)..((i + 1) * h)])];
            var (one, other) = (Maximize(x, n, metric, k), Maximize(permuted, n, metric, k));
            int[] back = [.. other.Picks.Select(p => order[p])];
            // Ties break by index, so another order may take another of equals; then gains still agree up to there.
            int common = one.Picks.Zip(back).TakeWhile(p => p.First == p.Second).Count();
            distinct += common == k ? 1 : 0;
            for (int t = 0; t <= Math.Min(common, k - 1); t++)
            {
                Assert.Equal(one.Gains[t], other.Gains[t], 1e-6 * (1 + one.Gains[0]));
            }
        }, times: 100);
        Assert.True(distinct > 20, $"{distinct} of 100 pools had no ties");
    }

    [Fact]
    public void Select_AnySourcesBudgetAndRule_WeightsSumToTheCandidatesOfChosenSources() => Property.Holds((int[] raw, int wanted, int rule) =>
    {
        int n = Math.Max(1, raw.Length);
        const int Width = 5;
        int[] sources = [.. Enumerable.Range(0, n).Select(i => raw.Length == 0 ? 0 : Property.In(0, 4, raw[i]))];
        float[] x = [.. Enumerable.Range(0, n * Width).Select(i => (float)(((long)i * 7919 % 101) + (raw.Length == 0 ? 0 : raw[i / Width] % 5)))];
        var options = new SelectionOptions
        {
            Budget = Property.In(1, n, wanted),
            Quota = (QuotaRule)Property.In(0, 2, rule),
            KeptSources = rule % 2 == 0 ? [] : [1],
            Seed = (ulong)(uint)wanted,
            Metric = (DistanceMetric)Property.In(0, 2, rule / 3),
        };
        var selector = new CoresetSelector(_device, options, GradientNormalizer.None());
        var plan = selector.Plan(sources, 0);
        using var buffer = _device.Allocate<float>([.. plan.Candidates.SelectMany(i => x[(i * Width)..((i + 1) * Width)]), 0], MemoryUse.Selection);
        var result = selector.Select(plan, buffer.View.Slice(0, plan.Candidates.Count * Width).Reshape(plan.Candidates.Count, Width));
        Assert.Equal(options.Budget, result.Indices.Distinct().Count());
        Assert.Equal(result.Kept.Count, result.Indices.Take(result.Kept.Count).Count(i => options.KeptSources.Contains(sources[i])));
        Assert.Equal(result.Owners.Count(o => o >= 0), result.Weights.Sum());
        Assert.All(result.Indices, i => Assert.Equal(i, result.Owners[i]));
        Assert.Equal(n, result.Kept.Count + result.Dropped.Count + result.Sources.Where(s => !s.Kept).Sum(s => s.Size) + sources.Count(s => options.KeptSources.Contains(s)) - result.Kept.Count);
        Assert.InRange(result.Certificate!.Ratio, 1 - (1 / Math.E) - 1e-9, 1);
    }, times: 300);

    [Fact]
    public void TopK_AnyValues_IsTheStableSort() => Property.Holds((int[] raw, int count) =>
    {
        float[] values = [.. raw.Append(0).Select(r => Math.Abs(r % 19) / 4f)];
        int h = Property.In(1, values.Length, count);
        using var importance = _device.Allocate<float>(values, MemoryUse.Selection);
        using var columns = _device.Allocate<int>(h, MemoryUse.Selection);
        _device.Kernels.TopK(importance.View, columns.View);
        Assert.Equal(Enumerable.Range(0, values.Length).OrderByDescending(i => values[i]).Take(h), _device.Download(columns.View));
    }, times: 500);

    private static (float[] X, int N, DistanceMetric Metric) Pool(int[] raw, int rows, int shape)
    {
        int n = Property.In(3, 40, rows), h = Property.In(1, 9, shape);
        var random = new CounterRandom((ulong)(uint)rows, RandomPurpose.Test, (uint)raw.Length);
        // Some pools of few whole numbers, with ties, others of normal values.
        float[] x = [.. Enumerable.Range(0, n * h).Select(i => raw.Length % 3 == 0 ? (float)random.Below((ulong)i, 4) : (float)random.Normal((ulong)i))];
        return (x, n, (DistanceMetric)Property.In(0, 2, shape / 9));
    }

    private static double Value(double[] s, int n, int set) => set == 0 ? 0 :
        Enumerable.Range(0, n).Sum(i => Enumerable.Range(0, n).Where(j => (set >> j & 1) != 0).Max(j => Math.Max(0, s[(i * n) + j])));

    private FacilityLocationResult Maximize(float[] x, int n, DistanceMetric metric, int k)
    {
        double unused = 0;
        using var features = _device.Allocate<float>(x, MemoryUse.Selection);
        return FacilityLocation.Maximize(features.View.Reshape(n, x.Length / n), metric, k, ref unused, ref unused);
    }
}
