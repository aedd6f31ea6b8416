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
