using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Selection;
using NativeEngine.Tests.Reference;

namespace NativeEngine.Tests.Selection;

/// <summary>Two selections beside each other: by hand, and against sets, subsets and sums that are written out.</summary>
public sealed class SelectionDifferenceTests : IDisposable
{
    private const int N = 90, H = 5;

    private readonly CpuDevice _device = new(threads: 2);
    private readonly float[] _x = [.. Enumerable.Range(0, N * H).Select(i => (float)new CounterRandom(41, RandomPurpose.Test).Normal((ulong)i))];
    private readonly int[] _sources = [.. Enumerable.Range(0, N).Select(i => i % 9 == 0 ? 2 : i % 2)];

    public void Dispose() => _device.Dispose();

    [Fact]
    public void RandomOverlap_TwoOfFour_AsByHand()
    {
        // Of the 6 pairs of 4 examples 1 is the same, 4 share one, 1 shares none.
        var overlap = RandomOverlap.Of((4, 2, 2));
        Assert.Equal(0, overlap.First);
        Assert.All(overlap.Probabilities.Zip([1 / 6.0, 4 / 6.0, 1 / 6.0]), p => Assert.Equal(p.Second, p.First, 1e-15));
        Assert.Equal(7 / 18.0, overlap.Expect(x => x / (4.0 - x)), 1e-15);
        Assert.Equal((5 / 6.0, 1 / 6.0), (overlap.AtLeast(1), overlap.AtMost(0)), new Near(1e-15));
        Assert.Equal([0, 1, 2], new[] { 0.1, 0.5, 0.9 }.Select(overlap.Quantile));
    }

    [Fact]
    public void RandomOverlap_SeveralSources_AsEverySubsetCounted()
    {
        (int N, int A, int B)[] sources = [(5, 2, 3), (4, 4, 1), (6, 1, 5), (3, 0, 2)];
        var counted = new double[] { 1 };
        foreach (var (n, a, b) in sources)
        {
            var sum = new double[counted.Length + Math.Min(a, b)];
            int[] first = Subsets(n, a), second = Subsets(n, b);
            foreach (int s in first)
            {
                foreach (int t in second)
                {
                    for (int i = 0; i < counted.Length; i++)
                    {
                        sum[i + int.PopCount(s & t)] += counted[i] / first.Length / second.Length;
                    }
                }
            }
            counted = sum;
        }
        var overlap = RandomOverlap.Of(sources);
        for (int x = 0; x < counted.Length; x++)
        {
            int at = x - overlap.First;
            Assert.Equal(counted[x], at >= 0 && at < overlap.Probabilities.Count ? overlap.Probabilities[at] : 0, 1e-14);
        }
        Assert.Equal(sources.Sum(s => (double)s.A * s.B / s.N), overlap.Mean, 1e-13);

        static int[] Subsets(int n, int k) => [.. Enumerable.Range(0, 1 << n).Where(s => int.PopCount(s) == k)];
    }

    [Theory]
    [InlineData(131_072, 65_536, 65_536)]
    [InlineData(20_000_000, 19_000_000, 15_000_000)]
    [InlineData(100_000, 3, 99_999)]
    [InlineData(7, 7, 7)]
    public void RandomOverlap_LargeOrCertain_HasMeanAndVarianceOfTheFormulas(int n, int a, int b)
    {
        var overlap = RandomOverlap.Of((n, a, b), (n, b, a));
        double mean = (double)a * b / n, variance = mean * ((n - a) / (double)n) * ((n - b) / Math.Max(1.0, n - 1.0));
        Assert.Equal(1, overlap.Probabilities.Sum(), 1e-12);
        Assert.Equal(2 * mean, overlap.Mean, 1e-9 * mean);
        Assert.Equal(2 * variance, overlap.Expect(x => (x - (2 * mean)) * (x - (2 * mean))), (1e-6 * variance) + 1e-12);
        Assert.Throws<ArgumentException>(() => RandomOverlap.Of((n, n, n), (3, 4, 1)));
    }

