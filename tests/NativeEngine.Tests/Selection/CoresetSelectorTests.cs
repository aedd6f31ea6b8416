using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Selection;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Selection;

public sealed class CoresetSelectorTests : IDisposable
{
    private const int Columns = 12;

    private readonly CpuDevice _device = new(threads: 2);

    public void Dispose() => _device.Dispose();

    [Fact]
    public void Plan_KeptAndZeroQuotaSources_NeedNoFeatures()
    {
        int[] sources = [9, .. Enumerable.Repeat(1, 98), 3, 3, 0];
        var plan = SelectionPlan.Create(new SelectionOptions { Budget = 12, KeptSources = [3] }, sources, 0);
        Assert.Equal([99, 100], plan.Kept);
        // Sources 0, 1, 9 with 1, 98, 1 candidates and 10 to share: 1, 9, 0.
        Assert.Equal([(0, 1), (1, 9), (3, 2), (9, 0)], plan.Groups.Select(g => (g.Source, g.Budget)));
        Assert.Equal([.. Enumerable.Range(1, 98), 101], plan.Candidates);
    }

    [Fact]
    public void Plan_MoreKeptThanBudget_FirstOrRandom()
    {
        int[] sources = [.. Enumerable.Range(0, 40).Select(i => i % 2)];
        var options = new SelectionOptions { Budget = 7, KeptSources = [1], Seed = 5 };
        Assert.Equal([1, 3, 5, 7, 9, 11, 13], SelectionPlan.Create(options, sources, 0).Kept);
        var steps = Enumerable.Range(0, 200).Select(s => SelectionPlan.Create(options with { Overflow = OverflowPolicy.Random }, sources, s).Kept).ToArray();
        Assert.All(steps, kept => Assert.True(kept.Count == 7 && kept.Distinct().Order().SequenceEqual(kept) && kept.All(i => i % 2 == 1)));
        Assert.Equal(20, steps.SelectMany(k => k).Distinct().Count());
        Assert.Equal(steps[3], SelectionPlan.Create(options with { Overflow = OverflowPolicy.Random }, sources, 3).Kept);
    }

    [Theory]
    [InlineData(1, 1, "")]
    [InlineData(20, 20, "")]
    [InlineData(20, 5, "0")]
    [InlineData(20, 20, "0")]
    [InlineData(20, 10, "0,1,2")]
    [InlineData(20, 1, "")]
    public void Select_EdgeSizes_ExactlyTheBudgetInOrder(int n, int budget, string keep)
    {
        int[] sources = [.. Enumerable.Range(0, n).Select(i => i % 3)];
        int[] kept = keep.Length == 0 ? [] : [.. keep.Split(',').Select(int.Parse)];
        var selector = new CoresetSelector(_device, new SelectionOptions { Budget = budget, KeptSources = kept, Top = 5 }, GradientNormalizer.None());
        var result = Select(selector, Features(n, 1), sources, 0);
        Assert.Equal(budget, result.Indices.Count);
        Assert.Equal(budget, result.Indices.Distinct().Count());
        Assert.Equal(result.Indices.Take(result.Kept.Count), result.Kept);
        int[] order = [.. result.Indices.Skip(result.Kept.Count).Select(i => sources[i])];
        Assert.Equal(order.Order(), order);
        // Weights are cluster sizes: they sum to the sizes of the sources that were chosen from.
        foreach (var share in result.Sources.Where(s => !s.Kept && s.Selected > 0))
        {
            Assert.Equal(share.Size, result.Indices.Zip(result.Weights).Where(p => sources[p.First] == share.Source).Sum(p => p.Second));
        }
        Assert.All(result.Indices, i => Assert.Equal(i, result.Owners[i]));
        Assert.InRange(result.Certificate!.Ratio, 1 - (1 / Math.E), 1);
    }

