using NativeEngine.Devices;

namespace NativeEngine.Tests.Reference;

internal static partial class ReferenceKernels
{
    // Means of up to 32 rows and a few operations an element: some units of 6e-8.
    private const double FeatureTolerance = 1e-6;

    // 4e-7 of C (sums of 128 terms a lane, two roundings), and C reaches 300 here.
    private const double SimilarityTolerance = 1e-4;

    private static IEnumerable<Entry> Selection()
    {
        yield return new("rows_finite", 0, c => EachRow(c, (row, i) => c.I("finite")[i] = row.ToArray().All(double.IsFinite) ? 1 : 0, "x"));
        yield return new("adam_normalize", FeatureTolerance, c => EachElement(c, (f, k) => Adam(f, c.F("m")[k], c.F("v")[k], 7)));
        yield return new("adam_normalize_first", FeatureTolerance, c => EachElement(c, (f, k) => Adam(f, 0, 0, 0)));
        yield return new("momentum_normalize", FeatureTolerance, c => EachElement(c, (f, k) => (0.9 * c.F("m")[k]) + f));
        yield return new("lion_normalize", 0, c => EachElement(c, (f, k) => Math.Sign((0.9 * c.F("m")[k]) + (0.1 * f))));
        yield return new("update_moment", FeatureTolerance, c => UpdateMoment(c, f => f));
        yield return new("update_moment_squared", FeatureTolerance, c => UpdateMoment(c, f => f * f));
        yield return new("column_importance", FeatureTolerance, c =>
        {
            for (int k = 0; k < c.N("d"); k++)
            {
                c.F("importance")[k] = Math.Abs(Mean(c, "u", k, f => f));
            }
        });
        yield return new("top_k", 0, c =>
            Enumerable.Range(0, c.N("d")).OrderByDescending(k => c.F("importance")[k]).ThenBy(k => k).Take(c.N("h")).ToArray().CopyTo(c.I("columns"), 0));
        yield return new("gather", 0, c =>
        {
            for (int i = 0; i < c.N("n"); i++)
            {
                for (int j = 0; j < c.N("h"); j++)
                {
                    c.F("y")[(i * c.N("h")) + j] = c.F("x")[(c.I("rows")[i] * c.N("d")) + c.I("columns")[j]];
                }
            }
        });
        foreach (var metric in Enum.GetValues<DistanceMetric>())
        {
            yield return new("similarity_" + metric.ToString().ToLowerInvariant(), SimilarityTolerance, c =>
            {
                double largest = Similarity(c.F("x"), c.N("n"), c.N("h"), metric, c.F("s"));
                c.F("largest")[0] = largest;
            });
        }
        foreach (var metric in Enum.GetValues<DistanceMetric>())
        {
            yield return new("distances_" + metric.ToString().ToLowerInvariant(), SimilarityTolerance, c =>
            {
                for (int i = 0; i < c.N("m"); i++)
                {
                    for (int j = 0; j < c.N("p"); j++)
                    {
                        double value = Distance(c.F("a").AsSpan(i * c.N("h"), c.N("h")), c.F("b").AsSpan(j * c.N("h"), c.N("h")), metric);
                        c.F("d")[(i * c.N("p")) + j] = value;
                        c.F("largest")[0] = Math.Max(c.F("largest")[0], metric == DistanceMetric.Cosine ? -value : value);
                    }
                }
            });
        }
        yield return new("merge_nearest", 0, c => MergeNearest(c, false));
        yield return new("merge_nearest_columns", 0, c => MergeNearest(c, true));
        yield return new("facility_location", 0, c =>
            FacilityLocation(c.F("s"), c.N("n"), c.I("picks"), c.F("gains"), c.I("owners"), c.F("remaining")));
    }

    private static double Distance(ReadOnlySpan<double> a, ReadOnlySpan<double> b, DistanceMetric metric)
    {
        double sum = 0, own = 0, other = 0;
        for (int k = 0; k < a.Length; k++)
        {
            sum += metric switch { DistanceMetric.L1 => Math.Abs(a[k] - b[k]), DistanceMetric.L2 => (a[k] - b[k]) * (a[k] - b[k]), _ => -a[k] * b[k] };
            own += a[k] * a[k];
            other += b[k] * b[k];
        }
        return metric switch { DistanceMetric.L1 => sum, DistanceMetric.L2 => Math.Sqrt(sum), _ => own * other == 0 ? 0 : sum / Math.Sqrt(own * other) };
    }

