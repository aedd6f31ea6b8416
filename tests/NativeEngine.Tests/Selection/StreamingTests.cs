using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Selection;

namespace NativeEngine.Tests.Selection;

/// <summary>The streaming selection against exact greedy, against a naive merge-and-reduce in double, and against all selections there are.</summary>
public sealed class StreamingTests : IDisposable
{
    private readonly CpuDevice _device = new(threads: 2);

    public void Dispose() => _device.Dispose();

    [Fact]
    public void Result_MoreSourcesThanRowsThatStay_PromisesNoBound()
    {
        using var selector = new StreamingSelector(_device, new StreamingOptions { Budget = 1, Rows = 4 }, 1);
        selector.Add([1, 2, 3, 4, 5], [0, 1, 2, 3, 4]);
        var result = selector.Result();
        Assert.Equal((1, double.NaN), (result.Reductions, result.Displacement));
    }

    [Fact]
    public void Result_CosineOfANormBeyondFloat_IsRefusedAsByExactGreedy()
    {
        using var selector = new StreamingSelector(_device, new StreamingOptions { Budget = 1, Metric = DistanceMetric.Cosine, Rows = 8 }, 2);
        selector.Add([1e30f, 1, 2, 1, 1, 3], [0, 0, 0]);
        var error = Assert.Throws<EngineException>(() => selector.Result());
        Assert.Equal(ErrorKind.Numerical, error.Kind);
        Assert.Contains("feature 0 of 3", error.Message);
    }

    [Theory]
    [InlineData(DistanceMetric.L1, QuotaRule.Proportional, "none")]
    [InlineData(DistanceMetric.L1, QuotaRule.Proportional, "small")]
    [InlineData(DistanceMetric.L1, QuotaRule.Balanced, "2")]
    [InlineData(DistanceMetric.L2, QuotaRule.Proportional, "mean:0.5")]
    [InlineData(DistanceMetric.L2, QuotaRule.None, "none")]
    [InlineData(DistanceMetric.Cosine, QuotaRule.None, "1,2")]
    public void Result_EverythingFits_IsExactGreedy(DistanceMetric metric, QuotaRule quota, string keep)
    {
        var (x, sources) = Mixture(200, 9, seed: 3);
        x[5 * 9] = float.NaN;
        x[(7 * 9) + 8] = float.PositiveInfinity;
        var rule = SmallSourceRule.Parse(keep);
        var sizes = new int[sources.Max() + 1];
        foreach (int source in sources)
        {
            sizes[source]++;
        }
        var options = new SelectionOptions { Budget = 30, Metric = metric, Quota = quota, KeptSources = rule.Apply(sizes, 200), Seed = 4 };
        using var buffer = _device.Allocate<float>(x, MemoryUse.Selection);
        using var normalizer = GradientNormalizer.None();
        var selector = new CoresetSelector(_device, options, normalizer);
        var matrix = buffer.View.Reshape(200, 9);
        var plan = selector.PlanFinite(sources, 0, matrix);
        using var rows = _device.Allocate<int>(plan.Candidates.ToArray(), MemoryUse.Selection);
        using var some = _device.Allocate<float>(plan.Candidates.Count * 9, MemoryUse.Selection);
        var candidates = some.View.Reshape(plan.Candidates.Count, 9);
        _device.Kernels.GatherRows(matrix, rows.View, candidates);
        var exact = selector.Select(plan, candidates);

        var result = Stream(new StreamingOptions { Budget = 30, Metric = metric, Quota = quota, Keep = rule, Seed = 4, Rows = 200 }, x, sources, chunk: 17);
        Assert.Equal(0, result.Reductions);
        Assert.Equal(exact.Indices.Select(i => (long)i), result.Indices);
        Assert.Equal(exact.Weights.Select(w => (long)w), result.Weights);
        Assert.Equal(exact.Gains, result.Gains);
        Assert.Equal(exact.Kept.Count, result.Kept);
        Assert.Equal(exact.Dropped.Count, result.Dropped);
        Assert.Equal(exact.Objective, result.Objective);
        Assert.Equal(exact.Certificate!.UpperBound, result.UpperBound, 1e-9 * result.UpperBound);
    }

