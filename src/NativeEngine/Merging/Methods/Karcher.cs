namespace NativeEngine.Merging.Methods;

/// <summary>
/// karcher: the Riemannian mean of the unit vectors u_i = v_i / |v_i| with equal weights a = 1/K: from the direction of their sum, u moves
/// along T = sum a log_u(u_i), log_u(v) = θ / sin θ (v - cos θ u), by u cos|T| + T/|T| sin|T|, until |T| &lt; tol or max_iter steps; times the mean
/// of the |v_i|. Zero tensors count in the length and not in the direction. All iterations happen in the span of the inputs, on their
/// K × K inner products: two passes over the data whatever max_iter is.
/// </summary>
internal sealed class Karcher : MergeMethod
{
    public override string Name => "karcher";

    public override string Formula => "mean |x_i| times the Riemannian mean of x_i / |x_i| on the sphere";

    public override (int Min, int Max) Models => (2, int.MaxValue);

    public override IReadOnlyList<MergeParameter> Parameters { get; } =
    [
        new("max_iter", 10, false, "most steps, at least 1", 1, 10_000),
        new("tol", 1e-5, false, "length of a step at which to stop", 0),
    ];

    public override TensorMerge Prepare(TensorInputs inputs, TensorScan scan)
    {
        int k = inputs.Models.Count;
        var gram = scan.Gram(k, inputs.Count, (i, start, target, _) => inputs.Models[i].Read(start, target));
        var (coefficients, _) = Mean(gram, (int)inputs.Values["max_iter"], inputs.Values["tol"]);
        return new WeightedTensorMerge(inputs, coefficients);
    }

    /// <summary>The coefficients of the mean on the vectors, and the steps computed (the last one may have been too short to take), from their inner products.</summary>
    internal static (double[] Coefficients, int Steps) Mean(double[,] gram, int maxSteps, double tolerance)
    {
        const double Zero = 1e-12;
        int all = gram.GetLength(0);
        double[] norms = [.. Enumerable.Range(0, all).Select(i => Math.Sqrt(gram[i, i]))];
        int[] used = [.. Enumerable.Range(0, all).Where(i => norms[i] > Zero)];
        if (used.Length == 0)
        {
            return (new double[all], 0);
        }
        int k = used.Length;
        double Cosine(int i, int j) => i == j ? 1 : gram[used[i], used[j]] / (norms[used[i]] * norms[used[j]]);
        double[] c = Unit([.. Enumerable.Repeat(1.0 / k, k)]);
        int steps = 0;
        while (steps < maxSteps)
        {
            steps++;
            var step = new double[k];
            for (int i = 0; i < k; i++)
            {
                double cosine = Math.Clamp(Enumerable.Range(0, k).Sum(j => c[j] * Cosine(i, j)), -1, 1), angle = Math.Acos(cosine);
                double factor = angle < 1e-8 ? 1 : angle / Math.Sin(angle);
                step[i] += factor / k;
                for (int j = 0; j < k; j++)
                {
                    step[j] -= factor / k * cosine * c[j];
                }
            }
            double length = Length(step);
            if (length < tolerance)
            {
                break;
            }
            c = Unit([.. c.Select((u, i) => (u * Math.Cos(length)) + (step[i] / length * Math.Sin(length)))]);
        }
        double mean = norms.Sum() / all;
        var coefficients = new double[all];
        for (int i = 0; i < k; i++)
        {
            coefficients[used[i]] = c[i] * mean / norms[used[i]];
        }
        return (coefficients, steps);

        double Length(double[] v)
        {
            double square = 0;
            for (int i = 0; i < k; i++)
            {
                for (int j = 0; j < k; j++)
                {
                    square += v[i] * v[j] * Cosine(i, j);
                }
            }
            return Math.Sqrt(Math.Max(0, square));
        }

        double[] Unit(double[] v)
        {
            double length = Length(v);
            return length > Zero ? [.. v.Select(x => x / length)] : v;
        }
    }
}
