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
    private readonly MergeLanes? _lanes;
    private readonly LossCache? _cache;
    private readonly Workspace _workspace;

    /// <summary>An evaluator over a merged model, and lanes beside it, that others may use too; no level is the plain average.</summary>
    public MergedEvaluator(UnitPool pool, MergedModel merged, EvaluationSet set, LossCache? cache = null, LevelRule? level = null, MergeLanes? lanes = null)
        : base(set.Table, cache)
    {
        (_pool, _merged, _set, _cache, Level, _lanes) = (pool, merged, set, cache, level ?? LevelRule.Plain, lanes);
        _workspace = new Workspace(merged.Parameters.Device);
    }

    /// <summary>The level correction.</summary>
    public LevelRule Level { get; }

    /// <inheritdoc/>
    public override string Name => Level == LevelRule.Plain ? "average" : $"average at level {Level}";

    /// <inheritdoc/>
    public override string KeyOf(Mixture mixture)
    {
        double lambda = Level.Of(mixture);
        return mixture.Key(_pool.UnitKeys, Encoding.UTF8.GetBytes(lambda == 1 ? Arithmetic
            : FormattableString.Invariant($"{Arithmetic}/{BitConverter.DoubleToInt64Bits(lambda):x16}/{_pool.SeedKey}")));
    }

    /// <summary>Losses of all documents under the seed model itself.</summary>
    public double[] SeedLosses(CancellationToken cancellation = default)
    {
        var losses = new double[Table.Count];
        var any = Mixture.Uniform(_pool.Count, [0]);
        for (int b = 0; b < Table.Blocks; b++)
        {
            cancellation.ThrowIfCancellationRequested();
            var block = losses.AsSpan()[Table.Block(b)];
            string record = RecordKey($"{Arithmetic}/seed/{_pool.SeedKey}", BlockKey(b));
            if (_cache?.Find(record) is { } stored && stored.Length == block.Length)
            {
                stored.CopyTo(block);
                continue;
            }
            _merged.Set(any, lambda: 0);
            Score(_merged.Model, _set, b, block, _workspace);
            _cache?.Add(record, block);
        }
        return losses;
    }

    /// <summary>Frees the scratch memory.</summary>
    public void Dispose() => _workspace.Dispose();

    /// <inheritdoc/>
    protected override int Lanes => _lanes?.Count ?? 1;

    /// <inheritdoc/>
    protected override string BlockKey(int block) => _set.BlockKeys[block];

    /// <inheritdoc/>
    protected override void Compute(int lane, Mixture mixture, int block, Span<double> losses)
    {
        var (merged, workspace) = lane == 0 ? (_merged, _workspace) : _lanes![lane - 1];
        merged.Set(mixture, Level.Of(mixture));
        Score(merged.Model, _set, block, losses, workspace);
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
