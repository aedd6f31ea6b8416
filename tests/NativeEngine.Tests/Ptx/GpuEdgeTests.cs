using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Devices.Gpu;
using NativeEngine.Tests.Devices;

namespace NativeEngine.Tests.Ptx;

/// <summary>What the rows of the table do not reach: views that are not aligned, rows that nearly coincide, many groups, destinations that are sources.</summary>
public class GpuEdgeTests
{
    public static TheoryData<string> RowNames => [.. KernelTable.All.Select(row => row.Name)];

    [Theory]
    [MemberData(nameof(RowNames))]
    public void Run_TensorsThatAreNotAligned_BitsOfTheCpu(string name)
    {
        var row = KernelTable.All.Single(r => r.Name == name);
        using var cpu = new CpuDevice(1);
        using var device = Open();
        foreach (var size in row.TestSizes.Where(s => row.Arguments.Sum(a => a.Shape(s).Count) < 20_000).TakeLast(4))
        {
            KernelRun.On(device, row, size, guard: 33).AssertSameBits(KernelRun.On(cpu, row, size), "from the CPU, one element off a 16-byte boundary");
        }
    }

    [Theory]
    [InlineData(DistanceMetric.L1)]
    [InlineData(DistanceMetric.L2)]
    [InlineData(DistanceMetric.Cosine)]
    public void Similarity_EqualNearAndZeroRows_BitsOfTheCpu(DistanceMetric metric)
    {
        // 2,100 columns: more than the careful sum takes at once.
        const int Rows = 70, Columns = 2100;
        var random = new CounterRandom(5, RandomPurpose.Test);
        var x = new float[Rows * Columns];
        for (int i = 0; i < x.Length; i++)
        {
            int row = i / Columns, from = row % 5 == 4 ? 0 : row % 3;
            float near = row % 7 == 0 && i % 11 == 0 ? 1e-4f * row : 0;
            x[i] = row == 66 ? 0 : (float)random.Normal((ulong)((from * Columns) + (i % Columns))) + near;
        }
        float[][] results = [.. new Device[] { new CpuDevice(1), Open() }.Select(device =>
        {
            using (device)
            {
                using var rows = device.Allocate<float>(x, MemoryUse.Data);
                using var result = device.Allocate<float>((Rows * Rows) + (20 * 50) + 2, MemoryUse.Data);
                var view = result.View;
                var all = rows.View.Reshape(Rows, Columns);
                device.Kernels.Similarity(all, metric, view.Slice(0, Rows * Rows).Reshape(Rows, Rows), view.Slice(Rows * Rows, 1));
                device.Kernels.Distances(all.Slice(0, 20), all.Slice(20, 50), metric, view.Slice((Rows * Rows) + 1, 1000).Reshape(20, 50), view.Slice((Rows * Rows) + 1001, 1));
                return device.Download(result.View);
            }
        })];
        Assert.Equal(Array.ConvertAll(results[0], BitConverter.SingleToInt32Bits), Array.ConvertAll(results[1], BitConverter.SingleToInt32Bits));
    }

    [Fact]
    public void SumOfSquares_ManyBlocks_BitsOfTheCpu()
    {
        const int Count = (300 * 4096) + 17;
        float[] sums = [.. new Device[] { new CpuDevice(2), Open() }.Select(device =>
        {
            using (device)
            {
                using var x = device.Allocate<float>(Count, MemoryUse.Data);
                using var sum = device.Allocate<float>(1, MemoryUse.Data);
                device.Kernels.Gaussian(3, 1, x.View);
                device.Kernels.SumOfSquares(x.View, sum.View);
                return device.Download(sum.View)[0];
            }
        })];
        Assert.InRange(sums[0], 0.99f * Count, 1.01f * Count);
        Assert.Equal(sums[0], sums[1]);
    }

    [Fact]
    public void Run_DestinationsThatAreSources_BitsOfTheCpu()
    {
        const int Count = 1030;
        float[][] results = [.. new Device[] { new CpuDevice(1), Open() }.Select(device =>
        {
            using (device)
            {
                using var a = device.Allocate<float>(Count, MemoryUse.Data);
                using var b = device.Allocate<float>(Count, MemoryUse.Data);
                using var c = device.Allocate<float>(Count, MemoryUse.Data);
                var k = device.Kernels;
                k.Gaussian(1, 1, a.View);
                k.Gaussian(1, 2, b.View);
                k.Gaussian(1, 3, c.View);
                k.SwiGluBackward(c.View, a.View, b.View, a.View, b.View);
                k.SwiGlu(a.View, b.View, a.View);
                k.AdamNormalize(c.View.Reshape(2, Count / 2), default, default, 0.9, 0.999, 1e-8, 0, c.View.Reshape(2, Count / 2));
                k.LionNormalize(b.View.Reshape(10, Count / 10), default, 0.9, b.View.Reshape(10, Count / 10));
                return (float[])[.. device.Download(a.View), .. device.Download(b.View), .. device.Download(c.View)];
            }
        })];
        Assert.Equal(Array.ConvertAll(results[0], BitConverter.SingleToInt32Bits), Array.ConvertAll(results[1], BitConverter.SingleToInt32Bits));
    }

    private static GpuDevice Open() => new(new InterpretedDriver(), d => new GpuKernels(d));
}
