using System.Globalization;
using System.Text.Json;
using NativeEngine.Ablation;
using NativeEngine.Ablation.Mixtures;
using NativeEngine.Ablation.Ranking;
using NativeEngine.Ablation.Statistics;
using static NativeEngine.Tests.Golden.MergeGoldenCases;

namespace NativeEngine.Tests.Ablation;

/// <summary>Every golden case that belongs to statistics, search and surrogates of data ablation, through the library.</summary>
public sealed class AblationGoldenTests
{
    /// <summary>The cases this class answers for.</summary>
    internal static readonly string[] Cases = ["R01", "S01", "S02", "S03", "S04", "S06", "S07", "S08", "S09", "S10", "S12", "E01"];

    [Fact]
    public void File_Cases_HaveOneTestEach()
    {
        var tests = typeof(AblationGoldenTests).GetMethods().Select(m => m.Name).ToList();
        Assert.All(Cases, id => Assert.Single(tests, name => name.StartsWith(id + "_", StringComparison.Ordinal)));
    }

    [Fact]
    public void M05_Weights_Golden_Close()
    {
        var c = Get("M05");
        var groups = c.Inputs.GetProperty("groups").EnumerateObject().ToList();
        int[] sources = [.. groups.SelectMany((g, s) => Enumerable.Repeat(s, g.Value.GetArrayLength()))];
        long[] tokens = [.. groups.SelectMany(g => Doubles(c.Inputs.GetProperty("tokens").GetProperty(g.Name))).Select(t => (long)t)];
        int[] all = [.. Enumerable.Range(0, sources.Length)];
        double[] shares = [.. groups.Select(g => c.Inputs.GetProperty("mixture_alpha").GetProperty(g.Name).GetDouble())];
        Check("micro", MixtureWeights.Of(WeightRule.Micro, all, sources, tokens));
        Check("macro", MixtureWeights.Of(WeightRule.Macro, all, sources, tokens));
        Check("token", MixtureWeights.Of(WeightRule.Token, all, sources, tokens));
        Check("mixture", MixtureWeights.OfSources(shares, sources));

        void Check(string rule, Mixture mixture)
        {
            string[][] parts = [.. c.Expected.GetProperty(rule).GetProperty("weights").EnumerateArray().Select(w => w.GetString()!.Split('/'))];
            for (int u = 0; u < parts.Length; u++)
            {
                Assert.Equal(double.Parse(parts[u][0], CultureInfo.InvariantCulture) / double.Parse(parts[u][1], CultureInfo.InvariantCulture), mixture.Weights[u], 1e-15);
            }
        }
    }

    [Fact]
    public void R01_SplitMix64_Golden_SameBits()
    {
        var c = Get("R01");
        Check(1234567, "seed_1234567_first5");
        Check(42, "seed_42_first8");
        var doubles = new SplitMix64(42);
        var indices = new SplitMix64(42);
        foreach (double expected in Doubles(c.Expected.GetProperty("seed_42_doubles")))
        {
            Assert.Equal(expected, doubles.NextDouble());
        }
        foreach (var expected in c.Expected.GetProperty("seed_42_indices_n10").EnumerateArray())
        {
            Assert.Equal(expected.GetInt32(), indices.NextBelow(10));
        }

        void Check(ulong seed, string name)
        {
            var random = new SplitMix64(seed);
            foreach (var expected in c.Expected.GetProperty(name).EnumerateArray())
            {
                Assert.Equal(ulong.Parse(expected.GetString()!, CultureInfo.InvariantCulture), random.Next());
            }
        }
    }

    [Fact]
    public void S01_Correlation_Golden_Close()
    {
        var c = Get("S01");
        var inputs = c.Inputs.GetProperty("cases").EnumerateArray().ToList();
        for (int i = 0; i < inputs.Count; i++)
        {
            double[] x = Doubles(inputs[i].GetProperty("x")), y = Doubles(inputs[i].GetProperty("y"));
            var got = Correlation.Of(x, y);
            foreach (var expected in c.Expected.GetProperty("cases")[i].EnumerateObject())
            {
                double[] numbers = expected.Name switch
                {
                    "pearson" => [got.Pearson],
                    "spearman" => [got.Spearman],
                    "kendall_tau_b" => [got.KendallTauB],
                    "kendall_tau_a" => [got.KendallTauA],
                    "concordant" => [got.Concordant],
                    "discordant" => [got.Discordant],
                    "ties_x" => [got.TiesX],
                    "ties_y" => [got.TiesY],
                    "ranks_x" => Correlation.Ranks(x),
                    "ranks_y" => Correlation.Ranks(y),
                    "t_statistic" => [got.TStatistic],
                    "p_value_two_sided" => [got.PValue],
                    "fisher_z" => [got.FisherZ],
                    "ci95" => [got.PearsonInterval().Low, got.PearsonInterval().High],
                    _ => throw new InvalidOperationException($"no member answers {expected.Name}"),
                };
                if (expected.Value.ValueKind == JsonValueKind.String)
                {
                    Assert.True(double.IsNaN(numbers[0]), $"{expected.Name} of case {i} is {numbers[0]}, it is undefined");
                    continue;
                }
                c.AssertClose(JsonSerializer.SerializeToElement(expected.Value.ValueKind == JsonValueKind.Array ? Doubles(expected.Value) : [expected.Value.GetDouble()]), numbers);
            }
        }
    }

