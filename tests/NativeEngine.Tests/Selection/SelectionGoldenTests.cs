using System.Text.Json;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Selection;
using NativeEngine.Tests.Golden;

namespace NativeEngine.Tests.Selection;

/// <summary>Every golden case that belongs to the selection, through the library.</summary>
public sealed class SelectionGoldenTests : IDisposable
{
    private readonly CpuDevice _device = new(threads: 2);

    public static TheoryData<string> SmallSourceIds => GoldenCases.Ids("small_sources");

    public static TheoryData<string> BudgetIds => GoldenCases.Ids("budget");

    public static TheoryData<string> MaskIds => GoldenCases.Ids("topk_mask");

    public static TheoryData<string> AdamIds => GoldenCases.Ids("adam");

    public static TheoryData<string> SimilarityIds => GoldenCases.Ids("similarity");

    public static TheoryData<string> GreedyIds => GoldenCases.Ids("greedy");

    public static TheoryData<string> StepIds => GoldenCases.Ids("select_step");

    public void Dispose() => _device.Dispose();

    [Fact]
    public void File_Kinds_AreAllKnown()
    {
        // The kinds tested here, and those of the features and the trainer.
        (string, int)[] kinds =
        [
            ("adam", 6), ("budget", 21), ("greedy", 15), ("loss_normalisation", 3), ("pool_order", 2), ("rank_one", 1), ("select_step", 14),
            ("similarity", 5), ("similarity_nan", 1), ("small_sources", 5), ("spsa", 3), ("topk_mask", 9),
        ];
        Assert.Equal(kinds, GoldenCases.All.GroupBy(c => c.Kind).Select(g => (g.Key, g.Count())).Order());
        Assert.Equal(85, GoldenCases.All.Count);
    }

    [Theory]
    [MemberData(nameof(SmallSourceIds))]
    public void BelowMean_Golden_Equal(string id)
    {
        var c = GoldenCases.Get(id);
        Assert.Equal(GoldenCases.Ints(c.Expected.GetProperty("small")), SmallSourceRule.BelowMean.Apply(c.Ints("sizes")));
    }

    [Theory]
    [MemberData(nameof(BudgetIds))]
    public void Share_Golden_Equal(string id)
    {
        var c = GoldenCases.Get(id);
        var rounding = c.Input.GetProperty("start").GetString() == "ceil" ? QuotaRounding.Ceil : QuotaRounding.Floor;
        int[] counts = SourceBudget.Share(c.Ints("sizes"), c.Int("budget"), QuotaRule.Proportional, rounding);
        Assert.Equal(GoldenCases.Ints(c.Expected.GetProperty("counts")), counts);
    }

    [Theory]
    [MemberData(nameof(MaskIds))]
    public void Columns_Golden_Equal(string id)
    {
        var c = GoldenCases.Get(id);
        var (values, n, d) = c.Matrix("features");
        var mode = Enum.Parse<ColumnMode>(c.Input.GetProperty("mode").GetString()!.Replace("_", "", StringComparison.Ordinal), ignoreCase: true);
        var sparsifier = new TopKSparsifier(_device, c.Int("h"), mode);
        using var features = _device.Allocate<float>(values, MemoryUse.Selection);
        var u = features.View.Reshape(n, d);
        int h = sparsifier.Count(d);
        foreach (var expected in c.Expected.GetProperty("per_source").EnumerateArray())
        {
            int[] rowList = GoldenCases.Ints(expected.GetProperty("rows"));
            using var rows = _device.Allocate<int>(rowList, MemoryUse.Selection);
            using var importance = _device.Allocate<float>(d, MemoryUse.Selection);
            using var columns = _device.Allocate<int>(h, MemoryUse.Selection);
            using var masked = _device.Allocate<float>(rowList.Length * h, MemoryUse.Selection);
            _device.Kernels.ColumnImportance(u, rows.View, importance.View);
            AssertClose(GoldenCases.Doubles(expected.GetProperty("importance")), _device.Download(importance.View), 1e-6);
            sparsifier.Columns(u, rows.View, expected.GetProperty("source").GetInt32(), 0, columns.View);
            Assert.Equal(GoldenCases.Ints(expected.GetProperty("columns")), _device.Download(columns.View));
            _device.Kernels.Gather(u, rows.View, columns.View, masked.View.Reshape(rowList.Length, h));
            Assert.Equal(expected.GetProperty("masked").EnumerateArray().SelectMany(r => GoldenCases.Floats(r)), _device.Download(masked.View));
        }
    }

