using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Selection;
using NativeEngine.Tests.Reference;

namespace NativeEngine.Tests.Selection;

public sealed class FacilityLocationTests : IDisposable
{
    private readonly CpuDevice _device = new(threads: 2);

    public void Dispose() => _device.Dispose();

    [Fact]
    public void Maximize_ThousandsOfTinyProblems_BoundedByBruteForce()
    {
        var random = new CounterRandom(7, RandomPurpose.Test);
        ulong at = 0;
        for (int trial = 0; trial < 4000; trial++)
        {
            int n = 2 + (int)random.Below(at++, 7), h = 1 + (int)random.Below(at++, 3), k = 1 + (int)random.Below(at++, n - 1);
            var metric = (DistanceMetric)random.Below(at++, 3);
            bool integers = random.Below(at++, 2) == 0;
            var x = new float[n * h];
            for (int i = 0; i < x.Length; i++)
            {
                x[i] = integers ? random.Below(at++, 5) - 2 : (float)random.Normal(at++);
            }
            var run = Maximize(x, n, metric, k);
            var s = new double[n * n];
            double largest = ReferenceKernels.Similarity(Array.ConvertAll(x, v => (double)v), n, h, metric, s);
            double optimum = Enumerable.Range(0, 1 << n).Where(set => System.Numerics.BitOperations.PopCount((uint)set) == k).Max(set => Value(s, n, set));
            double slack = 1e-6 * n * largest;
            string what = $"trial {trial}: n {n} h {h} k {k} {metric}";
            Assert.True(run.UpperBound >= optimum - slack, $"{what}: bound {run.UpperBound} below the optimum {optimum}");
            Assert.True(run.Objective >= ((1 - (1 / Math.E)) * run.UpperBound) - slack, $"{what}: {run.Objective} of a bound {run.UpperBound}");
            Assert.True(Math.Abs(run.Objective - Value(s, n, run.Picks.Sum(p => 1 << p))) <= slack, $"{what}: objective");
            Assert.Equal(k, run.Picks.Distinct().Count());
            Assert.Equal(run.Gains.OrderDescending(), run.Gains);
        }
    }

    [Fact]
    public void Maximize_ScaledOrColumnsPermuted_SamePicks()
    {
        const int N = 60, H = 37, K = 20;
        float[] x = Normal(N * H, 3);
        var run = Maximize(x, N, DistanceMetric.L1, K);
        var scaled = Maximize(Array.ConvertAll(x, v => v * 0.125f), N, DistanceMetric.L1, K);
        Assert.Equal(run.Picks, scaled.Picks);
        Assert.Equal(run.Objective, scaled.Objective * 8);
        int[] order = new CounterRandom(4, RandomPurpose.Test).Permutation(H);
        float[] permuted = [.. Enumerable.Range(0, N * H).Select(i => x[(i / H * H) + order[i % H]])];
        Assert.Equal(run.Picks, Maximize(permuted, N, DistanceMetric.L1, K).Picks);
    }

    [Fact]
    public void Maximize_PoolPermuted_PicksPermuted()
    {
        const int N = 50, H = 8, K = 10;
        float[] x = Normal(N * H, 5);
        int[] order = new CounterRandom(6, RandomPurpose.Test).Permutation(N);
        float[] permuted = [.. order.SelectMany(i => x[(i * H)..((i + 1) * H)])];
        Assert.Equal(Maximize(x, N, DistanceMetric.L2, K).Picks, Maximize(permuted, N, DistanceMetric.L2, K).Picks.Select(p => order[p]));
    }

    [Theory]
    [InlineData(DistanceMetric.L1)]
    [InlineData(DistanceMetric.L2)]
    [InlineData(DistanceMetric.Cosine)]
    public void Similarity_DuplicatesAndNearDuplicates_ExactAndNeverAboveTheDiagonal(DistanceMetric metric)
    {
        // Rows of size 1000 whose differences are 1e-3: sum a + sum b - 2 sum min would keep no digit of them.
        const int N = 40, H = 300;
        float[] x = Normal(N * H, 8);
        for (int i = 0; i < N; i++)
        {
            for (int k = 0; k < H; k++)
            {
                x[(i * H) + k] = i % 4 == 3 ? x[((i - 1) * H) + k] : 1000 + (x[(i * H) + k] * 1e-3f);
            }
        }
        using var features = _device.Allocate<float>(x, MemoryUse.Selection);
        using var buffer = _device.Allocate<float>((N * N) + 1, MemoryUse.Selection);
        var similarity = new Tensor<float>(buffer, 0, new Shape(N, N));
        _device.Kernels.Similarity(features.View.Reshape(N, H), metric, similarity, new Tensor<float>(buffer, N * N, new Shape(1)));
        float[] s = _device.Download(buffer.View);
        var expected = new double[N * N];
        double largest = ReferenceKernels.Similarity(Array.ConvertAll(x, v => (double)v), N, H, metric, expected);
        for (int i = 0; i < N; i++)
        {
            Assert.Equal(s[N * N], s[(i * N) + i]);
            for (int j = 0; j < N; j++)
            {
                Assert.Equal(s[(i * N) + j], s[(j * N) + i]);
                Assert.InRange(s[(i * N) + j], 0, s[N * N]);
                Assert.Equal(expected[(i * N) + j], s[(i * N) + j], 1e-6 * largest);
            }
            if (i % 4 == 3)
            {
                Assert.Equal(s.AsSpan(i * N, N), s.AsSpan((i - 1) * N, N));
            }
        }
    }

    [Fact]
    public void Maximize_AnyThreadsAndWidth_SameBits()
    {
        const int N = 300, H = 83, K = 90;
        float[] x = Normal(N * H, 9);
        using var judge = new CpuDevice(1, CpuDevice.Widest);
        var expected = Maximize(x, N, DistanceMetric.L1, K, judge);
        foreach (var width in Enum.GetValues<SimdWidth>().Where(w => w <= CpuDevice.Widest))
        {
            foreach (int threads in new[] { 1, 2, 3, 7 })
            {
                using var device = new CpuDevice(threads, width);
                var run = Maximize(x, N, DistanceMetric.L1, K, device);
                Assert.Equal(expected.Picks, run.Picks);
                Assert.Equal(expected.Gains, run.Gains);
                Assert.Equal(expected.Owners, run.Owners);
                Assert.Equal(expected.UpperBound, run.UpperBound);
            }
        }
    }

    private static double Value(double[] s, int n, int set) =>
        Enumerable.Range(0, n).Sum(i => Enumerable.Range(0, n).Where(j => (set >> j & 1) != 0).Max(j => Math.Max(0, s[(i * n) + j])));

    private static float[] Normal(int count, ulong seed)
    {
        var random = new CounterRandom(seed, RandomPurpose.Test);
        return [.. Enumerable.Range(0, count).Select(i => (float)random.Normal((ulong)i))];
    }

    private FacilityLocationResult Maximize(float[] x, int n, DistanceMetric metric, int k, Device? device = null)
    {
        double unused = 0;
        using var features = (device ?? _device).Allocate<float>(x, MemoryUse.Selection);
        return FacilityLocation.Maximize(features.View.Reshape(n, x.Length / n), metric, k, ref unused, ref unused);
    }
}