    [Theory]
    [InlineData(1, SimdWidth.Scalar, 1)]
    [InlineData(3, SimdWidth.Bits128, 7)]
    [InlineData(2, SimdWidth.Scalar, 64)]
    [InlineData(3, null, 1000)]
    public void Add_AnyChunksThreadsAndWidth_SameBits(int threads, SimdWidth? width, int chunk)
    {
        var (x, sources) = Mixture(700, 11, seed: 8);
        var options = new StreamingOptions { Budget = 24, Rows = 90, Keep = SmallSourceRule.BelowMean };
        var expected = Stream(options, x, sources, chunk: 700);
        Assert.True(expected.Reductions > 5);
        using var device = new CpuDevice(threads, width);
        var result = Stream(options, x, sources, chunk, device);
        Assert.Equal(expected.Indices, result.Indices);
        Assert.Equal(expected.Weights, result.Weights);
        Assert.Equal(expected.Gains, result.Gains);
        Assert.Equal((expected.Cost, expected.Displacement), (result.Cost, result.Displacement));
    }

    [Theory]
    [InlineData(1, 60, 4, 20)]
    [InlineData(3, 150, 9, 24)]
    [InlineData(5, 300, 12, 40)]
    public void Result_AfterReductions_IsNaiveMergeAndReduce(int groups, int n, int budget, int rows)
    {
        // Small whole numbers: L1 distances are exact in float and in double, so that both see the same ties.
        var random = new Random(groups);
        const int D = 3;
        float[] x = [.. Enumerable.Range(0, n * D).Select(_ => (float)random.Next(40))];
        int[] sources = [.. Enumerable.Range(0, n).Select(i => i < n / 2 ? random.Next(groups) : groups - 1)];
        var result = Stream(new StreamingOptions { Budget = budget, Rows = rows }, x, sources, chunk: 13);
        var naive = new NaiveStream(D, rows);
        for (int i = 0; i < n; i++)
        {
            naive.Add(i, sources[i], x.AsSpan(i * D, D).ToArray());
        }
        var (indices, weights, cost) = naive.Result(sources, budget);
        Assert.Equal(indices, result.Indices);
        Assert.Equal(weights, result.Weights);
        Assert.Equal(cost, result.Cost, 1e-6 * (1 + cost));
        Assert.Equal(naive.Displacement, result.Displacement, 1e-6 * (1 + naive.Displacement));
        Assert.True(naive.Displacement > 0);
    }

    [Fact]
    public void Result_TinyStreams_CostIsWithinTheDisplacement()
    {
        int informative = 0;
        for (int seed = 0; seed < 60; seed++)
        {
            const int N = 18, K = 2, D = 2;
            var random = new Random(seed);
            float[] x = [.. Enumerable.Range(0, N * D).Select(i => (i / D % 2 * (seed % 4)) + random.NextSingle())];
            var result = Stream(new StreamingOptions { Budget = K, Rows = 8, Metric = seed % 2 == 0 ? DistanceMetric.L1 : DistanceMetric.L2 }, x, new int[N], chunk: 5);
            double Cost(params long[] set) => Enumerable.Range(0, N).Sum(i => set.Min(j => Distance(x, D, i, (int)j, seed % 2 == 1)));
            double least = double.PositiveInfinity;
            for (int a = 0; a < N; a++)
            {
                for (int b = a + 1; b < N; b++)
                {
                    least = Math.Min(least, Cost(a, b));
                }
            }
            double got = Cost([.. result.Indices]);
            Assert.InRange(got, 0, result.Cost + result.Displacement + 1e-4);
            Assert.InRange(got, result.Cost - result.Displacement - 1e-4, double.PositiveInfinity);
            Assert.True(result.Displacement > 0);
            informative += result.Cost + result.Displacement < 3 * least ? 1 : 0;
        }
        // A bound that holds because it is enormous would be worth nothing.
        Assert.True(informative > 40, $"only {informative} of 60 bounds are within three times the best");
    }