    [Fact]
    public void S02_Perplexity_Golden_Close()
    {
        var c = Get("S02");
        var documents = c.Inputs.GetProperty("documents").EnumerateArray().ToList();
        double[] losses = [.. documents.Select(d => -d.GetProperty("sum_logprob").GetDouble())];
        Assert.Equal(c.Expected.GetProperty("ppl_token").GetDouble(), Per("tokens"), 1e-12);
        Assert.Equal(c.Expected.GetProperty("ppl_char").GetDouble(), Per("chars"), 1e-12);
        Assert.Equal(c.Expected.GetProperty("ppl_word").GetDouble(), Per("words"), 1e-10);
        Assert.Equal(c.Expected.GetProperty("ppl_byte").GetDouble(), Per("bytes"), 1e-12);
        Assert.Equal(c.Expected.GetProperty("bits_per_byte").GetDouble(), Table("tokens").BitsPerByte(losses)[0], 1e-12);
        double[] domains = [.. Doubles(c.Inputs.GetProperty("domain_ppl")).Select(p => Math.Log(p))];
        Assert.Equal(c.Expected.GetProperty("domain_geometric_mean_exp_mean_nll").GetDouble(), Math.Exp(MixtureScore.Uniform(3).Of(domains)), 1e-12);

        double Per(string unit) => Math.Exp(Table(unit).DomainLosses(losses)[0]);
        DocumentTable Table(string unit) => new(["D"], [.. documents.Select(d => new EvaluationDocument(0, d.GetProperty(unit).GetInt64(), d.GetProperty("bytes").GetInt64()))]);
    }

    [Fact]
    public void S03_Windows_Golden_Equal()
    {
        var c = Get("S03");
        var cases = c.Inputs.GetProperty("cases").EnumerateArray().ToList();
        for (int i = 0; i < cases.Count; i++)
        {
            int n = cases[i].GetProperty("num_tokens").GetInt32();
            int[] document = [.. Enumerable.Range(100, n)], input = [0, .. document];
            var got = EvaluationWindows.Cut(n, cases[i].GetProperty("max_seq_len").GetInt32(), cases[i].GetProperty("context_len").GetInt32());
            var expected = c.Expected.GetProperty("cases")[i].EnumerateArray().ToList();
            Assert.Equal(expected.Count, got.Count);
            foreach (var (want, window) in expected.Zip(got))
            {
                Assert.Equal(Doubles(want.GetProperty("input")), input[window.InputStart..(window.InputStart + window.InputLength)].Select(t => (double)t));
                Assert.Equal(Doubles(want.GetProperty("predict")), document[window.PredictStart..(window.PredictStart + window.PredictLength)].Select(t => (double)t));
                // The other way to say the same: what is known before the scored tokens, and the scored tokens themselves.
                int known = window.InputLength - window.PredictLength + 1;
                Assert.Equal(Doubles(want.GetProperty("context_after_disjoint")), input[window.InputStart..(window.InputStart + known)].Select(t => (double)t));
                Assert.Equal(Doubles(want.GetProperty("continuation")), Doubles(want.GetProperty("predict")));
            }
        }
    }

    [Fact]
    public void S04_SelectionQuality_Golden_Close()
    {
        var c = Get("S04");
        double[] proxy = Doubles(c.Inputs.GetProperty("proxy")), truth = Doubles(c.Inputs.GetProperty("true"));
        Assert.Equal(c.Expected.GetProperty("best_true_index").GetInt32(), SelectionQuality.Best(truth));
        Assert.Equal(c.Expected.GetProperty("proxy_pick_index").GetInt32(), SelectionQuality.Best(proxy));
        Assert.Equal(c.Expected.GetProperty("regret_at_1").GetDouble(), SelectionQuality.Regret(proxy, truth), 1e-12);
        Assert.Equal(c.Expected.GetProperty("regret_at_3").GetDouble(), SelectionQuality.Regret(proxy, truth, 3), 1e-12);
        Assert.Equal(c.Expected.GetProperty("recall_at_3").GetDouble(), SelectionQuality.Recall(proxy, truth, 3), 1e-12);
        Assert.Equal(c.Expected.GetProperty("pairwise_decision_accuracy").GetDouble(), SelectionQuality.DecisionAccuracy(proxy, truth), 1e-12);
        Assert.Equal(c.Expected.GetProperty("pairs").GetInt32(), truth.Length * (truth.Length - 1) / 2);
    }

