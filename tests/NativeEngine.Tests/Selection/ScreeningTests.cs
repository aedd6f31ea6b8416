using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Selection;

namespace NativeEngine.Tests.Selection;

/// <summary>Integer bounds of distances, and the selections they must not change.</summary>
public sealed class ScreeningTests : IDisposable
{
    private readonly CpuDevice _device = new(threads: 2);

    public void Dispose() => _device.Dispose();

    public static TheoryData<string, int, int> Rows => new()
    {
        { "normal", 150, 1 },
        { "normal", 131, 33 },
        { "normal", 67, 2600 },
        { "normal", 9, 5000 },
        { "outliers", 130, 200 },
        { "scales", 150, 129 },
        { "integers", 150, 31 },
        { "duplicates", 150, 64 },
        { "shifted", 130, 127 },
        { "constant", 70, 40 },
        { "tiny", 66, 100 },
    };

    [Theory]
    [MemberData(nameof(Rows))]
    public void LowerBounds_AnyRows_NoDistanceIsBelowItsBoundOrAboveItsSquare(string kind, int n, int h)
    {
        float[] x = Data(kind, n, h);
        float[] distances = Distances(x, n, h);
        foreach (var type in Enum.GetValues<ScreenType>())
        {
            var (bounds, largest) = Bounds(_device, x, n, h, type);
            int square = _device.Screen.ScreenSquare, across = (n + square - 1) / square;
            double gap = 0;
            for (int i = 0; i < n; i++)
            {
                for (int j = 0; j < n; j++)
                {
                    float d = distances[(i * n) + j];
                    Assert.True(bounds[(i * n) + j] <= d, $"{kind} {type}: the bound of {i}, {j} is {bounds[(i * n) + j]:R}, the distance {d:R}");
                    Assert.True(i > j || largest[(i / square * across) + (j / square)] >= d, $"{kind} {type}: the square of {i}, {j} ends below {d:R}");
                    gap += d - bounds[(i * n) + j];
                }
            }
            if (kind == "normal" && h > 1)
            {
                // Bounds that exclude nothing would be true too.
                Assert.InRange(gap / distances.Sum(), 0, type == ScreenType.Int16 ? 3e-4 : 0.05);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Rows))]
    public void PairDistances_AnyPairs_BitsOfDistances(string kind, int n, int h)
    {
        float[] x = Data(kind, n, h);
        float[] expected = Distances(x, n, h);
        var random = new CounterRandom(7, RandomPurpose.Test);
        // Runs of one left row, and single pairs.
        int[] left = [.. Enumerable.Range(0, 700).Select(p => p < 350 ? p / 50 % n : (int)random.Below((ulong)p, n))];
        int[] right = [.. Enumerable.Range(0, 700).Select(p => (int)random.Below((ulong)(1000 + p), n))];
        foreach (var width in Enum.GetValues<SimdWidth>().Where(w => w <= CpuDevice.Widest))
        {
            using var device = new CpuDevice(3, width);
            using var buffer = device.Allocate<float>(x, MemoryUse.Selection);
            using var rows = device.Screen.Round(buffer.View.Reshape(n, h), ScreenType.Int8);
            var found = new float[left.Length];
            device.Screen.PairDistances(buffer.View.Reshape(n, h), rows, left, right, found);
            for (int p = 0; p < left.Length; p++)
            {
                Assert.Equal(expected[(left[p] * n) + right[p]], found[p]);
            }
        }
    }

    [Theory]
    [InlineData(ScreenType.Int8)]
    [InlineData(ScreenType.Int16)]
    public void LowerBounds_AnyThreadsAndWidth_SameBits(ScreenType type)
    {
        const int N = 200, H = 300;
        float[] x = Data("scales", N, H);
        var expected = Bounds(_device, x, N, H, type);
        foreach (var width in Enum.GetValues<SimdWidth>().Where(w => w <= CpuDevice.Widest))
        {
            foreach (int threads in new[] { 1, 3, 7 })
            {
                using var device = new CpuDevice(threads, width);
                var found = Bounds(device, x, N, H, type);
                Assert.Equal(expected.Bounds, found.Bounds);
                Assert.Equal(expected.Largest, found.Largest);
            }
        }
    }

