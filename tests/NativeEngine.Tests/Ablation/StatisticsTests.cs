using NativeEngine.Ablation.Mixtures;
using NativeEngine.Ablation.Ranking;
using NativeEngine.Ablation.Statistics;

namespace NativeEngine.Tests.Ablation;

/// <summary>Intervals on data whose truth is known: stated 90 % must cover 85 to 95 % over many repeats.</summary>
public sealed class StatisticsTests
{
    private const int Repeats = 600;

    [Fact]
    public void Distributions_KnownValues_Agree()
    {
        Assert.Equal(1.959963984540054, Distributions.NormalQuantile(0.975), 1e-12);
        Assert.Equal(-1.2815515655446004, Distributions.NormalQuantile(0.1), 1e-12);
        Assert.Equal(0.05, Distributions.StudentTwoSided(2.2281388519862744, 10), 1e-12);
        Assert.Equal(12.706204736174694, Distributions.StudentTwoSidedQuantile(0.95, 1), 1e-9);
        Assert.Equal(1.8124611228116756, Distributions.StudentTwoSidedQuantile(0.9, 10), 1e-11);
        Assert.Equal(Distributions.NormalQuantile(0.95), Distributions.StudentTwoSidedQuantile(0.9, 1e7), 1e-6);
    }

    [Fact]
    public void Pearson_EqualValuesWhoseMeanIsRounded_IsUndefined()
    {
        double[] equal = [0.1, 0.1, 0.1], rising = [1, 2, 4];
        Assert.Equal(double.NaN, Correlation.PearsonOf(equal, rising));
        Assert.Equal(double.NaN, Correlation.PearsonOf(rising, equal));
        Assert.Equal(double.NaN, new Calibration(equal, rising).Slope);
        Assert.False(new Calibration(equal, rising).Prediction(0.1).IsDefined);
    }

    [Fact]
    public void Mixture_WeightsWithoutAFiniteSum_AreRefused() =>
        Assert.Contains("sum to more", Assert.Throws<EngineException>(() => Mixture.Of([1e308, 1e308])).Message);

    [Fact]
    public void Descent_MoreUnitsThanTheLeastWeightHasRoomFor_KeepsThem()
    {
        const int Units = 20_000;
        var flat = MixtureDescent.Run(Mixture.Uniform(Units, Enumerable.Range(0, Units)), _ => new(1, new double[Units]));
        Assert.Equal(Units, flat.Mixture.Units.Count);
    }

    [Fact]
    public void Prediction_NormalErrors_Covers()
    {
        int inside = 0, conformal = 0;
        for (int r = 0; r < Repeats; r++)
        {
            var (x, y) = Line(r, 20, 0.3);
            var fit = new Calibration(x.AsSpan(0, 19), y.AsSpan(0, 19));
            inside += fit.Prediction(x[19]).Contains(y[19]) ? 1 : 0;
            conformal += fit.Conformal(x[19]).Contains(y[19]) ? 1 : 0;
        }
        Covers(inside);
        Covers(conformal);
    }

    [Fact]
    public void Correlations_NormalPairs_IntervalsCover()
    {
        const double Rho = 0.8;
        int pearson = 0, spearman = 0, kendall = 0;
        double trueSpearman = 6 / Math.PI * Math.Asin(Rho / 2), trueKendall = 2 / Math.PI * Math.Asin(Rho);
        for (int r = 0; r < Repeats; r++)
        {
            var random = new CounterRandom(11, RandomPurpose.Test, (uint)r);
            double[] x = [.. Enumerable.Range(0, 30).Select(i => random.Normal((ulong)i))];
            double[] y = [.. x.Select((v, i) => (Rho * v) + (Math.Sqrt(1 - (Rho * Rho)) * random.Normal((ulong)(100 + i))))];
            var c = Correlation.Of(x, y);
            pearson += c.PearsonInterval(0.9).Contains(Rho) ? 1 : 0;
            spearman += c.SpearmanInterval(0.9).Contains(trueSpearman) ? 1 : 0;
            kendall += c.KendallInterval(0.9).Contains(trueKendall) ? 1 : 0;
        }
        Covers(pearson);
        Covers(spearman);
        Covers(kendall);
    }