    [Theory]
    [InlineData(DistanceMetric.L1, false)]
    [InlineData(DistanceMetric.L2, false)]
    [InlineData(DistanceMetric.L1, true)]
    public void Result_OnePercentOfTheRows_NearExactGreedy(DistanceMetric metric, bool sorted)
    {
        const int N = 4000, D = 8, K = 16;
        var (x, _) = Mixture(N, D, seed: 21);
        if (sorted)
        {
            // The worst order: one cluster after the other.
            float[][] rows = [.. Enumerable.Range(0, N).Select(i => x.AsSpan(i * D, D).ToArray()).OrderBy(r => r[0])];
            x = [.. rows.SelectMany(r => r)];
        }
        var result = Stream(new StreamingOptions { Budget = K, Rows = 40, Metric = metric }, x, new int[N], chunk: 100);
        using var buffer = _device.Allocate<float>(x, MemoryUse.Selection);
        using var normalizer = GradientNormalizer.None();
        var selector = new CoresetSelector(_device, new SelectionOptions { Budget = K, Metric = metric }, normalizer);
        var exact = selector.Select(selector.Plan(new int[N], 0), buffer.View.Reshape(N, D));
        double c = Enumerable.Range(0, N).Max(i => Distance(x, D, 0, i, metric == DistanceMetric.L2));
        double Objective(IEnumerable<int> set)
        {
            int[] picks = [.. set];
            return Enumerable.Range(0, N).Sum(i => c - picks.Min(j => Distance(x, D, i, j, metric == DistanceMetric.L2)));
        }
        double ratio = Objective(result.Indices.Select(i => (int)i)) / Objective(exact.Indices);
        Assert.True(ratio >= 0.9, $"{ratio} of exact greedy");
        Assert.Equal(N, result.Weights.Sum());
    }

    [Fact]
    public void Result_SourcesInAnyOrder_QuotasOfTheWhole()
    {
        // Sorted by source, a small one first: what came early must not be forgotten.
        int[] sources = [.. Enumerable.Repeat(4, 60), .. Enumerable.Repeat(1, 500), .. Enumerable.Repeat(9, 440)];
        var (x, _) = Mixture(1000, 5, seed: 2);
        var result = Stream(new StreamingOptions { Budget = 50, Rows = 120 }, x, sources, chunk: 33);
        Assert.Equal([(1, 25L), (4, 3L), (9, 22L)], result.Indices.GroupBy(i => sources[i]).Select(g => (g.Key, (long)g.Count())).Order());
        foreach (var source in result.Indices.Zip(result.Weights).GroupBy(p => sources[p.First]))
        {
            Assert.Equal(sources.Count(s => s == source.Key), source.Sum(p => p.Second));
        }
    }

    [Fact]
    public void Result_InTheMiddle_StreamGoesOnUnchanged()
    {
        var (x, sources) = Mixture(300, 6, seed: 5);
        var options = new StreamingOptions { Budget = 10, Rows = 40 };
        var expected = Stream(options, x, sources, chunk: 50);
        using var selector = new StreamingSelector(_device, options, 6);
        for (int i = 0; i < 300; i += 50)
        {
            selector.Add(x.AsSpan(i * 6, 300), sources.AsSpan(i, 50));
            Assert.Equal(10, selector.Result().Indices.Count);
            Assert.All(selector.Result().Indices, p => Assert.InRange(p, 0, i + 49));
        }
        Assert.Equal(expected.Indices, selector.Result().Indices);
    }

    [Fact]
    public void Add_Cancelled_GoesOnWhereItStopped()
    {
        var (x, sources) = Mixture(300, 6, seed: 5);
        var options = new StreamingOptions { Budget = 10, Rows = 40 };
        var expected = Stream(options, x, sources, chunk: 300);
        using var selector = new StreamingSelector(_device, options, 6);
        Assert.Throws<OperationCanceledException>(() => selector.Add(x, sources, new CancellationToken(canceled: true)));
        Assert.Equal(40, selector.Seen);
        int seen = (int)selector.Seen;
        selector.Add(x.AsSpan(seen * 6), sources.AsSpan(seen));
        Assert.Equal(expected.Indices, selector.Result().Indices);
    }

