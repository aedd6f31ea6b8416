using NativeEngine.Ablation.Mixtures;
using NativeEngine.Ablation.Statistics;

namespace NativeEngine.Ablation.Ranking;

/// <summary>Ranks a study's candidates: race, intervals, second stand-in, searches, worth and the merge-safety gauge.</summary>
public static class StudyRanking
{
    /// <summary>
    /// Ranks. The result is a function of the study, its models and its documents alone: not of threads, of what was cached, or of time.
    /// Progress hears what is done: a phase, done, of.
    /// </summary>
    public static RankResult Run(StudyStandIns standIns, StudyModels models, RankSettings settings, string identity, Action<string, long, long>? progress = null, CancellationToken cancellation = default)
    {
        var (table, score, average) = (standIns.Set.Table, settings.Score, standIns.Average);
        var candidates = settings.Candidates;
        double[] seed = standIns.SeedLosses(cancellation);
        var screen = settings.Screen ? Screening.Run(average, score, candidates, settings.Finalists, settings.Keep, standIns.Set.Options.Seed, (done, of) => progress?.Invoke("screening", done, of), cancellation) : null;
        IReadOnlyList<int> racers = screen?.Kept ?? [.. Enumerable.Range(0, candidates.Count)];
        var race = Racing.Run(average, score, [.. racers.Select(c => candidates[c])], settings.Finalists, settings.Keep, screen?.RaceFrom ?? 1, (done, of) => progress?.Invoke("racing", done, of), cancellation);
        var finalists = race.Order.Take(race.Rounds[^1].Entered).Select(r => racers[r]).ToList();
        standIns.Cache.Flush();
        int blocks = standIns.BlocksFor(settings.SearchShare);
        var searches = Search(standIns, settings, blocks, progress, cancellation);
        var descent = Descend(standIns, settings, blocks, progress, cancellation);
        var surrogate = Surrogate(standIns, settings, blocks, progress, cancellation);
        // What the searches found is scored on all documents and stands beside the finalists.
        var found = searches.Select(s => (s.Method, Mixture: Mixture.Uniform(standIns.Pool.Count, s.Result.Set)))
            .Concat(descent is null ? [] : [("descent", descent.Mixture)]).Concat(surrogate is null ? [] : [("surrogate", surrogate.Minimum)]).ToList();
        Mixture[] shown = [.. finalists.Select(c => candidates[c]).Concat(found.Select(f => f.Mixture)).Distinct()];
        int scored = 0;
        average.Prepare(shown, table.Blocks, _ => progress?.Invoke("scoring finalists", ++scored, shown.Length), cancellation);
        double[][] losses = [.. shown.Select(m => average.Losses(m, table.Blocks, cancellation).ToArray())];
        var bootstrap = PairedBootstrap.Of(losses, table, score, standIns.Set.Options.Seed, settings.Resamples, settings.Confidence);
        foreach (var level in settings.Levels)
        {
            int done = 0;
            standIns.Level(level).Prepare(shown, table.Blocks, _ => progress?.Invoke($"level {level}", ++done, shown.Length), cancellation);
        }
        bool[] dominated = Domination.Of([.. losses.Select(l => table.DomainLosses(l))], score.DomainWeights);
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
                Dominated = dominated[i],
                EnsembleLosses = ensemble,
                EnsembleScore = ensemble is null ? double.NaN : score.Of(ensemble),
                Levels = [.. settings.Levels.Select(l => (l, standIns.Level(l).DomainLosses(shown[i], cancellation)))],
            });
            if (ensemble is not null)
            {
                progress?.Invoke("ensembles", i + 1, shown.Length);
            }
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
            Others =
            [
                .. race.Order.Skip(finalists.Count).Select(r => (candidates[racers[r]], race.Scores[r], race.Reached[r])),
                .. (screen?.Left ?? []).Select(c => (candidates[c], screen!.Predicted[c], 0)),
            ],
            Screen = screen,
            Rounds = race.Rounds,
            Candidates = candidates.Count,
            CandidateBudgets = candidates.Sum(c => (double)c.Units.Count),
            Searches = searches,
            Descent = descent,
            Surrogate = surrogate,
            Worth = worth,
            Safety = safety,
            Noise = Noise(standIns, models, score, rows, progress, cancellation),
            SearchTokens = table.TokensUpTo(blocks),
            Moved = standIns.Pool.Moved,
        };
    }

    private static List<(string Method, SearchResult Result)> Search(StudyStandIns standIns, RankSettings settings, int blocks, Action<string, long, long>? progress, CancellationToken cancellation)
    {
        int n = standIns.Pool.Count, done = 0;
        var search = new SetSearch(n, set =>
        {
            progress?.Invoke("searching sets", ++done, 0);
            return settings.Score.Of(standIns.Average.DomainLosses(Mixture.Uniform(n, set), blocks, cancellation));
        }, set => settings.Rules.Broken(Mixture.Uniform(n, set), standIns.Pool.Names) is null,
            sets => standIns.Average.Prepare([.. sets.Select(set => Mixture.Uniform(n, set))], blocks, null, cancellation));
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

    private static DescentResult? Descend(StudyStandIns standIns, RankSettings settings, int blocks, Action<string, long, long>? progress, CancellationToken cancellation)
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

    private static SurrogateResult? Surrogate(StudyStandIns standIns, RankSettings settings, int blocks, Action<string, long, long>? progress, CancellationToken cancellation)
    {
        int n = standIns.Pool.Count;
        if (settings.SurrogateChecks == 0)
        {
            return null;
        }
        var design = QuadraticSurrogate.Design(n);
        var held = DirichletSampler.Draw(n, new DirichletOptions { Count = settings.SurrogateChecks }, new MixtureRules(), standIns.Pool.Names, standIns.Set.Options.Seed);
        int done = 0;
        standIns.Average.Prepare([.. design, .. held], blocks, _ => progress?.Invoke("fitting a surrogate", ++done, design.Count + held.Count), cancellation);
        double Value(Mixture m) => settings.Score.Of(standIns.Average.DomainLosses(m, blocks, cancellation));
        double[] values = [.. design.Select(Value)];
        var fit = QuadraticSurrogate.Fit(design, values);
        return new SurrogateResult(fit, fit.Measure(held, [.. held.Select(Value)]), fit.Minimum(settings.Rules));
    }

    private static NoiseFloor? Noise(StudyStandIns standIns, StudyModels models, MixtureScore score, List<RankedMixture> rows, Action<string, long, long>? progress, CancellationToken cancellation)
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
