using NativeEngine.Data;
using NativeEngine.Model;
using NativeEngine.Training;

namespace NativeEngine.Ablation;

/// <summary>
/// A study worked out: its units, its evaluation documents, its tokenizer and the shape of its models. A pure function of the study file and the
/// files it names, so every verb makes it anew and no stale copy can be used.
/// </summary>
public sealed class StudyPlan
{
    private readonly List<int[][]> _sequences = [];

    private StudyPlan(StudyFile study) => Study = study;

    /// <summary>The file.</summary>
    public StudyFile Study { get; }

    /// <summary>The units, by source in the order of <see cref="Data.SourceOrder"/>; imported units without data come last.</summary>
    public IReadOnlyList<DataUnit> Units { get; private set; } = [];

    /// <summary>The sources with what became of their documents.</summary>
    public IReadOnlyList<StudySource> Sources { get; private set; } = [];

    /// <summary>Held-out documents; their source is their domain. Every token after the first is scored, cut at the sequence length.</summary>
    public MixtureDataset Evaluation { get; private set; } = null!;

    /// <summary>The domains: <see cref="Evaluation"/>'s sources.</summary>
    public IReadOnlyList<string> Domains => Evaluation.Sources;

    /// <summary>The tokenizer of all models of the study.</summary>
    public Tokenizer Tokenizer { get; private set; } = null!;

    /// <summary>The shape of all models of the study.</summary>
    public LlamaConfig Config { get; private set; } = null!;

    /// <summary>What the seed model is trained on, or null when it is taken as it is.</summary>
    public MixtureDataset? SeedData { get; private set; }

    /// <summary>Things a person should know: lines left out, units outside the tolerance, sources without evaluation.</summary>
    public IReadOnlyList<string> Remarks { get; private set; } = [];

    /// <summary>Works a study out. Cost: all documents are read and tokenised once. Errors: BadInput and Usage for data that cannot be cut or trained.</summary>
    public static StudyPlan Create(StudyFile study, CancellationToken cancellation = default)
    {
        var plan = new StudyPlan(study);
        var documents = StudyDocuments.Read(study, cancellation);
        plan.ReadModel(documents, cancellation);
        var remarks = new List<string>(documents.Remarks);
        plan.Evaluation = documents.Evaluation.Count > 0
            ? MixtureDataset.Build(documents.Evaluation, plan.Tokenizer, DatasetOptions.Evaluation(study.Units.Length), cancellation)
            : throw new EngineException(ErrorKind.BadInput, $"{study.Path}: no document is left for evaluation", "name a file under data.eval, or raise data.held_out");
        plan.CutUnits(documents, remarks, cancellation);
        plan.AddImports();
        plan.CheckImports();
        plan.PackSeed(documents, cancellation);
        plan.Remarks = remarks;
        return plan;
    }

    /// <summary>A unit's training sequences. Errors: Usage for an imported unit, which has none.</summary>
    public MixtureDataset UnitData(int unit) => MixtureDataset.FromSequences(Sequences(unit).Select(s => (Units[unit].Source, s)));

    /// <summary>
    /// The sequences of one true training of a mixture, <paramref name="count"/> of them: unit u gives w_u count of them (shares by largest
    /// remainders), cycling through a permutation of its own, so that a unit of weight 1/|S| is trained as often as alone.
    /// </summary>
    /// <param name="weights">w_u for every unit, not negative; they are divided by their sum.</param>
    /// <param name="count">Sequences in all.</param>
    /// <param name="seed">Of the permutations.</param>
    public MixtureDataset MixtureData(IReadOnlyList<double> weights, long count, ulong seed)
    {
        int[] shares = Shares(weights, count);
        return MixtureDataset.FromSequences(Enumerable.Range(0, shares.Length).Where(u => shares[u] > 0).SelectMany(u =>
        {
            var own = Sequences(u);
            var order = new CounterRandom(seed, RandomPurpose.Shuffle, 1_000_000 + (uint)u).Permutation(own.Length);
            return Enumerable.Range(0, shares[u]).Select(i => (Units[u].Source, own[order[i % own.Length]]));
        }));
    }

