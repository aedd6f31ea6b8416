using System.Diagnostics;
using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Model;
using NativeEngine.Native;

namespace NativeEngine.Training;

/// <summary>
/// Trains a model (or its adapter) on mini-batches chosen from pools. A step is a pure function of the trained parameters, the optimiser's and
/// the selector's state, the data position and the options, whatever the number of threads; so a restored trainer continues to the bit.
/// <para>Loss of a step: sum over the chosen examples i and their label tokens of w_i loss / sum over i of w_i n_i, with n_i label tokens; w_i
/// is 1, or the number of examples that i stands for.</para>
/// <para>With several ranks all hold the same parameters and draw the same pool; each computes the features of a stretch of the candidates and the
/// gradient of a share of the chosen, balanced by tokens. Features are put together and gradients added up in the order of the ranks, so all make the
/// same step, and one that one process would make up to the rounding of the gradient's sum.</para>
/// </summary>
public sealed class Trainer : IDisposable
{
    private readonly LlamaModel _model;
    private readonly TrainOptions _options;
    private readonly PoolSampler _sampler;
    private readonly BatchChooser _chooser;
    private readonly LearningRateSchedule _schedule;
    private readonly Workspace _workspace;
    private readonly FiniteGuard _guard;
    private readonly TokenBatch _batch;
    private readonly int[] _pool;
    private readonly List<Range> _parts = [];
    private float[] _rowWeights = [], _losses = [];
    private int[] _poolBySource = [], _trainedBySource = [];
    private readonly RankGroup _ranks;
    private long _stepPeak;

    /// <summary>
    /// A trainer over a model with gradients. Errors: Usage for impossible options or a pool larger than the data.
    /// </summary>
    public Trainer(LlamaModel model, MixtureDataset data, TrainOptions options, RankGroup? ranks = null)
    {
        _ranks = ranks ?? new SingleRank();
        _model = model;
        Data = data;
        _options = options.Validate();
        if (options.OnNonFinite == NonFinitePolicy.Clip && _ranks.Count > 1)
        {
            throw new EngineException(ErrorKind.Usage, $"clipping what is not finite is for one process, these are {_ranks.Count}", "stop or skip instead");
        }
        Trained = model.Adapter?.Parameters ?? model.Parameters;
        Gradients = model.Adapter?.Gradients ?? model.Gradients
            ?? throw new ArgumentException("the model has no gradients to train with", nameof(model));
        _sampler = new PoolSampler(data.Count, options.Pool, options.Seed);
        Optimizer = Optimizer.Create(Trained, options.Optimizer);
        _workspace = new Workspace(model.Device);
        _chooser = new BatchChooser(model, data, options, _workspace, MeasurePeak, _ranks);
        _schedule = options.LearningRates();
        _batch = new TokenBatch(model.Device, model.Config);
        _pool = new int[options.Pool];
        _guard = new FiniteGuard(model.Device, Trained, Gradients, Optimizer, _options);
    }

    /// <summary>The examples, under the sources they have now.</summary>
    public MixtureDataset Data { get; private set; }

    /// <summary>Whether the sources are no longer those the data names.</summary>
    public bool HasOwnSources { get; private set; }

    /// <summary>What is trained.</summary>
    public ParameterSet Trained { get; }

    /// <summary>The gradients of the last step.</summary>
    public ParameterSet Gradients { get; }

    /// <summary>The optimiser and its state.</summary>
    public Optimizer Optimizer { get; }

    /// <summary>Steps done.</summary>
    public long StepsDone { get; set; }

    /// <summary>Where the next pool begins in the data.</summary>
    public SamplerPosition Position
    {
        get => _sampler.Position;
        set => _sampler.Position = value;
    }

    /// <summary>
    /// Largest number of bytes that activations, features and the selection's matrices took together so far: the arena's own count.
    /// </summary>
    public long PeakActivationBytes { get; private set; }

