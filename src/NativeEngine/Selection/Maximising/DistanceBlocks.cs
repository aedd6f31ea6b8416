using NativeEngine.Devices;

namespace NativeEngine.Selection;

/// <summary>All pairs of rows, a block of the distance matrix at a time, so that the matrix itself is never there.</summary>
internal static class DistanceBlocks
{
    /// <summary>
    /// Computes the blocks of the upper triangle of the distances of x [n,h], from the left within each band of rows, and gives each to <paramref name="visit"/> with its first row i and its
    /// first column j, i at most j; a block beside itself (i = j) has both triangles. The block is the visitor's until it returns. Returns the largest of what the kernel tells as such.
    /// Memory: one block. Errors: as <see cref="NormRange.Require"/>.
    /// </summary>
    public static float ForEach(Tensor<float> x, DistanceMetric metric, Action<long, long, Tensor<float>> visit, CancellationToken cancellation)
    {
        var device = x.Buffer.Device;
        long n = x.Rows, size = NeighbourGraph.BlockRows(n);
        using var block = device.Allocate<float>(size * size, MemoryUse.Selection);
        using var largest = device.Allocate<float>(1, MemoryUse.Selection);
        NormRange.Require(x, metric, largest.View);
        float c = 0;
        for (long i = 0; i < n; i += size)
        {
            var first = x.Slice(i, Math.Min(size, n - i));
            for (long j = i; j < n; j += size)
            {
                cancellation.ThrowIfCancellationRequested();
                var second = x.Slice(j, Math.Min(size, n - j));
                var distances = new Tensor<float>(block, 0, new Shape(first.Rows, second.Rows));
                device.Kernels.Distances(first, second, metric, distances, largest.View);
                c = Math.Max(c, device.Download(largest.View)[0]);
                visit(i, j, distances);
            }
        }
        return c;
    }
}
