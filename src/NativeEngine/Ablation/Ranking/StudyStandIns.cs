using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;

namespace NativeEngine.Ablation.Ranking;

/// <summary>A study's pool, documents and stand-ins, open for ranking and confirming. Owns them all.</summary>
public sealed class StudyStandIns : IDisposable
{
    private readonly List<IDisposable> _owned = [];
    private readonly Dictionary<LevelRule, MergedEvaluator> _levels = [];
    private readonly StudyPlan _plan;
    private readonly StudyModels _models;
    private readonly RankSettings _settings;
    private readonly Device _device;
    private readonly MergeLanes? _lanes;

    /// <summary>
    /// Opens the units of one RNG seed at the full budget, merged on a device; losses are cached in a folder. On the CPU so many mixtures are scored at a time as there are
    /// <paramref name="lanes"/> (<see cref="LaneCount"/>).
    /// </summary>
    public StudyStandIns(
        StudyPlan plan, StudyModels models, RankSettings settings, Device device, string lossFolder, int threads, int lanes, CancellationToken cancellation = default)
    {
        (_plan, _models, _settings, _device) = (plan, models, settings, device);
        Threads = threads;
        try
        {
            Cache = Own(new LossCache(lossFolder));
            Pool = OpenPool(0, 1, cancellation);
            Set = Own(new EvaluationSet(plan.Evaluation, plan.Config, device, settings.Evaluation));
            Merged = Own(new MergedModel(Pool, device));
            _lanes = lanes > 1 && device is CpuDevice cpu ? Own(new MergeLanes(Pool, cpu, lanes)) : null;
            Average = Level(LevelRule.Plain);
            Ensemble = new EnsembleEvaluator(Pool, Merged, Set, Cache);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>
    /// About what ranking holds: sum, model and gradient of one model, activations of a batch, tokens, lanes, and the ensemble's probabilities. Mapped models are
    /// not counted; the system takes that memory back when it needs it.
    /// </summary>
    public static long PeakBytes(StudyPlan plan, RankSettings settings, int lanes = 1)
    {
        long parameters = plan.Config.Layout().Length, tokens = plan.Evaluation.Report.Tokens;
        long activations = MergeLanes.ActivationBytes(plan.Config, Batch(plan, settings)) * (settings.Descent is null ? 2 : plan.Config.Layers + 2);
        return MergedModel.BytesFor(plan.Config.Layout()) + (settings.Descent is null ? 0 : parameters * sizeof(float)) + activations + (20 * tokens)
            + (lanes > 1 ? lanes * MergeLanes.BytesPerLane(plan.Config, Batch(plan, settings)) : 0)
            + (settings.Ensemble ? (long)sizeof(double) * tokens * plan.Units.Count : 0);
    }

    /// <summary>Mixtures scored at a time on so many threads: what half of the memory holds beside the rest.</summary>
    public static int LaneCount(StudyPlan plan, RankSettings settings, int threads, long maxMemory)
    {
        long left = (maxMemory / 2) - PeakBytes(plan, settings);
        int lanes = (int)Math.Clamp(left / MergeLanes.BytesPerLane(plan.Config, Batch(plan, settings)), 1, threads);
        // Threads are shared out evenly.
        return threads / (int)Math.Ceiling((double)threads / lanes);
    }

    /// <summary>CPU threads for what runs on the host.</summary>
    public int Threads { get; }

    /// <summary>The losses on disk.</summary>
    public LossCache Cache { get; }

    /// <summary>The units.</summary>
    public UnitPool Pool { get; }

    /// <summary>The documents.</summary>
    public EvaluationSet Set { get; }

    /// <summary>The buffer the units are merged in.</summary>
    public MergedModel Merged { get; }

    /// <summary>The method's own stand-in.</summary>
    public MergedEvaluator Average { get; }

    /// <summary>The second stand-in.</summary>
    public EnsembleEvaluator Ensemble { get; }

    /// <summary>The average at a level.</summary>
    public MergedEvaluator Level(LevelRule rule)
    {
        if (!_levels.TryGetValue(rule, out var evaluator))
        {
            _levels[rule] = evaluator = Own(new MergedEvaluator(Pool, Merged, Set, Cache, rule, _lanes));
        }
        return evaluator;
    }

    /// <summary>The average of the units of another RNG seed, or of a fraction of the budget. Disposing it closes its pool.</summary>
    public (MergedEvaluator Evaluator, IDisposable Owner) Other(int seedIndex, double fraction, CancellationToken cancellation = default)
    {
        var pool = OpenPool(seedIndex, fraction, cancellation, own: false);
        var merged = new MergedModel(pool, _device);
        var evaluator = new MergedEvaluator(pool, merged, Set, Cache);
        return (evaluator, new Owner([evaluator, merged, pool]));
    }

    /// <summary>Losses of the seed's documents, cached.</summary>
    public double[] SeedLosses(CancellationToken cancellation = default) => Average.SeedLosses(cancellation);

    /// <summary>Blocks that hold at least a share of the documents' tokens.</summary>
    public int BlocksFor(double share)
    {
        var table = Set.Table;
        int blocks = 1;
        while (blocks < table.Blocks && table.TokensUpTo(blocks) < share * table.Tokens * 0.75)
        {
            blocks++;
        }
        return blocks;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        for (int i = _owned.Count - 1; i >= 0; i--)
        {
            _owned[i].Dispose();
        }
        _owned.Clear();
    }

    private static long Batch(StudyPlan plan, RankSettings settings) => Math.Min(settings.Evaluation.TokensPerBatch, plan.Evaluation.Report.Tokens);

    private UnitPool OpenPool(int seedIndex, double fraction, CancellationToken cancellation, bool own = true)
    {
        string suffix = fraction == 1 ? "" : FormattableString.Invariant($"/{fraction:R}");
        var pool = new UnitPool(
            new PoolUnit("seed", _models.Seed, _models.Jobs.Seed.Hash),
            [.. _plan.Units.Select(u => new PoolUnit(u.Name, _models.Unit(u.Index, seedIndex, fraction), _models.Jobs.Unit(u.Index, seedIndex).Hash + suffix))],
            Threads, _settings.Align ? UnitAlignment.ToSeed : null, cancellation);
        return own ? Own(pool) : pool;
    }

    private T Own<T>(T item)
        where T : IDisposable
    {
        _owned.Add(item);
        return item;
    }

    private sealed class Owner(IReadOnlyList<IDisposable> items) : IDisposable
    {
        public void Dispose()
        {
            foreach (var item in items)
            {
                item.Dispose();
            }
        }
    }
}
