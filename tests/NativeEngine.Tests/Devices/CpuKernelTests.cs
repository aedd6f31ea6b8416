using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Tests.Reference;

namespace NativeEngine.Tests.Devices;

public class CpuKernelTests
{
    public static TheoryData<string> RowNames => [.. KernelTable.All.Select(row => row.Name)];

    [Fact]
    public void Table_EveryRow_HasReferenceAndSizes()
    {
        Assert.Equal(KernelTable.All.Select(r => r.Name).Order(), ReferenceKernels.All.Keys.Order());
        Assert.All(KernelTable.All, row => Assert.True(row.TestSizes.Count > 0 && row.BenchmarkSizes.Count > 0));
    }

    [Theory]
    [MemberData(nameof(RowNames))]
    public void Run_AwkwardSizes_MatchesReference(string name)
    {
        var row = KernelTable.All.Single(r => r.Name == name);
        using var device = new CpuDevice(threads: 2);
        foreach (var size in row.TestSizes)
        {
            KernelRun.On(device, row, size).AssertMatches(KernelRun.Expected(row, size));
        }
    }

    [Theory]
    [MemberData(nameof(RowNames))]
    public void Run_AnyWidthAndThreads_SameBits(string name)
    {
        var row = KernelTable.All.Single(r => r.Name == name);
        using var judge = new CpuDevice(threads: 1, CpuDevice.Widest);
        foreach (var width in Enum.GetValues<SimdWidth>().Where(w => w <= CpuDevice.Widest))
        {
            foreach (int threads in width == CpuDevice.Widest ? new[] { 2, 3, 7 } : [3])
            {
                using var device = new CpuDevice(threads, width);
                foreach (var size in row.TestSizes)
                {
                    KernelRun.On(device, row, size).AssertSameBits(KernelRun.On(judge, row, size), $"with {threads} threads at {CpuDevice.NameOf(width)} from 1 thread at {CpuDevice.NameOf(judge.Width)}");
                }
            }
        }
    }

    /// <summary>A product whose second operand lies row by row may be computed with exchanged roles, one whose second operand lies step by step never is.</summary>
    [Theory]
    [InlineData(5, 300, 1024)]
    [InlineData(17, 530, 70)]
    [InlineData(190, 1500, 1365)]
    [InlineData(200, 4000, 512)]
    public void MatMul_ManyContiguousColumns_BitsOfTheOtherTranspose(int m, int n, int k)
    {
        var random = new CounterRandom(7, RandomPurpose.Test);
        float[] Normal(ulong stream, int count) => [.. Enumerable.Range(0, count).Select(i => (float)random.Normal((stream << 32) + (ulong)i))];
        float[] a = Normal(0, m * k), b = Normal(1, n * k), transposed = new float[n * k], start = Normal(2, m * n);
        for (int j = 0; j < n; j++)
        {
            for (int p = 0; p < k; p++)
            {
                transposed[(p * n) + j] = b[(j * k) + p];
            }
        }
        using var device = new CpuDevice(threads: 1);
        foreach (bool accumulate in new[] { false, true })
        {
            Assert.Equal(Product(transposed, false), Product(b, true));

            float[] Product(float[] second, bool transpose)
            {
                using var left = device.Allocate<float>(a, MemoryUse.Data);
                using var right = device.Allocate<float>(second, MemoryUse.Data);
                using var result = device.Allocate<float>(start, MemoryUse.Data);
                var view = result.View.Reshape(m, n);
                device.Kernels.MatMul(left.View.Reshape(m, k), false, transpose ? right.View.Reshape(n, k) : right.View.Reshape(k, n), transpose, accumulate, view);
                return device.Download(view);
            }
        }
    }
}
