using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Selection;
using NativeEngine.Tests.Reference;

namespace NativeEngine.Tests.Selection;

public sealed class ExplanationTests : IDisposable
{
    private const int N = 60, H = 4, Budget = 24;

    private readonly CpuDevice _device = new(threads: 2);
    private readonly float[] _x = [.. Enumerable.Range(0, N * H).Select(i => (float)new CounterRandom(31, RandomPurpose.Test).Normal((ulong)i))];

    public void Dispose() => _device.Dispose();

    [Theory]
    [InlineData(DistanceMetric.L1, SelectionAlgorithm.Exact, Budget)]
    [InlineData(DistanceMetric.L2, SelectionAlgorithm.Sparse, Budget)]
    [InlineData(DistanceMetric.Cosine, SelectionAlgorithm.Exact, Budget)]
    [InlineData(DistanceMetric.Cosine, SelectionAlgorithm.Exact, 2)]
    [InlineData(DistanceMetric.L1, SelectionAlgorithm.Partitioned, Budget)]
    [InlineData(DistanceMetric.L1, SelectionAlgorithm.Exact, 1)]
    public void Of_EveryExample_TheForcedCounterfactualChangesTheObjectiveByThatMuch(DistanceMetric metric, SelectionAlgorithm algorithm, int budget)
    {
        var options = new SelectionOptions { Budget = budget, Metric = metric, Algorithm = algorithm, Parts = 2, Neighbours = 6 };
        var document = Select(options, new int[N]);
        var s = new double[N * N];
        ReferenceKernels.Similarity(Array.ConvertAll(_x, v => (double)v), N, H, metric, s);
        double now = Value(s, document.Indices);
        for (int i = 0; i < N; i++)
        {
            var why = Explain(document, i);
            bool picked = document.Indices.Contains(i);
            Assert.Equal(picked ? ExampleFate.Picked : ExampleFate.Represented, why.Fate);
            Assert.Equal(document.Owners[i], why.Owner);
            if (picked && budget == 1)
            {
                continue;
            }
            int[] forced = [.. document.Indices.Where(p => p != (picked ? i : document.Indices[^1])), .. picked ? [] : new[] { i }];
            Assert.Equal(Value(s, forced) - now, why.Change, 1e-6 * Math.Abs(now));
            if (!picked && why.Gain is not null)
            {
                Assert.Equal(document.Indices[^1], why.Rival);
                Assert.Equal(why.Gain.Value - why.RivalGain!.Value, why.Change, 1e-6 * Math.Abs(now));
            }
            Assert.True(algorithm != SelectionAlgorithm.Exact || why.Change <= 1e-6 * now, $"example {i} would have been the better pick by {why.Change}");
        }
    }

    [Fact]
    public void Of_WhatWasNotChosenByGains_TheRuleThatDecided()
    {
        // Source 0 kept, 1 chosen from, 2 so small that it gets nothing; example 7 is not finite.
        int[] sources = [.. Enumerable.Range(0, N).Select(i => i < 5 ? 0 : i < N - 1 ? 1 : 2)];
        float[] x = [.. _x];
        x[7 * H] = float.NaN;
        var document = Select(new SelectionOptions { Budget = 10, KeptSources = [0] }, sources, x, bad: 7);
        Assert.Equal(ExampleFate.Kept, Explain(document, 2).Fate);
        Assert.Equal(SelectionPlan.NonFinite, Explain(document, 7).Reason);
        Assert.Contains(Explain(document, N - 1).Fate, new[] { ExampleFate.NoQuota, ExampleFate.TakenWhole });
        Assert.Equal(ErrorKind.Usage, Assert.Throws<EngineException>(() => Explain(document, N)).Kind);
        Assert.Equal(ExampleFate.KeptSourceOverflow, Explain(Select(new SelectionOptions { Budget = 3, KeptSources = [0] }, sources), 4).Fate);
    }

    private static double Value(double[] s, IReadOnlyList<int> picks) =>
        Enumerable.Range(0, N).Sum(i => picks.Max(j => Math.Max(0, s[(i * N) + j])));

    private SelectionExplanation Explain(SelectionDocument document, int index)
    {
        using var features = _device.Allocate<float>(_x, MemoryUse.Selection);
        return SelectionExplanation.Of(document, index, features.View.Reshape(N, H), GradientNormalizer.None());
    }

    private SelectionDocument Select(SelectionOptions options, int[] sources, float[]? x = null, params int[] bad)
    {
        var selector = new CoresetSelector(_device, options, GradientNormalizer.None());
        var plan = selector.Plan(sources, 0, bad);
        using var features = _device.Allocate<float>([.. plan.Candidates.SelectMany(i => (x ?? _x)[(i * H)..((i + 1) * H)])], MemoryUse.Selection);
        var result = selector.Select(plan, features.View.Reshape(plan.Candidates.Count, H));
        return SelectionDocument.Of(result, plan, ["0", "1", "2"], H, adam: false, state: null);
    }
}
