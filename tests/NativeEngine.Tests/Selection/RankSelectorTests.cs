using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Native;
using NativeEngine.Selection;
using NativeEngine.Tests.Formats;
using NativeEngine.Tests.Training;

namespace NativeEngine.Tests.Selection;

/// <summary>Selection from rows on several ranks: to the bit what one rank with all rows selects.</summary>
public sealed class RankSelectorTests
{
    private const int Columns = 7;

    [Theory]
    [InlineData(DistanceMetric.L1, 1, 0)]
    [InlineData(DistanceMetric.L1, 2, 0)]
    [InlineData(DistanceMetric.L1, 3, 4)]
    [InlineData(DistanceMetric.L2, 3, 9)]
    [InlineData(DistanceMetric.Cosine, 4, 5)]
    public void Select_AnyRanks_TheSparseSelectionOfAllRows(DistanceMetric metric, int count, int neighbours)
    {
        const int N = 700;
        float[] features = Features(N);
        // Source 1 lies on the first rank alone.
        int[] sources = [.. Enumerable.Range(0, N).Select(i => i % 5 == 0 ? 0 : i < 100 && i % 3 == 0 ? 1 : 2)];
        // A row that cannot be compared, and a source that is kept whole.
        features[(11 * Columns) + 3] = float.NaN;
        var options = new SelectionOptions { Budget = 190, KeptSources = [0], Metric = metric, Algorithm = SelectionAlgorithm.Sparse, Neighbours = neighbours };
        SelectionResult expected;
        using (var device = new CpuDevice(threads: 2))
        {
            using var all = device.Allocate<float>(features, MemoryUse.Selection);
            var selector = new CoresetSelector(device, options, GradientNormalizer.None());
            var plan = selector.PlanFinite(sources, 0, all.View.Reshape(N, Columns));
            using var picked = device.Allocate<int>(plan.Candidates.ToArray(), MemoryUse.Selection);
            using var rows = device.Allocate<float>((long)plan.Candidates.Count * Columns, MemoryUse.Selection);
            device.Kernels.GatherRows(all.View.Reshape(N, Columns), picked.View, rows.View.Reshape(plan.Candidates.Count, Columns));
            expected = selector.Select(plan, rows.View.Reshape(plan.Candidates.Count, Columns));
        }
        var results = count == 1 ? [Select(new SingleRank())] : ThreadRanks.Run(count, Select);
        foreach (var result in results)
        {
            Assert.Equal(expected.Indices, result.Indices);
            Assert.Equal(expected.Weights, result.Weights);
            Assert.Equal(expected.Gains, result.Gains);
            Assert.Equal(expected.Owners, result.Owners);
            Assert.Equal(expected.Objective, result.Objective);
            Assert.Equal(expected.Certificate, result.Certificate);
            Assert.Equal(expected.Dropped, result.Dropped);
            Assert.Equal(190, result.Indices.Distinct().Count());
        }

        SelectionResult Select(RankGroup ranks)
        {
            // Uneven shares; the last rank has few rows, and none of some block.
            int[] bounds = [.. Enumerable.Range(0, ranks.Count + 1).Select(r => r == ranks.Count ? N : N * r * 2 / ((2 * ranks.Count) + 1))];
            using var device = new CpuDevice(threads: 1);
            int first = bounds[ranks.Rank], rows = bounds[ranks.Rank + 1] - first;
            using var own = device.Allocate<float>(features.AsSpan(first * Columns, rows * Columns), MemoryUse.Selection);
            return new RankSelector(device, options, ranks).Select(sources, own.View.Reshape(rows, Columns), 0).Result;
        }
    }

    [Fact]
    public void Select_WhatNeedsAllFeatures_Refused()
    {
        using var device = new CpuDevice(threads: 1);
        using var own = device.Allocate<float>(Features(10), MemoryUse.Selection);
        Refused(new SelectionOptions { Budget = 2, Top = 3 }, "most important columns");
        Refused(new SelectionOptions { Budget = 2, Algorithm = SelectionAlgorithm.Exact }, "exact was asked for");

        void Refused(SelectionOptions options, string part) => Expect.Fails(
            ErrorKind.Usage, () => new RankSelector(device, options, new SingleRank()).Select(new int[10], own.View.Reshape(10, Columns), 0), part);
    }

    private static float[] Features(int n)
    {
        var random = new CounterRandom(3, RandomPurpose.Test);
        return [.. Enumerable.Range(0, n * Columns).Select(i => (float)random.Normal((ulong)i))];
    }
}
