using NativeEngine.Ablation.Mixtures;
using NativeEngine.Ablation.Statistics;

namespace NativeEngine.Ablation.Ranking;

/// <summary>What held-out merges say about a surrogate.</summary>
/// <param name="Points">How many.</param>
/// <param name="RootMeanSquare">Of predicted minus evaluated.</param>
/// <param name="Largest">Largest |predicted - evaluated|.</param>
/// <param name="Correlation">Between predicted and evaluated.</param>
public sealed record SurrogateError(int Points, double RootMeanSquare, double Largest, Correlation Correlation);

/// <summary>
/// Scheffé's quadratic on the simplex: f(a) = sum of b_i a_i + sum over pairs of b_ij a_i a_j. Exact when the loss is quadratic in the merged
/// parameters; n vertices and n(n-1)/2 midpoints determine it. Millions of mixtures are then ranked without a model; its error on merges it
/// has not seen belongs to every use of it.
/// </summary>
public sealed class QuadraticSurrogate
{
    private readonly double[] _linear;
    private readonly double[,] _pairs;

    private QuadraticSurrogate(double[] linear, double[,] pairs) => (_linear, _pairs) = (linear, pairs);

    /// <summary>b_i.</summary>
    public IReadOnlyList<double> Linear => _linear;

    /// <summary>Units.</summary>
    public int Units => _linear.Length;

    /// <summary>b_ij, the interaction of two units: negative where together they are better than apart.</summary>
    public double Pair(int i, int j) => i == j ? 0 : _pairs[Math.Min(i, j), Math.Max(i, j)];

    /// <summary>Vertices, then midpoints of all pairs: the smallest set of mixtures that determines it.</summary>
    public static List<Mixture> Design(int units)
    {
        var points = Enumerable.Range(0, units).Select(u => Mixture.Uniform(units, [u])).ToList();
        if (units > 1)
        {
            points.AddRange(MixtureCandidates.Subsets(units, 2).Select(pair => Mixture.Uniform(units, pair)));
        }
        return points;
    }

    /// <summary>
    /// Least squares (Householder) over evaluated mixtures. A <paramref name="ridge"/> above 0 draws the interactions toward 0: it adds ridge times the mean sum of a pair's
    /// squared features to each, so that any mixtures determine them. Errors: Usage when they do not determine all n(n+1)/2 coefficients.
    /// </summary>
    public static QuadraticSurrogate Fit(IReadOnlyList<Mixture> points, IReadOnlyList<double> values, double ridge = 0)
    {
        int n = points[0].PoolSize, terms = n * (n + 1) / 2, rows = points.Count, pairTerms = terms - n;
        var a = new double[rows + (ridge > 0 ? pairTerms : 0), terms];
        double[] y = [.. values, .. new double[a.GetLength(0) - rows]];
        double squares = 0;
        for (int r = 0; r < rows; r++)
        {
            var w = points[r].Weights;
            int at = 0;
            for (int i = 0; i < n; i++)
            {
                a[r, at++] = w[i];
            }
            for (int i = 0; i < n; i++)
            {
                for (int j = i + 1; j < n; j++)
                {
                    a[r, at] = w[i] * w[j];
                    squares += a[r, at] * a[r, at];
                    at++;
                }
            }
        }
        for (int t = 0; t < pairTerms && ridge > 0; t++)
        {
            a[rows + t, n + t] = Math.Sqrt(ridge * squares / pairTerms);
        }
        double[] b = LeastSquares.Solve(a, y) ?? throw new EngineException(ErrorKind.Usage,
            $"{rows} mixtures do not determine the {terms} coefficients of a quadratic in {n} units", "evaluate the vertices and midpoints of all pairs");
        var pairs = new double[n, n];
        for (int i = 0, at = n; i < n; i++)
        {
            for (int j = i + 1; j < n; j++)
            {
                pairs[i, j] = b[at++];
            }
        }
        return new QuadraticSurrogate(b[..n], pairs);
    }

    /// <summary>f(a). Cost: n^2/2.</summary>
    public double Predict(IReadOnlyList<double> weights)
    {
        double sum = 0;
        for (int i = 0; i < _linear.Length; i++)
        {
            if (weights[i] == 0)
            {
                continue;
            }
            double term = _linear[i];
            for (int j = i + 1; j < _linear.Length; j++)
            {
                term += _pairs[i, j] * weights[j];
            }
            sum += weights[i] * term;
        }
        return sum;
    }

    /// <summary>The slope df/da at weights.</summary>
    public double[] Gradient(IReadOnlyList<double> weights)
    {
        double[] slope = [.. _linear];
        for (int i = 0; i < slope.Length; i++)
        {
            for (int j = 0; j < slope.Length; j++)
            {
                slope[i] += Pair(i, j) * weights[j];
            }
        }
        return slope;
    }

    /// <summary>The error at mixtures that were not used for the fit.</summary>
    public SurrogateError Measure(IReadOnlyList<Mixture> heldOut, IReadOnlyList<double> values)
    {
        double[] predicted = [.. heldOut.Select(m => Predict(m.Weights))];
        double squares = 0, largest = 0;
        for (int i = 0; i < predicted.Length; i++)
        {
            double miss = predicted[i] - values[i];
            squares += miss * miss;
            largest = Math.Max(largest, Math.Abs(miss));
        }
        return new SurrogateError(predicted.Length, Math.Sqrt(squares / predicted.Length), largest, Correlation.Of(predicted, [.. values]));
    }

    /// <summary>The lowest point found by descent from the middle, from each corner's neighbourhood and from random mixtures.</summary>
    public Mixture Minimum(MixtureRules? rules = null, int randomStarts = 32, ulong seed = 1)
    {
        rules ??= new MixtureRules();
        int n = Units;
        var random = new CounterRandom(seed, RandomPurpose.Candidates, uint.MaxValue);
        var starts = new List<double[]> { Enumerable.Repeat(1.0, n).ToArray() };
        for (int u = 0; u < n; u++)
        {
            starts.Add([.. Enumerable.Range(0, n).Select(v => v == u ? (double)n : 0.5)]);
        }
        for (int s = 0; s < randomStarts; s++)
        {
            starts.Add([.. Enumerable.Range(0, n).Select(v => -Math.Log(1 - random.Uniform((ulong)((s * n) + v))) + 1e-3)]);
        }
        Mixture? best = null;
        foreach (double[] start in starts)
        {
            var found = MixtureDescent.Run(
                Mixture.Of([.. start.Select((w, u) => rules.Never.Contains(u) ? 0 : w)]), m => new MixtureSlope(Predict(m.Weights), Gradient(m.Weights)), rules,
                new DescentOptions { Steps = 2000, Tolerance = 1e-9, StepSize = 1 }).Mixture;
            best = best is null || Predict(found.Weights) < Predict(best.Weights) ? found : best;
        }
        return best!;
    }
}
