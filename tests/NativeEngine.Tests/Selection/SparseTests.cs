using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Selection;
using NativeEngine.Tests.Reference;

namespace NativeEngine.Tests.Selection;

/// <summary>Selection without an n x n matrix: sparse, stochastic and partitioned.</summary>
public sealed class SparseTests : IDisposable
{
    private readonly CpuDevice _device = new(threads: 2);

    public void Dispose() => _device.Dispose();

    [Theory]
    [InlineData(SelectionAlgorithm.Sparse)]
    [InlineData(SelectionAlgorithm.Stochastic)]
    [InlineData(SelectionAlgorithm.Partitioned)]
    public void Select_ThousandsOfTinyProblems_ObjectiveOfTheWholeAndBoundAboveTheOptimum(SelectionAlgorithm algorithm)
    {
        var random = new CounterRandom(17, RandomPurpose.Test);
        ulong at = 0;
        for (int trial = 0; trial < 1500; trial++)
        {
            int n = 3 + (int)random.Below(at++, 7), h = 1 + (int)random.Below(at++, 3), k = 1 + (int)random.Below(at++, n - 1);
            var metric = (DistanceMetric)random.Below(at++, 3);
            bool integers = random.Below(at++, 2) == 0;
            float[] x = [.. Enumerable.Range(0, n * h).Select(_ => integers ? random.Below(at++, 5) - 2 : (float)random.Normal(at++))];
            var options = new SelectionOptions
            {
                Budget = k,
                Metric = metric,
                Algorithm = algorithm,
                Parts = 2,
                Neighbours = 1 + (int)random.Below(at++, n),
                Seed = (ulong)trial,
            };
            var (result, plan) = Select(options, x, n);
            var s = new double[n * n];
            double largest = ReferenceKernels.Similarity(Array.ConvertAll(x, v => (double)v), n, h, metric, s);
            double optimum = Enumerable.Range(0, 1 << n).Where(set => System.Numerics.BitOperations.PopCount((uint)set) == k).Max(set => Value(s, n, set));
            double slack = 1e-6 * n * Math.Max(largest, 1e-6);
            string what = $"trial {trial}: n {n} h {h} k {k} {metric} {algorithm} t {options.Neighbours}";
            Assert.Equal(k, result.Indices.Distinct().Count());
            Assert.Equal(n, result.Weights.Sum());
            Assert.True(Math.Abs(result.Objective - Value(s, n, result.Indices.Sum(p => 1 << p))) <= slack, $"{what}: objective {result.Objective}");
            Assert.True(result.Certificate!.UpperBound >= optimum - slack, $"{what}: bound {result.Certificate.UpperBound} below the optimum {optimum}");
            if (algorithm == SelectionAlgorithm.Sparse)
            {
                Assert.Equal(result.Gains.OrderDescending(), result.Gains);
            }
            Verify(SelectionDocument.Of(result, plan, ["all"], h, adam: false, state: null), x);
        }
    }

    [Fact]
    public void Maximize_AllNeighbours_SamePicksAsExact()
    {
        const int N = 90, H = 7, K = 31;
        float[] x = Normal(N * H, 5);
        var exact = Select(new SelectionOptions { Budget = K, Algorithm = SelectionAlgorithm.Exact }, x, N).Result;
        var sparse = Select(new SelectionOptions { Budget = K, Algorithm = SelectionAlgorithm.Sparse, Neighbours = N }, x, N).Result;
        Assert.Equal(exact.Indices, sparse.Indices);
        Assert.Equal(exact.Owners, sparse.Owners);
        Assert.All(exact.Gains.Zip(sparse.Gains), g => Assert.Equal(g.First!.Value, g.Second!.Value, 1e-6 * exact.Objective));
    }

    [Theory]
    [InlineData(0.5, 16)]
    [InlineData(0.1, 80)]
    public void Select_Sparse_RecoversExactMinusRandom(double budget, int neighbours)
    {
        const int N = 2300, H = 24;
        int k = (int)(N * budget);
        var random = new CounterRandom(3, RandomPurpose.Test);
        // Points around 60 centres.
        float[] x = [.. Enumerable.Range(0, N * H).Select(i => (float)((2 * random.Normal((ulong)(1_000_000 + (i / H % 60 * H) + (i % H)))) + random.Normal((ulong)i)))];
        double exact = Select(new SelectionOptions { Budget = k, Algorithm = SelectionAlgorithm.Exact }, x, N).Result.Objective;
        double sparse = Select(new SelectionOptions { Budget = k, Algorithm = SelectionAlgorithm.Sparse, Neighbours = neighbours }, x, N).Result.Objective;
        using var features = _device.Allocate<float>(x, MemoryUse.Selection);
        var graph = NeighbourGraph.Build(features.View.Reshape(N, H), new SelectionOptions { Budget = k }, neighbours);
        double mean = Enumerable.Range(0, 5).Average(s => SparseFacilityLocation.Evaluate(
            features.View.Reshape(N, H), DistanceMetric.L1, graph, new CounterRandom((ulong)s, RandomPurpose.Test).Permutation(N)[..k], new double[k], default).Objective);
        Assert.InRange((sparse - mean) / (exact - mean), 0.97, 1.03);
    }