    [Fact]
    public void RowsWithin_Dial_KeepsItsPromise()
    {
        const int D = 64;
        var options = new StreamingOptions { Budget = 16, MemoryBytes = 12 << 20 };
        using var device = new CpuDevice(threads: 1) { MemoryLimit = options.MemoryBytes };
        var random = new Random(1);
        using var selector = new StreamingSelector(device, options, D);
        Assert.InRange(selector.Capacity, 300, 700);
        Assert.True(StreamingOptions.BytesFor(selector.Capacity, D) <= options.MemoryBytes);
        var chunk = new float[100 * D];
        for (int i = 0; i < 20; i++)
        {
            for (int j = 0; j < chunk.Length; j++)
            {
                chunk[j] = random.NextSingle();
            }
            selector.Add(chunk, new int[100]);
        }
        Assert.True(selector.Result().Reductions > 2);
        // Beside the device's bytes there are the copy of the similarities and the packed rows.
        long beside = (4L * selector.Capacity * selector.Capacity) + CpuDevice.SimilarityScratch(selector.Capacity, D, 1);
        Assert.InRange(device.Memory.PeakBytes + beside, options.MemoryBytes / 10, options.MemoryBytes);
    }

    [Fact]
    public void Refusals_AreSentencesWithValues()
    {
        var small = Assert.Throws<EngineException>(() => new StreamingSelector(_device, new StreamingOptions { Budget = 1000, MemoryBytes = 9 << 20 }, 64));
        Assert.Equal(ErrorKind.WillNotFit, small.Kind);
        Assert.Contains($"{StreamingOptions.BytesFor(2000, 64):N0} bytes", small.Message);
        Assert.Equal(ErrorKind.WillNotFit, Assert.Throws<EngineException>(() => new StreamingSelector(_device, new StreamingOptions { Budget = 10, Rows = 19 }, 4)).Kind);
        Assert.Contains("too late", Assert.Throws<EngineException>(
            () => new StreamingSelector(_device, new StreamingOptions { Budget = 2, Quota = QuotaRule.None, Keep = SmallSourceRule.BelowMean }, 4)).Message);
        using var selector = new StreamingSelector(_device, new StreamingOptions { Budget = 2 }, 4);
        Assert.Throws<EngineException>(() => selector.Result());
        Assert.Contains("-3", Assert.Throws<EngineException>(() => selector.Add(new float[8], [0, -3])).Message);
        Assert.Throws<EngineException>(() => selector.Add(new float[7], [0, 0]));
        Assert.Equal(0, selector.Seen);
    }

    [Theory]
    [InlineData(new[] { 10, 10, 10 }, new long[] { 10, 10, 10 }, 15)]
    [InlineData(new[] { 1, 50, 2 }, new long[] { 1, 1000, 2 }, 26)]
    [InlineData(new[] { 30, 3, 0 }, new long[] { 1, 1_000_000_000_000, 5 }, 16)]
    [InlineData(new[] { 5, 5 }, new long[] { 1, 1 }, 100)]
    [InlineData(new[] { 1, 1, 1, 1, 1, 1, 1, 1 }, new long[] { 1, 2, 3, 4, 5, 6, 7, 8 }, 4)]
    public void Shares_AnyCounts_SumToTheTargetWithinTheRows(int[] counts, long[] weights, int target)
    {
        int[] shares = StreamBuffer.Shares(counts, weights, target);
        Assert.Equal(Math.Min(target, counts.Sum()), shares.Sum());
        Assert.All(shares.Zip(counts), p => Assert.InRange(p.First, 0, p.Second));
    }

    private StreamingResult Stream(StreamingOptions options, float[] x, int[] sources, int chunk, Device? device = null)
    {
        int d = x.Length / sources.Length;
        using var selector = new StreamingSelector(device ?? _device, options, d);
        for (int i = 0; i < sources.Length; i += chunk)
        {
            int count = Math.Min(chunk, sources.Length - i);
            selector.Add(x.AsSpan(i * d, count * d), sources.AsSpan(i, count));
        }
        Assert.Equal(sources.Length, selector.Seen);
        return selector.Result();
    }

