using NativeEngine.Data;
using NativeEngine.Model;
using NativeEngine.Training;

namespace NativeEngine.Ablation;

/// <summary>
/// STUDY.yaml: what is ablated and how. Sections data, seed, units and training are read here; candidates, evaluation, search and confirm are
/// left as they stand for the parts that own them (<see cref="Section"/>). Unknown keys are refused with their line and a suggestion.
/// </summary>
public sealed class StudyFile
{
    /// <summary>The sections that others read.</summary>
    public static IReadOnlyList<string> OtherSections { get; } = ["candidates", "evaluation", "search", "confirm"];

    private const int MostFiles = 2048;

    private readonly IReadOnlyDictionary<string, StudyNode> _members;
    private readonly string? _folder;

    private StudyFile(StudyNode root, string path, string? folder, ulong? rngSeed)
    {
        (Path, _folder) = (path, folder);
        _members = root.Members(["data", "seed", "units", "training", "cache", "rng_seed", .. OtherSections]);
        Data = ReadData(_members.GetValueOrDefault("data") ?? throw root.Bad("has no data", "data: {train: FILE.jsonl}"));
        Seed = ReadSeed(_members.GetValueOrDefault("seed") ?? throw root.Bad("has no seed", "seed: {model: preset:0.2m, steps: 300}"));
        Units = ReadUnits(_members.GetValueOrDefault("units") ?? throw root.Bad("has no units", "units: {tokens: 100000}"));
        Training = ReadTraining(_members.GetValueOrDefault("training") ?? throw root.Bad("has no training", "training: {steps: 100}"), rngSeed ?? 1);
        Cache = _members.GetValueOrDefault("cache")?.Text() is { } cache ? InFolder(cache) : null;
        RngSeed = rngSeed ?? (ulong)(_members.GetValueOrDefault("rng_seed")?.Whole(0) ?? 1);
    }

    /// <summary>The file, as it was given.</summary>
    public string Path { get; }

    /// <summary>Its documents.</summary>
    public StudyData Data { get; }

    /// <summary>The seed model.</summary>
    public SeedSettings Seed { get; }

    /// <summary>The cut.</summary>
    public UnitSettings Units { get; }

    /// <summary>The unit models' training.</summary>
    public UnitTraining Training { get; }

    /// <summary>The unit cache's folder; null: "cache" in the output folder.</summary>
    public string? Cache { get; }

    /// <summary>Seed of what is drawn for the study as a whole: the held-out split, the seed model's training and weights.</summary>
    public ulong RngSeed { get; }

