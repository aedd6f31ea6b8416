using System.Numerics;
using NativeEngine.Devices;

namespace NativeEngine.Selection;

/// <summary>
/// Distances of rows in double, one pair at a time, by code that shares nothing with the kernels; for cosine the negative similarity.
/// </summary>
internal sealed class VerifiedRows(DistanceMetric metric, float[] x, int h)
{
    private readonly int _n = x.Length / h;

    /// <summary>What a set of picks is worth on the whole problem.</summary>
    public sealed record Assessment(double Objective, double UpperBound, double Largest, double[] Best);

    /// <summary>Some rows of the (normalised) features, in the columns in which they were compared.</summary>
    public static VerifiedRows Of(SelectionDocument document, Tensor<float> features, int[] members)
    {
        var device = features.Buffer.Device;
        if (IsWhole(document, features, members))
        {
            return new VerifiedRows(document.Metric, device.Download(features.Reshape(features.Length)), (int)features.RowLength);
        }
        var (gathered, columns) = Gather(document, features, members);
        using (gathered)
        {
            return new VerifiedRows(document.Metric, device.Download(gathered.View), columns);
        }
    }

    /// <summary>Whether these are all rows, compared in all columns: the features themselves, with no need for a copy.</summary>
    public static bool IsWhole(SelectionDocument document, Tensor<float> features, int[] members) =>
        members.Length == features.Rows && new TopKSparsifier(features.Buffer.Device, document.Top).Count(features.RowLength) == features.RowLength;

    /// <summary>These rows of the (normalised) features in the columns in which they were compared, [members, columns], on the features' device.</summary>
    public static (DeviceBuffer<float> Rows, int Columns) Gather(SelectionDocument document, Tensor<float> features, int[] members)
    {
        var device = features.Buffer.Device;
        var sparsifier = new TopKSparsifier(device, document.Top);
        int h = sparsifier.Count(features.RowLength);
        using var rows = device.Allocate<int>(members, MemoryUse.Selection);
        var gathered = device.Allocate<float>((long)members.Length * h, MemoryUse.Selection);
        if (h < features.RowLength)
        {
            using var columns = device.Allocate<int>(h, MemoryUse.Selection);
            sparsifier.Columns(features, rows.View, 0, document.Step, columns.View);
            device.Kernels.Gather(features, rows.View, columns.View, gathered.View.Reshape(members.Length, h));
        }
        else
        {
            device.Kernels.GatherRows(features, rows.View, gathered.View.Reshape(members.Length, h));
        }
        device.Synchronize();
        return (gathered, h);
    }

    /// <summary>Distance of rows i and j.</summary>
    public double Value(long i, long j)
    {
        ReadOnlySpan<float> a = x.AsSpan(checked((int)(i * h)), h), b = x.AsSpan(checked((int)(j * h)), h);
        switch (metric)
        {
            case DistanceMetric.L1: return Sum<AbsoluteDifference>(a, b);
            case DistanceMetric.L2: return Math.Sqrt(Sum<SquaredDifference>(a, b));
            default:
                double norms = Math.Sqrt(Sum<Product>(a, a) * Sum<Product>(b, b));
                return norms == 0 ? 0 : -Sum<Product>(a, b) / norms;
        }
    }

    /// <summary>
    /// Objective and the least of three bounds: n C; every row at its nearest neighbour and k at themselves; the objective and the k largest gains
    /// that remain. Order holds every pick's place, -1 for the others.
    /// </summary>
    public Assessment Assess(int[] order, int k, CancellationToken cancellation)
    {
        var (best, near, own, far) = (new double[_n], new double[_n], new double[_n], new double[_n]);
        var parallel = new ParallelOptions { CancellationToken = cancellation };
        Parallel.For(0, _n, parallel, i =>
        {
            (best[i], near[i], own[i]) = (double.PositiveInfinity, double.PositiveInfinity, Value(i, i));
            far[i] = own[i];
            for (int j = 0; j < _n; j++)
            {
                double value = i == j ? own[i] : Value(i, j);
                far[i] = Math.Max(far[i], value);
                best[i] = order[j] >= 0 ? Math.Min(best[i], value) : best[i];
                near[i] = i == j ? near[i] : Math.Min(near[i], value);
            }
            best[i] = order[i] >= 0 ? own[i] : best[i];
        });
        double c = metric == DistanceMetric.Cosine ? 0 : far.Max(), largest = metric == DistanceMetric.Cosine ? 1 : c, objective = 0, neighbours = 0;
        for (int i = 0; i < _n; i++)
        {
            objective += Math.Max(0, c - best[i]);
            neighbours += Math.Max(0, c - near[i]);
        }
        var remaining = new double[_n];
        Parallel.For(0, _n, parallel, j =>
        {
            for (int i = 0; i < _n && order[j] < 0; i++)
            {
                remaining[j] += order[i] >= 0 ? 0 : Math.Max(0, Math.Min(best[i], c) - Value(i, j));
            }
        });
        double[] alone = [.. Enumerable.Range(0, _n).Select(i => Math.Max(0, c - own[i]) - Math.Max(0, c - near[i]))];
        double bound = Math.Min(_n * largest, Math.Min(neighbours + Most(alone), objective + Most(remaining)));
        return new Assessment(objective, Math.Max(bound, objective), largest, best);

        double Most(double[] values) => values.OrderDescending().Take(k).Sum(v => Math.Max(v, 0));
    }

    private interface ITerm
    {
        static abstract Vector<double> Of(Vector<double> a, Vector<double> b);
    }

    private readonly struct AbsoluteDifference : ITerm
    {
        public static Vector<double> Of(Vector<double> a, Vector<double> b) => Vector.Abs(a - b);
    }

    private readonly struct SquaredDifference : ITerm
    {
        public static Vector<double> Of(Vector<double> a, Vector<double> b) => (a - b) * (a - b);
    }

    private readonly struct Product : ITerm
    {
        public static Vector<double> Of(Vector<double> a, Vector<double> b) => a * b;
    }

    private static double Sum<TTerm>(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
        where TTerm : struct, ITerm
    {
        Vector<double> low = default, high = default;
        int k = 0;
        for (; k + Vector<float>.Count <= a.Length; k += Vector<float>.Count)
        {
            Vector.Widen(new Vector<float>(a[k..]), out var a0, out var a1);
            Vector.Widen(new Vector<float>(b[k..]), out var b0, out var b1);
            low += TTerm.Of(a0, b0);
            high += TTerm.Of(a1, b1);
        }
        double total = Vector.Sum(low + high);
        for (; k < a.Length; k++)
        {
            total += TTerm.Of(new Vector<double>((double)a[k]), new Vector<double>((double)b[k]))[0];
        }
        return total;
    }
}
