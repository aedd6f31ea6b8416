using System.Collections;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Model;
using NativeEngine.Native;
using NativeEngine.Selection;

namespace NativeEngine.Training;

/// <summary>The examples of one step, in training order, with the weight of each one's loss. Valid until the next step.</summary>
internal sealed class ChosenBatch : IReadOnlyList<int>
{
    private int[] _examples = [];
    private float[] _weights = [];
    private int _count;

    /// <inheritdoc/>
    public int Count => _count;

    /// <inheritdoc/>
    public int this[int index] => Examples[index];

    /// <summary>Dataset indices.</summary>
    public ReadOnlySpan<int> Examples => _examples.AsSpan(0, _count);

    /// <summary>Weight of each example's loss.</summary>
    public ReadOnlySpan<float> Weights => _weights.AsSpan(0, _count);

    /// <summary>Examples of kept sources.</summary>
    public int Kept { get; private set; }

    /// <summary>Objective of the selection, or NaN.</summary>
    public double Objective { get; private set; }

    /// <inheritdoc/>
    public IEnumerator<int> GetEnumerator() => _examples.Take(_count).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>No batch of the same quotas has a larger objective; or NaN.</summary>
    public double Bound { get; private set; }

    /// <summary>Leaves the example at a place out.</summary>
    public void RemoveAt(int place)
    {
        Examples[(place + 1)..].CopyTo(_examples.AsSpan(place));
        Weights[(place + 1)..].CopyTo(_weights.AsSpan(place));
        Kept -= place < Kept ? 1 : 0;
        _count--;
    }

    /// <summary>Takes count examples: their memory, to be written.</summary>
    public (int[] Examples, float[] Weights) Set(int count, int kept, double objective = double.NaN, double bound = double.NaN)
    {
        (_count, Kept, Objective, Bound) = (count, kept, objective, bound);
        GrownArray.Of(ref _examples, count);
        GrownArray.Of(ref _weights, count).Fill(1);
        return (_examples, _weights);
    }
}

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
    private readonly List<StepFault> _faults = [];
    private readonly GradientFeatures? _features;
    private readonly IGradientNormalizer? _normalizer;
    private readonly SelectionPlan _plan = new();
    private readonly ChosenBatch _chosen = new();
    private readonly TokenBatch _batch;
    private readonly List<int> _random = [];
    private readonly List<Range> _parts = [];
    private CoresetSelector? _selector;
    private int[] _sources = [], _candidates = [], _order = [];

    // Measured is called between the features and the selection, so that their peaks are not taken for one.
    public BatchChooser(LlamaModel model, MixtureDataset data, TrainOptions options, Workspace workspace, Action? measured = null, RankGroup? ranks = null)
    {
        _ranks = ranks ?? new SingleRank();
        (_model, _data, _options, _workspace, _measured) = (model, data, options, workspace, measured);
        _batch = new TokenBatch(model.Device, model.Config);
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
        if (_options.Selection == BatchSelection.Random)
        {
            _coreset = RandomSelector.Alike(_coreset);
        }
        _selector?.Dispose();
        _selector = _normalizer is null ? null : new CoresetSelector(_model.Device, _coreset, _normalizer, _workspace);
    }

    /// <summary>Examples of the last pool that could not be chosen, and why.</summary>
    public IReadOnlyList<StepFault> Faults => _faults;

    /// <summary>
    /// The batch for a pool of dataset indices; step = optimizer steps already done. Examples with a feature that is not finite cannot be chosen. Errors: under
    /// <see cref="NonFinitePolicy.Stop"/> Numerical, naming the first of them.
    /// </summary>
    public ChosenBatch Choose(ReadOnlySpan<int> pool, long step, CancellationToken cancellation = default)
    {
        _faults.Clear();
        if (_options.Selection == BatchSelection.Full)
        {
            pool.CopyTo(_chosen.Set(pool.Length, 0).Examples);
            return _chosen;
        }
        var sources = GrownArray.Of(ref _sources, pool.Length);
        for (int i = 0; i < pool.Length; i++)
        {
            sources[i] = _data.SourceOf(pool[i]);
        }
        _plan.Fill(_coreset, sources, step);
        if (_options.Selection == BatchSelection.Colm)
        {
            Coreset(pool, step, cancellation);
            return _chosen;
        }
        RandomSelector.Composition(_plan, _random, ref _order);
        var (examples, _) = _chosen.Set(_random.Count, _plan.KeptList.Count);
        for (int i = 0; i < _random.Count; i++)
        {
            examples[i] = pool[_random[i]];
        }
        return _chosen;
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
        _batch.Dispose();
        _selector?.Dispose();
        _features?.Dispose();
        _normalizer?.Dispose();
    }

    private void Coreset(ReadOnlySpan<int> pool, long step, CancellationToken cancellation)
    {
        var candidates = GrownArray.Of(ref _candidates, _plan.CandidateList.Count);
        for (int i = 0; i < candidates.Length; i++)
        {
            candidates[i] = pool[_plan.CandidateList[i]];
        }
        using var scope = _workspace.Open();
        var features = _workspace.Floats(candidates.Length, _features!.Dimension);
        int start = 0, length = candidates.Length;
        var stretches = _ranks.Count > 1 ? Stretches(candidates) : null;
        if (stretches is not null)
        {
            (start, length) = stretches[_ranks.Rank].GetOffsetAndLength(candidates.Length);
        }
        var mine = candidates.Slice(start, length);
        BatchPacker.Split(_data, mine, _options.FeaturePassTokens(_data, pool), _parts);
        foreach (var part in _parts)
        {
            var (first, count) = part.GetOffsetAndLength(mine.Length);
            _batch.Load(_data, mine.Slice(first, count));
            _features.Compute(_batch, features.Slice(start + first, count), _workspace);
        }
        if (stretches is not null)
        {
            Gather(features, stretches);
        }
        _measured?.Invoke();
        var run = _selector!.Run(_plan, features, cancellation);
        foreach (var (position, _) in run.Plan.Dropped)
        {
            int index = (int)_data.InputIndex(pool[position]);
            string what = $"the feature of example {index} ({_data.Sources[_data.SourceOf(pool[position])]}) is not finite";
            if (_options.OnNonFinite == NonFinitePolicy.Stop)
            {
                throw new EngineException(ErrorKind.Numerical, $"step {step + 1}: {what}", "lower the learning rate, look at that example, or leave such examples out with --on-nonfinite skip");
            }
            _faults.Add(new StepFault(what, "it cannot be chosen", index));
        }
        var picked = run.Picked;
        var (examples, weights) = _chosen.Set(picked.Indices.Count, run.Plan.KeptList.Count, picked.Objective, picked.UpperBound);
        for (int i = 0; i < picked.Indices.Count; i++)
        {
            examples[i] = pool[picked.Indices[i]];
            weights[i] = _options.ClusterWeights ? picked.Weights[i] : 1;
        }
    }

    private Range[] Stretches(ReadOnlySpan<int> candidates)
    {
        var lengths = new int[candidates.Length];
        for (int i = 0; i < lengths.Length; i++)
        {
            lengths[i] = _data.Tokens(candidates[i]).Length;
        }
        return RankShares.Stretches(lengths, _ranks.Count);
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