    /// <summary>
    /// Draws a pool, chooses the mini-batch, and makes one optimizer step. Errors: Numerical naming the example, or the tensor, whose value is
    /// not finite; the parameters are then as before the step, unless it is a parameter or the optimiser's state: these are looked at after every step (one pass over
    /// them). With another <see cref="TrainOptions.OnNonFinite"/> the step tells what it did about it. Steps that are no larger than earlier ones allocate nothing.
    /// </summary>
    public StepReport Step()
    {
        long start = Stopwatch.GetTimestamp();
        _stepPeak = 0;
        _sampler.Next(_pool);
        var chosen = _chooser.Choose(_pool, StepsDone);
        MeasurePeak();
        double selectionSeconds = Stopwatch.GetElapsedTime(start).TotalSeconds;

        _guard.Faults.Clear();
        var (loss, tokens, labels) = Backward(chosen);
        MeasurePeak();
        double norm = double.IsFinite(loss) ? _guard.ClipFactor(StepsDone + 1) : double.NaN;
        double rate = _schedule.At(StepsDone);
        bool skipped = !double.IsFinite(norm);
        if (skipped && _guard.Faults.Count == 0)
        {
            _guard.Faults.Add(new StepFault("the loss of an example of another rank is not finite", "the step is skipped"));
        }
        if (!skipped)
        {
            Optimizer.Step(Gradients, _guard.Scale, rate);
            _model.Device.Synchronize();
        }
        StepsDone++;
        if (!skipped)
        {
            RequireFinite();
        }
        return new StepReport(
            StepsDone, skipped ? double.NaN : loss, rate, norm, chosen.Examples.Length, chosen.Kept, tokens, labels, CountSources(_pool, ref _poolBySource),
            CountSources(chosen.Examples, ref _trainedBySource), chosen.Objective, selectionSeconds, Stopwatch.GetElapsedTime(start).TotalSeconds)
        {
            Bound = chosen.Bound,
            ActivationBytes = _stepPeak,
            Pool = Fingerprint(_pool),
            Batch = Fingerprint(chosen.Examples),
            Chosen = chosen,
            Skipped = skipped,
            Faults = _guard.Faults.Count + _chooser.Faults.Count > 0 ? [.. _chooser.Faults, .. _guard.Faults] : [],
        };
    }

    /// <summary>From the next step on examples have these sources: ids are positions in names.</summary>
    public void UseSources(IReadOnlyList<string> names, int[] ids)
    {
        Data = Data.WithSources(names, ids);
        HasOwnSources = true;
        _chooser.Use(Data);
    }

    /// <summary>Refuses trained parameters and a state of the optimiser that are not finite. Errors: Numerical naming the first such element.</summary>
    public void RequireFinite() => _guard.RequireFinite(StepsDone);

    /// <summary>Writes the selector's history.</summary>
    public void SaveSelector(string path) => _chooser.Save(path, StepsDone);

    /// <summary>Reads the selector's history.</summary>
    public void LoadSelector(string path) => _chooser.Load(path);

    /// <inheritdoc/>
    public void Dispose()
    {
        _guard.Dispose();
        _batch.Dispose();
        _chooser.Dispose();
        _workspace.Dispose();
        Optimizer.Dispose();
    }

    /// <summary>
    /// The step's loss and its gradient, in one pass or in several over parts of the mini-batch; the loss is NaN when the step is to be skipped. Examples that are left
    /// out are taken from the chosen.
    /// </summary>
    private (double Loss, long Tokens, long Labels) Backward(ChosenBatch chosen)
    {
        while (chosen.Count > 0)
        {
            int before = _guard.Faults.Count;
            var result = OnePass(chosen);
            if (_guard.Faults.Count == before)
            {
                // Another rank's example, if it is not finite: that one knows which.
                return result;
            }
            if (_options.OnNonFinite == NonFinitePolicy.Skip)
            {
                return (double.NaN, result.Tokens, result.Labels);
            }
        }
        _guard.Faults.Add(new StepFault("no example is left to train", "the step is skipped"));
        return (double.NaN, 0, 0);
    }

    private (double Loss, long Tokens, long Labels) OnePass(ChosenBatch chosen)
    {
        var kernels = _model.Device.Kernels;
        kernels.Fill(0, Gradients.Flat);
        double total = 0;
        long labels = 0, tokens = 0;
        for (int i = 0; i < chosen.Examples.Length; i++)
        {
            total += chosen.Weights[i] * Data.LabelCount(chosen.Examples[i]);
            labels += Data.LabelCount(chosen.Examples[i]);
        }
        ReadOnlySpan<int> examples = chosen.Examples;
        ReadOnlySpan<float> weights = chosen.Weights;
        if (_ranks.Count > 1)
        {
            var mine = Share(chosen);
            examples = mine.Examples;
            weights = mine.Weights;
        }
        BatchPacker.Split(Data, examples, _options.MicroBatchTokens == 0 ? int.MaxValue : _options.MicroBatchTokens, _parts);
        double loss = 0;
        foreach (var part in _parts)
        {
            _batch.Load(Data, examples[part]);
            loss += Part(_batch, examples[part], weights[part], total);
            tokens += _batch.TokenCount;
        }
        if (_options.OnNonFinite == NonFinitePolicy.Clip)
        {
            LeaveOut(chosen);
        }
        if (_ranks.Count > 1)
        {
            SumGradients();
            loss = _ranks.GatherOne(loss).Sum();
            tokens = _ranks.GatherOne(tokens).Sum();
        }
        return (loss, tokens, labels);
    }