    [Fact]
    public void S06_Bootstrap_Golden_Close()
    {
        var c = Get("S06");
        double[] x = Doubles(c.Inputs.GetProperty("x")), y = Doubles(c.Inputs.GetProperty("y"));
        ulong seed = c.Inputs.GetProperty("seed").GetUInt64();
        var random = new SplitMix64(seed);
        Assert.Equal(Doubles(c.Expected.GetProperty("first_resample_indices")), x.Select(_ => (double)random.NextBelow(x.Length)));
        var got = BootstrapCorrelation.Of(x, y, seed, c.Inputs.GetProperty("resamples").GetInt32());
        Assert.Equal(c.Expected.GetProperty("kept").GetInt32(), got.Kept);
        c.AssertClose(c.Expected.GetProperty("ci95"), [got.Interval.Low, got.Interval.High]);
        Assert.Equal(c.Expected.GetProperty("median").GetDouble(), got.Median, 1e-10);
        Assert.Equal(c.Expected.GetProperty("mean").GetDouble(), got.Mean, 1e-10);
    }

    [Fact]
    public void S07_EnumerationAndCost_Golden_Equal()
    {
        var c = Get("S07");
        Same("all_subsets_order", MixtureCandidates.AllSubsets(c.Inputs.GetProperty("all_subsets_n").GetInt32()));
        double[] k = Doubles(c.Inputs.GetProperty("k_of_n"));
        Same("k_of_n_order", MixtureCandidates.Subsets((int)k[1], (int)k[0]));
        var lattice = c.Inputs.GetProperty("simplex_lattice");
        var points = MixtureCandidates.Lattice(lattice.GetProperty("parts").GetInt32(), lattice.GetProperty("m").GetInt32()).ToList();
        Same("simplex_lattice_points_over_4", points);
        Assert.Equal(c.Expected.GetProperty("simplex_lattice_count").GetInt32(), points.Count);
        foreach (var row in c.Expected.GetProperty("cost_table").EnumerateArray())
        {
            int n = row.GetProperty("n_units").GetInt32();
            Assert.Equal(row.GetProperty("all_subsets").GetString(), TrainingCost.AllSubsets(n).ToString(CultureInfo.InvariantCulture));
            Assert.Equal(row.GetProperty("naive_all_subsets_training_units").GetString(), TrainingCost.NaiveAllSubsets(n).ToString(CultureInfo.InvariantCulture));
            Assert.Equal(row.GetProperty("pairs").GetInt64(), TrainingCost.Subsets(n, 2));
            Assert.Equal(row.GetProperty("naive_pairs_training_units").GetInt64(), TrainingCost.NaiveSubsets(n, 2));
            Assert.Equal((double)row.GetProperty("naive_pairs_training_units").GetInt64() / row.GetProperty("modular_training_units").GetInt32(),
                TrainingCost.Saving(n, Enumerable.Repeat(2, row.GetProperty("pairs").GetInt32())), 1e-12);
        }
        var run = c.Expected.GetProperty("official_run");
        long Of(string name) => run.GetProperty(name).GetInt64();
        long steps = Of("base_unit_tokens") / Of("tokens_per_step");
        Assert.Equal(Of("seq_s2orc_steps"), Of("s2orc_units") * steps);
        Assert.Equal(Of("seq_all_tokens"), (Of("s2orc_units") + Of("m2d2_wiki_units")) * Of("base_unit_tokens"));

        void Same(string name, IEnumerable<int[]> got) => Assert.Equal(
            c.Expected.GetProperty(name).EnumerateArray().Select(row => string.Join(' ', Doubles(row))), got.Select(row => string.Join(' ', row)));
    }

