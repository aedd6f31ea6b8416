using NativeEngine.Ablation.Mixtures;

namespace NativeEngine.Ablation.Ranking;

/// <summary>What a study asks of ranking: sections candidates, evaluation and search.</summary>
public sealed record RankSettings
{
    /// <summary>The candidates, each once, in the order of the study.</summary>
    public required IReadOnlyList<Mixture> Candidates { get; init; }

    /// <summary>What every candidate satisfies.</summary>
    public required MixtureRules Rules { get; init; }

    /// <summary>How domains make one score.</summary>
    public required MixtureScore Score { get; init; }

    /// <summary>The documents.</summary>
    public required EvaluationOptions Evaluation { get; init; }

    /// <summary>Level corrections scored beside the plain average.</summary>
    public required IReadOnlyList<LevelRule> Levels { get; init; }

    /// <summary>Whether the ensemble of probabilities is scored too.</summary>
    public required bool Ensemble { get; init; }

    /// <summary>Whether units are aligned to the seed before they are averaged.</summary>
    public required bool Align { get; init; }

    /// <summary>Coverage of intervals.</summary>
    public required double Confidence { get; init; }

    /// <summary>Resamples of documents.</summary>
    public required int Resamples { get; init; }

    /// <summary>Candidates scored on all documents; int.MaxValue: all.</summary>
    public required int Finalists { get; init; }

    /// <summary>1 in so many goes on after a round.</summary>
    public required double Keep { get; init; }

    /// <summary>Whether many candidates are screened by a fitted quadratic before they race.</summary>
    public required bool Screen { get; init; }

    /// <summary>Searches to run: forward, backward, swap, soup.</summary>
    public required IReadOnlyList<string> Searches { get; init; }

    /// <summary>The descent with the mixture gradient, or null.</summary>
    public required DescentOptions? Descent { get; init; }

    /// <summary>Held-out merges that measure the quadratic surrogate; 0: no surrogate.</summary>
    public required int SurrogateChecks { get; init; }

    /// <summary>Whether the worth of units is computed.</summary>
    public required bool Worth { get; init; }

    /// <summary>Pools of at most so many units get exact worth.</summary>
    public required int WorthExactUpTo { get; init; }

    /// <summary>Orders of arrival for sampled worth.</summary>
    public required int WorthOrders { get; init; }

    /// <summary>Share of the documents that searches, descent, surrogate and worth use.</summary>
    public required double SearchShare { get; init; }