    [Fact]
    public void PairedBootstrap_KnownDifference_CoversAndNamesTheBest()
    {
        int inside = 0, best = 0;
        for (int r = 0; r < 300; r++)
        {
            var random = new CounterRandom(12, RandomPurpose.Test, (uint)r);
            var documents = Enumerable.Range(0, 80).Select(i => new EvaluationDocument(i % 2, 20, 60)).ToList();
            var table = new DocumentTable(["a", "b"], documents);
            // Documents differ much, mixtures little; the second is worse by 0.01 a token.
            double[] common = [.. Enumerable.Range(0, 80).Select(i => 20 * (2 + random.Normal((ulong)i)))];
            double[] first = [.. common.Select((c, i) => c + random.Normal((ulong)(200 + i)))];
            double[] second = [.. common.Select((c, i) => c + (20 * 0.05) + random.Normal((ulong)(400 + i)))];
            var result = PairedBootstrap.Of([second, first], table, MixtureScore.Uniform(2), 3, resamples: 200);
            int winner = SelectionQuality.Best([Score(second), Score(first)]);
            best += winner == 1 ? 1 : 0;
            var difference = result.Differences[1 - winner];
            inside += difference.Contains(winner == 1 ? 0.05 : -0.05) ? 1 : 0;
            Assert.Equal(1, result.ProbabilityOfBest.Sum(), 1e-12);
            // Pairing takes the documents' own spread out of the difference.
            Assert.True(difference.High - difference.Low < 0.5 * (result.Scores[0].High - result.Scores[0].Low));

            double Score(double[] losses) => MixtureScore.Uniform(2).Of(table.DomainLosses(losses));
        }
        Assert.InRange(inside / 300.0, 0.85, 0.95);
        Assert.True(best > 290);
    }

    [Fact]
    public void Alarm_IndependentUnits_StaysQuiet()
    {
        int alarms = 0;
        for (int r = 0; r < Repeats; r++)
        {
            var (units, proxy, truth) = Study(r, interaction: 0);
            alarms += AdditivityAlarm.Test(units, proxy, truth).Pairs.Count > 0 ? 1 : 0;
        }
        Assert.InRange(alarms / (double)Repeats, 0, 0.05);
    }

    [Fact]
    public void Alarm_PlantedPair_IsNamed()
    {
        int named = 0, others = 0;
        for (int r = 0; r < 100; r++)
        {
            var (units, proxy, truth) = Study(r, interaction: -0.2);
            var alarm = AdditivityAlarm.Test(units, proxy, truth);
            named += alarm.Pairs.Count > 0 && (alarm.Pairs[0].First, alarm.Pairs[0].Second) == (1, 3) ? 1 : 0;
            others += alarm.Pairs.Count > 1 ? 1 : 0;
            Assert.True(alarm.Pairs.Count == 0 || alarm.Pairs[0].Effect < 0);
        }
        Assert.InRange(named, 95, 100);
        Assert.InRange(others, 0, 30);
    }

    [Fact]
    public void NoiseFloor_RepeatedSeeds_IsTheirSpread()
    {
        var random = new CounterRandom(2, RandomPurpose.Test);
        var floor = NoiseFloor.Of(Enumerable.Range(0, 500).Select(g => (IReadOnlyList<double>)[.. Enumerable.Range(0, 3).Select(s => g + (0.02 * random.Normal((ulong)((3 * g) + s))))]));
        Assert.Equal(1000, floor.Degrees);
        Assert.Equal(0.02, floor.Deviation, 0.001);
        Assert.True(double.IsNaN(NoiseFloor.Of([[1.0], [2.0]]).Deviation));
    }

