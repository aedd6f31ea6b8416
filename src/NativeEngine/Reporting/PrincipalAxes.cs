using System.Numerics;

namespace NativeEngine.Reporting;

/// <summary>
/// The two directions in which rows vary most, by power iteration on the centred rows; deterministic, signs such that the largest coordinate of each
/// axis is positive.
/// </summary>
internal sealed class PrincipalAxes
{
    private const int Iterations = 60;

    private PrincipalAxes(double[] x, double[] y, double shareX, double shareY) => (X, Y, ShareX, ShareY) = (x, y, shareX, shareY);

    /// <summary>Coordinates along the first axis.</summary>
    public double[] X { get; }

    /// <summary>Coordinates along the second axis.</summary>
    public double[] Y { get; }

    /// <summary>Share of the rows' variance along the first axis.</summary>
    public double ShareX { get; }

    /// <summary>Share of the rows' variance along the second axis.</summary>
    public double ShareY { get; }

    /// <summary>Projects rows [n, d]. Cost: 240 n d multiplications and additions.</summary>
    public static PrincipalAxes Of(float[] rows, int d)
    {
        int n = rows.Length / d;
        var centred = (float[])rows.Clone();
        var mean = new double[d];
        for (int i = 0; i < n; i++)
        {
            for (int k = 0; k < d; k++)
            {
                mean[k] += rows[(i * d) + k] / (double)n;
            }
        }
        double total = 0;
        for (int i = 0; i < centred.Length; i++)
        {
            centred[i] -= (float)mean[i % d];
            total += (double)centred[i] * centred[i];
        }
        var (x, first) = Axis(centred, n, d);
        for (int i = 0; i < n; i++)
        {
            AddTo(centred.AsSpan(i * d, d), first, (float)-x[i]);
        }
        var (y, _) = Axis(centred, n, d);
        return new PrincipalAxes(x, y, Share(x, total), Share(y, total));
    }

    private static double Share(double[] coordinates, double total) => total > 0 ? coordinates.Sum(c => c * c) / total : 0;

    private static (double[] Coordinates, float[] Axis) Axis(float[] rows, int n, int d)
    {
        // The longest row is not at a right angle to the first axis, unless all are zero.
        var axis = rows.AsSpan(Enumerable.Range(0, n).MaxBy(i => Dot(rows.AsSpan(i * d, d), rows.AsSpan(i * d, d))) * d, d).ToArray();
        var coordinates = new double[n];
        for (int iteration = 0; iteration <= Iterations; iteration++)
        {
            double norm = Math.Sqrt(Dot(axis, axis));
            if (norm == 0)
            {
                return (new double[n], axis);
            }
            for (int k = 0; k < d; k++)
            {
                axis[k] = (float)(axis[k] / norm);
            }
            for (int i = 0; i < n; i++)
            {
                coordinates[i] = Dot(rows.AsSpan(i * d, d), axis);
            }
            if (iteration < Iterations)
            {
                Array.Clear(axis);
                for (int i = 0; i < n; i++)
                {
                    AddTo(axis, rows.AsSpan(i * d, d), (float)coordinates[i]);
                }
            }
        }
        if (axis.MaxBy(Math.Abs) < 0)
        {
            coordinates = Array.ConvertAll(coordinates, c => -c);
            axis = Array.ConvertAll(axis, a => -a);
        }
        return (coordinates, axis);
    }

    private static double Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        // Four lanes whatever the machine's width, so that the sum is the same everywhere.
        Vector4 sum = default;
        int k = 0;
        for (; k + 4 <= a.Length; k += 4)
        {
            sum += new Vector4(a[k..]) * new Vector4(b[k..]);
        }
        double total = (double)sum.X + sum.Y + sum.Z + sum.W;
        for (; k < a.Length; k++)
        {
            total += (double)a[k] * b[k];
        }
        return total;
    }

    private static void AddTo(Span<float> target, ReadOnlySpan<float> row, float factor)
    {
        int k = 0;
        for (; k + 4 <= target.Length; k += 4)
        {
            (new Vector4(target[k..]) + (factor * new Vector4(row[k..]))).CopyTo(target[k..]);
        }
        for (; k < target.Length; k++)
        {
            target[k] += factor * row[k];
        }
    }
}
