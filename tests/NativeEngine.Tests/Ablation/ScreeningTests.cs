using NativeEngine.Ablation.Mixtures;
using NativeEngine.Ablation.Ranking;

namespace NativeEngine.Tests.Ablation;

/// <summary>Screening on losses that are known: a quadratic in the weights, and a wobble that no quadratic has.</summary>
public sealed class ScreeningTests
{
    private static readonly Mixture[] _candidates = [.. MixtureCandidates.Lattice(5, 10).Select(p => Mixture.Of([.. p.Select(v => (double)v)]))];

    [Theory]
    [InlineData(0.001)]
    [InlineData(0.01)]
    public void Run_NearlyQuadratic_KeepsTheBestAndStatesItsError(double wobble)
    {
        var evaluator = new WobblingEvaluator(wobble);
        var screen = Screening.Run(evaluator, MixtureScore.Uniform(2), _candidates, finalists: 8, keep: 4, seed: 1)!;
        Assert.Equal((5 * 6, 1001), (screen.Fitted, _candidates.Length));
        Assert.Equal((screen.Fitted + Screening.Checks) * screen.Tokens, evaluator.TokensScored);
        Assert.Equal(Enumerable.Range(0, _candidates.Length), screen.Kept.Concat(screen.Left).Order());
        Assert.InRange(screen.Kept.Count, 32, _candidates.Length / 2);
        Assert.InRange(screen.Error.RootMeanSquare, 0.3 * wobble, 4 * wobble);
        double[] truth = [.. _candidates.Select(evaluator.Loss)];
        int[] best = [.. Enumerable.Range(0, truth.Length).OrderBy(c => truth[c]).Take(8)];
        Assert.Empty(best.Except(screen.Kept));
        Assert.True(truth.Zip(screen.Predicted, (t, p) => Math.Abs(t - p)).Max() < 40 * wobble);
    }

    [Fact]
    public void Run_NothingQuadratic_LeavesOutOnlyWhatIsBeyondItsMargin()
    {
        var screen = Screening.Run(new WobblingEvaluator(10), MixtureScore.Uniform(2), _candidates, finalists: 8, keep: 4, seed: 1)!;
        double last = screen.Predicted.Order().ElementAt(7);
        Assert.True(screen.Margin > 10, $"a margin of {screen.Margin} for losses that wobble by 10");
        Assert.All(screen.Left, c => Assert.True(screen.Predicted[c] > last + screen.Margin));
        Assert.All(screen.Kept, c => Assert.True(screen.Predicted[c] <= last + screen.Margin || screen.Kept.Count == 32));
    }

