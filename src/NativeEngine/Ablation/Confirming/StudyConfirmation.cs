using NativeEngine.Ablation.Mixtures;
using NativeEngine.Ablation.Ranking;
using NativeEngine.Ablation.Statistics;
using NativeEngine.Devices;
using NativeEngine.Model;

namespace NativeEngine.Ablation.Confirming;

/// <summary>Compares stand-ins with true trainings on the same documents.</summary>
public static class StudyConfirmation
{
    /// <summary>
    /// Scores the truly trained models and every stand-in and baseline of the same mixtures. All true models must be in the cache. Errors: Usage naming the
    /// first that is not.
    /// </summary>
    public static ConfirmResult Run(
        StudyPlan plan, StudyModels models, StudyStandIns standIns, RankSettings settings, IReadOnlyList<Mixture> mixtures, IReadOnlyList<Mixture> ranked,
        string identity, Action<string, long, long>? progress = null, CancellationToken cancellation = default)
    {
        var (table, score) = (standIns.Set.Table, settings.Score);
        var confirmed = new List<ConfirmedMixture>();
        foreach (var mixture in mixtures)
        {
            var key = models.Jobs.Mixture(mixture.Weights);
            string folder = models.Mixture(mixture.Weights, 0, cancellation)
                ?? throw new EngineException(ErrorKind.Usage, $"the true training of {mixture.Describe(standIns.Pool.Names)} is not in the cache", $"nengine ablate confirm {plan.Study.Path}");
            double[] losses = table.DomainLosses(TrueLosses(standIns, folder, key.Hash, cancellation));
            confirmed.Add(new ConfirmedMixture(mixture, key.Hash, losses, score.Of(losses)));
            progress?.Invoke("scoring true models", confirmed.Count, mixtures.Count);
        }
        standIns.Cache.Flush();
        var reports = new List<StandInReport> { Report("average", standIns.Average.DomainLosses, false) };
        if (settings.Ensemble)
        {
            reports.Add(Report("ensemble", standIns.Ensemble.DomainLosses, false));
        }
        foreach (var level in settings.Levels)
        {
            reports.Add(Report($"average at level {level}", standIns.Level(level).DomainLosses, false));
        }
        if (reports.Count > 1)
        {
            // Stand-ins err in different ways: what they say together, without anything fitted to the truth.
            var together = reports.Select(r => r.Losses).ToList();
            var place = confirmed.Select((c, i) => (c.Mixture, i)).ToDictionary(p => p.Mixture, p => p.i);
            reports.Add(Report("mean of the stand-ins above", (m, _) => [.. Enumerable.Range(0, table.Domains.Count).Select(d => together.Average(l => l[place[m]][d]))], false));
        }
        foreach (double fraction in plan.Study.Training.Fractions.Where(f => f < 1))
        {
            var (evaluator, owner) = standIns.Other(0, fraction, cancellation);
            using (owner)
            {
                reports.Add(Report(FormattableString.Invariant($"average at {fraction} of the budget"), evaluator.DomainLosses, false));
            }
        }
        var own = Enumerable.Range(0, standIns.Pool.Count).ToDictionary(u => u, u => new Lazy<double[]>(() => standIns.Average.DomainLosses(Mixture.Uniform(standIns.Pool.Count, [u]), cancellation)));
        double[] Combine(Mixture mixture, Func<int, double> of) => [.. Enumerable.Range(0, table.Domains.Count).Select(of)];
        reports.Add(Report("mean of the units' own losses", (m, _) => Combine(m, d => m.Units.Sum(u => m.Weights[u] * own[u].Value[d])), true));
        reports.Add(Report("best unit's own loss", (m, _) => Combine(m, d => m.Units.Min(u => own[u].Value[d])), true));
        standIns.Cache.Flush();
        double[] truth = [.. confirmed.Select(c => c.TrueScore)];
        var line = reports[0].Score.Line;
        return new ConfirmResult
        {
            Identity = identity,
            Units = standIns.Pool.Names,
            Domains = table.Domains,
            Confidence = settings.Confidence,
            Mixtures = confirmed,
            StandIns = reports,
            Alarm = AdditivityAlarm.Test([.. confirmed.Select(c => c.Mixture.Units)], [.. reports[0].Scores], truth),
            Predictions = [.. ranked.Select(m =>
            {
                double x = score.Of(standIns.Average.DomainLosses(m, cancellation));
                return (m, x, line.Predict(x), line.Prediction(x, settings.Confidence), line.Conformal(x, settings.Confidence));
            })],
        };

        StandInReport Report(string name, Func<Mixture, CancellationToken, double[]> losses, bool baseline)
        {
            double[][] values = [.. confirmed.Select((c, i) =>
            {
                progress?.Invoke(name, i + 1, confirmed.Count);
                return losses(c.Mixture, cancellation);
            })];
            double[] scores = [.. values.Select(v => score.Of(v))];
            var domains = table.Domains.Select((domain, d) => Compare(domain, [.. values.Select(v => v[d])], [.. confirmed.Select(c => c.TrueLosses[d])], settings.Confidence)).ToList();
            return new StandInReport(name, values, scores, domains, Compare("score", scores, [.. confirmed.Select(c => c.TrueScore)], settings.Confidence), baseline);
        }
    }

