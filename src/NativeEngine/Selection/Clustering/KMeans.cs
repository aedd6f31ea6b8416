using System.Runtime.Intrinsics;
using NativeEngine.Formats;

namespace NativeEngine.Selection;

/// <summary>How rows are grouped.</summary>
public sealed record KMeansOptions
{
    /// <summary>Clusters wanted.</summary>
    public required int Clusters { get; init; }

    /// <summary>Starts; the one with the least inertia counts, the first of equal ones.</summary>
    public int Restarts { get; init; } = 4;

    /// <summary>Most rounds of assignment and means.</summary>
    public int MostIterations { get; init; } = 100;

    /// <summary>Seed of the first centres.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>CPU threads; the result does not depend on it.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;
}

/// <summary>
/// Groups of rows by Euclidean distance: k-means++ starts (Arthur and Vassilvitskii, SODA 2007: each further centre drawn with probability proportional
/// to the squared distance to the nearest centre so far), then Lloyd's rounds until no row changes its group. Ties go to the lowest centre, an empty
/// group takes the row farthest from its centre. Groups are numbered from the largest to the smallest, equal ones by their first row. Same bits for any
/// number of threads. Cost: n k d multiplications and additions a round.
/// </summary>
/// <param name="Assignment">Group of every row.</param>
/// <param name="Centres">Centres [k, d].</param>
/// <param name="Distances">Squared distance of every row to its centre.</param>
/// <param name="Inertia">Their sum.</param>
/// <param name="Spread">Sum of the squared distances to the mean of all rows: what one group has.</param>
/// <param name="Iterations">Rounds of the start that counts.</param>
public sealed record KMeans(int[] Assignment, float[] Centres, double[] Distances, double Inertia, double Spread, int Iterations)
{
    /// <summary>Number of groups.</summary>
    public int Clusters { get; private init; }

    /// <summary>Share of the rows' variance between the groups: 1 - inertia / spread.</summary>
    public double Explained => Spread > 0 ? 1 - (Inertia / Spread) : 1;

    /// <summary>
    /// Groups rows [n, d]. Errors: Usage when there are fewer distinct rows than clusters, Numerical for a row that is not finite.
    /// </summary>
    public static KMeans Fit(float[] rows, int d, KMeansOptions options, CancellationToken cancellation = default)
    {
        int n = rows.Length / d, k = options.Clusters;
        if (k < 1 || k > n)
        {
            throw new EngineException(ErrorKind.Usage, $"{k} clusters of {n} examples are impossible", $"ask for 1 to {n}");
        }
        if (FiniteCheck.FirstNotFinite(rows) is >= 0 and var bad)
        {
            throw new EngineException(ErrorKind.Numerical, $"element {bad % d} of row {bad / d} is {rows[bad]}", "look at that example");
        }
        double spread = Sum(Nearest(rows, d, Mean(rows, d), options.Threads, cancellation).Distances);
        KMeans? best = null;
        for (int restart = 0; restart < options.Restarts; restart++)
        {
            var one = Run(rows, d, options, new CounterRandom(options.Seed, RandomPurpose.Clustering, (uint)restart), spread, cancellation);
            best = best is null || one.Inertia < best.Inertia ? one : best;
        }
        return best!.Sorted(d);
    }

    /// <summary>The nearest centre of other rows [n, d], and their squared distances.</summary>
    public (int[] Assignment, double[] Distances) Assign(float[] rows, int d, int threads, CancellationToken cancellation = default) =>
        Nearest(rows, d, Centres, threads, cancellation);

    private static KMeans Run(float[] rows, int d, KMeansOptions options, CounterRandom random, double spread, CancellationToken cancellation)
    {
        int n = rows.Length / d, k = options.Clusters, iteration = 0;
        float[] centres = Start(rows, d, k, random, options.Threads, cancellation);
        var (assignment, distances) = Nearest(rows, d, centres, options.Threads, cancellation);
        while (iteration < options.MostIterations)
        {
            iteration++;
            centres = Means(rows, d, k, assignment, distances);
            var (next, nextDistances) = Nearest(rows, d, centres, options.Threads, cancellation);
            bool same = next.AsSpan().SequenceEqual(assignment);
            (assignment, distances) = (next, nextDistances);
            if (same)
            {
                break;
            }
        }
        // A tie can leave a centre without rows.
        for (int c = 0; c < k; c++)
        {
            if (!assignment.Contains(c))
            {
                throw new EngineException(ErrorKind.Usage, $"the {n} examples have fewer than {k} distinct features", "ask for fewer clusters");
            }
        }
        return new KMeans(assignment, centres, distances, Sum(distances), spread, iteration) { Clusters = k };
    }