    /// <summary>Five clusters of different sizes, and a source that follows them loosely.</summary>
    private static (float[] X, int[] Sources) Mixture(int n, int d, int seed)
    {
        var random = new Random(seed);
        float[] centers = [.. Enumerable.Range(0, 5 * d).Select(_ => random.NextSingle() * 10)];
        var x = new float[n * d];
        var sources = new int[n];
        for (int i = 0; i < n; i++)
        {
            int cluster = Math.Min(random.Next(5), random.Next(5));
            sources[i] = random.Next(4) == 0 ? 3 : cluster;
            for (int c = 0; c < d; c++)
            {
                x[(i * d) + c] = centers[(cluster * d) + c] + random.NextSingle();
            }
        }
        return (x, sources);
    }

    private static double Distance(float[] x, int d, int a, int b, bool euclidean)
    {
        double sum = 0;
        for (int c = 0; c < d; c++)
        {
            double difference = (double)x[(a * d) + c] - x[(b * d) + c];
            sum += euclidean ? difference * difference : Math.Abs(difference);
        }
        return euclidean ? Math.Sqrt(sum) : sum;
    }

    /// <summary>Merge-and-reduce as its definition reads: lists, doubles, every gain anew for every pick.</summary>
    private sealed class NaiveStream(int dimension, int rows)
    {
        private readonly SortedDictionary<int, List<(long Position, float[] Row, long Weight)>> _stored = [];

        public double Displacement { get; private set; }

        public void Add(long position, int source, float[] row)
        {
            if (_stored.Values.Sum(list => list.Count) == rows)
            {
                int[] counts = [.. _stored.Values.Select(list => list.Count)];
                long[] weights = [.. _stored.Values.Select(list => list.Sum(r => r.Weight))];
                int[] keep = StreamBuffer.Shares(counts, weights, rows / 2);
                foreach (var (id, k) in _stored.Keys.ToArray().Zip(keep))
                {
                    if (k < _stored[id].Count)
                    {
                        var (picks, taken, cost) = Greedy(_stored[id], k);
                        Displacement += cost;
                        _stored[id] = [.. picks.Zip(taken).Select(p => (_stored[id][p.First].Position, _stored[id][p.First].Row, p.Second)).OrderBy(r => r.Position)];
                    }
                }
            }
            if (!_stored.TryGetValue(source, out var own))
            {
                _stored[source] = own = [];
            }
            own.Add((position, row, 1));
        }

        public (List<long> Indices, List<long> Weights, double Cost) Result(int[] sources, int budget)
        {
            int[] ids = [.. _stored.Keys];
            int[] quotas = SourceBudget.Share([.. ids.Select(id => sources.Count(s => s == id))], budget);
            var (indices, weights, total) = (new List<long>(), new List<long>(), 0.0);
            foreach (var (id, k) in ids.Zip(quotas).Where(p => p.Second > 0))
            {
                var (picks, taken, cost) = Greedy(_stored[id], k);
                indices.AddRange(picks.Select(p => _stored[id][p].Position));
                weights.AddRange(taken);
                total += cost;
            }
            return (indices, weights, total);
        }

        private (int[] Picks, long[] Weights, double Cost) Greedy(List<(long Position, float[] Row, long Weight)> list, int k)
        {
            int n = list.Count;
            double D(int i, int j) => Enumerable.Range(0, dimension).Sum(c => Math.Abs((double)list[i].Row[c] - list[j].Row[c]));
            double largest = Enumerable.Range(0, n).Max(i => Enumerable.Range(0, n).Max(j => D(i, j)));
            var covered = new double[n];
            var picks = new List<int>();
            for (int t = 0; t < k; t++)
            {
                double Gain(int j) => Enumerable.Range(0, n).Sum(i => list[i].Weight * Math.Max(0, largest - D(i, j) - covered[i]));
                int pick = Enumerable.Range(0, n).Where(j => !picks.Contains(j)).MaxBy(Gain);
                picks.Add(pick);
                for (int i = 0; i < n; i++)
                {
                    covered[i] = Math.Max(covered[i], largest - D(i, pick));
                }
            }
            var weights = new long[k];
            double cost = 0;
            for (int i = 0; i < n; i++)
            {
                int owner = picks.IndexOf(i) is >= 0 and int self ? self : Enumerable.Range(0, k).MinBy(t => D(i, picks[t]));
                weights[owner] += list[i].Weight;
                cost += list[i].Weight * D(i, picks[owner]);
            }
            return ([.. picks], weights, cost);
        }
    }
}