    [Fact]
    public void S08_Greedy_Golden_Equal()
    {
        var c = Get("S08");
        var table = c.Inputs.GetProperty("table");
        double Value(IReadOnlyList<int> set) => table.GetProperty(string.Concat(set)).GetDouble();
        var best = MixtureCandidates.AllSubsets(4).MinBy(Value)!;
        Assert.Equal(Doubles(c.Expected.GetProperty("exhaustive_best").GetProperty("set")), best.Select(u => (double)u));
        Assert.Equal(c.Expected.GetProperty("exhaustive_best").GetProperty("value").GetDouble(), Value(best));
        var forward = new SetSearch(4, Value).Forward();
        Same(c.Expected.GetProperty("forward_trace"), "set", forward.Trace);
        var soup = new SetSearch(4, Value).GreedySoup();
        Same(c.Expected.GetProperty("greedy_soup_trace"), "try", soup.Trace);
        Assert.Equal(Doubles(c.Expected.GetProperty("greedy_soup_result").GetProperty("set")), soup.Set.Select(u => (double)u));
        Assert.Equal(c.Expected.GetProperty("greedy_soup_result").GetProperty("value").GetDouble(), soup.Value);
        // From where the greedy ends, exchanging and removing finds the exhaustive best.
        Assert.Equal(best, new SetSearch(4, Value).Swap(forward.Set).Set);

        static void Same(JsonElement expected, string member, IReadOnlyList<SearchStep> trace)
        {
            Assert.Equal(expected.GetArrayLength(), trace.Count);
            foreach (var (want, step) in expected.EnumerateArray().Zip(trace))
            {
                Assert.Equal(Doubles(want.GetProperty(member)), step.Set.Select(u => (double)u));
                Assert.Equal(want.GetProperty("value").GetDouble(), step.Value);
                Assert.True(step.Accepted == (!want.TryGetProperty("accepted", out var accepted) || accepted.GetBoolean()));
            }
        }
    }

    [Fact]
    public void S09_Scheffe_Golden_Close()
    {
        var c = Get("S09");
        List<Mixture> points = [.. Rows(c.Inputs.GetProperty("points")).Select(p => Mixture.Of(p))];
        Assert.Equal(points, QuadraticSurrogate.Design(3));
        var fit = QuadraticSurrogate.Fit(points, Doubles(c.Inputs.GetProperty("observed")));
        foreach (var coefficient in c.Expected.GetProperty("coefficients").EnumerateObject())
        {
            int[] units = [.. coefficient.Name.Select(d => d - '1')];
            Assert.Equal(coefficient.Value.GetDouble(), units.Length == 1 ? fit.Linear[units[0]] : fit.Pair(units[0], units[1]), 1e-10);
        }
        c.AssertClose(c.Expected.GetProperty("predictions"), [.. Rows(c.Inputs.GetProperty("query")).Select(q => fit.Predict(q))]);
        var minimum = c.Expected.GetProperty("grid_step_1_200_minimum");
        int[] grid = MixtureCandidates.Lattice(3, 200).MinBy(p => fit.Predict([.. p.Select(v => v / 200.0)]))!;
        Assert.Equal(Doubles(minimum.GetProperty("weights")), grid.Select(v => v / 200.0));
        Assert.Equal(minimum.GetProperty("value").GetDouble(), fit.Predict([.. grid.Select(v => v / 200.0)]), 1e-10);
        Assert.Equal(minimum.GetProperty("value").GetDouble(), fit.Predict(fit.Minimum().Weights), 1e-6);
    }

    [Fact]
    public void S10_ProbabilityMixture_Golden_Close()
    {
        var c = Get("S10");
        double[][] p = Rows(c.Inputs.GetProperty("token_probabilities"));
        double[] lambda = Doubles(c.Inputs.GetProperty("lambda"));
        double[] losses = EnsembleEvaluator.TokenLosses(p, lambda);
        c.AssertClose(c.Expected.GetProperty("p_mix"), [.. losses.Select(l => Math.Exp(-l))]);
        Assert.Equal(c.Expected.GetProperty("cross_entropy").GetDouble(), losses.Average(), 1e-12);
        Assert.Equal(c.Expected.GetProperty("perplexity").GetDouble(), Math.Exp(losses.Average()), 1e-12);
        double bound = lambda.Zip(p, (w, unit) => w * EnsembleEvaluator.TokenLosses([unit], [1]).Average()).Sum();
        Assert.Equal(c.Expected.GetProperty("mean_weighted_nll_upper_bound").GetDouble(), bound, 1e-12);
    }