    [Fact]
    public void Run_WhereItDoesNotPay_IsLeftOut()
    {
        var evaluator = new WobblingEvaluator(0.01);
        Assert.Null(Screening.Run(evaluator, MixtureScore.Uniform(2), _candidates, finalists: int.MaxValue, keep: 4, seed: 1));
        Assert.Null(Screening.Run(evaluator, MixtureScore.Uniform(2), _candidates[..200], finalists: 8, keep: 4, seed: 1));
        Assert.Null(Screening.Run(evaluator, new MixtureScore(ScoreKind.Worst, [1, 1]), _candidates, finalists: 8, keep: 4, seed: 1));
        Assert.Equal(0, evaluator.TokensScored);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Run_DocumentsThatDisagree_MarginHoldsTheirNoise(ulong seed)
    {
        // Few documents say little of the others here: what is best on the first eight need not be best on all.
        var evaluator = new WobblingEvaluator(0.001, peculiar: 2, seed);
        var score = MixtureScore.Uniform(2);
        var screen = Screening.Run(evaluator, score, _candidates, finalists: 8, keep: 4, seed)!;
        Assert.True(screen.Margin >= Screening.Errors * screen.Noise && screen.Noise > 10 * screen.Error.RootMeanSquare, $"noise {screen.Noise}, error {screen.Error.RootMeanSquare}");
        double[] truth = [.. _candidates.Select(m => score.Of(evaluator.DomainLosses(m)))];
        Assert.Contains(Array.IndexOf(truth, truth.Min()), screen.Kept);
        Assert.Equal(screen.Kept.Count <= 2 * (screen.Fitted + Screening.Checks) ? screen.Blocks : 1, screen.RaceFrom);
        var race = Racing.Run(evaluator, score, [.. screen.Kept.Select(c => _candidates[c])], 8, 4, screen.Blocks);
        Assert.Equal(screen.Documents, race.Rounds[0].Documents);
    }

    [Fact]
    public void OfDifference_RandomFirstDocuments_IsTheErrorThatIsMade()
    {
        const int Documents = 40, First = 10, Trials = 4000;
        var random = new CounterRandom(7, RandomPurpose.Resampling);
        double[] difference = [.. Enumerable.Range(0, Documents).Select(i => random.Uniform((ulong)i) * (1 + (i % 2)))];
        long[] tokens = [.. Enumerable.Range(0, Documents).Select(i => 20 + (i % 7))];
        double stated = 0, made = 0;
        for (int t = 0; t < Trials; t++)
        {
            int[] order = [.. DocumentTable.SpreadOrder([.. Enumerable.Range(0, Documents).Select(i => i % 2)], (ulong)t)];
            var table = new DocumentTable(["A", "B"], [.. order.Select(i => new EvaluationDocument(i % 2, tokens[i], 1))]);
            double[] a = [.. order.Select(i => difference[i])], b = new double[Documents];
            double[] weights = [0.25, 0.75];
            double error = SamplingNoise.OfDifference(a.AsSpan(0, First), b.AsSpan(0, First), table, weights);
            double[] few = table.DomainLosses(a.AsSpan(0, First)), all = table.DomainLosses(a);
            double off = (weights[0] * (few[0] - all[0])) + (weights[1] * (few[1] - all[1]));
            (stated, made) = (stated + (error * error), made + (off * off));
        }
        Assert.InRange(stated / made, 0.9, 1.1);
    }

    [Fact]
    public void OfDifference_KnownDocuments_Formula()
    {
        // One domain of 4 documents of 2 tokens, two of them seen: differences 1 and 3, r = 1, residuals -1 and 1; (1 - 2/4) * 2/1 * 2/16.
        var table = new DocumentTable(["A"], [new(0, 2, 1), new(0, 2, 1), new(0, 2, 1), new(0, 2, 1)]);
        Assert.Equal(Math.Sqrt(0.125), SamplingNoise.OfDifference([2, 5], [1, 2], table, [1]), 1e-12);
        Assert.Equal(0, SamplingNoise.OfDifference([2, 5, 9, 4], [1, 2, 2, 2], table, [1]));
        Assert.Equal(double.NaN, SamplingNoise.OfDifference([2], [1], table, [1]));
    }

    private sealed class WobblingEvaluator(double wobble, double peculiar = 0, ulong seed = 0)
        : MixtureEvaluator(new DocumentTable(["A", "B"], [.. Enumerable.Range(0, 64).Select(i => new EvaluationDocument(i % 2, 10, 10))], [4, 8, 16, 32, 64]), null)
    {
        public override string Name => "known";

        public override string KeyOf(Mixture mixture) => mixture.ToString();

        public double Loss(Mixture mixture)
        {
            var w = mixture.Weights;
            double sum = 2 + (wobble * Math.Sin(1e4 * ((w[0] * 3) + (w[1] * 7) + (w[2] * 11) + (w[3] * 13))));
            for (int i = 0; i < w.Count; i++)
            {
                sum += w[i] * i / 5;
                for (int j = 0; j < i; j++)
                {
                    sum -= w[i] * w[j] * (1 + ((i + j) % 3));
                }
            }
            return sum;
        }

        protected override string BlockKey(int block) => "";

        protected override void Compute(int lane, Mixture mixture, int block, Span<double> losses) => Losses(mixture, block, losses);

        // A document's loss differs from that of its mixture by so much for each unit of weight.
        private void Losses(Mixture mixture, int block, Span<double> losses)
        {
            double loss = Loss(mixture);
            var random = new CounterRandom(seed, RandomPurpose.Resampling, 5);
            for (int i = 0; i < losses.Length; i++)
            {
                int document = Table.Block(block).Start.Value + i;
                double own = mixture.Weights.Select((w, u) => w * (random.Uniform((ulong)((document * 5) + u)) - 0.5)).Sum();
                losses[i] = 10 * (loss + (peculiar * own));
            }
        }
    }
}
