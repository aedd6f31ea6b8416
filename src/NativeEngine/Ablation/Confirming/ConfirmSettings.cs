using NativeEngine.Ablation.Mixtures;

namespace NativeEngine.Ablation.Confirming;

/// <summary>What a study asks of confirming: which mixtures are truly trained.</summary>
public sealed record ConfirmSettings
{
    /// <summary>The best by the ranking.</summary>
    public required int Best { get; init; }

    /// <summary>Spread evenly over the range of scores.</summary>
    public required int Spread { get; init; }

    /// <summary>Most units of a mixture that is spread.</summary>
    public required int MaxUnits { get; init; }

    /// <summary>Mixtures that are trained in any case.</summary>
    public required IReadOnlyList<Mixture> Named { get; init; }

    /// <summary>Reads the section confirm: best (3), spread (9), max_units, mixtures (lists of names), list (a CSV or JSON file).</summary>
    public static ConfirmSettings Read(StudyPlan plan)
    {
        string[] names = [.. plan.Units.Select(u => u.Name)];
        var m = plan.Study.Section("confirm")?.Members("best", "spread", "max_units", "mixtures", "list") ?? new Dictionary<string, StudyNode>();
        var named = new List<Mixture>();
        foreach (var item in m.GetValueOrDefault("mixtures")?.Items() ?? [])
        {
            named.Add(Mixture.Uniform(names.Length, item.Items().Select(unit => Ranking.CandidateSection.Index(unit, names, "unit"))));
        }
        if (m.GetValueOrDefault("list") is { } list)
        {
            named.AddRange(MixtureList.Read(plan.Study.Locate(list.Text()), names).Select(w => Mixture.Of(w)));
        }
        return new ConfirmSettings
        {
            Best = (int)(m.GetValueOrDefault("best")?.Whole(0, 100_000) ?? 3),
            Spread = (int)(m.GetValueOrDefault("spread")?.Whole(0, 100_000) ?? 9),
            MaxUnits = (int)(m.GetValueOrDefault("max_units")?.Whole(1, int.MaxValue) ?? int.MaxValue),
            Named = MixtureCandidates.Distinct(named),
        };
    }

    /// <summary>
    /// The mixtures to train: the named ones, the best, and others at equal steps of rank from the second best to the worst, each once. Mixtures of one unit are left to
    /// the named ones: their stand-in is their own training.
    /// </summary>
    public List<Mixture> Choose(IReadOnlyList<Mixture> bestFirst)
    {
        var pool = bestFirst.Where(m => m.Units.Count > 1 && m.Units.Count <= MaxUnits).ToList();
        var chosen = Named.Concat(pool.Take(Best)).ToList();
        var rest = pool.Except(chosen).ToList();
        int count = Math.Min(Spread, rest.Count);
        chosen.AddRange(Enumerable.Range(0, count).Select(i => rest[count == 1 ? rest.Count / 2 : (int)((long)i * (rest.Count - 1) / (count - 1))]));
        return MixtureCandidates.Distinct(chosen);
    }
}