    [Theory]
    [InlineData("normal", 700, 60, SelectionAlgorithm.Sparse)]
    [InlineData("clusters", 900, 40, SelectionAlgorithm.Sparse)]
    [InlineData("clusters", 900, 40, SelectionAlgorithm.Stochastic)]
    [InlineData("clusters", 900, 40, SelectionAlgorithm.Partitioned)]
    [InlineData("integers", 600, 3, SelectionAlgorithm.Sparse)]
    [InlineData("duplicates", 600, 20, SelectionAlgorithm.Sparse)]
    [InlineData("outliers", 600, 50, SelectionAlgorithm.Sparse)]
    [InlineData("constant", 300, 9, SelectionAlgorithm.Sparse)]
    [InlineData("scales", 700, 50, SelectionAlgorithm.Sparse)]
    public void Select_LowerPrecision_EverythingAsFloat32(string kind, int n, int h, SelectionAlgorithm algorithm)
    {
        float[] x = Data(kind, n, h);
        var options = new SelectionOptions { Budget = n / 3, Algorithm = algorithm, Parts = 3, Neighbours = 12, ScreenFrom = 2 };
        var expected = Select(options, x, n);
        Assert.Null(expected.Screening);
        foreach (var precision in new[] { SelectionPrecision.Bf16, SelectionPrecision.Int8 })
        {
            var found = Select(options with { Precision = precision }, x, n);
            Assert.Equal(expected.Indices, found.Indices);
            Assert.Equal(expected.Gains, found.Gains);
            Assert.Equal(expected.Owners, found.Owners);
            Assert.Equal(expected.Weights, found.Weights);
            Assert.Equal(expected.Objective, found.Objective);
            Assert.Equal(expected.Certificate, found.Certificate);
            Assert.Equal(precision, found.Screening!.Precision);
            Assert.InRange(found.Screening.Screened, 1, (long)n * (n + 1) / 2);
            Assert.InRange(found.Screening.Rescored, n * 12 / 2, (long)n * n * 2);
        }
    }

    [Fact]
    public void Select_NeighboursFarApart_FewRescoredAndNoneWhole()
    {
        const int N = 1500;
        var options = new SelectionOptions { Budget = N / 2, Algorithm = SelectionAlgorithm.Sparse, Neighbours = 16, ScreenFrom = 2, Precision = SelectionPrecision.Int8 };
        float[] x = Data("clusters", N, 200);
        var screening = Select(options, x, N).Screening!;
        Assert.Equal((long)N * (N + 1) / 2, screening.Screened);
        Assert.Equal(0, screening.Rows);
        Assert.True(screening.Rescored < N * 200, $"{screening.Rescored} pairs rescored");
    }