    [Fact]
    public void S12_MixtureGradient_Golden_Close()
    {
        var c = Get("S12");
        var study = new BigramStudy();
        double[] alpha = Doubles(c.Inputs.GetProperty("alpha"));
        double eta = c.Inputs.GetProperty("eta").GetDouble();
        double[][] units = [.. study.Units];
        for (int d = 0; d < 3; d++)
        {
            var expected = c.Expected.GetProperty("per_domain").GetProperty("D" + d);
            int domain = d;
            double[] merged = study.Merge(alpha);
            Assert.Equal(expected.GetProperty("loss").GetDouble(), study.Loss(merged, d), 1e-10);
            double[] slopes = MixtureDerivatives.Gradient(study.Gradient(merged, d), units);
            c.AssertClose(expected.GetProperty("gradient"), slopes);
            double[,] hessian = MixtureDerivatives.Hessian(v => study.HessianVector(merged, domain, v), units);
            c.AssertClose(expected.GetProperty("hessian"), [.. hessian.Cast<double>()]);
            double[] step = MixtureDerivatives.ExponentiatedStep(alpha, slopes, eta);
            c.AssertClose(expected.GetProperty("exponentiated_gradient_step"), step);
            Assert.Equal(expected.GetProperty("loss_after_step").GetDouble(), study.Loss(study.Merge(step), d), 1e-10);
        }
    }

    [Fact]
    public void E01_BigramStudy_Golden_Close()
    {
        var c = Get("E01");
        var study = new BigramStudy();
        for (int u = 0; u < 3; u++)
        {
            c.AssertClose(c.Expected.GetProperty("unit_logits").GetProperty("U" + u), study.Units[u]);
        }
        Mixture[] candidates = [.. MixtureCandidates.AllSubsets(3).Select(set => Mixture.Uniform(3, set))];
        var expected = c.Expected.GetProperty("subsets").EnumerateArray().ToList();
        var average = new BigramEvaluator(study, ensemble: false);
        var ensemble = new BigramEvaluator(study, ensemble: true);
        double[][] proxy = [.. candidates.Select(m => Perplexities(average.DomainLosses(m)))];
        double[][] mixed = [.. candidates.Select(m => Perplexities(ensemble.DomainLosses(m)))];
        double[][] truth = [.. candidates.Select(m => Enumerable.Range(0, 3).Select(d => Math.Exp(study.Loss(study.Train(m.Units), d))).ToArray())];
        for (int i = 0; i < expected.Count; i++)
        {
            Assert.Equal(Doubles(expected[i].GetProperty("units")), candidates[i].Units.Select(u => (double)u));
            for (int d = 0; d < 3; d++)
            {
                Assert.Equal(expected[i].GetProperty("proxy_ppl").GetProperty("D" + d).GetDouble(), proxy[i][d], 1e-10);
                Assert.Equal(expected[i].GetProperty("mde_ppl").GetProperty("D" + d).GetDouble(), mixed[i][d], 1e-10);
                Assert.Equal(expected[i].GetProperty("true_ppl").GetProperty("D" + d).GetDouble(), truth[i][d], 1e-10);
            }
        }
        for (int d = 0; d < 3; d++)
        {
            var want = c.Expected.GetProperty("per_domain").GetProperty("D" + d);
            double[] Column(double[][] rows) => [.. rows.Select(r => r[d])];
            var first = Correlation.Of(Column(proxy), Column(truth));
            var second = Correlation.Of(Column(mixed), Column(truth));
            Assert.Equal(want.GetProperty("pearson").GetDouble(), first.Pearson, 1e-10);
            Assert.Equal(want.GetProperty("spearman").GetDouble(), first.Spearman, 1e-10);
            Assert.Equal(want.GetProperty("mde_pearson").GetDouble(), second.Pearson, 1e-10);
            Assert.Equal(want.GetProperty("mde_spearman").GetDouble(), second.Spearman, 1e-10);
            var ranked = Racing.Run(average, MixtureScore.Only(d, 3), candidates, finalists: candidates.Length).Order;
            Assert.Equal(
                want.GetProperty("all_subsets_ranked_by_proxy").EnumerateArray().Select(set => string.Join('+', Doubles(set))),
                ranked.Select(i => candidates[i].ToString()));
            Assert.Equal(Doubles(want.GetProperty("best_proxy_units")), candidates[SelectionQuality.Best(Column(proxy))].Units.Select(u => (double)u));
            Assert.Equal(Doubles(want.GetProperty("best_true_units")), candidates[SelectionQuality.Best(Column(truth))].Units.Select(u => (double)u));
        }
        Assert.Equal(c.Expected.GetProperty("pooled_pearson").GetDouble(), Correlation.PearsonOf([.. proxy.SelectMany(r => r)], [.. truth.SelectMany(r => r)]), 1e-10);

        static double[] Perplexities(double[] losses) => [.. losses.Select(l => Math.Exp(l))];
    }
}