    /// <summary>Reads the sections of a study. Errors: BadInput with line and suggestion, Usage for candidates that do not exist.</summary>
    public static RankSettings Read(StudyPlan plan)
    {
        var study = plan.Study;
        string[] names = [.. plan.Units.Select(u => u.Name)];
        var candidates = CandidateSection.Read(study.Section("candidates"), plan, names);
        var e = study.Section("evaluation")?.Members("documents", "domains", "weights", "score", "levels", "ensemble", "align", "confidence", "resamples", "first_block", "tokens_per_batch", "window_context")
            ?? new Dictionary<string, StudyNode>();
        var s = study.Section("search")?.Members("finalists", "keep", "screen", "greedy", "descent", "surrogate", "worth", "share") ?? new Dictionary<string, StudyNode>();
        var descent = s.GetValueOrDefault("descent");
        var worth = s.GetValueOrDefault("worth");
        var w = worth is { IsMapping: true } ? worth.Members("exact_up_to", "orders") : null;
        return new RankSettings
        {
            Candidates = candidates.Mixtures,
            Rules = candidates.Rules,
            Score = ReadScore(e, plan),
            Evaluation = new EvaluationOptions
            {
                MaxDocuments = (int)(e.GetValueOrDefault("documents")?.Whole(1, int.MaxValue) ?? 1000),
                FirstBlock = e.GetValueOrDefault("first_block")?.Number(1e-6, 1) ?? 1.0 / 64,
                TokensPerBatch = (int)(e.GetValueOrDefault("tokens_per_batch")?.Whole(1, 1 << 24) ?? EvaluationOptions.DefaultTokensPerBatch),
                WindowContext = (int)(e.GetValueOrDefault("window_context")?.Whole(1, plan.Config.ContextLength) ?? 1),
                Seed = study.RngSeed,
            },
            Levels = [.. (e.GetValueOrDefault("levels")?.Items() ?? []).Select(item => LevelRule.Parse(item.Text())
                ?? throw item.Bad($"'{item.Text()}' is no level", "a number, k, k^0.5 or 0.8*k^0.5")).Where(level => level != LevelRule.Plain).Distinct()],
            Ensemble = e.GetValueOrDefault("ensemble")?.Flag() ?? true,
            Align = e.GetValueOrDefault("align")?.Flag() ?? false,
            Confidence = e.GetValueOrDefault("confidence")?.Number(0.5, 0.999) ?? 0.9,
            Resamples = (int)(e.GetValueOrDefault("resamples")?.Whole(10, 100_000) ?? 1000),
            Finalists = s.GetValueOrDefault("finalists") is { } f ? (f.Text() == "all" ? int.MaxValue : (int)f.Whole(1, int.MaxValue)) : 64,
            Keep = s.GetValueOrDefault("keep")?.Number(1.01) ?? 4,
            Screen = s.GetValueOrDefault("screen")?.Flag() ?? true,
            Searches = s.GetValueOrDefault("greedy") is { } g ? (g.IsScalar && g.Text() == "true" ? ["forward", "swap"] : g.IsScalar && g.Text() == "false" ? []
                : [.. g.Items().Select(item => item.Choice("forward", "backward", "swap", "soup"))]) : ["forward", "swap"],
            Descent = descent is null || (descent.IsScalar && descent.Flag()) ? new DescentOptions() : descent.IsScalar ? null : ReadDescent(descent),
            SurrogateChecks = s.GetValueOrDefault("surrogate") is not { } q ? 0 : q.Text() == "true" ? 30 : q.Text() == "false" ? 0 : (int)q.Whole(0, 10_000),
            Worth = worth is null || w is not null || worth.Flag(),
            WorthExactUpTo = (int)(w?.GetValueOrDefault("exact_up_to")?.Whole(1, 16) ?? 8),
            WorthOrders = (int)(w?.GetValueOrDefault("orders")?.Whole(2, 100_000) ?? 8),
            SearchShare = s.GetValueOrDefault("share")?.Number(0.001, 1) ?? 0.25,
        };
    }

    private static DescentOptions ReadDescent(StudyNode node)
    {
        var m = node.Members("steps", "step", "tolerance");
        var plain = new DescentOptions();
        return new DescentOptions
        {
            Steps = (int)(m.GetValueOrDefault("steps")?.Whole(1, 100_000) ?? plain.Steps),
            StepSize = m.GetValueOrDefault("step")?.Number(1e-6) ?? plain.StepSize,
            Tolerance = m.GetValueOrDefault("tolerance")?.Number(0) ?? plain.Tolerance,
        };
    }

    private static MixtureScore ReadScore(IReadOnlyDictionary<string, StudyNode> e, StudyPlan plan)
    {
        double[] weights = new double[plan.Domains.Count];
        if (e.TryGetValue("domains", out var only) && e.TryGetValue("weights", out var both))
        {
            throw both.Bad("and domains exclude each other", "weights: {NAME: NUMBER} leaves out what it does not name");
        }
        if (only is not null)
        {
            foreach (var item in only.Items())
            {
                weights[CandidateSection.Index(item, plan.Domains, "domain")] = 1;
            }
        }
        else if (e.GetValueOrDefault("weights") is { } map)
        {
            foreach (var (name, value) in map.Members([.. plan.Domains]))
            {
                weights[plan.Domains.ToList().IndexOf(name)] = value.Number(0);
            }
        }
        else
        {
            Array.Fill(weights, 1);
        }
        return new MixtureScore(e.GetValueOrDefault("score")?.Choice("mean", "worst") == "worst" ? ScoreKind.Worst : ScoreKind.Mean, weights);
    }
}