    [Fact]
    public void Select_BytesCannotTellRowsApart_GivesUpSaysSoAndIsFloat32()
    {
        // A few huge values take the bytes' whole range; all other rows fall on the same integers.
        const int N = 2100, H = 30;
        float[] x = Data("normal", N, H);
        for (int i = 0; i < N; i += 7)
        {
            x[i * H] = 1e6f * (1 + (i % 3));
        }
        var options = new SelectionOptions { Budget = 900, Algorithm = SelectionAlgorithm.Sparse, Neighbours = 10, ScreenFrom = 2 };
        var expected = Select(options, x, N);
        var found = Select(options with { Precision = SelectionPrecision.Int8 }, x, N);
        Assert.Equal(expected.Indices, found.Indices);
        Assert.Equal(expected.Objective, found.Objective);
        Assert.Equal(N, found.Screening!.Rows);
        Assert.Contains("given up", found.Screening.Note, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(DistanceMetric.L2, SelectionAlgorithm.Sparse, 2, "l2 has no integer bounds")]
    [InlineData(DistanceMetric.L1, SelectionAlgorithm.Sparse, 1000, "below 1000 candidates")]
    [InlineData(DistanceMetric.L1, SelectionAlgorithm.Exact, 2, "exact greedy reads every distance")]
    public void Select_NothingToScreen_SaysWhy(DistanceMetric metric, SelectionAlgorithm algorithm, int from, string words)
    {
        var options = new SelectionOptions { Budget = 20, Metric = metric, Algorithm = algorithm, ScreenFrom = from, Precision = SelectionPrecision.Bf16 };
        var screening = Select(options, Data("normal", 60, 5), 60).Screening!;
        Assert.Equal((0, 60), (screening.Screened, screening.Rows));
        Assert.Contains(words, screening.Note, StringComparison.Ordinal);
    }

    private SelectionResult Select(SelectionOptions options, float[] x, int n)
    {
        using var features = _device.Allocate<float>(x, MemoryUse.Selection);
        using var normalizer = GradientNormalizer.None();
        var selector = new CoresetSelector(_device, options, normalizer);
        return selector.Select(selector.Plan(new int[n], 0), features.View.Reshape(n, x.Length / n));
    }

    private float[] Distances(float[] x, int n, int h)
    {
        using var rows = _device.Allocate<float>(x, MemoryUse.Selection);
        using var d = _device.Allocate<float>(n * n, MemoryUse.Selection);
        using var largest = _device.Allocate<float>(1, MemoryUse.Selection);
        _device.Kernels.Distances(rows.View.Reshape(n, h), rows.View.Reshape(n, h), DistanceMetric.L1, d.View.Reshape(n, n), largest.View);
        return _device.Download(d.View);
    }

    private static (float[] Bounds, float[] Largest) Bounds(CpuDevice device, float[] x, int n, int h, ScreenType type)
    {
        using var buffer = device.Allocate<float>(x, MemoryUse.Selection);
        using var rows = device.Screen.Round(buffer.View.Reshape(n, h), type);
        using var bounds = device.Allocate<float>(n * n, MemoryUse.Selection);
        int squares = (n + device.Screen.ScreenSquare - 1) / device.Screen.ScreenSquare;
        var largest = new float[squares * squares];
        device.Screen.LowerBounds(rows, 0, 0, bounds.View.Reshape(n, n), largest);
        // A part that is not on the diagonal has the same bounds.
        if (n > 8)
        {
            using var part = device.Allocate<float>((n - 4) * 5, MemoryUse.Selection);
            device.Screen.LowerBounds(rows, 4, 0, part.View.Reshape(n - 4, 5), new float[(n - 4 + device.Screen.ScreenSquare - 1) / device.Screen.ScreenSquare]);
            float[] all = device.Download(bounds.View), some = device.Download(part.View);
            for (int e = 0; e < some.Length; e++)
            {
                Assert.Equal(all[((4 + (e / 5)) * n) + (e % 5)], some[e]);
            }
        }
        return (device.Download(bounds.View), largest);
    }

    private static float[] Data(string kind, int n, int h)
    {
        var random = new CounterRandom(13, RandomPurpose.Test);
        float Normal(long i) => (float)random.Normal((ulong)i);
        return [.. Enumerable.Range(0, n * h).Select(e =>
        {
            int i = e / h, k = e % h;
            return kind switch
            {
                "normal" => Normal(e),
                "outliers" => Normal(e) * (random.Below((ulong)(e + 900_000), 200) == 0 ? 1000 : 1),
                "scales" => Normal(e) * MathF.Exp(2 * Normal(2_000_000 + i)),
                "integers" => random.Below((ulong)e, 5) - 2,
                "duplicates" => Normal((i / 3 * h) + k) * (i % 3 == 2 ? 1.0000001f : 1),
                "shifted" => 1000 + Normal(e),
                "clusters" => (3 * Normal(1_000_000 + (i % 60 * h) + k)) + (0.3f * Normal(e)),
                "tiny" => 1e-38f * Normal(e),
                _ => 2.5f,
            };
        })];
    }
}