    [Theory]
    [MemberData(nameof(AdamIds))]
    public void Adam_Golden_Close(string id)
    {
        var c = GoldenCases.Get(id);
        var (values, n, d) = c.Matrix("features");
        using var normalizer = Adam(c);
        using var features = _device.Allocate<float>(values, MemoryUse.Selection);
        using var update = _device.Allocate<float>(values.Length, MemoryUse.Selection);
        using var picked = _device.Allocate<int>(c.Ints("selected_rows"), MemoryUse.Selection);
        normalizer.Normalize(features.View.Reshape(n, d), c.Int("step"), update.View.Reshape(n, d));
        AssertClose(c.Expected.GetProperty("update").EnumerateArray().SelectMany(r => GoldenCases.Doubles(r)).ToArray(), _device.Download(update.View), 1e-5);
        normalizer.Update(features.View.Reshape(n, d), picked.View);
        AssertClose(GoldenCases.Doubles(c.Expected.GetProperty("new_m")), normalizer.Save("m", d), 1e-5);
        AssertClose(GoldenCases.Doubles(c.Expected.GetProperty("new_v")), normalizer.Save("v", d), 1e-5);
    }

    [Theory]
    [MemberData(nameof(SimilarityIds))]
    public void Similarity_Golden_Close(string id)
    {
        var c = GoldenCases.Get(id);
        var (values, n, h) = c.Matrix("features");
        var metric = Metric(c);
        using var features = _device.Allocate<float>(values, MemoryUse.Selection);
        using var similarity = _device.Allocate<float>(n * n, MemoryUse.Selection);
        using var largest = _device.Allocate<float>(1, MemoryUse.Selection);
        _device.Kernels.Similarity(features.View.Reshape(n, h), metric, similarity.View.Reshape(n, n), largest.View);
        double[] expected = [.. c.Expected.GetProperty("similarity").EnumerateArray().SelectMany(r => GoldenCases.Doubles(r))];
        AssertClose(expected, _device.Download(similarity.View), metric == DistanceMetric.L1 ? 0 : 1e-6);
        if (metric != DistanceMetric.Cosine)
        {
            Assert.Equal(c.Expected.GetProperty("max_distance").GetDouble(), _device.Download(largest.View)[0], 1e-5);
        }
    }

    [Fact]
    public void Select_GoldenNonFiniteRow_DroppedBeforeAnyStatistic()
    {
        var c = GoldenCases.Of("similarity_nan").Single();
        var (values, n, d) = c.Matrix("features");
        var selector = new CoresetSelector(_device, new SelectionOptions { Budget = 3, Metric = Metric(c) }, GradientNormalizer.None());
        using var features = _device.Allocate<float>(values, MemoryUse.Selection);
        var result = selector.Select(selector.Plan(new int[n], 0), features.View.Reshape(n, d));
        Assert.Equal(GoldenCases.Ints(c.Expected.GetProperty("recommended_dropped")), result.Dropped.Select(x => x.Index));
        Assert.Equal(GoldenCases.Ints(c.Expected.GetProperty("recommended_candidates")).Length, result.Weights.Sum());
        Assert.True(double.IsFinite(result.Objective));

        // The same as a selection that never saw the row.
        int[] rest = GoldenCases.Ints(c.Expected.GetProperty("recommended_candidates"));
        float[] clean = [.. rest.SelectMany(i => values[(i * d)..((i + 1) * d)])];
        using var cleanFeatures = _device.Allocate<float>(clean, MemoryUse.Selection);
        var direct = selector.Select(selector.Plan(new int[rest.Length], 0), cleanFeatures.View.Reshape(rest.Length, d));
        Assert.Equal(direct.Indices.Select(i => rest[i]), result.Indices);
        Assert.Equal(direct.Objective, result.Objective);
    }