    private static float[] Start(float[] rows, int d, int k, CounterRandom random, int threads, CancellationToken cancellation)
    {
        int n = rows.Length / d;
        var centres = new float[k * d];
        var nearest = new double[n];
        Array.Fill(nearest, double.PositiveInfinity);
        for (int c = 0; c < k; c++)
        {
            int row = (int)(random.Bits((ulong)c) % (ulong)n);
            if (c > 0)
            {
                double target = random.Uniform((ulong)c) * Sum(nearest), sum = 0;
                row = Array.FindLastIndex(nearest, v => v > 0);
                if (row < 0)
                {
                    throw new EngineException(ErrorKind.Usage, $"the {n} examples have fewer than {k} distinct features", "ask for fewer clusters");
                }
                for (int i = 0; i < n; i++)
                {
                    sum += nearest[i];
                    if (sum > target && nearest[i] > 0)
                    {
                        row = i;
                        break;
                    }
                }
            }
            float[] centre = rows[(row * d)..((row + 1) * d)];
            centre.CopyTo(centres, c * d);
            var (_, distances) = Nearest(rows, d, centre, threads, cancellation);
            for (int i = 0; i < n; i++)
            {
                nearest[i] = Math.Min(nearest[i], distances[i]);
            }
        }
        return centres;
    }

    private static (int[] Assignment, double[] Distances) Nearest(float[] rows, int d, float[] centres, int threads, CancellationToken cancellation)
    {
        const int Block = 256;
        int n = rows.Length / d, k = centres.Length / d;
        var (assignment, distances) = (new int[n], new double[n]);
        Parallel.For(0, (n + Block - 1) / Block, new ParallelOptions { MaxDegreeOfParallelism = threads, CancellationToken = cancellation }, block =>
        {
            for (int i = block * Block; i < Math.Min(n, (block + 1) * Block); i++)
            {
                distances[i] = double.PositiveInfinity;
                for (int c = 0; c < k; c++)
                {
                    double distance = Squared(rows.AsSpan(i * d, d), centres.AsSpan(c * d, d));
                    if (distance < distances[i])
                    {
                        (assignment[i], distances[i]) = (c, distance);
                    }
                }
            }
        });
        return (assignment, distances);
    }

    // Eight lanes on every machine, so that sums are the same everywhere.
    private static double Squared(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        var sum = Vector256<float>.Zero;
        int e = 0;
        for (; e + 8 <= a.Length; e += 8)
        {
            var difference = Vector256.Create(a[e..]) - Vector256.Create(b[e..]);
            sum += difference * difference;
        }
        var halves = Vector128.Add(sum.GetLower(), sum.GetUpper());
        double total = ((double)halves[0] + halves[1]) + ((double)halves[2] + halves[3]);
        for (; e < a.Length; e++)
        {
            double difference = (double)a[e] - b[e];
            total += difference * difference;
        }
        return total;
    }

    private static float[] Means(float[] rows, int d, int k, int[] assignment, double[] distances)
    {
        var sums = new double[k * d];
        var counts = new int[k];
        for (int i = 0; i < assignment.Length; i++)
        {
            int c = assignment[i];
            counts[c]++;
            for (int e = 0; e < d; e++)
            {
                sums[(c * d) + e] += rows[(i * d) + e];
            }
        }
        var centres = new float[k * d];
        var taken = new HashSet<int>();
        for (int c = 0; c < k; c++)
        {
            if (counts[c] == 0)
            {
                int far = Enumerable.Range(0, assignment.Length).Where(i => !taken.Contains(i)).MaxBy(i => distances[i]);
                taken.Add(far);
                rows.AsSpan(far * d, d).CopyTo(centres.AsSpan(c * d));
                continue;
            }
            for (int e = 0; e < d; e++)
            {
                centres[(c * d) + e] = (float)(sums[(c * d) + e] / counts[c]);
            }
        }
        return centres;
    }

    private static float[] Mean(float[] rows, int d) => Means(rows, d, 1, new int[rows.Length / d], []);

    private static double Sum(double[] values)
    {
        double sum = 0;
        foreach (double value in values)
        {
            sum += value;
        }
        return sum;
    }

    private KMeans Sorted(int d)
    {
        int[] order = [.. Enumerable.Range(0, Clusters).OrderByDescending(c => Assignment.Count(a => a == c)).ThenBy(c => Array.IndexOf(Assignment, c))];
        int[] place = [.. Enumerable.Range(0, Clusters).Select(c => Array.IndexOf(order, c))];
        return this with { Assignment = Array.ConvertAll(Assignment, c => place[c]), Centres = [.. order.SelectMany(c => Centres[(c * d)..((c + 1) * d)])] };
    }
}