    /// <summary>
    /// Reads a file. <paramref name="rngSeed"/> stands in place of its rng_seed, and of training.seeds where it lists none. Errors: BadInput with file, line and a suggestion.
    /// </summary>
    public static StudyFile Load(string path, ulong? rngSeed = null) => new(StudyNode.Load(path), path, System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path)), rngSeed);

    /// <summary>Reads a text.</summary>
    public static StudyFile Parse(string yaml, string name = "study.yaml", string? folder = null) => new(StudyNode.Parse(yaml, name), name, folder, null);

    /// <summary>A section that another part reads ("candidates", "evaluation", "search", "confirm"), or null when the study has none.</summary>
    public StudyNode? Section(string name) => OtherSections.Contains(name) ? _members.GetValueOrDefault(name)
        : throw new ArgumentException($"{name} is none of {string.Join(", ", OtherSections)}", nameof(name));

    /// <summary>A path of the study: from the working directory when something is there, else from the study's own folder.</summary>
    public string Locate(string path) => File.Exists(path) || Directory.Exists(path) || _folder is null ? path
        : System.IO.Path.Combine(_folder, path) is var beside && (File.Exists(beside) || Directory.Exists(beside)) ? beside : path;

    private string InFolder(string path) => _folder is null ? path : System.IO.Path.Combine(_folder, path);

    private StudyData ReadData(StudyNode node)
    {
        var m = node.Members("train", "eval", "held_out", "by", "order_by", "prompt_field", "completion_field", "text_field", "on_bad_line", "decontaminate");
        var train = m.GetValueOrDefault("train")?.Texts() ?? throw node.Bad("has no train", "train: FILE.jsonl, a list of files, or builtin");
        var evaluation = m.GetValueOrDefault("eval")?.Texts() ?? [];
        if (train.Count + evaluation.Count > MostFiles)
        {
            throw node.Bad($"names {train.Count + evaluation.Count} files; at most {MostFiles} are read", "join them: cat *.jsonl > all.jsonl");
        }
        if (m.TryGetValue("held_out", out var share) && evaluation.Count > 0)
        {
            throw share.Bad("and eval exclude each other", "leave one of them out");
        }
        var fields = new JsonlOptions();
        return new StudyData(
            [.. train.Select(LocateData)], [.. evaluation.Select(LocateData)],
            share?.Number(0.001, 0.9) ?? 0.1,
            fields with
            {
                SourceField = m.GetValueOrDefault("by")?.Text() ?? fields.SourceField,
                PromptField = m.GetValueOrDefault("prompt_field")?.Text() ?? fields.PromptField,
                CompletionField = m.GetValueOrDefault("completion_field")?.Text() ?? fields.CompletionField,
                TextField = m.GetValueOrDefault("text_field")?.Text() ?? fields.TextField,
                OnBadLine = m.GetValueOrDefault("on_bad_line")?.Choice("fail", "skip") == "skip" ? BadLinePolicy.Skip : BadLinePolicy.Fail,
                KeepLines = m.ContainsKey("order_by"),
            },
            m.GetValueOrDefault("order_by")?.Text(),
            m.GetValueOrDefault("decontaminate")?.Flag() ?? true);
    }

    private string LocateData(string path) => path == StudyData.BuiltIn ? path : Locate(path);

    private SeedSettings ReadSeed(StudyNode node)
    {
        var m = node.Members(["model", "tokenizer", "data", .. _budgetKeys]);
        string model = m.GetValueOrDefault("model")?.Text() ?? throw node.Bad("has no model", $"model: DIR, or preset:NAME with NAME one of {string.Join(", ", ModelPresets.Names)}");
        bool preset = ModelPresets.NameIn(model) is not null;
        if (!preset && m.TryGetValue("tokenizer", out var given))
        {
            throw given.Bad("is for presets; a model folder has its own", "leave it out");
        }
        string tokenizer = m.GetValueOrDefault("tokenizer")?.Text() ?? "bytes";
        long steps = m.GetValueOrDefault("steps")?.Whole(0) ?? (preset ? throw node.Bad("has no steps; a preset's fresh weights need training before units can branch from them", "steps: 300, or steps: 0 for random weights") : 0);
        bool builtIn = m.GetValueOrDefault("data") is { } data && data.Text() == StudyData.BuiltIn;
        double share = builtIn || steps == 0 ? 0 : m.GetValueOrDefault("data")?.Number(0.001, 0.9) ?? 0.1;
        return new SeedSettings(
            preset ? model : Locate(model), tokenizer is "bytes" || tokenizer.StartsWith("bpe:", StringComparison.Ordinal) ? tokenizer : Locate(tokenizer),
            share, builtIn, steps == 0 ? null : ReadBudget(m, steps, 3e-3, ScheduleShape.Cosine, 0.03));
    }

    private UnitSettings ReadUnits(StudyNode node)
    {
        var m = node.Members("tokens", "tolerance", "length", "import");
        var imports = (m.GetValueOrDefault("import")?.Items() ?? []).Select(item =>
        {
            var i = item.Members("unit", "source", "model");
            string name = i.GetValueOrDefault("unit")?.Text() ?? throw item.Bad("needs unit: a name", "import: [{unit: NAME, model: DIR}]");
            return new UnitImport(name, i.GetValueOrDefault("source")?.Text() ?? name, i.GetValueOrDefault("model")?.Text() ?? throw item.Bad("needs model: a folder", "import: [{unit: NAME, model: DIR}]"));
        }).ToList();
        return new UnitSettings(
            m.GetValueOrDefault("tokens")?.Whole(1) ?? throw node.Bad("has no tokens", "tokens: the size of a unit, as 100000"),
            m.GetValueOrDefault("tolerance")?.Number(0.01, 1) ?? 0.25,
            (int)(m.GetValueOrDefault("length")?.Whole(8, 1 << 20) ?? 256),
            imports);
    }

    private static UnitTraining ReadTraining(StudyNode node, ulong seed)
    {
        var m = node.Members([.. _budgetKeys, "pull", "lora_rank", "lora_alpha", "lora_targets", "seeds", "fractions"]);
        long steps = m.GetValueOrDefault("steps")?.Whole(1) ?? throw node.Bad("has no steps", "steps: the budget of one unit, as 100");
        var fractions = (m.GetValueOrDefault("fractions")?.Items() ?? []).Select(item => item.Number(0.01, 1)).DefaultIfEmpty(1).Append(1).Distinct().Order().ToList();
        if (!m.ContainsKey("fractions"))
        {
            fractions = [0.25, 0.5, 1];
        }
        LoraOptions? lora = null;
        if (m.TryGetValue("lora_rank", out var rank) && rank.Whole(0, 4096) is > 0 and var r)
        {
            var targets = LoraOptions.Projections(m.GetValueOrDefault("lora_targets")?.Texts() ?? ["q", "k", "v", "o"]);
            lora = new LoraOptions((int)r, (float)(m.GetValueOrDefault("lora_alpha")?.Number(0) ?? 2.0 * r), targets);
        }
        double pull = m.GetValueOrDefault("pull")?.Number(0) ?? 0;
        if (pull > 0 && lora is not null)
        {
            throw m["pull"].Bad("and lora_rank exclude each other: an adapter starts at the seed and is small already", "leave one of them out");
        }
        ulong[] seeds = [.. (m.GetValueOrDefault("seeds")?.Items() ?? []).Select(item => (ulong)item.Whole(0)).Distinct()];
        return new UnitTraining(ReadBudget(m, steps, 1e-3, ScheduleShape.Constant, 0), pull, lora, seeds.Length > 0 ? seeds : [seed], fractions);
    }

    private static readonly string[] _budgetKeys = ["steps", "batch", "lr", "schedule", "warmup", "clip", "optimizer", "beta1", "beta2", "weight_decay"];

    private static StudyBudget ReadBudget(IReadOnlyDictionary<string, StudyNode> m, long steps, double rate, ScheduleShape shape, double warmup)
    {
        var optimizer = new OptimizerOptions(
            Enum.Parse<OptimizerKind>(m.GetValueOrDefault("optimizer")?.Choice("adamw", "sgd", "lion") ?? "adamw", ignoreCase: true),
            (float)(m.GetValueOrDefault("beta1")?.Number(0, 1) ?? 0.9), (float)(m.GetValueOrDefault("beta2")?.Number(0, 1) ?? 0.95),
            WeightDecay: (float)(m.GetValueOrDefault("weight_decay")?.Number(0) ?? 0));
        return new StudyBudget(
            steps, (int)(m.GetValueOrDefault("batch")?.Whole(1, 1 << 16) ?? 16), m.GetValueOrDefault("lr")?.Number(1e-12) ?? rate,
            m.GetValueOrDefault("schedule") is { } s ? Enum.Parse<ScheduleShape>(s.Choice("constant", "cosine", "linear"), ignoreCase: true) : shape,
            m.GetValueOrDefault("warmup")?.Number(0, 1) ?? warmup, m.GetValueOrDefault("clip")?.Number(0) ?? 1, optimizer);
    }
}
