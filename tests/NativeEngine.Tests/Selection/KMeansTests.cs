using NativeEngine.Selection;

namespace NativeEngine.Tests.Selection;

public sealed class KMeansTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(7)]
    public void Fit_ThreadsAny_SameGroupsAndCentres(int threads)
    {
        float[] rows = Blobs([300, 200, 150, 150], 13, 2.0, seed: 3, out _);
        var one = KMeans.Fit(rows, 13, new KMeansOptions { Clusters = 5, Threads = 1 });
        var many = KMeans.Fit(rows, 13, new KMeansOptions { Clusters = 5, Threads = threads });
        Assert.Equal(one.Assignment, many.Assignment);
        Assert.Equal(one.Centres, many.Centres);
        Assert.Equal(one.Inertia, many.Inertia);
    }

    [Fact]
    public void Fit_PlantedGroups_AreFoundAndNumberedBySize()
    {
        float[] rows = Blobs([40, 90, 60], 31, 0.3, seed: 5, out int[] planted);
        var found = KMeans.Fit(rows, 31, new KMeansOptions { Clusters = 3 });
        int[] bySize = [2, 0, 1];
        Assert.Equal(planted.Select(p => bySize[p]), found.Assignment);
        Assert.InRange(found.Explained, 0.8, 1);
    }

    [Fact]
    public void Fit_Result_IsAFixedPointOfANaiveRound()
    {
        const int D = 9;
        float[] rows = Blobs([50, 70, 80], D, 3.0, seed: 9, out _);
        var found = KMeans.Fit(rows, D, new KMeansOptions { Clusters = 6 });
        double inertia = 0;
        for (int i = 0; i < rows.Length / D; i++)
        {
            double[] distances = [.. Enumerable.Range(0, 6).Select(c => Enumerable.Range(0, D).Sum(e => Math.Pow((double)rows[(i * D) + e] - found.Centres[(c * D) + e], 2)))];
            inertia += distances.Min();
            Assert.InRange(distances[found.Assignment[i]] - distances.Min(), 0, 1e-4);
        }
        Assert.Equal(inertia, found.Inertia, inertia * 1e-6);
        for (int c = 0; c < 6; c++)
        {
            int[] members = [.. Enumerable.Range(0, rows.Length / D).Where(i => found.Assignment[i] == c)];
            Assert.NotEmpty(members);
            for (int e = 0; e < D; e++)
            {
                Assert.Equal(members.Average(i => (double)rows[(i * D) + e]), found.Centres[(c * D) + e], 1e-5);
            }
        }
    }

    [Fact]
    public void Fit_MoreRestarts_NeverWorse()
    {
        float[] rows = Blobs([60, 60, 60, 60, 60], 6, 1.5, seed: 21, out _);
        double[] inertia = [.. Enumerable.Range(1, 8).Select(r => KMeans.Fit(rows, 6, new KMeansOptions { Clusters = 9, Restarts = r }).Inertia)];
        Assert.All(inertia.Zip(inertia.Skip(1)), pair => Assert.True(pair.Second <= pair.First));
    }

    [Fact]
    public void Fit_FewerDistinctRowsThanClusters_IsRefused()
    {
        float[] rows = [1, 1, 1, 1, 2, 2, 2, 2];
        Assert.Equal(2, KMeans.Fit(rows, 1, new KMeansOptions { Clusters = 2 }).Clusters);
        Assert.Contains("distinct", Assert.Throws<EngineException>(() => KMeans.Fit(rows, 1, new KMeansOptions { Clusters = 3 })).Message, StringComparison.Ordinal);
        Assert.Throws<EngineException>(() => KMeans.Fit(rows, 1, new KMeansOptions { Clusters = 9 }));
        rows[5] = float.NaN;
        Assert.Contains("row 5", Assert.Throws<EngineException>(() => KMeans.Fit(rows, 1, new KMeansOptions { Clusters = 2 })).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Drift_SameSource_IsChanceAndMovedSourceIsNot()
    {
        var random = new Random(2);
        int[] Draw(int n, double first) => [.. Enumerable.Range(0, n).Select(_ => random.NextDouble() < first ? 0 : 1 + random.Next(3))];
        var likelihoods = Enumerable.Range(0, 40).Select(i => ClusterDrift.Of(Draw(200, 0.4), Draw(150, 0.4), 4, (ulong)i).Likelihood).ToArray();
        // Uniform when nothing moved: about a tenth below 0.1.
        Assert.InRange(likelihoods.Count(l => l < 0.1), 0, 11);
        Assert.InRange(likelihoods.Average(), 0.3, 0.7);
        var moved = ClusterDrift.Of(Draw(400, 0.4), Draw(400, 0.7), 4, 1);
        Assert.InRange(moved.Distance, 0.2, 0.4);
        Assert.Equal(0.001, moved.Likelihood, 1e-12);
    }

    private static float[] Blobs(int[] sizes, int d, double noise, int seed, out int[] planted)
    {
        var random = new Random(seed);
        planted = [.. sizes.SelectMany((size, b) => Enumerable.Repeat(b, size))];
        double[][] centres = [.. sizes.Select(_ => Enumerable.Range(0, d).Select(_ => 4 * (random.NextDouble() - 0.5)).ToArray())];
        return [.. planted.SelectMany(b => centres[b].Select(c => (float)(c + (noise * (random.NextDouble() - 0.5)))))];
    }
}