    /// <summary>count split by weights: floors first, then one more to the largest remainders, the lowest index on a tie.</summary>
    internal static int[] Shares(IReadOnlyList<double> weights, long count)
    {
        double sum = weights.Sum();
        if (weights.Any(w => !(w >= 0)) || !(sum > 0))
        {
            throw new EngineException(ErrorKind.Usage, $"a mixture to train needs weights of at least 0 with a positive sum, got {string.Join(", ", weights)}");
        }
        double[] exact = [.. weights.Select(w => w / sum * count)];
        int[] shares = [.. exact.Select(e => (int)e)];
        int missing = (int)(count - shares.Sum(s => (long)s));
        foreach (int i in Enumerable.Range(0, shares.Length).OrderByDescending(i => exact[i] - shares[i]).ThenBy(i => i).Take(missing))
        {
            shares[i]++;
        }
        return shares;
    }

    private int[][] Sequences(int unit) => unit < _sequences.Count ? _sequences[unit]
        : throw new EngineException(ErrorKind.Usage, $"unit {Units[unit].Name} is imported without data; it cannot be trained", "leave it out of mixtures to confirm");

    private void ReadModel(StudyDocuments documents, CancellationToken cancellation)
    {
        const string Bpe = "bpe:";
        string model = Study.Seed.Model;
        if (ModelPresets.NameIn(model) is not { } preset)
        {
            (Config, Tokenizer) = (ConfigJson.Read(model), TokenizerFile.Load(model));
            if (Tokenizer.VocabularySize > Config.VocabularySize)
            {
                throw new EngineException(ErrorKind.BadInput, $"{model}: the tokenizer has {Tokenizer.VocabularySize} tokens, the model's vocabulary {Config.VocabularySize}", "tokenizer.json and config.json must belong together");
            }
        }
        else
        {
            string name = Study.Seed.Tokenizer;
            Tokenizer = name == "bytes" ? ByteTokenizer.Create()
                : !name.StartsWith(Bpe, StringComparison.Ordinal) ? TokenizerFile.Load(name)
                : int.TryParse(name[Bpe.Length..], out int size) && size >= BpeTrainer.MinimumVocabulary
                    ? BpeTrainer.Train(documents.Seed.Concat(documents.Sources.SelectMany(s => documents.Units.GetValueOrDefault(s) ?? [])).Select(e => e.Text), size, cancellation: cancellation)
                    : throw new EngineException(ErrorKind.BadInput, $"{Study.Path}: seed.tokenizer is '{name}'; bpe:N needs a vocabulary of at least {BpeTrainer.MinimumVocabulary}", "tokenizer: bpe:1024, or bytes");
            Config = ModelPresets.Create(preset, Tokenizer.VocabularySize, Tokenizer.BosId, Tokenizer.EosId);
        }
        if (Study.Units.Length > Config.ContextLength)
        {
            throw new EngineException(ErrorKind.Usage, $"{Study.Path}: units.length is {Study.Units.Length}, the model's context is {Config.ContextLength} tokens", $"units: {{length: {Config.ContextLength}}} at most");
        }
    }

