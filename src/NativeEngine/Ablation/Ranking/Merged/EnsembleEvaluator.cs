using System.Text;
using NativeEngine.Ablation.Mixtures;
using NativeEngine.Devices;

namespace NativeEngine.Ablation.Ranking;

/// <summary>
/// The second stand-in, independent of the first: p_mix(token) = sum of w_i p_i(token), the units' probabilities averaged in place of their
/// parameters (Mixture of Data Experts, arXiv 2502.15950). The probabilities of the evaluation tokens under every unit are computed once, n
/// forward passes; any mixture then costs n multiply-adds and a logarithm a token. Memory: 8 bytes a token and unit.
/// </summary>
public sealed class EnsembleEvaluator : MixtureEvaluator
{
    private readonly UnitPool _pool;
    private readonly MergedModel _merged;
    private readonly EvaluationSet _set;
    private readonly double[]?[,] _probabilities;
    private readonly int[]?[] _documents;

    /// <summary>An ensemble of a pool's units.</summary>
    public EnsembleEvaluator(UnitPool pool, MergedModel merged, EvaluationSet set, LossCache? cache = null)
        : base(set.Table, cache)
    {
        (_pool, _merged, _set) = (pool, merged, set);
        _probabilities = new double[]?[set.Table.Blocks, pool.Count];
        _documents = new int[]?[set.Table.Blocks];
    }

    /// <inheritdoc/>
    public override string Name => "ensemble";

    /// <inheritdoc/>
    public override string KeyOf(Mixture mixture) => mixture.Key(_pool.UnitKeys, Encoding.UTF8.GetBytes("ensemble-1"));

    /// <summary>
    /// Loss of each token under a mixture of probabilities [units][tokens]: -ln sum of w_i p_i, the sum in ascending order of units.
    /// </summary>
    public static double[] TokenLosses(IReadOnlyList<double[]> probabilities, IReadOnlyList<double> weights)
    {
        var sums = new double[probabilities[0].Length];
        for (int u = 0; u < weights.Count; u++)
        {
            double weight = weights[u];
            if (weight == 0)
            {
                continue;
            }
            double[] p = probabilities[u];
            for (int t = 0; t < sums.Length; t++)
            {
                sums[t] += weight * p[t];
            }
        }
        for (int t = 0; t < sums.Length; t++)
        {
            sums[t] = -Math.Log(sums[t]);
        }
        return sums;
    }

    /// <inheritdoc/>
    protected override string BlockKey(int block) => _set.BlockKeys[block];

    /// <inheritdoc/>
    protected override void Compute(int lane, Mixture mixture, int block, Span<double> losses)
    {
        foreach (int unit in mixture.Units)
        {
            _probabilities[block, unit] ??= Probabilities(unit, block);
        }
        double[][] chosen = [.. mixture.Units.Select(u => _probabilities[block, u]!)];
        double[] tokens = TokenLosses(chosen, [.. mixture.Units.Select(u => mixture.Weights[u])]);
        int first = Table.Block(block).Start.Value;
        losses.Clear();
        int[] documents = _documents[block]!;
        for (int t = 0; t < tokens.Length; t++)
        {
            losses[documents[t] - first] += tokens[t];
        }
    }

    private double[] Probabilities(int unit, int block)
    {
        _merged.Set(Mixture.Uniform(_pool.Count, [unit]));
        using var workspace = new Workspace(_merged.Parameters.Device);
        var all = new List<double>();
        var owners = new List<int>();
        foreach (var (batch, documents) in _set.Batches(block))
        {
            using var scope = workspace.Open();
            var rows = workspace.Floats(batch.LabelCount);
            _merged.Model.Loss(batch, rows, workspace);
            all.AddRange(_merged.Parameters.Device.Download(rows).Select(loss => Math.Exp(-(double)loss)));
            for (int s = 0; s < batch.Sequences; s++)
            {
                owners.AddRange(Enumerable.Repeat(documents[s], batch.LabelOffsets[s + 1] - batch.LabelOffsets[s]));
            }
        }
        _documents[block] ??= [.. owners];
        return [.. all];
    }
}