    [Theory]
    [InlineData(SelectionAlgorithm.Sparse)]
    [InlineData(SelectionAlgorithm.Stochastic)]
    [InlineData(SelectionAlgorithm.Partitioned)]
    public void Select_AnyThreadsAndWidth_SameBits(SelectionAlgorithm algorithm)
    {
        const int N = 2100, H = 19;
        float[] x = Normal(N * H, 9);
        var options = new SelectionOptions { Budget = 300, Algorithm = algorithm, Parts = 3, Neighbours = 20 };
        using var judge = new CpuDevice(1, CpuDevice.Widest);
        var expected = Select(options, x, N, judge).Result;
        foreach (var width in Enum.GetValues<SimdWidth>().Where(w => w <= CpuDevice.Widest))
        {
            foreach (int threads in width == CpuDevice.Widest ? new[] { 2, 3, 7 } : [3])
            {
                using var device = new CpuDevice(threads, width);
                var result = Select(options, x, N, device).Result;
                Assert.Equal(expected.Indices, result.Indices);
                Assert.Equal(expected.Gains, result.Gains);
                Assert.Equal(expected.Owners, result.Owners);
                Assert.Equal(expected.Objective, result.Objective);
                Assert.Equal(expected.Certificate, result.Certificate);
            }
        }
    }

    [Fact]
    public void Verify_WithoutTheMatrix_TamperingSeen()
    {
        const int N = 200, H = 5;
        float[] x = Normal(N * H, 11);
        var (result, plan) = Select(new SelectionOptions { Budget = 60, Algorithm = SelectionAlgorithm.Sparse, Neighbours = 12 }, x, N);
        var document = SelectionDocument.Of(result, plan, ["all"], H, adam: false, state: null);
        Verify(document, x);
        int a = document.Indices[3], other = Enumerable.Range(0, N).First(i => document.Owners[i] != a && document.Owners[i] != i);
        int[] owners = [.. document.Owners];
        owners[other] = a;
        int[] weights = [.. document.Indices.Select(i => owners.Count(o => o == i))];
        SelectionDocument[] tampered =
        [
            document with { Objective = document.Objective * 1.0001, Certificate = new(document.Certificate.UpperBound, document.Objective * 1.0001 / document.Certificate.UpperBound) },
            document with { Certificate = new(document.Objective, 1) },
            document with { Owners = owners, Weights = weights },
            document with { Gains = [.. document.Gains.Reverse()] },
        ];
        Assert.All(tampered, d => Assert.Equal(ErrorKind.VerificationFailed, Assert.Throws<EngineException>(() => Verify(d, x)).Kind));
    }

    [Theory]
    [InlineData(1000, 500, 16_384, SelectionAlgorithm.Exact, 0)]
    [InlineData(20_000, 10_000, 16_384, SelectionAlgorithm.Sparse, 64)]
    [InlineData(20_000, 1_000, 16_384, SelectionAlgorithm.Sparse, 160)]
    [InlineData(20_000, 20, 16_384, SelectionAlgorithm.Partitioned, 64)]
    public void Choice_Auto_ByCandidatesAndPicks(int n, int k, int limit, SelectionAlgorithm algorithm, int neighbours)
    {
        var choice = SelectionChoice.For(new SelectionOptions { Budget = k, ExactLimit = limit }, n, k);
        Assert.Equal((algorithm, neighbours), (choice.Algorithm, choice.Neighbours));
        Assert.NotEmpty(choice.Reason);
    }

    [Theory]
    [InlineData(400, 32, SelectionAlgorithm.Exact, 0)]
    [InlineData(400, 32, SelectionAlgorithm.Exact, 8)]
    [InlineData(2500, 32, SelectionAlgorithm.Sparse, 0)]
    [InlineData(2500, 32, SelectionAlgorithm.Sparse, 16)]
    [InlineData(900, 64, SelectionAlgorithm.Partitioned, 0)]
    [InlineData(900, 200, SelectionAlgorithm.Partitioned, 20)]
    [InlineData(900, 300, SelectionAlgorithm.Stochastic, 0)]
    public void Memory_Predicted_WithinTenPercentOfTheMeter(int n, int h, SelectionAlgorithm algorithm, int top)
    {
        float[] x = Normal(n * h, 2);
        var options = new SelectionOptions { Budget = n / 2, Algorithm = algorithm, Parts = 2, Top = top };
        foreach (bool adam in new[] { false, true })
        {
            using var device = new CpuDevice(2);
            using var normalizer = adam ? GradientNormalizer.Adam(device) : GradientNormalizer.None();
            var selector = new CoresetSelector(device, options, normalizer);
            var plan = selector.Plan(new int[n], 3);
            long predicted = SelectionMemory.Of(plan, h, adam, 2).SelectorBytes;
            using (var features = device.Allocate<float>(x, MemoryUse.Selection))
            {
                selector.Select(plan, features.View.Reshape(n, h));
            }
            Assert.InRange(predicted / (double)device.Memory.PeakBytes, 0.9, 1.1);
        }
    }

    private static double Value(double[] s, int n, int set) =>
        Enumerable.Range(0, n).Sum(i => Enumerable.Range(0, n).Where(j => (set >> j & 1) != 0).Max(j => Math.Max(0, s[(i * n) + j])));

    private static float[] Normal(int count, ulong seed)
    {
        var random = new CounterRandom(seed, RandomPurpose.Test);
        return [.. Enumerable.Range(0, count).Select(i => (float)random.Normal((ulong)i))];
    }

    private void Verify(SelectionDocument document, float[] x)
    {
        using var features = _device.Allocate<float>(x, MemoryUse.Selection);
        SelectionVerifier.Verify(document, features.View.Reshape(document.N, document.Dimension), GradientNormalizer.None());
    }

    private (SelectionResult Result, SelectionPlan Plan) Select(SelectionOptions options, float[] x, int n, Device? device = null)
    {
        var selector = new CoresetSelector(device ?? _device, options, GradientNormalizer.None());
        var plan = selector.Plan(new int[n], 0);
        using var features = (device ?? _device).Allocate<float>(x, MemoryUse.Selection);
        return (selector.Select(plan, features.View.Reshape(n, x.Length / n)), plan);
    }
}