    [Fact]
    public void Undetermined_Everywhere_IsUndefinedAndNotZero()
    {
        Assert.True(double.IsNaN(Correlation.Of([1, 1, 1], [1, 2, 3]).Pearson));
        Assert.False(Correlation.Of([1, 2, 3], [1, 2, 3]).PearsonInterval().IsDefined);
        Assert.False(new Calibration([1, 2], [1, 2]).Prediction(1.5).IsDefined);
        Assert.False(new Calibration([1, 1, 1, 1], [1, 2, 3, 4]).Prediction(1).IsDefined);
        Assert.False(new Calibration([1, 2, 3, 4], [1, 2, 2, 4]).Conformal(1).IsDefined);
        Assert.True(double.IsNaN(SelectionQuality.DecisionAccuracy([1, 2], [3, 3])));
        Assert.Empty(AdditivityAlarm.Test([[0], [1], [0, 1]], [1, 2, 3], [1, 2, 3]).Pairs);
    }

    [Fact]
    public void LeastSquares_DependentColumns_AreRefused()
    {
        Assert.Null(LeastSquares.Solve(new double[,] { { 1, 2 }, { 2, 4 }, { 3, 6 } }, [1, 2, 3]));
        double[]? x = LeastSquares.Solve(new double[,] { { 1, 0 }, { 1, 1 }, { 1, 2 } }, [1, 3, 5]);
        Assert.Equal(1, x![0], 1e-12);
        Assert.Equal(2, x[1], 1e-12);
    }

    [Fact]
    public void Assignment_AgainstAllPermutations_IsTheLargest()
    {
        var random = new CounterRandom(6, RandomPurpose.Test);
        for (int trial = 0; trial < 30; trial++)
        {
            int n = 1 + (trial % 6);
            var value = new double[n, n];
            for (int i = 0; i < n * n; i++)
            {
                value[i / n, i % n] = Math.Round(10 * random.Uniform((ulong)((trial * 100) + i)));
            }
            int[] match = Assignment.Largest(value);
            Assert.Equal(n, match.Distinct().Count());
            double best = Permutations(n).Max(p => p.Select((c, r) => value[r, c]).Sum());
            Assert.Equal(best, match.Select((c, r) => value[r, c]).Sum());
        }
        Assert.Equal([0, 1, 2], Assignment.Largest(new double[3, 3]));

        static IEnumerable<int[]> Permutations(int n) => n == 0 ? [[]] : Permutations(n - 1).SelectMany(p => Enumerable.Range(0, n).Select(at => p.Take(at).Append(n - 1).Concat(p.Skip(at)).ToArray()));
    }

    private static void Covers(int inside) => Assert.InRange(inside / (double)Repeats, 0.85, 0.95);

    private static (double[] X, double[] Y) Line(int stream, int count, double noise)
    {
        var random = new CounterRandom(10, RandomPurpose.Test, (uint)stream);
        double[] x = [.. Enumerable.Range(0, count).Select(i => random.Normal((ulong)i))];
        return (x, [.. x.Select((v, i) => 3 + (2 * v) + (noise * random.Normal((ulong)(1000 + i))))]);
    }

    // 24 mixtures of 6 units: truth follows the stand-in but for a level that depends on the number of units, noise, and an interaction planted in one pair.
    private static (List<IReadOnlyList<int>> Units, double[] Proxy, double[] Truth) Study(int stream, double interaction)
    {
        var random = new CounterRandom(20, RandomPurpose.Test, (uint)stream);
        var units = MixtureCandidates.AllSubsets(6, 2, 3).Where((_, i) => i % 3 != 1).Select(s => (IReadOnlyList<int>)s).ToList();
        double[] worth = [.. Enumerable.Range(0, 6).Select(u => 0.2 * random.Normal((ulong)u))];
        double[] proxy = [.. units.Select(s => 3 + s.Average(u => worth[u]))];
        return (units, proxy, [.. proxy.Select((p, i) => 1 + (0.7 * p) - (0.5 * Math.Log(units[i].Count)) + (0.02 * random.Normal((ulong)(50 + i))) + (units[i].Contains(1) && units[i].Contains(3) ? interaction : 0))]);
    }
}
