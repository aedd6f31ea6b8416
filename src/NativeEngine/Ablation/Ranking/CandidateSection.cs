using NativeEngine.Ablation.Mixtures;

namespace NativeEngine.Ablation.Ranking;

/// <summary>The section candidates of a study: families of sets and of weights, joined, with rules that all must satisfy.</summary>
internal static class CandidateSection
{
    private static readonly string[] _families = ["all_subsets", "k_of_n", "leave_one_out", "add_one", "lattice", "dirichlet", "list"];

    /// <summary>
    /// The candidates of a study. Without the section: all subsets up to 8 units, else single units, pairs and leave-one-out. With
    /// <c>over: sources</c> sets are sets of sources, and a source stands for all its units.
    /// </summary>
    public static (List<Mixture> Mixtures, MixtureRules Rules) Read(StudyNode? node, StudyPlan plan, string[] units)
    {
        var m = node?.Members([.. _families, "over", "weights", "must", "never", "caps", "min_units", "max_units"]) ?? new Dictionary<string, StudyNode>();
        bool sources = m.GetValueOrDefault("over")?.Choice("units", "sources") == "sources";
        string[] parts = sources ? [.. plan.Units.Select(u => u.Source).Distinct()] : units;
        int[] partOfUnit = sources ? [.. plan.Units.Select(u => Array.IndexOf(parts, u.Source))] : [.. Enumerable.Range(0, units.Length)];
        string[] sourceNames = [.. plan.Units.Select(u => u.Source).Distinct()];
        int[] sourceOfUnit = [.. plan.Units.Select(u => Array.IndexOf(sourceNames, u.Source))];
        long[] tokens = [.. plan.Units.Select(u => u.Tokens)];
        var rule = m.GetValueOrDefault("weights")?.Choice("uniform", "micro", "macro", "token") switch
        {
            "micro" => WeightRule.Micro,
            "macro" => WeightRule.Macro,
            "token" => WeightRule.Token,
            _ => WeightRule.Uniform,
        };
        var rules = ReadRules(m, parts, partOfUnit, units);
        Mixture Set(int[] set) => MixtureWeights.Of(rule, [.. Enumerable.Range(0, units.Length).Where(u => set.Contains(partOfUnit[u]))], sourceOfUnit, tokens);
        Mixture Weighted(double[] weights) => MixtureWeights.OfSources(weights, partOfUnit);
        var all = new List<Mixture>();
        int n = parts.Length;
        if (!_families.Any(m.ContainsKey))
        {
            IEnumerable<int[]> sets = n <= 8 ? MixtureCandidates.AllSubsets(n)
                : MixtureCandidates.AllSubsets(n, 1, 2).Concat(MixtureCandidates.LeaveOneOut(n));
            all.AddRange(sets.Select(Set));
        }
        if (m.GetValueOrDefault("all_subsets")?.Flag() == true)
        {
            all.AddRange(MixtureCandidates.AllSubsets(n, 1, int.MaxValue).Select(Set));
        }
        foreach (var k in m.GetValueOrDefault("k_of_n")?.Items() ?? [])
        {
            all.AddRange(MixtureCandidates.Subsets(n, (int)k.Whole(1, n)).Select(Set));
        }
        if (m.GetValueOrDefault("leave_one_out")?.Flag() == true)
        {
            all.AddRange(MixtureCandidates.LeaveOneOut(n).Select(Set));
        }
        if (m.GetValueOrDefault("add_one") is { } start)
        {
            all.AddRange(MixtureCandidates.AddOne(n, [.. start.Items().Select(item => Index(item, parts, sources ? "source" : "unit"))]).Select(Set));
        }
        if (m.GetValueOrDefault("lattice") is { } lattice)
        {
            all.AddRange(MixtureCandidates.Lattice(n, (int)lattice.Whole(1, 10_000)).Select(p => Weighted([.. p.Select(v => (double)v)])));
        }
        if (m.GetValueOrDefault("dirichlet") is { } dirichlet)
        {
            var options = ReadDirichlet(dirichlet, plan, partOfUnit, n);
            // Drawn over parts, where must, never and caps were given.
            var partRules = ReadRules(m, parts, [.. Enumerable.Range(0, n)], parts);
            all.AddRange(DirichletSampler.Draw(n, options, partRules, parts, plan.Study.RngSeed).Select(d => Weighted([.. d.Weights])));
        }
        if (m.GetValueOrDefault("list") is { } list)
        {
            foreach (var weights in MixtureList.Read(plan.Study.Locate(list.Text()), parts).Select(Weighted))
            {
                all.Add(rules.Broken(weights, units) is { } broken ? throw list.Bad($"has a mixture that {broken}: {weights.Describe(units)}") : weights);
            }
        }
        var kept = MixtureCandidates.Distinct(all.Where(c => rules.Broken(c, units) is null));
        return kept.Count > 0 ? (kept, rules)
            : throw new EngineException(ErrorKind.Usage, $"{plan.Study.Path}: none of {all.Count} candidates satisfies must, never, caps, min_units and max_units", "loosen them");
    }

