namespace NativeEngine.Selection;

/// <summary>
/// How many examples two random picks have in common: X = sum over sources of X_s, where a_s and b_s of the same n_s examples are drawn independently, each without
/// replacement. X_s is hypergeometric, P(X_s = x) = C(a, x) C(n - a, b - x) / C(n, b), with mean a b / n; the distribution of X is their convolution.
/// Probabilities below 1e-40 of the largest are left out, so a source costs some 27 of its standard deviations and a convolution the product of two such widths.
/// </summary>
public sealed class RandomOverlap
{
    private const double Negligible = 1e-40;

    private readonly double[] _probabilities;

    private RandomOverlap(int first, double[] probabilities) => (First, _probabilities) = (first, probabilities);

    /// <summary>The least overlap whose probability is told.</summary>
    public int First { get; }

    /// <summary>Probability of the overlaps First, First + 1, ...; their sum is 1.</summary>
    public IReadOnlyList<double> Probabilities => _probabilities;

    /// <summary>The expected overlap.</summary>
    public double Mean => Expect(x => x);

    /// <summary>The distribution for sources of N examples, A and B of which are picked. Errors: ArgumentException for a quota outside 0 to N; OverflowException for overlaps beyond 2^31.</summary>
    public static RandomOverlap Of(params IEnumerable<(int N, int A, int B)> sources)
    {
        var all = new RandomOverlap(0, [1]);
        foreach (var (n, a, b) in sources)
        {
            if (a < 0 || b < 0 || a > n || b > n)
            {
                throw new ArgumentException($"{a} and {b} of {n} examples cannot be picked", nameof(sources));
            }
            all = all.Plus(One(n, a, b));
        }
        return all;
    }

    /// <summary>The expectation of f(X).</summary>
    public double Expect(Func<int, double> f)
    {
        double sum = 0;
        for (int i = 0; i < _probabilities.Length; i++)
        {
            sum += _probabilities[i] * f(First + i);
        }
        return sum;
    }

    /// <summary>P(X >= x).</summary>
    public double AtLeast(int x) => _probabilities.Skip(Math.Max(0, x - First)).Reverse().Sum();

    /// <summary>P(X &lt;= x).</summary>
    public double AtMost(int x) => _probabilities.Take(Math.Max(0, x - First + 1)).Sum();

    /// <summary>The least x with P(X &lt;= x) at least the share.</summary>
    public int Quantile(double share)
    {
        double sum = 0;
        for (int i = 0; i < _probabilities.Length; i++)
        {
            sum += _probabilities[i];
            if (sum >= share)
            {
                return First + i;
            }
        }
        return First + _probabilities.Length - 1;
    }

    // From the mode outwards by the ratios of neighbours, so no factorial is needed and nothing overflows.
    private static RandomOverlap One(int n, int a, int b)
    {
        int low = (int)Math.Max(0, (long)a + b - n), high = Math.Min(a, b), mode = Math.Clamp((int)((a + 1.0) * (b + 1.0) / (n + 2.0)), low, high);
        var down = new List<double>();
        var up = new List<double> { 1 };
        for (int x = mode; x < high && up[^1] >= Negligible; x++)
        {
            up.Add(up[^1] * ((double)(a - x) * (b - x)) / ((x + 1.0) * ((double)n - a - b + x + 1)));
        }
        double weight = 1;
        for (int x = mode; x > low && weight >= Negligible; x--)
        {
            down.Add(weight *= x * ((double)n - a - b + x) / ((a - x + 1.0) * (b - x + 1.0)));
        }
        down.Reverse();
        return Normalised(mode - down.Count, [.. down, .. up]);
    }

    private RandomOverlap Plus(RandomOverlap other)
    {
        var sum = new double[_probabilities.Length + other._probabilities.Length - 1];
        for (int i = 0; i < _probabilities.Length; i++)
        {
            for (int j = 0; j < other._probabilities.Length; j++)
            {
                sum[i + j] += _probabilities[i] * other._probabilities[j];
            }
        }
        double least = Negligible * sum.Max();
        int from = Array.FindIndex(sum, p => p >= least), to = Array.FindLastIndex(sum, p => p >= least);
        return Normalised(checked(First + other.First + from), sum[from..(to + 1)]);
    }

    private static RandomOverlap Normalised(int first, double[] weights)
    {
        double all = weights.Order().Sum();
        return new RandomOverlap(first, Array.ConvertAll(weights, w => w / all));
    }
}
