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

    private sealed class WobblingEvaluator(double wobble)
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

        protected override void Compute(int lane, Mixture mixture, int block, Span<double> losses) => losses.Fill(10 * Loss(mixture));
    }
}