    /// <summary>Every list and its candidates sorted anew. Row r is example 5 + r, column c is example 3 + c.</summary>
    private static void MergeNearest(ReferenceCall c, bool columns)
    {
        int m = c.N("m"), p = c.N("p"), t = c.N("t");
        for (int list = 0; list < (columns ? p : m); list++)
        {
            int self = columns ? 3 + list : 5 + list;
            var old = Enumerable.Range(0, t).Select(e => (D: c.F("nearest")[(list * t) + e], Example: c.I("neighbours")[(list * t) + e]));
            var offered = columns
                ? Enumerable.Range(0, m).Select(i => (D: c.F("d")[(i * p) + list], Example: 5 + i))
                : Enumerable.Range(0, p).Select(j => (D: c.F("d")[(list * p) + j], Example: 3 + j));
            var sorted = old.Concat(offered.Where(o => o.Example != self)).OrderBy(o => o.D).ThenBy(o => o.Example).Take(t).ToArray();
            for (int e = 0; e < t; e++)
            {
                (c.F("nearest")[(list * t) + e], c.I("neighbours")[(list * t) + e]) = sorted[e];
            }
        }
    }

    /// <summary>The similarity matrix in double; returns C.</summary>
    public static double Similarity(double[] x, int n, int h, DistanceMetric metric, double[] s)
    {
        double largest = 0;
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j < n; j++)
            {
                double sum = 0, own = 0, other = 0;
                for (int k = 0; k < h; k++)
                {
                    double a = x[(i * h) + k], b = x[(j * h) + k];
                    sum += metric switch { DistanceMetric.L1 => Math.Abs(a - b), DistanceMetric.L2 => (a - b) * (a - b), _ => a * b };
                    own += a * a;
                    other += b * b;
                }
                double value = metric switch
                {
                    DistanceMetric.L1 => sum,
                    DistanceMetric.L2 => Math.Sqrt(sum),
                    _ => own == 0 || other == 0 ? 0 : sum / Math.Sqrt(own * other),
                };
                s[(i * n) + j] = value;
                largest = Math.Max(largest, value);
            }
        }
        if (metric == DistanceMetric.Cosine)
        {
            return 1;
        }
        for (int i = 0; i < s.Length; i++)
        {
            s[i] = largest - s[i];
        }
        return largest;
    }

    /// <summary>Greedy from its definition: every gain from scratch at every pick, lowest index first among equals.</summary>
    public static void FacilityLocation(double[] s, int n, int[] picks, double[] gains, int[] owners, double[] remaining)
    {
        var best = new double[n];
        var nearest = new double[n];
        Array.Fill(nearest, double.NegativeInfinity);
        Array.Fill(owners, -1);
        var taken = new bool[n];
        for (int t = 0; t <= picks.Length; t++)
        {
            for (int j = 0; j < n; j++)
            {
                remaining[j] = taken[j] ? 0 : Enumerable.Range(0, n).Sum(i => Math.Max(s[(i * n) + j] - best[i], 0));
            }
            if (t == picks.Length)
            {
                break;
            }
            int pick = Enumerable.Range(0, n).Where(j => !taken[j]).OrderByDescending(j => remaining[j]).ThenBy(j => j).First();
            (picks[t], gains[t], taken[pick]) = (pick, remaining[pick], true);
            for (int i = 0; i < n; i++)
            {
                double value = s[(i * n) + pick];
                best[i] = Math.Max(best[i], value);
                if (value > nearest[i])
                {
                    (nearest[i], owners[i]) = (value, t);
                }
            }
        }
        for (int t = 0; t < picks.Length; t++)
        {
            owners[picks[t]] = t;
        }
    }

    private static double Adam(double f, double m, double v, int step)
    {
        double first = ((0.9 * m) + (0.1 * f)) / (1 - Math.Pow(0.9, step + 1));
        double second = ((0.999 * v) + (0.001 * f * f)) / (1 - Math.Pow(0.999, step + 1));
        return first / (Math.Sqrt(second) + 1e-8);
    }

    private static void UpdateMoment(ReferenceCall c, Func<double, double> value)
    {
        for (int k = 0; k < c.N("d"); k++)
        {
            c.F("m")[k] = (0.999 * c.F("m")[k]) + (0.25 * Mean(c, "f", k, value));
        }
    }

    private static double Mean(ReferenceCall c, string matrix, int column, Func<double, double> value) =>
        c.I("rows").Sum(r => value(c.F(matrix)[(r * c.N("d")) + column])) / c.I("rows").Length;

    private static void EachElement(ReferenceCall c, Func<double, int, double> value)
    {
        for (int i = 0; i < c.F("f").Length; i++)
        {
            c.F("u")[i] = value(c.F("f")[i], i % c.N("d"));
        }
    }

    private static void EachRow(ReferenceCall c, Action<ReadOnlyMemory<double>, int> action, string matrix)
    {
        for (int i = 0; i < c.N("n"); i++)
        {
            action(c.F(matrix).AsMemory(i * c.N("d"), c.N("d")), i);
        }
    }
}
