using NativeEngine.Ablation.Mixtures;
using NativeEngine.Ablation.Statistics;
using NativeEngine.Devices;

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

    /// <summary>Opens the units of one RNG seed at the full budget, merged on a device; losses are cached in a folder.</summary>
    public StudyStandIns(StudyPlan plan, StudyModels models, RankSettings settings, Device device, string lossFolder, int threads, CancellationToken cancellation = default)
    {
        (_plan, _models, _settings, _device) = (plan, models, settings, device);
        Threads = threads;
        try
        {
            Cache = Own(new LossCache(lossFolder));
            Pool = OpenPool(0, 1, cancellation);
            Set = Own(new EvaluationSet(plan.Evaluation, plan.Config, device, settings.Evaluation));
            Merged = Own(new MergedModel(Pool, device));
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
    /// About what ranking holds: sum, model and gradient of one model, activations of a batch, tokens, and the ensemble's probabilities. Mapped models are
    /// not counted; the system takes that memory back when it needs it.
    /// </summary>
    public static long PeakBytes(StudyPlan plan, RankSettings settings)
    {
        long parameters = plan.Config.Layout().Length, tokens = plan.Evaluation.Report.Tokens;
        long batch = Math.Min(settings.Evaluation.TokensPerBatch, tokens);
        long widths = (8L * plan.Config.HiddenSize) + (3L * plan.Config.IntermediateSize) + (3L * plan.Config.QuerySize);
        long activations = batch * widths * sizeof(float) * (settings.Descent is null ? 2 : plan.Config.Layers + 2);
        return MergedModel.BytesFor(plan.Config.Layout()) + (settings.Descent is null ? 0 : parameters * sizeof(float)) + activations + (20 * tokens)
            + (settings.Ensemble ? (long)sizeof(double) * tokens * plan.Units.Count : 0);
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
            _levels[rule] = evaluator = Own(new MergedEvaluator(Pool, Merged, Set, Cache, rule));
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
        long tokens = 0;
        for (int b = 0; b < Set.Table.Blocks; b++)
        {
            var (first, count) = Set.Table.Block(b).GetOffsetAndLength(Set.Table.Count);
            tokens += Enumerable.Range(first, count).Sum(i => Set.Table[i].Tokens);
            if (tokens >= share * Set.Table.Tokens * 0.75)
            {
                return b + 1;
            }
        }
        return Set.Table.Blocks;
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

/// <summary>Ranks a study's candidates: race, intervals, second stand-in, searches, worth and the merge-safety gauge.</summary>
public static class StudyRanking
{
    /// <summary>
    /// Ranks. The result is a function of the study, its models and its documents alone: not of threads, of what was cached, or of time.
    /// Progress hears what is done: a phase, done, of.
    /// </summary>
    public static RankResult Run(StudyStandIns standIns, StudyModels models, RankSettings settings, string identity, Action<string, int, int>? progress = null, CancellationToken cancellation = default)
    {
        var (table, score, average) = (standIns.Set.Table, settings.Score, standIns.Average);
        var candidates = settings.Candidates;
        double[] seed = standIns.SeedLosses(cancellation);
        var race = Racing.Run(average, score, candidates, settings.Finalists, settings.Keep, (done, of) => progress?.Invoke("scoring candidates", done, of), cancellation);
        var finalists = race.Order.Take(race.Rounds[^1].Entered).ToList();
        standIns.Cache.Flush();
        int blocks = standIns.BlocksFor(settings.SearchShare);
        var searches = Search(standIns, settings, blocks, progress, cancellation);
        var descent = Descend(standIns, settings, blocks, progress, cancellation);
        var surrogate = Surrogate(standIns, settings, blocks, progress, cancellation);
        // What the searches found is scored on all documents and stands beside the finalists.
        var found = searches.Select(s => (s.Method, Mixture: Mixture.Uniform(standIns.Pool.Count, s.Result.Set)))
            .Concat(descent is null ? [] : [("descent", descent.Mixture)]).Concat(surrogate is null ? [] : [("surrogate", surrogate.Minimum)]).ToList();
        Mixture[] shown = [.. finalists.Select(c => candidates[c]).Concat(found.Select(f => f.Mixture)).Distinct()];
        double[][] losses = [.. shown.Select((m, i) =>
        {
            progress?.Invoke("scoring finalists", i + 1, shown.Length);
            return average.Losses(m, table.Blocks, cancellation).ToArray();
        })];
        var bootstrap = PairedBootstrap.Of(losses, table, score, standIns.Set.Options.Seed, settings.Resamples, settings.Confidence);
        var rows = new List<RankedMixture>();
        for (int i = 0; i < shown.Length; i++)
        {
            double[] domains = table.DomainLosses(losses[i]);
            double[]? ensemble = settings.Ensemble ? standIns.Ensemble.DomainLosses(shown[i], cancellation) : null;
            rows.Add(new RankedMixture
            {
                Mixture = shown[i],
                Origin = string.Join(", ", found.Where(f => f.Mixture.Equals(shown[i])).Select(f => f.Method).Prepend(candidates.Contains(shown[i]) ? "candidate" : "").Where(o => o.Length > 0)),
                Key = average.KeyOf(shown[i]),
                DomainLosses = domains,
                Score = score.Of(domains),
                ScoreInterval = bootstrap.Scores[i],
                Difference = bootstrap.Differences[i],
                ProbabilityOfBest = bootstrap.ProbabilityOfBest[i],
                ProbabilityWorse = bootstrap.ProbabilityWorse[i],
                EnsembleLosses = ensemble,
                EnsembleScore = ensemble is null ? double.NaN : score.Of(ensemble),
                Levels = [.. settings.Levels.Select(l => (l, standIns.Level(l).DomainLosses(shown[i], cancellation)))],
            });
            progress?.Invoke("other stand-ins", i + 1, shown.Length);
        }
        rows = [.. rows.OrderBy(r => r.Score)];
        standIns.Cache.Flush();
        var safety = MergeSafety.Measure(standIns.Pool, average, score, seed, blocks, cancellation);
        var worth = !settings.Worth ? null : new UnitWorth(average, score, seed, standIns.Pool.Count, blocks).Compute(
            settings.WorthExactUpTo, settings.WorthOrders, Math.Min(settings.Resamples, 200), settings.Confidence, standIns.Set.Options.Seed,
            (done, of) => progress?.Invoke("worth of units", done, of), cancellation);
        standIns.Cache.Flush();
        return new RankResult
        {
            Identity = identity,
            Units = standIns.Pool.Names,
            UnitKeys = standIns.Pool.UnitKeys,
            SeedKey = standIns.Pool.SeedKey,
            Table = table,
            BlockKeys = standIns.Set.BlockKeys,
            Score = score,
            SeedLosses = table.DomainLosses(seed),
            Confidence = settings.Confidence,
            Rows = rows,
            Others = [.. race.Order.Skip(finalists.Count).Select(c => (candidates[c], race.Scores[c], race.Reached[c]))],
            Rounds = race.Rounds,
            Candidates = candidates.Count,
            CandidateBudgets = candidates.Sum(c => (double)c.Units.Count),
            Searches = searches,
            Descent = descent,
            Surrogate = surrogate,
            Worth = worth,
            Safety = safety,
            Noise = Noise(standIns, models, score, rows, progress, cancellation),
            SearchTokens = Enumerable.Range(0, table.BlockEnds[blocks - 1]).Sum(i => table[i].Tokens),
            Moved = standIns.Pool.Moved,
        };
    }

    private static List<(string Method, SearchResult Result)> Search(StudyStandIns standIns, RankSettings settings, int blocks, Action<string, int, int>? progress, CancellationToken cancellation)
    {
        int n = standIns.Pool.Count, done = 0;
        var search = new SetSearch(n, set =>
        {
            progress?.Invoke("searching sets", ++done, 0);
            return settings.Score.Of(standIns.Average.DomainLosses(Mixture.Uniform(n, set), blocks, cancellation));
        }, set => settings.Rules.Broken(Mixture.Uniform(n, set), standIns.Pool.Names) is null);
        var results = new List<(string, SearchResult)>();
        foreach (string method in settings.Searches)
        {
            IReadOnlyList<int> must = settings.Rules.Must;
            results.Add((method, method switch
            {
                "forward" => search.Forward(must),
                "backward" => search.Backward([.. Enumerable.Range(0, n).Except(settings.Rules.Never)]),
                "soup" => search.GreedySoup(),
                _ => search.Swap(results.Count > 0 ? results[^1].Item2.Set : search.Forward(must).Set),
            }));
        }
        return results;
    }

    private static DescentResult? Descend(StudyStandIns standIns, RankSettings settings, int blocks, Action<string, int, int>? progress, CancellationToken cancellation)
    {
        if (settings.Descent is null || settings.Score.Kind != ScoreKind.Mean)
        {
            return null;
        }
        using var gradient = new MixtureGradient(standIns.Pool, standIns.Merged, standIns.Set, settings.Score.DomainWeights);
        int n = standIns.Pool.Count, step = 0;
        var start = Mixture.Uniform(n, Enumerable.Range(0, n).Except(settings.Rules.Never));
        return MixtureDescent.Run(start, m => gradient.At(m, blocks, 1, cancellation), settings.Rules, settings.Descent,
            _ => progress?.Invoke("descending", ++step, settings.Descent.Steps), cancellation);
    }

    private static SurrogateResult? Surrogate(StudyStandIns standIns, RankSettings settings, int blocks, Action<string, int, int>? progress, CancellationToken cancellation)
    {
        int n = standIns.Pool.Count;
        if (settings.SurrogateChecks == 0)
        {
            return null;
        }
        var design = QuadraticSurrogate.Design(n);
        var held = DirichletSampler.Draw(n, new DirichletOptions { Count = settings.SurrogateChecks }, new MixtureRules(), standIns.Pool.Names, standIns.Set.Options.Seed);
        int done = 0;
        double Value(Mixture m)
        {
            progress?.Invoke("fitting a surrogate", ++done, design.Count + held.Count);
            return settings.Score.Of(standIns.Average.DomainLosses(m, blocks, cancellation));
        }
        double[] values = [.. VisitOrder.Of(design).Select(i => (i, Value: Value(design[i]))).OrderBy(p => p.i).Select(p => p.Value)];
        var fit = QuadraticSurrogate.Fit(design, values);
        return new SurrogateResult(fit, fit.Measure(held, [.. held.Select(Value)]), fit.Minimum(settings.Rules));
    }

    private static NoiseFloor? Noise(StudyStandIns standIns, StudyModels models, MixtureScore score, List<RankedMixture> rows, Action<string, int, int>? progress, CancellationToken cancellation)
    {
        if (models.SeedCount < 2)
        {
            return null;
        }
        var chosen = rows.Take(8).ToList();
        var groups = chosen.Select(r => new List<double> { r.Score }).ToList();
        for (int s = 1; s < models.SeedCount; s++)
        {
            var (evaluator, owner) = standIns.Other(s, 1, cancellation);
            using var owned = owner;
            for (int i = 0; i < chosen.Count; i++)
            {
                groups[i].Add(score.Of(evaluator.DomainLosses(chosen[i].Mixture, cancellation)));
                progress?.Invoke("other seeds", i + 1, chosen.Count);
            }
        }
        return NoiseFloor.Of(groups);
    }
}