    /// <summary>The index of a name; another one is refused with a suggestion.</summary>
    public static int Index(StudyNode item, IReadOnlyList<string> names, string what)
    {
        for (int i = 0; i < names.Count; i++)
        {
            if (names[i] == item.Text())
            {
                return i;
            }
        }
        throw item.Bad($"names '{item.Text()}', which is no {what}",
            Suggestion.Nearest(item.Text(), names) is { } near ? $"did you mean '{near}'?" : $"there are {string.Join(", ", names.Take(20))}");
    }

    private static MixtureRules ReadRules(IReadOnlyDictionary<string, StudyNode> m, string[] parts, int[] partOfUnit, string[] units)
    {
        int[] Units(StudyNode node) => [.. node.Items().SelectMany(item => UnitsOf(Index(item, parts, "unit or source of the candidates")))];
        IEnumerable<int> UnitsOf(int part) => Enumerable.Range(0, partOfUnit.Length).Where(u => partOfUnit[u] == part);
        double[] caps = [];
        if (m.GetValueOrDefault("caps") is { } node)
        {
            caps = new double[partOfUnit.Length];
            Array.Fill(caps, 1);
            // A source's cap is shared by its units, which have equal weights.
            void Cap(int part, double cap)
            {
                int count = UnitsOf(part).Count();
                foreach (int u in UnitsOf(part))
                {
                    caps[u] = cap / count;
                }
            }
            if (node.IsMapping)
            {
                foreach (var (name, value) in node.Members(parts))
                {
                    Cap(Array.IndexOf(parts, name), value.Number(0, 1));
                }
            }
            else
            {
                double cap = node.Number(0, 1);
                for (int p = 0; p < parts.Length; p++)
                {
                    Cap(p, cap);
                }
            }
        }
        return new MixtureRules
        {
            Must = m.GetValueOrDefault("must") is { } must ? Units(must) : [],
            Never = m.GetValueOrDefault("never") is { } never ? Units(never) : [],
            Caps = caps,
            MinUnits = (int)(m.GetValueOrDefault("min_units")?.Whole(1, int.MaxValue) ?? 1),
            MaxUnits = (int)(m.GetValueOrDefault("max_units")?.Whole(1, int.MaxValue) ?? int.MaxValue),
        }.Validate(units);
    }

    private static DirichletOptions ReadDirichlet(StudyNode node, StudyPlan plan, int[] partOfUnit, int parts)
    {
        var m = node.Members("count", "concentration", "prior", "temperature", "step");
        double[] prior = new double[parts];
        if (m.GetValueOrDefault("prior")?.Choice("equal", "tokens") == "tokens")
        {
            foreach (var unit in plan.Units)
            {
                prior[partOfUnit[unit.Index]] += unit.Tokens;
            }
        }
        else
        {
            Array.Fill(prior, 1);
        }
        return new DirichletOptions
        {
            Count = (int)(m.GetValueOrDefault("count")?.Whole(1, MixtureCandidates.Most) ?? throw node.Bad("has no count", "dirichlet: {count: 1000}")),
            Concentration = m.GetValueOrDefault("concentration")?.Number(1e-6) ?? 1,
            Temperature = m.GetValueOrDefault("temperature")?.Number(1e-6) ?? 1,
            Step = m.GetValueOrDefault("step")?.Number(0, 1) ?? 0,
            Prior = prior,
        };
    }
}
