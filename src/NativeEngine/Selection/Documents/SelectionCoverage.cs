using NativeEngine.Devices;

namespace NativeEngine.Selection;

/// <summary>How well two sets of picks cover one source, on the same features.</summary>
/// <param name="Examples">Examples that were compared: of this source, dropped by neither, with finite features.</param>
/// <param name="ObjectiveA">F of A's picks: sum over the examples of max(0, C - distance to the nearest), 0 without picks; C is the largest distance of the source, for cosine 0.</param>
/// <param name="ObjectiveB">F of B's picks.</param>
/// <param name="DistanceA">Mean distance of an example to the nearest of A's picks, for cosine the mean negative similarity; null without picks or examples.</param>
/// <param name="DistanceB">The same for B.</param>
public sealed record SourceCoverage(int Examples, double ObjectiveA, double ObjectiveB, double? DistanceA, double? DistanceB);

/// <summary>
/// The objective of two selections of one pool on the same features: every source is measured by itself, its picks against all its examples, whether they were chosen
/// by the objective or kept. Features are normalised, their columns chosen and rows compared as the first selection did. Distances are those of
/// <see cref="IKernels.Distances"/> (float32), sums are in double: F of a selection that was chosen from these features is its document's to rounding.
/// Cost: n^2 h / 2 terms a source, a copy of its rows (none where it is the whole pool) and 32 MiB; n times the picks comparisons.
/// </summary>
public static class SelectionCoverage
{
    /// <summary>
    /// Measures both. Returns one item for each of <see cref="SelectionDifference.Sources"/>. Errors: BadInput for features of another shape; WillNotFit; Numerical for
    /// norms that overflow under cosine.
    /// </summary>
    /// <param name="a">The first selection, which says how rows are compared.</param>
    /// <param name="b">The second.</param>
    /// <param name="difference">The two compared.</param>
    /// <param name="features">All features [n, dim] on a device; normalised in place when Adam was used.</param>
    /// <param name="normalizer">Adam's history as it was before the first selection, or no normaliser.</param>
    /// <param name="cancellation">Stops between blocks.</param>
    public static IReadOnlyList<SourceCoverage> Of(
        SelectionDocument a, SelectionDocument b, SelectionDifference difference, Tensor<float> features, IGradientNormalizer normalizer, CancellationToken cancellation = default)
    {
        if (features.Rows != a.N || features.RowLength != a.Dimension)
        {
            throw new EngineException(ErrorKind.BadInput, $"the selections are of {a.N} x {a.Dimension} features, these are {features.Shape}", "name the features that the first selection was made from");
        }
        var device = features.Buffer.Device;
        using var flags = device.Allocate<int>(a.N, MemoryUse.Selection);
        device.Kernels.RowsFinite(features, flags.View);
        int[] finite = device.Download(flags.View);
        if (!normalizer.IsIdentity)
        {
            normalizer.Normalize(features, a.Step, features);
        }
        var members = difference.Sources.Select(_ => new List<int>()).ToArray();
        for (int i = 0; i < a.N; i++)
        {
            if (difference.Groups[i] >= 0 && finite[i] != 0)
            {
                members[difference.Groups[i]].Add(i);
            }
        }
        return [.. members.Select(m => OfSource(a, [.. m], a.Indices, b.Indices, features, cancellation))];
    }

    private static SourceCoverage OfSource(
        SelectionDocument measure, int[] members, IReadOnlyList<int> a, IReadOnlyList<int> b, Tensor<float> features, CancellationToken cancellation)
    {
        if (members.Length == 0)
        {
            return new SourceCoverage(0, 0, 0, null, null);
        }
        int[] picksA = Rows(a), picksB = Rows(b);
        bool whole = VerifiedRows.IsWhole(measure, features, members);
        var (buffer, columns) = whole ? (null, (int)features.RowLength) : VerifiedRows.Gather(measure, features, members);
        using var gathered = buffer;
        var (nearA, nearB) = (new float[members.Length], new float[members.Length]);
        double c = Nearest(gathered is null ? features : gathered.View.Reshape(members.Length, columns), measure.Metric, [(picksA, nearA), (picksB, nearB)], cancellation);
        return new SourceCoverage(members.Length, Objective(nearA), Objective(nearB), Mean(picksA, nearA), Mean(picksB, nearB));

        int[] Rows(IReadOnlyList<int> picks) => [.. picks.Select(i => Array.BinarySearch(members, i)).Where(row => row >= 0).Order()];

        double Objective(float[] near) => near.Sum(d => Math.Max(0, c - d));

        static double? Mean(int[] picks, float[] near) => picks.Length == 0 ? null : near.Average(d => (double)d);
    }

    /// <summary>The distance of every row to the nearest of each set's picks (ascending), and C; infinite without picks.</summary>
    private static double Nearest(Tensor<float> x, DistanceMetric metric, (int[] Picks, float[] Near)[] sets, CancellationToken cancellation)
    {
        var device = x.Buffer.Device;
        foreach (var (_, near) in sets)
        {
            Array.Fill(near, float.PositiveInfinity);
        }
        long size = NeighbourGraph.BlockRows(x.Rows);
        float[] values = new float[size * size];
        float c = DistanceBlocks.ForEach(x, metric, Look, cancellation);
        return metric == DistanceMetric.Cosine ? 0 : c;

        void Look(long i, long j, Tensor<float> distances)
        {
            device.Download(distances.Reshape(distances.Length), values.AsSpan(0, (int)distances.Length));
            foreach (var (picks, near) in sets)
            {
                // A block beside itself has both triangles, so it needs no second look.
                Lower(values, (int)i, (int)distances.Rows, (int)j, (int)distances.RowLength, picks, near, mirrored: j > i);
            }
        }
    }

    private static void Lower(float[] values, int i, int height, int j, int width, int[] picks, float[] near, bool mirrored)
    {
        int[] right = Within(picks, j, width), above = mirrored ? Within(picks, i, height) : [];
        for (int row = 0; row < height; row++)
        {
            float least = near[i + row];
            foreach (int p in right)
            {
                least = Math.Min(least, values[(row * width) + p - j]);
            }
            near[i + row] = least;
        }
        foreach (int p in above)
        {
            for (int column = 0; column < width; column++)
            {
                near[j + column] = Math.Min(near[j + column], values[((p - i) * width) + column]);
            }
        }
    }

    private static int[] Within(int[] picks, int start, int count) => [.. picks.Where(p => p >= start && p < start + count)];
}
