using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Model;
using NativeEngine.Native;
using NativeEngine.Selection;

namespace NativeEngine.Training;

/// <summary>The examples of one step, in training order, with the weight of each one's loss.</summary>
internal sealed record ChosenBatch(int[] Examples, float[] Weights, int Kept, double Objective, double Bound);

/// <summary>
/// Takes the mini-batch from the pool by the run's arm. For CoLM only the candidates of the plan are forwarded: neither kept sources nor those
/// whose quota is 0.
/// </summary>
internal sealed class BatchChooser : IDisposable
{
    private readonly LlamaModel _model;
    private MixtureDataset _data;
    private readonly TrainOptions _options;
    private SelectionOptions _coreset;
    private readonly Workspace _workspace;
    private readonly Action? _measured;
    private readonly RankGroup _ranks;
    private readonly GradientFeatures? _features;
    private readonly IGradientNormalizer? _normalizer;
    private CoresetSelector? _selector;

    // Measured is called between the features and the selection, so that their peaks are not taken for one.
    public BatchChooser(LlamaModel model, MixtureDataset data, TrainOptions options, Workspace workspace, Action? measured = null, RankGroup? ranks = null)
    {
        _ranks = ranks ?? new SingleRank();
        (_model, _data, _options, _workspace, _measured) = (model, data, options, workspace, measured);
        if (options.Selection == BatchSelection.Colm)
        {
            _features = new GradientFeatures(model, options.Features with { Seed = options.Seed });
            _normalizer = Normalizer(model.Device, options);
        }
        Use(data);
    }

    /// <summary>From now on examples have the sources of this dataset, which holds the same examples.</summary>
    [MemberNotNull(nameof(_coreset))]
    public void Use(MixtureDataset data)
    {
        _data = data;
        _coreset = _options.Coreset with
        {
            Budget = _options.Batch,
            KeptSources = _options.SmallSources.Apply(data.SourceSizes, _options.Pool),
            Seed = _options.Seed,
        };
        _selector = _normalizer is null ? null : new CoresetSelector(_model.Device, _coreset, _normalizer);
    }

    /// <summary>The batch for a pool of dataset indices; step = optimizer steps already done.</summary>
    public ChosenBatch Choose(int[] pool, long step, CancellationToken cancellation = default)
    {
        int[] sources = Array.ConvertAll(pool, _data.SourceOf);
        var result = _options.Selection switch
        {
            BatchSelection.Full => null,
            BatchSelection.Random => RandomSelector.Uniform(_coreset, sources, step),
            BatchSelection.Composition => RandomSelector.Composition(SelectionPlan.Create(_coreset, sources, step)),
            _ => Coreset(pool, sources, step, cancellation),
        };
        if (result is null)
        {
            var ones = new float[pool.Length];
            Array.Fill(ones, 1f);
            return new ChosenBatch(pool, ones, 0, double.NaN, double.NaN);
        }
        if (result.Indices.Count == 0)
        {
            throw new EngineException(ErrorKind.Numerical,
                $"step {step + 1}: none of the pool's {pool.Length} examples can be trained, {result.Dropped.Count} of them have a feature that is not finite",
                "lower the learning rate");
        }
        return new ChosenBatch(
            [.. result.Indices.Select(i => pool[i])],
            [.. result.Weights.Select(w => _options.ClusterWeights ? w : 1f)],
            result.Kept.Count,
            _options.Selection == BatchSelection.Colm ? result.Objective : double.NaN,
            _options.Selection == BatchSelection.Colm ? result.Certificate?.UpperBound ?? double.NaN : double.NaN);
    }

    /// <summary>Writes the history; nothing for arms without one.</summary>
    public void Save(string path, long step)
    {
        if (_normalizer is not null)
        {
            SelectorState.Save(path, _normalizer, _features!.Dimension, step, _options.Seed);
        }
    }

    /// <summary>Reads the history; nothing for arms without one.</summary>
    public void Load(string path)
    {
        if (_normalizer is not null)
        {
            SelectorState.Load(path, _normalizer, _features!.Dimension);
        }
    }

    public void Dispose()
    {
        _features?.Dispose();
        _normalizer?.Dispose();
    }

    private SelectionResult Coreset(int[] pool, int[] sources, long step, CancellationToken cancellation)
    {
        var plan = _selector!.Plan(sources, step);
        int[] candidates = [.. plan.Candidates.Select(i => pool[i])];
        using var scope = _workspace.Open();
        var features = _workspace.Floats(candidates.Length, _features!.Dimension);
        var stretches = RankShares.Stretches(Array.ConvertAll(candidates, c => _data.Tokens(c).Length), _ranks.Count);
        var (start, length) = stretches[_ranks.Rank].GetOffsetAndLength(candidates.Length);
        int[] mine = candidates[start..(start + length)];
        foreach (var part in BatchPacker.Split(_data, mine, _options.FeaturePassTokens(_data, pool)))
        {
            var (first, count) = part.GetOffsetAndLength(mine.Length);
            using var batch = new TokenBatch(_model.Device, _model.Config, BatchPacker.Pack(_data, mine.AsSpan()[part]));
            _features.Compute(batch, features.Slice(start + first, count), _workspace);
        }
        if (_ranks.Count > 1)
        {
            Gather(features, stretches);
        }
        _measured?.Invoke();
        return _selector.Select(plan, features, cancellation);
    }

    // Every rank gets the rows of all: a few from each at a time, so that neither the host's buffers nor a message's length grow with the pool.
    private void Gather(Tensor<float> features, Range[] stretches)
    {
        const long MostFloats = 1 << 26;
        int width = (int)features.RowLength, rows = (int)Math.Max(1, MostFloats / ((long)width * _ranks.Count));
        var spans = Array.ConvertAll(stretches, s => s.GetOffsetAndLength((int)features.Rows));
        var counts = new int[_ranks.Count];
        for (int done = 0; done < spans.Max(s => s.Length); done += rows)
        {
            int[] now = Array.ConvertAll(spans, s => Math.Clamp(s.Length - done, 0, rows));
            for (int r = 0; r < counts.Length; r++)
            {
                counts[r] = now[r] * width * sizeof(float);
            }
            var all = new float[now.Sum() * width];
            var mine = new float[now[_ranks.Rank] * width];
            if (mine.Length > 0)
            {
                _model.Device.Download(features.Slice(spans[_ranks.Rank].Offset + done, now[_ranks.Rank]), mine);
            }
            _ranks.Gather(MemoryMarshal.AsBytes(mine.AsSpan()), counts, MemoryMarshal.AsBytes(all.AsSpan()));
            for (int r = 0, at = 0; r < counts.Length; at += now[r++] * width)
            {
                if (r != _ranks.Rank && now[r] > 0)
                {
                    _model.Device.Upload<float>(all.AsSpan(at, now[r] * width), features.Slice(spans[r].Offset + done, now[r]));
                }
            }
        }
    }

    private static IGradientNormalizer Normalizer(Device device, TrainOptions options)
    {
        var optimizer = options.Optimizer;
        return !options.NormalizeFeatures ? GradientNormalizer.None() : optimizer.Kind switch
        {
            OptimizerKind.AdamW => GradientNormalizer.Adam(device, optimizer.Beta1, optimizer.Beta2, optimizer.Epsilon),
            OptimizerKind.Sgd => GradientNormalizer.Momentum(device, optimizer.Beta1),
            _ => GradientNormalizer.Lion(device, optimizer.Beta1, optimizer.Beta2),
        };
    }
}
