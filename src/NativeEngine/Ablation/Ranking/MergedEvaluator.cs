using System.Text;
using NativeEngine.Ablation.Mixtures;
using NativeEngine.Devices;
using NativeEngine.Model;

namespace NativeEngine.Ablation.Ranking;

/// <summary>
/// The method's stand-in: the loss of the average of the unit models, or level-corrected of seed + lambda (average - seed). Averages in
/// place (<see cref="MergedModel"/>) and scores blocks of documents; a document's loss does not depend on the blocks or on what was scored before.
/// </summary>
public sealed class MergedEvaluator : MixtureEvaluator, IDisposable
{
    // Part of every cache key: raise it when the arithmetic of merging or scoring changes.
    private const string Arithmetic = "merged-1";

    private readonly UnitPool _pool;
    private readonly EvaluationSet _set;
    private readonly MergedModel _merged;
    private readonly Workspace _workspace;
    private readonly byte[] _context;

    /// <summary>An evaluator over a merged model that others may use too.</summary>
    public MergedEvaluator(UnitPool pool, MergedModel merged, EvaluationSet set, LossCache? cache = null, double lambda = 1)
        : base(set.Table, cache)
    {
        (_pool, _merged, _set, Lambda) = (pool, merged, set, lambda);
        _workspace = new Workspace(merged.Parameters.Device);
        _context = Encoding.UTF8.GetBytes(lambda == 1 ? Arithmetic
            : FormattableString.Invariant($"{Arithmetic}/{BitConverter.DoubleToInt64Bits(lambda):x16}/{pool.SeedKey}"));
    }

    /// <summary>The level: 1 is the plain average.</summary>
    public double Lambda { get; }

    /// <inheritdoc/>
    public override string Name => Lambda == 1 ? "average" : FormattableString.Invariant($"average at level {Lambda:0.###}");

    /// <inheritdoc/>
    public override string KeyOf(Mixture mixture) => mixture.Key(_pool.UnitKeys, _context);

    /// <summary>Losses of the documents of the seed model itself.</summary>
    public static double[] SeedLosses(UnitPool pool, MergedModel merged, EvaluationSet set)
    {
        using var evaluator = new MergedEvaluator(pool, merged, set, null, lambda: 0);
        return evaluator.Losses(Mixture.Uniform(pool.Count, [0]), set.Table.Blocks).ToArray();
    }

    /// <summary>Frees the scratch memory.</summary>
    public void Dispose() => _workspace.Dispose();

    /// <inheritdoc/>
    protected override string BlockKey(int block) => _set.BlockKeys[block];

    /// <inheritdoc/>
    protected override void Compute(Mixture mixture, int block, Span<double> losses)
    {
        _merged.Set(mixture, Lambda);
        Score(_merged.Model, _set, block, losses, _workspace);
    }

    /// <summary>Adds up the losses of a block's documents under a model, in the order of their tokens.</summary>
    internal static void Score(LlamaModel model, EvaluationSet set, int block, Span<double> losses, Workspace workspace)
    {
        losses.Clear();
        int first = set.Table.Block(block).Start.Value;
        foreach (var (batch, documents) in set.Batches(block))
        {
            using var scope = workspace.Open();
            var rows = workspace.Floats(batch.LabelCount);
            model.Loss(batch, rows, workspace);
            float[] values = model.Device.Download(rows);
            for (int s = 0; s < batch.Sequences; s++)
            {
                foreach (float loss in values.AsSpan(batch.LabelOffsets[s]..batch.LabelOffsets[s + 1]))
                {
                    losses[documents[s] - first] += loss;
                }
            }
        }
    }
}