    private void CutUnits(StudyDocuments documents, List<string> remarks, CancellationToken cancellation)
    {
        var units = new List<DataUnit>();
        var sources = new List<StudySource>();
        var settings = Study.Units;
        var domains = Evaluation.Sources.Select((name, d) => (name, d)).ToDictionary(p => p.name, p => p.d, StringComparer.Ordinal);
        var scoredOf = new long[domains.Count];
        for (int i = 0; i < Evaluation.Count; i++)
        {
            scoredOf[Evaluation.SourceOf(i)] += Evaluation.LabelCount(i);
        }
        foreach (string source in documents.Sources)
        {
            var (all, heldOut, seed, repeated) = documents.Counts(source);
            var own = documents.Units.GetValueOrDefault(source) ?? [];
            int[][] tokens = [.. own.Select(e => SequencePacker.Document(e, Tokenizer))];
            cancellation.ThrowIfCancellationRequested();
            var cuts = own.Count == 0 ? [] : UnitPlanner.Cut([.. tokens.Select(t => t.Length)], settings.Tokens);
            string? note = own.Count == 0 ? "no document is left for units" : null;
            for (int k = 0; k < cuts.Count; k++)
            {
                var packer = new SequencePacker(settings.Length);
                foreach (int[] document in tokens[cuts[k]])
                {
                    packer.Add(document);
                }
                string name = cuts.Count == 1 ? source : FormattableString.Invariant($"{source}.{k + 1}");
                long size = tokens[cuts[k]].Sum(t => (long)t.Length);
                if (packer.Sequences.Count < Study.Training.Budget.Batch)
                {
                    throw new EngineException(ErrorKind.Usage,
                        $"unit {name} has {size} tokens, {packer.Sequences.Count} sequences of {settings.Length}; a batch of {Study.Training.Budget.Batch} cannot be drawn from it",
                        $"give training.batch of at most {Math.Max(1, packer.Sequences.Count)}, a smaller units.length, or larger units.tokens");
                }
                if (!UnitPlanner.Fits(size, settings.Tokens, settings.Tolerance))
                {
                    note = FormattableString.Invariant($"{(cuts.Count == 1 ? "its unit" : name)} has {(double)size / settings.Tokens:0.00} of the {settings.Tokens} tokens that units should have");
                }
                int at = units.Count;
                _sequences.Add([.. packer.Sequences]);
                units.Add(new DataUnit(at, name, source, size, tokens[cuts[k]].Length, packer.Sequences.Count, UnitPlanner.Hash(own.Skip(cuts[k].Start.Value).Take(tokens[cuts[k]].Length)), ""));
                units[at] = units[at] with { SequenceHash = ContentHash.Of(MixtureDataset.FromSequences(_sequences[at].Select(s => (source, s)))) };
            }
            var (evaluated, scored) = domains.TryGetValue(source, out int domain) ? (Evaluation.SourceSizes[domain], scoredOf[domain]) : (0, 0);
            if (evaluated == 0)
            {
                // By a hash of the prompt: where all prompts are alike, all or none are held out.
                note = (note is null ? "" : note + "; ") + "nothing to evaluate on, so it is no domain";
            }
            if (note is not null)
            {
                remarks.Add($"{source}: {note}");
            }
            sources.Add(new StudySource(source, all, heldOut, seed, repeated, own.Count, cuts.Count, tokens.Sum(t => (long)t.Length), evaluated, scored, note));
        }
        (Units, Sources) = (units, sources);
    }

    private void AddImports() => Units =
    [
        .. Units.Select(unit => Study.Units.Imports.FirstOrDefault(i => i.Name == unit.Name) is { } import ? unit with { Import = import.Model } : unit),
        .. Study.Units.Imports.Where(i => Units.All(u => u.Name != i.Name))
            .Select((i, k) => new DataUnit(Units.Count + k, i.Name, i.Source, 0, 0, 0, "", "", i.Model)),
    ];

    private void CheckImports()
    {
        if (Units.GroupBy(u => u.Name).FirstOrDefault(g => g.Count() > 1) is { } twice)
        {
            throw new EngineException(ErrorKind.Usage, $"{Study.Path}: two units are named {twice.Key}", "import a unit once, and name fields so that sources and numbered units differ");
        }
        if (Units.Count == 0)
        {
            throw new EngineException(ErrorKind.BadInput, $"{Study.Path}: no document is left for units", "lower data.held_out or seed.data");
        }
    }

    private void PackSeed(StudyDocuments documents, CancellationToken cancellation)
    {
        if (Study.Seed.Budget is not { } budget)
        {
            return;
        }
        var packer = new SequencePacker(Study.Units.Length);
        foreach (var example in documents.Seed)
        {
            cancellation.ThrowIfCancellationRequested();
            packer.Add(SequencePacker.Document(example, Tokenizer));
        }
        SeedData = packer.Sequences.Count >= budget.Batch ? MixtureDataset.FromSequences(packer.Sequences.Select(s => ("seed", s)))
            : throw new EngineException(ErrorKind.Usage,
                $"{Study.Path}: the seed's data is {packer.Sequences.Count} sequences of {Study.Units.Length} tokens; a batch of {budget.Batch} cannot be drawn from it",
                "raise seed.data or lower seed.batch");
    }
}