    /// <summary>What this rank trains of the chosen.</summary>
    private (int[] Examples, float[] Weights) Share(ChosenBatch chosen)
    {
        int[] examples = [.. chosen.Examples];
        float[] weights = [.. chosen.Weights];
        int[] places = RankShares.Balance(Array.ConvertAll(examples, e => Data.Tokens(e).Length), _ranks.Rank, _ranks.Count);
        return (Array.ConvertAll(places, p => examples[p]), Array.ConvertAll(places, p => weights[p]));
    }

    private void SumGradients()
    {
        const int Block = 1 << 22;
        var host = new float[Math.Min(Block, Gradients.Flat.Length)];
        for (long at = 0; at < Gradients.Flat.Length; at += Block)
        {
            var part = Gradients.Flat.Slice(at, Math.Min(Block, Gradients.Flat.Length - at));
            var values = host.AsSpan(0, (int)part.Length);
            _model.Device.Download(part, values);
            _ranks.Sum(values);
            _model.Device.Upload<float>(values, part);
        }
    }

    private double Part(TokenBatch batch, ReadOnlySpan<int> examples, ReadOnlySpan<float> weights, double total)
    {
        var rowWeights = GrownArray.Of(ref _rowWeights, (int)batch.LabelCount);
        for (int s = 0; s < batch.Sequences; s++)
        {
            rowWeights[batch.LabelOffsets[s]..batch.LabelOffsets[s + 1]].Fill((float)(weights[s] / total));
        }
        using var scope = _workspace.Open();
        var deviceWeights = _workspace.Floats(batch.LabelCount);
        var losses = _workspace.Floats(batch.LabelCount);
        _model.Device.Upload<float>(rowWeights, deviceWeights);
        _model.LossAndGradient(batch, deviceWeights, losses, _options.CheckpointActivations, _workspace);
        var values = GrownArray.Of(ref _losses, (int)batch.LabelCount);
        _model.Device.Download(losses, values);
        double sum = 0;
        for (int s = 0; s < batch.Sequences; s++)
        {
            double own = 0;
            for (int r = batch.LabelOffsets[s]; r < batch.LabelOffsets[s + 1]; r++)
            {
                own += values[r];
            }
            if (!double.IsFinite(own))
            {
                long index = Data.InputIndex(examples[s]);
                string what = $"the loss of example {index} ({Data.Sources[Data.SourceOf(examples[s])]}) is {own}";
                _guard.Fault(StepsDone + 1, what, _options.OnNonFinite == NonFinitePolicy.Clip ? "it is left out" : "the step is skipped", "lower the learning rate, or look at that example", index);
            }
            sum += weights[s] * own;
        }
        return sum / total;
    }

    private void LeaveOut(ChosenBatch chosen)
    {
        for (int place = chosen.Count - 1; place >= 0; place--)
        {
            long index = Data.InputIndex(chosen.Examples[place]);
            if (_guard.Faults.Exists(f => f.Example == index))
            {
                chosen.RemoveAt(place);
            }
        }
    }

    // FNV-1a over whole numbers: to tell runs apart, not to keep anyone out.
    private static ulong Fingerprint(ReadOnlySpan<int> examples)
    {
        ulong hash = 14695981039346656037;
        foreach (int example in examples)
        {
            hash = (hash ^ (uint)example) * 1099511628211;
        }
        return hash;
    }

    private int[] CountSources(ReadOnlySpan<int> examples, ref int[] counts)
    {
        if (counts.Length != Data.Sources.Count)
        {
            counts = new int[Data.Sources.Count];
        }
        Array.Clear(counts);
        foreach (int example in examples)
        {
            counts[Data.SourceOf(example)]++;
        }
        return counts;
    }

    // Features and activations share the workspace; the selection's own matrices are counted by the device.
    private void MeasurePeak()
    {
        _stepPeak = Math.Max(_stepPeak, _workspace.PeakBytes + _model.Device.Memory.Peak(MemoryUse.Selection));
        PeakActivationBytes = Math.Max(PeakActivationBytes, _stepPeak);
        _workspace.ResetPeak();
        _model.Device.Memory.ResetPeak();
    }
}