    /// <summary>All figures of a stand-in against the truth over the same mixtures.</summary>
    public static Agreement Compare(string domain, double[] proxy, double[] truth, double confidence)
    {
        int n = truth.Length, inside = 0, conformal = 0, tried = 0, triedConformal = 0;
        for (int left = 0; left < n; left++)
        {
            var line = new Calibration([.. proxy.Where((_, i) => i != left)], [.. truth.Where((_, i) => i != left)]);
            var (normal, free) = (line.Prediction(proxy[left], confidence), line.Conformal(proxy[left], confidence));
            tried += normal.IsDefined ? 1 : 0;
            inside += normal.Contains(truth[left]) ? 1 : 0;
            triedConformal += free.IsDefined ? 1 : 0;
            conformal += free.Contains(truth[left]) ? 1 : 0;
        }
        return new Agreement(
            domain, Correlation.Of(proxy, truth), new Calibration(proxy, truth), proxy.Zip(truth, (p, t) => Math.Abs(p - t)).DefaultIfEmpty(double.NaN).Average(),
            n > 0 ? SelectionQuality.Regret(proxy, truth) : double.NaN, n > 0 ? SelectionQuality.Regret(proxy, truth, Math.Min(3, n)) : double.NaN,
            n > 0 ? SelectionQuality.DecisionAccuracy(proxy, truth) : double.NaN,
            tried > 0 ? (double)inside / tried : double.NaN, triedConformal > 0 ? (double)conformal / triedConformal : double.NaN);
    }

    private static double[] TrueLosses(StudyStandIns standIns, string folder, string key, CancellationToken cancellation)
    {
        var table = standIns.Set.Table;
        var losses = new double[table.Count];
        string[] records = [.. standIns.Set.BlockKeys.Select(block => MixtureEvaluator.RecordKey("true-1/" + key, block))];
        var found = records.Select(standIns.Cache.Find).ToList();
        LlamaModel? model = null;
        ParameterSet? parameters = null;
        using var workspace = new Workspace(standIns.Merged.Parameters.Device);
        try
        {
            for (int b = 0; b < table.Blocks; b++)
            {
                var block = losses.AsSpan()[table.Block(b)];
                if (found[b] is { } stored && stored.Length == block.Length)
                {
                    stored.CopyTo(block);
                    continue;
                }
                if (model is null)
                {
                    (var config, parameters) = ModelFolder.Load(folder, standIns.Merged.Parameters.Device, cancellation);
                    model = new LlamaModel(config, parameters);
                }
                MergedEvaluator.Score(model, standIns.Set, b, block, workspace);
                standIns.Cache.Add(records[b], block);
            }
        }
        finally
        {
            model?.Dispose();
            parameters?.Dispose();
        }
        return losses;
    }
}
