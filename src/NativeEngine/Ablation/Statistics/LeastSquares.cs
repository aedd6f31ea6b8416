namespace NativeEngine.Ablation.Statistics;

/// <summary>Linear least squares by Householder reflections.</summary>
public static class LeastSquares
{
    /// <summary>
    /// The x that minimises |A x - y| for A [rows, columns]; null when the columns are not independent (a diagonal of R below 1e-12 of the
    /// largest). A and y are overwritten. Cost: 2 rows columns^2.
    /// </summary>
    public static double[]? Solve(double[,] a, double[] y)
    {
        int rows = a.GetLength(0), columns = a.GetLength(1);
        if (rows < columns)
        {
            return null;
        }
        var diagonal = new double[columns];
        for (int c = 0; c < columns; c++)
        {
            double norm = 0;
            for (int r = c; r < rows; r++)
            {
                norm += a[r, c] * a[r, c];
            }
            norm = Math.Sqrt(norm);
            if (norm == 0)
            {
                return null;
            }
            double alpha = a[c, c] > 0 ? -norm : norm;
            a[c, c] -= alpha;
            double square = 0;
            for (int r = c; r < rows; r++)
            {
                square += a[r, c] * a[r, c];
            }
            for (int k = c + 1; k < columns; k++)
            {
                double dot = 0;
                for (int r = c; r < rows; r++)
                {
                    dot += a[r, c] * a[r, k];
                }
                double factor = 2 * dot / square;
                for (int r = c; r < rows; r++)
                {
                    a[r, k] -= factor * a[r, c];
                }
            }
            double dotY = 0;
            for (int r = c; r < rows; r++)
            {
                dotY += a[r, c] * y[r];
            }
            for (int r = c; r < rows; r++)
            {
                y[r] -= 2 * dotY / square * a[r, c];
            }
            diagonal[c] = alpha;
        }
        double largest = diagonal.Max(Math.Abs);
        var x = new double[columns];
        for (int c = columns - 1; c >= 0; c--)
        {
            if (Math.Abs(diagonal[c]) < 1e-12 * largest)
            {
                return null;
            }
            double sum = y[c];
            for (int k = c + 1; k < columns; k++)
            {
                sum -= a[c, k] * x[k];
            }
            x[c] = sum / diagonal[c];
        }
        return x;
    }
}
