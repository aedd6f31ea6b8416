using NativeEngine.Ablation.Mixtures;
using NativeEngine.Ablation.Ranking;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Ablation;

public sealed class CandidateTests
{
    private static readonly string[] _names = ["algebra", "biology", "chemistry", "drama"];

    [Fact]
    public void Enumerations_SmallPools_AreExact()
    {
        Assert.Equal(["0+1+2+3", "1+2+3", "0+2+3", "0+1+3", "0+1+2"], MixtureCandidates.LeaveOneOut(4).Select(s => string.Join('+', s)));
        Assert.Equal(["1", "0+1", "1+2", "1+3"], MixtureCandidates.AddOne(4, [1]).Select(s => string.Join('+', s)));
        Assert.Equal(6, MixtureCandidates.AllSubsets(4, 2, 2).Count());
        for (int n = 1; n <= 8; n++)
        {
            var sets = MixtureCandidates.AllSubsets(n).Select(s => string.Join(',', s)).ToList();
            Assert.Equal((1 << n) - 1, sets.Distinct().Count());
            for (int m = 1; m <= 5; m++)
            {
                var points = MixtureCandidates.Lattice(n, m).ToList();
                Assert.All(points, p => Assert.Equal(m, p.Sum()));
                Assert.Equal(points.Count, points.Select(p => string.Join(',', p)).Distinct().Count());
                Assert.Equal(Binomial(n + m - 1, m), points.Count);
            }
        }

        static long Binomial(int n, int k) => k == 0 ? 1 : Binomial(n - 1, k - 1) * n / k;
    }

    [Fact]
    public void Enumerations_TooMany_AreRefusedWithTheCount()
    {
        var error = Assert.Throws<EngineException>(() => MixtureCandidates.AllSubsets(30));
        Assert.Contains("1,073,741,823", error.Message, StringComparison.Ordinal);
        Assert.Equal(ErrorKind.Usage, Assert.Throws<EngineException>(() => MixtureCandidates.Subsets(4, 5)).Kind);
    }

    [Fact]
    public void Dirichlet_Rules_AreKept()
    {
        var rules = new MixtureRules { Caps = [0.5, 0.4, 1, 1], Must = [1], Never = [3] };
        var drawn = DirichletSampler.Draw(4, new DirichletOptions { Count = 50, Step = 0.05 }, rules, _names, 7);
        Assert.Equal(50, drawn.Distinct().Count());
        Assert.All(drawn, m =>
        {
            Assert.Null(rules.Broken(m, _names));
            Assert.Equal(1, m.Weights.Sum(), 1e-12);
            Assert.All(m.Weights, w => Assert.Equal(Math.Round(w * 20), w * 20, 1e-9));
        });
        Assert.Equal(drawn, DirichletSampler.Draw(4, new DirichletOptions { Count = 50, Step = 0.05 }, rules, _names, 7));
        Assert.NotEqual(drawn, DirichletSampler.Draw(4, new DirichletOptions { Count = 50, Step = 0.05 }, rules, _names, 8));
    }

    [Fact]
    public void Dirichlet_Moments_AreTheDistributions()
    {
        // Parameters 4 * (0.5, 0.3, 0.2): mean p_i, variance p_i (1 - p_i) / 5.
        double[] prior = [0.5, 0.3, 0.2];
        var drawn = DirichletSampler.Draw(3, new DirichletOptions { Count = 4000, Concentration = 4.0 / 3, Prior = prior }, new MixtureRules(), _names, 1);
        for (int u = 0; u < 3; u++)
        {
            double mean = drawn.Average(m => m.Weights[u]), variance = drawn.Average(m => (m.Weights[u] - mean) * (m.Weights[u] - mean));
            Assert.Equal(prior[u], mean, 0.02);
            Assert.Equal(prior[u] * (1 - prior[u]) / 5, variance, 0.004);
        }
        // A high temperature flattens the prior.
        var flat = DirichletSampler.Draw(3, new DirichletOptions { Count = 2000, Concentration = 4, Prior = prior, Temperature = 100 }, new MixtureRules(), _names, 1);
        Assert.Equal(1.0 / 3, flat.Average(m => m.Weights[0]), 0.02);
    }