    [Theory]
    [MemberData(nameof(GreedyIds))]
    public void Greedy_Golden_Equal(string id)
    {
        var c = GoldenCases.Get(id);
        var (values, n, d) = c.Matrix("features");
        var metric = Metric(c);
        double unused = 0;
        using var features = _device.Allocate<float>(values, MemoryUse.Selection);
        var run = FacilityLocation.Maximize(features.View.Reshape(n, d), metric, c.Int("k"), ref unused, ref unused);
        double tolerance = metric == DistanceMetric.L1 ? 0 : 1e-6;
        Assert.Equal(GoldenCases.Ints(c.Expected.GetProperty("order")), run.Picks.ToArray());
        AssertClose(GoldenCases.Doubles(c.Expected.GetProperty("gains")), run.Gains.ToArray(), tolerance);
        Assert.Equal(GoldenCases.Ints(c.Expected.GetProperty("owner")), run.Owners.ToArray());
        Assert.Equal(GoldenCases.Ints(c.Expected.GetProperty("cluster_weights")), run.Picks.Select((_, t) => run.Owners.Count(o => o == t)));
        Assert.Equal(c.Expected.GetProperty("objective").GetDouble(), run.Objective, 1e-5);
        if (c.Expected.TryGetProperty("optimum", out var optimum) && optimum.ValueKind == JsonValueKind.Number)
        {
            Assert.True(run.UpperBound >= optimum.GetDouble() * (1 - tolerance), $"bound {run.UpperBound} below the optimum {optimum}");
        }
    }

    [Theory]
    [MemberData(nameof(StepIds))]
    public void Select_GoldenStep_Equal(string id)
    {
        var c = GoldenCases.Get(id);
        var (values, n, d) = c.Matrix("features");
        bool adam = c.Input.GetProperty("adam").GetBoolean();
        using var normalizer = adam ? Adam(c) : GradientNormalizer.None();
        var options = new SelectionOptions
        {
            Budget = c.Int("total_budget"),
            KeptSources = c.Ints("keep_sources"),
            Top = c.Int("h"),
            Metric = Metric(c),
        };
        var selector = new CoresetSelector(_device, options, normalizer);
        var plan = selector.Plan(c.Ints("sources"), c.Int("step"));
        int[] kept = GoldenCases.Ints(c.Expected.GetProperty("kept"));
        Assert.Equal(kept, plan.Kept);
        var competing = plan.Groups.Where(g => !g.Kept && c.Expected.GetProperty("remaining_budget").GetInt32() > 0).ToArray();
        Assert.Equal(GoldenCases.Ints(c.Expected.GetProperty("source_ids")), competing.Select(g => g.Source));
        Assert.Equal(GoldenCases.Ints(c.Expected.GetProperty("source_sizes")), competing.Select(g => g.Members.Count));
        Assert.Equal(GoldenCases.Ints(c.Expected.GetProperty("counts")), competing.Select(g => g.Budget));

        float[] rows = [.. plan.Candidates.SelectMany(i => values[(i * d)..((i + 1) * d)])];
        using var features = _device.Allocate<float>(rows, MemoryUse.Selection);
        var result = selector.Select(plan, features.View.Reshape(plan.Candidates.Count, d));
        Assert.Equal(GoldenCases.Ints(c.Expected.GetProperty("selected")), result.Indices);
        Assert.Equal(GoldenCases.Ints(c.Expected.GetProperty("weights_cluster")), result.Weights);
        AssertGains(c, result, kept.Length, adam ? 1e-5 : 0);
        if (adam)
        {
            AssertClose(GoldenCases.Doubles(c.Expected.GetProperty("new_m")), normalizer.Save("m", d), 1e-5);
            AssertClose(GoldenCases.Doubles(c.Expected.GetProperty("new_v")), normalizer.Save("v", d), 1e-5);
        }
    }

