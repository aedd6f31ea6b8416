using NativeEngine.Devices;

namespace NativeEngine.Selection;

/// <summary>
/// The t nearest rows of every row, from one pass over all pairs in blocks: n^2 h / 2 terms and 8 n t bytes, no n x n matrix. Distances are those of
/// <see cref="IKernels.Distances"/>; for cosine they are negative similarities. Similarity is S = C - D with C the largest distance (0 for cosine).
/// </summary>
internal sealed class NeighbourGraph
{
    /// <summary>Rows of a block of distances of n rows: an eighth, from 256 to 2048 (16 MiB).</summary>
    public static long BlockRows(long n) => Math.Min(n, Math.Clamp(n / 8 / 256 * 256, 256, 2048));

    private NeighbourGraph(int n, int t, float[] distances, int[] neighbours, float[] self, float c) =>
        (Count, Width, Distances, Neighbours, Self, C) = (n, t, distances, neighbours, self, c);

    /// <summary>Rows n.</summary>
    public int Count { get; }

    /// <summary>Entries t of a list.</summary>
    public int Width { get; }

    /// <summary>[n,t], ascending in every list.</summary>
    public float[] Distances { get; }

    /// <summary>[n,t], ties by lowest row.</summary>
    public int[] Neighbours { get; }

    /// <summary>Distance of every row to itself: 0, and for cosine -1 (0 for a zero row).</summary>
    public float[] Self { get; }

    /// <summary>The largest distance of all pairs; 0 for cosine.</summary>
    public float C { get; }

    /// <summary>Whether a list holds every other row.</summary>
    public bool IsComplete => Width == Count - 1;

    /// <summary>A graph whose lists were made elsewhere.</summary>
    public static NeighbourGraph Of(int n, int t, float[] distances, int[] neighbours, float[] self, float c) => new(n, t, distances, neighbours, self, c);

    /// <summary>What a lower precision did; null with float32.</summary>
    public SelectionScreening? Screening { get; private init; }

    /// <summary>
    /// Passes over all pairs of rows of x [n,h], n at least 2, in float32 or, where the options ask for it, in integers first: the lists have the same bits.
    /// Errors: WillNotFit; Numerical when distances overflow.
    /// </summary>
    public static NeighbourGraph Build(Tensor<float> x, SelectionOptions options, int width, CancellationToken cancellation = default)
    {
        int n = checked((int)x.Rows), t = Math.Clamp(width, 1, n - 1);
        if (options.Precision == SelectionPrecision.Fp32)
        {
            return Exact(x, options.Metric, t, null, cancellation);
        }
        if (options.WhyNotScreened(n) is { } why)
        {
            return Exact(x, options.Metric, t, new SelectionScreening(options.Precision, 0, 0, n, why), cancellation);
        }
        var found = ScreenedNeighbours.Find(x, t, options.Precision, cancellation, out var screening);
        if (found is null)
        {
            return Exact(x, options.Metric, t, screening, cancellation);
        }
        RequireFinite(found.Largest, n);
        return new NeighbourGraph(n, t, found.Nearest, found.Neighbours, new float[n], found.Largest) { Screening = screening };
    }

    private static NeighbourGraph Exact(Tensor<float> x, DistanceMetric metric, int t, SelectionScreening? screening, CancellationToken cancellation)
    {
        var device = x.Buffer.Device;
        int n = checked((int)x.Rows);
        using var nearest = device.Allocate<float>((long)n * t, MemoryUse.Selection);
        using var neighbours = device.Allocate<int>((long)n * t, MemoryUse.Selection);
        var (lists, ids) = (nearest.View.Reshape(n, t), neighbours.View.Reshape(n, t));
        device.Kernels.Fill(float.PositiveInfinity, nearest.View);
        var self = new float[n];
        float c = DistanceBlocks.ForEach(x, metric, Merge, cancellation);
        RequireFinite(c, n);
        return new NeighbourGraph(n, t, device.Download(nearest.View), device.Download(neighbours.View), self, metric == DistanceMetric.Cosine ? 0 : c)
        {
            Screening = screening,
        };

        void Merge(long i, long j, Tensor<float> distances)
        {
            long height = distances.Rows, width = distances.RowLength;
            device.Kernels.MergeNearest(distances, i, j, columns: false, lists.Slice(i, height), ids.Slice(i, height));
            if (i < j)
            {
                device.Kernels.MergeNearest(distances, i, j, columns: true, lists.Slice(j, width), ids.Slice(j, width));
            }
            else if (metric == DistanceMetric.Cosine)
            {
                float[] values = device.Download(distances.Reshape(height * width));
                for (long r = 0; r < height; r++)
                {
                    self[i + r] = values[r * (width + 1)];
                }
            }
        }
    }

    private static void RequireFinite(float c, int n)
    {
        if (!float.IsFinite(c))
        {
            throw new EngineException(
                ErrorKind.Numerical, $"the largest distance of {n} features is {c}: their sums leave the range of float32", "scale the features down");
        }
    }

    /// <summary>Largest distance at which a neighbour of row i is certain to be in its list, at most C: beyond it nothing counts.</summary>
    public float Radius(int i) => IsComplete ? C : Math.Min(C, Distances[(((long)i + 1) * Width) - 1]);
}
