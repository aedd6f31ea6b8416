using NativeEngine.Ablation.Mixtures;
using NativeEngine.Devices;
using NativeEngine.Model;

namespace NativeEngine.Ablation.Ranking;

/// <summary>The score of a mixture with its slope in every unit's weight.</summary>
/// <param name="Score">The weighted mean of the domains' mean losses over the blocks used.</param>
/// <param name="Slopes">d score / d weight of each unit; only differences count on the simplex.</param>
public sealed record MixtureSlope(double Score, double[] Slopes);

/// <summary>
/// The exact gradient of the score with respect to the mixture weights (<see cref="MixtureDerivatives"/>): a forward and backward pass over
/// the documents, then one dot product a unit, in double and with the same bits for any number of threads.
/// </summary>
public sealed class MixtureGradient : IDisposable
{
    private const int Piece = 1 << 14;

    private readonly UnitPool _pool;
    private readonly MergedModel _merged;
    private readonly EvaluationSet _set;
    private readonly IReadOnlyList<double> _domainWeights;
    private readonly ParameterSet _gradients;
    private readonly LlamaModel _model;
    private readonly Workspace _workspace;

    /// <summary>A gradient of the mean of domains with these weights (sum 1).</summary>
    public MixtureGradient(UnitPool pool, MergedModel merged, EvaluationSet set, IReadOnlyList<double> domainWeights)
    {
        (_pool, _merged, _set, _domainWeights) = (pool, merged, set, domainWeights);
        _gradients = new ParameterSet(merged.Parameters.Device, pool.Layout, MemoryUse.Gradients);
        _model = new LlamaModel(pool.Config, merged.Parameters, _gradients);
        _workspace = new Workspace(merged.Parameters.Device);
    }

    /// <summary>Slopes at a mixture over the first so many blocks, at a level (1: the plain average; d/dw then has the factor lambda).</summary>
    public MixtureSlope At(Mixture mixture, int blocks, double lambda = 1, CancellationToken cancellation = default)
    {
        var device = _merged.Parameters.Device;
        _merged.Set(mixture, lambda);
        device.Kernels.Fill(0, _gradients.Flat);
        int count = _set.Table.BlockEnds[blocks - 1];
        var tokens = new long[_set.Table.Domains.Count];
        for (int i = 0; i < count; i++)
        {
            tokens[_set.Table[i].Domain] += _set.Table[i].Tokens;
        }
        double score = 0;
        for (int b = 0; b < blocks; b++)
        {
            foreach (var (batch, documents) in _set.Batches(b))
            {
                cancellation.ThrowIfCancellationRequested();
                using var scope = _workspace.Open();
                var weights = new float[batch.LabelCount];
                for (int s = 0; s < batch.Sequences; s++)
                {
                    int domain = _set.Table[documents[s]].Domain;
                    weights.AsSpan(batch.LabelOffsets[s]..batch.LabelOffsets[s + 1]).Fill((float)(_domainWeights[domain] / tokens[domain]));
                }
                var rowWeights = _workspace.Floats(batch.LabelCount);
                var losses = _workspace.Floats(batch.LabelCount);
                device.Upload<float>(weights, rowWeights);
                _model.LossAndGradient(batch, rowWeights, losses, checkpoint: false, _workspace);
                float[] values = device.Download(losses);
                for (int r = 0; r < values.Length; r++)
                {
                    score += (double)weights[r] * values[r];
                }
            }
        }
        double[] slopes = Dots();
        for (int u = 0; u < slopes.Length && lambda != 1; u++)
        {
            slopes[u] *= lambda;
        }
        return new MixtureSlope(score, slopes);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _model.Dispose();
        _gradients.Dispose();
        _workspace.Dispose();
    }

    private double[] Dots()
    {
        float[] gradient = _merged.Parameters.Device.Download(_gradients.Flat);
        var pieces = _pool.Layout.Entries.SelectMany((e, i) => Enumerable.Range(0, (int)((e.Shape.Count + Piece - 1) / Piece)).Select(p => (Entry: i, First: p * Piece))).ToArray();
        var partial = new double[pieces.Length, _pool.Count];
        Parallel.For(0, pieces.Length, p =>
        {
            var (entry, first) = pieces[p];
            var tensor = _pool.Layout.Entries[entry];
            int length = (int)Math.Min(Piece, tensor.Shape.Count - first);
            var slope = gradient.AsSpan((int)tensor.Offset + first, length);
            for (int u = 0; u < _pool.Count; u++)
            {
                partial[p, u] = Dot(slope, _pool.Weights(u, tensor).Slice(first, length));
            }
        });
        var sums = new double[_pool.Count];
        for (int u = 0; u < sums.Length; u++)
        {
            for (int p = 0; p < pieces.Length; p++)
            {
                sums[u] += partial[p, u];
            }
        }
        return sums;
    }

    private static double Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        double even = 0, odd = 0;
        int i = 0;
        for (; i + 1 < a.Length; i += 2)
        {
            even += (double)a[i] * b[i];
            odd += (double)a[i + 1] * b[i + 1];
        }
        return i < a.Length ? even + odd + ((double)a[i] * b[i]) : even + odd;
    }
}