    [Fact]
    public void Dirichlet_Impossible_SaysWhatWasRefused()
    {
        var error = Assert.Throws<EngineException>(() => DirichletSampler.Draw(3, new DirichletOptions { Count = 100, Step = 0.5 }, new MixtureRules(), _names, 1));
        Assert.Contains("of 100 different mixtures", error.Message, StringComparison.Ordinal);
        Assert.Throws<EngineException>(() => new MixtureRules { Caps = [0.2, 0.2, 0.2] }.Validate(_names));
        Assert.Throws<EngineException>(() => new MixtureRules { Must = [1], Never = [1] }.Validate(_names));
    }

    [Fact]
    public void Capped_Weights_KeepCapsAndProportions()
    {
        double[] capped = new MixtureRules { Caps = [0.3, 1, 1, 0.15] }.Capped([0.5, 0.2, 0.1, 0.2]);
        Assert.Equal(1, capped.Sum(), 1e-12);
        Assert.Equal(0.3, capped[0], 1e-12);
        Assert.Equal(0.15, capped[3], 1e-12);
        Assert.Equal(2, capped[1] / capped[2], 1e-9);
    }

    [Fact]
    public void VisitOrder_AllSubsets_ChangeOneUnitAtATime()
    {
        Mixture[] all = [.. MixtureCandidates.AllSubsets(7).Select(s => Mixture.Uniform(7, s))];
        int[] order = VisitOrder.Of(all);
        Assert.Equal(Enumerable.Range(0, all.Length), order.Order());
        Assert.All(order.Zip(order.Skip(1)), pair => Assert.Equal(1, all[pair.First].Units.Except(all[pair.Second].Units).Count() + all[pair.Second].Units.Except(all[pair.First].Units).Count()));
        Mixture[] triples = [.. MixtureCandidates.Subsets(7, 3).Select(s => Mixture.Uniform(7, s))];
        int[] doors = VisitOrder.Of(triples);
        Assert.All(doors.Zip(doors.Skip(1)), pair => Assert.Single(triples[pair.First].Units.Except(triples[pair.Second].Units)));
    }

    [Fact]
    public void List_CsvAndJson_GiveTheSameMixtures()
    {
        using var folder = new TemporaryFolder();
        string csv = folder.Write("list.csv", "biology, drama,algebra\n1,,3\n0.5,0.5,0\n");
        string json = folder.Write("list.json", """[{"biology": 1, "algebra": 3}, ["drama", "biology"]]""");
        var fromCsv = MixtureList.Read(csv, _names).Select(w => Mixture.Of(w)).ToList();
        Assert.Equal(fromCsv, MixtureList.Read(json, _names).Select(w => Mixture.Of(w)));
        Assert.Equal("algebra:0.75+biology:0.25", fromCsv[0].Describe(_names));
        var error = Assert.Throws<EngineException>(() => MixtureList.Read(folder.Write("bad.csv", "biologie\n1\n"), _names));
        Assert.Contains("bad.csv:1", error.Message, StringComparison.Ordinal);
        Assert.Contains("did you mean 'biology'", error.Message, StringComparison.Ordinal);
        Assert.Contains(":3", Assert.Throws<EngineException>(() => MixtureList.Read(folder.Write("worse.csv", "biology\n1\n-2\n"), _names)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Search_AnyTable_BackwardAndSwapFindLocalMinima()
    {
        var random = new CounterRandom(4, RandomPurpose.Test);
        for (int trial = 0; trial < 20; trial++)
        {
            int from = trial;
            double Value(IReadOnlyList<int> set) => random.Uniform((ulong)((from * 64) + set.Sum(u => 1 << u)));
            var search = new SetSearch(6, Value);
            var found = search.Swap(search.Backward().Set);
            double best = MixtureCandidates.AllSubsets(6).Min(Value);
            Assert.True(found.Value >= best);
            foreach (int u in Enumerable.Range(0, 6))
            {
                int[] other = found.Set.Contains(u) ? [.. found.Set.Where(v => v != u)] : [.. found.Set.Append(u).Order()];
                Assert.True(other.Length == 0 || Value(other) >= found.Value);
            }
            Assert.InRange(search.Evaluations, 6, 63);
        }
    }
}
