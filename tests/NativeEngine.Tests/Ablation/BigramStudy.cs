using NativeEngine.Ablation.Mixtures;
using NativeEngine.Ablation.Ranking;
using NativeEngine.Tests.Golden;

namespace NativeEngine.Tests.Ablation;

/// <summary>
/// The end-to-end case of the golden file: vocabulary 4, a model is a 4 x 4 table of logits, training has a closed form. Loss, gradient and
/// Hessian in double.
/// </summary>
internal sealed class BigramStudy
{
    private const int V = 4;
    private readonly double[][] _counts;
    private readonly double[][] _evaluation;
    private readonly double _smoothing;

    public BigramStudy()
    {
        var inputs = MergeGoldenCases.Get("E01").Inputs;
        _smoothing = inputs.GetProperty("smoothing").GetDouble();
        _counts = [.. inputs.GetProperty("train").EnumerateObject().Select(text => Count(text.Value.GetString()!))];
        _evaluation = [.. inputs.GetProperty("eval").EnumerateObject().Select(text => Count(text.Value.GetString()!))];
        Units = [.. Enumerable.Range(0, _counts.Length).Select(u => Train([u]))];
    }

    public IReadOnlyList<double[]> Units { get; }

    public int Domains => _evaluation.Length;

    public long Transitions(int domain) => (long)_evaluation[domain].Sum();

    /// <summary>Training on the counts of some units together.</summary>
    public double[] Train(IEnumerable<int> units)
    {
        var sum = new double[V * V];
        foreach (int unit in units)
        {
            for (int i = 0; i < sum.Length; i++)
            {
                sum[i] += _counts[unit][i];
            }
        }
        return [.. sum.Select((count, i) => Math.Log((count + _smoothing) / (sum.AsSpan(i / V * V, V).ToArray().Sum() + (V * _smoothing))))];
    }

    public double[] Merge(IReadOnlyList<double> weights) =>
        [.. Enumerable.Range(0, V * V).Select(i => Enumerable.Range(0, Units.Count).Sum(u => weights[u] * Units[u][i]))];

    /// <summary>Mean loss of a table's transitions in a domain.</summary>
    public double Loss(double[] logits, int domain) => Losses(Softmax(logits), domain) / Transitions(domain);

    public double Losses(double[] probabilities, int domain) => -_evaluation[domain].Zip(probabilities, (n, p) => n * Math.Log(p)).Sum();

    public double[] Softmax(double[] logits) => [.. logits.Select((x, i) => Math.Exp(x) / logits.AsSpan(i / V * V, V).ToArray().Sum(Math.Exp))];

    /// <summary>dL/dW = (row count p - count) / N.</summary>
    public double[] Gradient(double[] logits, int domain)
    {
        double[] p = Softmax(logits), n = _evaluation[domain];
        return [.. p.Select((q, i) => ((n.AsSpan(i / V * V, V).ToArray().Sum() * q) - n[i]) / Transitions(domain))];
    }

    /// <summary>H v, row by row: row count / N times (p v - p &lt;p, v&gt;).</summary>
    public double[] HessianVector(double[] logits, int domain, double[] v)
    {
        double[] p = Softmax(logits), n = _evaluation[domain];
        return [.. p.Select((q, i) =>
        {
            int row = i / V * V;
            double inner = Enumerable.Range(row, V).Sum(j => p[j] * v[j]);
            return n.AsSpan(row, V).ToArray().Sum() / Transitions(domain) * q * (v[i] - inner);
        })];
    }

    private static double[] Count(string text)
    {
        int[] tokens = [.. text.Split(' ').Select(int.Parse)];
        var counts = new double[V * V];
        foreach (var (from, to) in tokens.Zip(tokens.Skip(1)))
        {
            counts[(from * V) + to]++;
        }
        return counts;
    }
}

/// <summary>The bigram study as the library's ranking sees it: one document a domain.</summary>
internal sealed class BigramEvaluator(BigramStudy study, bool ensemble)
    : MixtureEvaluator(new DocumentTable(["D0", "D1", "D2"], [.. Enumerable.Range(0, 3).Select(d => new EvaluationDocument(d, study.Transitions(d), 1))]), null)
{
    public override string Name => ensemble ? "ensemble" : "average";

    public override string KeyOf(Mixture mixture) => "";

    protected override string BlockKey(int block) => "";

    protected override void Compute(int lane, Mixture mixture, int block, Span<double> losses)
    {
        double[] merged = study.Softmax(study.Merge(mixture.Weights));
        if (ensemble)
        {
            double[][] p = [.. study.Units.Select(study.Softmax)];
            merged = [.. EnsembleEvaluator.TokenLosses(p, mixture.Weights).Select(l => Math.Exp(-l))];
        }
        for (int d = 0; d < losses.Length; d++)
        {
            losses[d] = study.Losses(merged, d);
        }
    }
}