    [Fact]
    public void Of_SixPointsOnALine_AsByHand()
    {
        var a = Line([1, 4], [1, 1, 1, 4, 4, 4]);
        var b = Line([0, 4], [0, 0, 0, 4, 4, 4]) with { Lines = [1, 6], Ids = ["zero", "four"] };
        var d = SelectionDifference.Of(a, b);
        Assert.Equal((2, 2, 1, 1 / 3.0), (d.A, d.B, d.Both, d.Jaccard));
        Assert.Equal([new MovedExample(0, "s", 1, "zero")], d.Entered);
        Assert.Equal([new MovedExample(1, "s", null, null)], d.Left);
        Assert.Equal(new SourceDifference("s", 6, 2, 2, 1, 4 / 6.0, false, false, 68, 67), Assert.Single(d.Sources));
        // Two of six: 15 pairs, of which 6 share none and 8 share one.
        Assert.Equal((8 / 15.0 / 3) + (1 / 15.0), d.ExpectedJaccard, 1e-15);

        // 0 1 2 10 11 12: C = 12, distances 1 0 1 1 0 1 and 0 1 2 1 0 1.
        Assert.Equal(new SourceCoverage(6, 68, 67, 4 / 6.0, 5 / 6.0), Assert.Single(Measure(a, b, [0, 1, 2, 10, 11, 12], 1)));

        SelectionDocument Line(int[] picks, int[] owners) => new()
        {
            N = 6,
            Dimension = 1,
            Budget = 2,
            Indices = picks,
            Weights = [3, 3],
            Gains = [1, 1],
            Objective = picks[0] == 1 ? 68 : 67,
            Kept = [],
            Dropped = [],
            Sources = [new("s", 6, 2, 2, false, picks[0] == 1 ? 68 : 67)],
            Certificate = new(70, 0.9),
            Owners = owners,
            Groups = new int[6],
            Metric = DistanceMetric.L1,
            Top = 0,
            Adam = false,
            Step = 0,
        };
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Of_TwoSelections_AsSetsSay(int seed)
    {
        var a = Select(new SelectionOptions { Budget = 20 + seed, KeptSources = [2] });
        var b = Select(new SelectionOptions { Budget = 40 - seed, Metric = DistanceMetric.L2, KeptSources = seed == 3 ? [2] : [] }, bad: [4, 13]);
        var d = SelectionDifference.Of(a, b);
        Assert.Equal(b.Indices.Except(a.Indices).Order(), d.Entered.Select(m => m.Index));
        Assert.Equal(a.Indices.Except(b.Indices).Order(), d.Left.Select(m => m.Index));
        Assert.Equal(a.Indices.Intersect(b.Indices).Count() / (double)a.Indices.Union(b.Indices).Count(), d.Jaccard);
        Assert.Equal(["0", "1", "2"], d.Sources.Select(s => s.Source));
        for (int s = 0; s < 3; s++)
        {
            int[] x = [.. a.Indices.Where(i => _sources[i] == s)], y = [.. b.Indices.Where(i => _sources[i] == s)];
            double free = Enumerable.Range(0, N).Count(i => _sources[i] == s && i is not (4 or 13));
            var row = d.Sources[s];
            Assert.Equal((_sources.Count(v => v == s), x.Length, y.Length, x.Intersect(y).Count()), (row.Size, row.A, row.B, row.Both));
            Assert.Equal(x.Count(i => i is not (4 or 13)) * y.Length / free, row.Expected, 1e-12);
        }
        Assert.Equal(d.Sources.Sum(s => s.Expected), d.Random.Mean, 1e-9);
        Assert.False(d.SameMeasure);

        var back = SelectionDifference.Of(b, a);
        Assert.Equal((d.Jaccard, d.ExpectedJaccard), (back.Jaccard, back.ExpectedJaccard));
        Assert.Equal(d.Entered.Select(m => m.Index), back.Left.Select(m => m.Index));
        Assert.Equal(d.Sources.Select(s => (s.A, s.B)), back.Sources.Select(s => (s.B, s.A)));
    }

    [Theory]
    [InlineData(DistanceMetric.L1, 0, 20)]
    [InlineData(DistanceMetric.L2, 3, 20)]
    [InlineData(DistanceMetric.Cosine, 0, 20)]
    [InlineData(DistanceMetric.Cosine, 0, 0)]
    public void Of_ASelectionAndItself_NothingChanges(DistanceMetric metric, int top, int keptSize)
    {
        var a = Select(new SelectionOptions { Budget = 30, Metric = metric, Top = top, KeptSources = keptSize > 0 ? [2] : [] });
        var d = SelectionDifference.Of(a, a);
        Assert.True(d.Same);
        Assert.True(d.SameMeasure);
        Assert.Equal((1, a.Indices.Count), (d.Jaccard, d.Both));
        Assert.All(d.Sources, s => Assert.Equal((1, s.A, s.A), (s.Jaccard, s.B, s.Both)));
        Assert.InRange(d.ExpectedJaccard, 0, 1);
        var coverage = Measure(a, a, _x, H);
        Assert.All(coverage, c => Assert.Equal((c.ObjectiveA, c.DistanceA), (c.ObjectiveB, c.DistanceB)));
        // What was chosen by the objective is what the document says.
        Assert.All(d.Sources.Zip(coverage).Where(p => p.First.ObjectiveA is not null), p => Assert.Equal(p.First.ObjectiveA!.Value, p.Second.ObjectiveA, 1e-6 * p.Second.ObjectiveA));
        Assert.Contains(d.Sources, s => s.ObjectiveA is not null);
    }

    [Theory]
    [InlineData(DistanceMetric.L1)]
    [InlineData(DistanceMetric.L2)]
    [InlineData(DistanceMetric.Cosine)]
    public void Coverage_TwoSelections_AsASumOverAllPairs(DistanceMetric metric)
    {
        const int Many = 700;
        float[] x = [.. Enumerable.Range(0, Many * 3).Select(i => (float)new CounterRandom(43, RandomPurpose.Test).Normal((ulong)i))];
        int[] sources = [.. Enumerable.Range(0, Many).Select(i => i < 600 ? 0 : 1)];
        x[5 * 3] = float.NaN;
        // 600 rows are three blocks of 256; source 1 has no picks in the second.
        var a = Select(new SelectionOptions { Budget = 60, Metric = metric }, x, sources, 3, [5]);
        var b = Select(new SelectionOptions { Budget = 31, Metric = DistanceMetric.L1, KeptSources = [] }, x, [.. sources.Select(_ => 0)], 3, [.. Enumerable.Range(600, 100).Append(5).Order()]);
        var d = SelectionDifference.Of(a, b);
        var coverage = Measure(a, b, x, 3);
        int[] members = [.. Enumerable.Range(0, 600).Where(i => i != 5)];
        var s = new double[members.Length * members.Length];
        ReferenceKernels.Similarity([.. members.SelectMany(i => x[(i * 3)..((i + 1) * 3)]).Select(v => (double)v)], members.Length, 3, metric, s);
        foreach (var (document, objective) in new[] { (a, coverage[0].ObjectiveA), (b, coverage[0].ObjectiveB) })
        {
            int[] picks = [.. document.Indices.Where(i => i < 600).Select(i => Array.BinarySearch(members, i))];
            double naive = Enumerable.Range(0, members.Length).Sum(i => picks.Max(p => Math.Max(0, s[(i * members.Length) + p])));
            Assert.Equal(naive, objective, 1e-6 * naive);
        }
        Assert.Equal(members.Length, coverage[0].Examples);
        Assert.Equal(new SourceCoverage(0, 0, 0, null, null), coverage[1]);
        Assert.Equal(100, d.Sources[1].Size);
    }

    [Fact]
    public void Of_OnePoolAndSourcesTogether_NamesComeFromTheOther()
    {
        var apart = Select(new SelectionOptions { Budget = 30 });
        var together = Select(new SelectionOptions { Budget = 30, Quota = QuotaRule.None });
        Assert.Equal("*", Assert.Single(together.Sources).Source);
        var d = SelectionDifference.Of(together, apart);
        Assert.Equal(["0", "1", "2"], d.Sources.Select(s => s.Source));
        Assert.Equal(30, d.Sources.Sum(s => s.A));
        Assert.All(d.Sources, s => Assert.Null(s.ObjectiveA));
        Assert.Equal("*", Assert.Single(SelectionDifference.Of(together, together).Sources).Source);
    }

    [Fact]
    public void Of_OtherPools_AreRefusedWithBothValues()
    {
        var a = Select(new SelectionOptions { Budget = 30 });
        Refuse("90 examples, the second of 80", Select(new SelectionOptions { Budget = 30 }, _x[..(80 * H)], _sources[..80]));
        Refuse("5 numbers a feature, the second of 6", a with { Dimension = 6 });
        int[] other = [.. _sources];
        other[17] = 0;
        Refuse("example 17 is of the source 1 in the first selection and of 0 in the second", Select(new SelectionOptions { Budget = 30 }, _x, other));
        a = a with { Lines = [.. a.Indices.Select(i => i + 1L)], Ids = [.. a.Indices.Select(i => $"e{i}")] };
        Refuse($"example {a.Indices[0]} is line {a.Indices[0] + 1} in the first selection and line {a.Indices[0] + 2} in the second", a with { Lines = [.. a.Indices.Select(i => i + 2L)] });
        Refuse($"example {a.Indices[0]} is named e{a.Indices[0]} in the first selection and f{a.Indices[0]} in the second", a with { Ids = [.. a.Indices.Select(i => $"f{i}")] });
        Refuse("30 indices, 1 lines", a with { Lines = [4] });
        Refuse("do not fit together", a with { Weights = [] });

        void Refuse(string sentence, SelectionDocument b)
        {
            var refused = Assert.Throws<EngineException>(() => SelectionDifference.Of(a, b));
            Assert.Equal(ErrorKind.BadInput, refused.Kind);
            Assert.Contains(sentence, refused.Message, StringComparison.Ordinal);
        }
    }

    private IReadOnlyList<SourceCoverage> Measure(SelectionDocument a, SelectionDocument b, float[] x, int h)
    {
        using var features = _device.Allocate<float>(x, MemoryUse.Selection);
        return SelectionCoverage.Of(a, b, SelectionDifference.Of(a, b), features.View.Reshape(x.Length / h, h), GradientNormalizer.None());
    }

    private SelectionDocument Select(SelectionOptions options, float[]? x = null, int[]? sources = null, int h = H, int[]? bad = null)
    {
        var selector = new CoresetSelector(_device, options, GradientNormalizer.None());
        var plan = selector.Plan(sources ?? _sources, 0, bad ?? []);
        using var features = _device.Allocate<float>([.. plan.Candidates.SelectMany(i => (x ?? _x)[(i * h)..((i + 1) * h)])], MemoryUse.Selection);
        var result = selector.Select(plan, features.View.Reshape(plan.Candidates.Count, h));
        return SelectionDocument.Of(result, plan, ["0", "1", "2"], h, adam: false, state: null);
    }

    private sealed class Near(double tolerance) : IEqualityComparer<(double A, double B)>
    {
        public bool Equals((double A, double B) x, (double A, double B) y) => Math.Abs(x.A - y.A) <= tolerance && Math.Abs(x.B - y.B) <= tolerance;

        public int GetHashCode((double A, double B) pair) => 0;
    }
}