    [Fact]
    public void Select_NothingLeftForCandidates_HistoryUntouched()
    {
        using var adam = GradientNormalizer.Adam(_device);
        adam.Load("m", Enumerable.Repeat(0.5f, Columns).ToArray());
        adam.Load("v", Enumerable.Repeat(0.25f, Columns).ToArray());
        var selector = new CoresetSelector(_device, new SelectionOptions { Budget = 4, KeptSources = [0] }, adam);
        var result = Select(selector, Features(10, 2), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1], 3);
        Assert.Equal([0, 1, 2, 3], result.Indices);
        Assert.All(adam.Save("m", Columns), m => Assert.Equal(0.5f, m));
        Assert.All(adam.Save("v", Columns), v => Assert.Equal(0.25f, v));
    }

    [Fact]
    public void Select_NonFiniteRows_DroppedAndTheRestShared()
    {
        const int N = 30;
        int[] sources = [.. Enumerable.Range(0, N).Select(i => i % 3)];
        float[] features = Features(N, 3);
        features[(4 * Columns) + 2] = float.NaN;
        features[(9 * Columns) + 11] = float.NegativeInfinity;
        using var adam = GradientNormalizer.Adam(_device);
        var selector = new CoresetSelector(_device, new SelectionOptions { Budget = 29, Top = 4 }, adam);
        var result = Select(selector, features, sources, 0);
        Assert.Equal([4, 9], result.Dropped.Select(d => d.Index));
        Assert.Equal(28, result.Indices.Count);
        Assert.Equal(N, result.Sources.Sum(s => s.Size) + result.Dropped.Count);
        Assert.All(adam.Save("m", Columns).Concat(adam.Save("v", Columns)), x => Assert.True(float.IsFinite(x)));
        Assert.Equal([4, 9], Enumerable.Range(0, N).Where(i => result.Owners[i] < 0));
    }

    [Fact]
    public void Select_SavedAndLoadedBetweenSteps_SameBits()
    {
        using var folder = new TemporaryFolder();
        int[] sources = [.. Enumerable.Range(0, 48).Select(i => i % 4)];
        var options = new SelectionOptions { Budget = 24, KeptSources = [3], Top = 6, Overflow = OverflowPolicy.Random, Seed = 11 };
        foreach (Func<IGradientNormalizer> make in new Func<IGradientNormalizer>[]
        {
            () => GradientNormalizer.Adam(_device), () => GradientNormalizer.Momentum(_device), () => GradientNormalizer.Lion(_device),
        })
        {
            using var whole = make();
            var uninterrupted = new CoresetSelector(_device, options, whole);
            string path = folder.File("state.safetensors");
            for (int step = 0; step < 5; step++)
            {
                var expected = Select(uninterrupted, Features(48, (ulong)step), sources, step);
                using var fresh = make();
                if (step > 0)
                {
                    Assert.Equal(new SelectorState(step, options.Seed), SelectorState.Load(path, fresh, Columns));
                }
                var result = Select(new CoresetSelector(_device, options, fresh), Features(48, (ulong)step), sources, step);
                Assert.Equal(expected.Indices, result.Indices);
                Assert.Equal(expected.Gains, result.Gains);
                SelectorState.Save(path, fresh, Columns, step + 1, options.Seed);
                Assert.All(whole.Moments, m => Assert.Equal(whole.Save(m, Columns), fresh.Save(m, Columns)));
            }
        }
    }

    [Fact]
    public void Select_QuotaNone_SourcesCompete()
    {
        int[] sources = [.. Enumerable.Range(0, 20).Select(i => i % 2)];
        var selector = new CoresetSelector(_device, new SelectionOptions { Budget = 6, Quota = QuotaRule.None }, GradientNormalizer.None());
        float[] features = Features(20, 4);
        var result = Select(selector, features, sources, 0);
        Assert.Equal(Select(selector, features, new int[20], 0).Indices, result.Indices);
        Assert.Equal(SelectionPlan.AllSources, result.Sources.Single().Source);
    }

    [Fact]
    public void Plan_AsManySourcesAsExamples_GroupsAscend()
    {
        const int Count = 50_000;
        var options = new SelectionOptions { Budget = Count / 2, KeptSources = Enumerable.Range(0, Count).Where(s => s % 3 == 0).ToHashSet() };
        var plan = SelectionPlan.Create(options, [.. Enumerable.Range(0, Count)], 0);
        Assert.Equal(Enumerable.Range(0, Count), plan.Groups.Select(g => g.Source));
        Assert.All(plan.Groups, g => Assert.Equal(g.Source % 3 == 0, g.Kept));
    }

    [Fact]
    public void Columns_LargestSmallestOfEqualImportance_AreDistinct()
    {
        using var features = _device.Allocate<float>(Enumerable.Repeat(1f, 3 * 8).ToArray(), MemoryUse.Selection);
        using var rows = _device.Allocate<int>([0, 1, 2], MemoryUse.Selection);
        using var columns = _device.Allocate<int>(5, MemoryUse.Selection);
        new TopKSparsifier(_device, 5, ColumnMode.LargestSmallest).Columns(features.View.Reshape(3, 8), rows.View, 0, 0, columns.View);
        Assert.Equal([0, 1, 2, 3, 4], _device.Download(columns.View));
    }

    [Theory]
    [InlineData(ColumnMode.Random)]
    [InlineData(ColumnMode.Sampling)]
    public void Columns_RandomModes_DistinctAndKeyedByStep(ColumnMode mode)
    {
        var sparsifier = new TopKSparsifier(_device, 5, mode, seed: 3);
        using var features = _device.Allocate<float>(Features(8, 5), MemoryUse.Selection);
        using var rows = _device.Allocate<int>([0, 2, 4], MemoryUse.Selection);
        using var columns = _device.Allocate<int>(5, MemoryUse.Selection);
        var draws = new List<int[]>();
        foreach (int step in new[] { 0, 0, 1, 2, 3 })
        {
            sparsifier.Columns(features.View.Reshape(8, Columns), rows.View, 1, step, columns.View);
            draws.Add(_device.Download(columns.View));
        }
        Assert.All(draws, d => Assert.True(d.Distinct().Order().SequenceEqual(d) && d.All(k => k is >= 0 and < Columns)));
        Assert.Equal(draws[0], draws[1]);
        Assert.True(draws.Skip(1).Select(d => string.Join(',', d)).Distinct().Count() > 2);
    }

    [Fact]
    public void Composition_SameSharesAsThePlan_RandomMembers()
    {
        int[] sources = [.. Enumerable.Range(0, 60).Select(i => i % 5)];
        var options = new SelectionOptions { Budget = 31, KeptSources = [2] };
        var plan = SelectionPlan.Create(options, sources, 7);
        var result = RandomSelector.Composition(plan);
        Assert.Equal(31, result.Indices.Distinct().Count());
        Assert.All(plan.Groups, g => Assert.Equal(g.Budget, result.Indices.Count(i => sources[i] == g.Source)));
        Assert.Equal(result.Indices, RandomSelector.Composition(plan).Indices);
        Assert.NotEqual(result.Indices, RandomSelector.Composition(SelectionPlan.Create(options, sources, 8)).Indices);
        var uniform = Enumerable.Range(0, 400).Select(s => RandomSelector.Uniform(options, sources, s).Indices).ToArray();
        Assert.All(uniform, u => Assert.Equal(31, u.Distinct().Count()));
        // Every example is as likely as any other: 400 * 31 / 60 = 207 +- 10 times.
        Assert.All(Enumerable.Range(0, 60), i => Assert.InRange(uniform.Count(u => u.Contains(i)), 160, 255));
    }

    [Fact]
    public void Options_OutOfRange_RefusedBySentence()
    {
        var options = new SelectionOptions { Budget = 4 };
        Assert.Contains("-1 parts", Refused(options with { Parts = -1 }), StringComparison.Ordinal);
        Assert.Contains("budget of 0", Refused(options with { Budget = 0 }), StringComparison.Ordinal);

        static string Refused(SelectionOptions o)
        {
            var error = Assert.Throws<EngineException>(o.Validate);
            Assert.Equal(ErrorKind.Usage, error.Kind);
            return error.Message;
        }
    }

    [Fact]
    public void Select_RowsThatDoNotFitThePlan_Refused()
    {
        var selector = new CoresetSelector(_device, new SelectionOptions { Budget = 2 }, GradientNormalizer.None());
        using var features = _device.Allocate<float>(3 * Columns, MemoryUse.Selection);
        var error = Assert.Throws<EngineException>(() => selector.Select(selector.Plan([0, 0, 0, 0], 0), features.View.Reshape(3, Columns)));
        Assert.Contains("3 feature rows were given for 4 candidates", error.Message, StringComparison.Ordinal);
    }

    private static float[] Features(int n, ulong seed)
    {
        var random = new CounterRandom(seed + 100, RandomPurpose.Test);
        return [.. Enumerable.Range(0, n * Columns).Select(i => (float)random.Normal((ulong)i))];
    }

    private SelectionResult Select(CoresetSelector selector, float[] features, int[] sources, long step)
    {
        var plan = selector.Plan(sources, step);
        float[] rows = [.. plan.Candidates.SelectMany(i => features[(i * Columns)..((i + 1) * Columns)])];
        using var buffer = _device.Allocate<float>(rows, MemoryUse.Selection);
        return selector.Select(plan, buffer.View.Reshape(plan.Candidates.Count, Columns));
    }
}