    [Fact]
    public void Adam_GoldenRankOne_FirstUpdateIsTheSign()
    {
        var c = GoldenCases.Of("rank_one").Single();
        float[] g = GoldenCases.Floats(c.Input.GetProperty("g")), z = GoldenCases.Floats(c.Input.GetProperty("z"));
        float[] values = [.. g.SelectMany(x => z.Select(y => x * y))];
        Assert.Equal(c.Expected.GetProperty("features").EnumerateArray().SelectMany(r => GoldenCases.Floats(r)), values);
        using var normalizer = GradientNormalizer.Adam(_device);
        using var features = _device.Allocate<float>(values, MemoryUse.Selection);
        normalizer.Normalize(features.View.Reshape(g.Length, z.Length), c.Int("step"), features.View.Reshape(g.Length, z.Length));
        double[] signs = [.. c.Expected.GetProperty("update_sign").EnumerateArray().SelectMany(r => GoldenCases.Doubles(r))];
        AssertClose(signs, _device.Download(features.View), c.Expected.GetProperty("max_abs_error").GetDouble());
    }

    private static void AssertGains(GoldenCase c, SelectionResult result, int kept, double tolerance)
    {
        int at = kept;
        Assert.All(result.Gains.Take(kept), g => Assert.Null(g));
        double objective = 0;
        foreach (var source in c.Expected.GetProperty("per_source").EnumerateArray())
        {
            int count = source.GetProperty("count").GetInt32();
            var gains = source.GetProperty("gains");
            for (int t = 0; t < count; t++, at++)
            {
                if (gains.ValueKind == JsonValueKind.Null)
                {
                    Assert.Null(result.Gains[at]);
                    continue;
                }
                objective += gains[t].GetDouble();
                AssertClose([gains[t].GetDouble()], [result.Gains[at]!.Value], tolerance);
            }
        }
        Assert.Equal(result.Gains.Count, at);
        AssertClose([objective], [result.Objective], Math.Max(tolerance, 1e-12));
    }

    private static DistanceMetric Metric(GoldenCase c) => c.Input.GetProperty("metric").GetString() switch
    {
        "l1" => DistanceMetric.L1,
        "euclidean" or "l2" => DistanceMetric.L2,
        "cosine" => DistanceMetric.Cosine,
        var other => throw new InvalidDataException($"metric {other}"),
    };

    private IGradientNormalizer Adam(GoldenCase c)
    {
        var normalizer = GradientNormalizer.Adam(
            _device, c.Input.GetProperty("beta1").GetDouble(), c.Input.GetProperty("beta2").GetDouble(), c.Input.GetProperty("eps").GetDouble());
        foreach (string moment in normalizer.Moments)
        {
            var history = c.Input.GetProperty("prev_" + moment);
            if (history.ValueKind != JsonValueKind.Null)
            {
                normalizer.Load(moment, GoldenCases.Floats(history));
            }
        }
        return normalizer;
    }

    private static void AssertClose(double[] expected, float[] got, double tolerance) => AssertClose(expected, Array.ConvertAll(got, v => (double)v), tolerance);

    /// <summary>Relative to the larger of the element and a thousandth of the largest element.</summary>
    private static void AssertClose(double[] expected, double[] got, double tolerance)
    {
        Assert.Equal(expected.Length, got.Length);
        double scale = expected.Length == 0 ? 0 : expected.Max(Math.Abs) / 1000;
        for (int i = 0; i < expected.Length; i++)
        {
            double error = Math.Abs(expected[i] - got[i]), allowed = tolerance * Math.Max(Math.Abs(expected[i]), scale);
            Assert.True(error <= allowed, $"element {i}: got {got[i]:R}, expected {expected[i]:R}, error {error:G3} > {allowed:G3}");
        }
    }
}
