using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using NativeEngine.Data;
using NativeEngine.Model;

namespace NativeEngine.Ablation;

/// <summary>
/// What a trained model depends on, as named values, and the hash of them: equal keys are equal bytes, so what has a key is trained once. The names
/// are stored beside the model, so that every figure can be traced to what made it.
/// </summary>
public sealed class UnitKey
{
    /// <summary>Raised whenever a change of this program changes the bytes that a training ends with.</summary>
    public const string TrainingCode = "1";

    private UnitKey(string label, IEnumerable<(string Name, string Value)> fields)
    {
        Label = label;
        Fields = new SortedDictionary<string, string>(fields.ToDictionary(f => f.Name, f => f.Value), StringComparer.Ordinal);
        Hash = HashOf(Fields);
    }

    /// <summary>For people: "unit algebra.1". No part of the hash.</summary>
    public string Label { get; }

    /// <summary>The named values.</summary>
    public IReadOnlyDictionary<string, string> Fields { get; }

    /// <summary>SHA-256 of the named values, in hexadecimal.</summary>
    public string Hash { get; }

    /// <summary>The hash of named values: of "name=value" lines in ordinal order of the names.</summary>
    public static string HashOf(IReadOnlyDictionary<string, string> fields) => HashOf(string.Concat(
        fields.OrderBy(f => f.Key, StringComparer.Ordinal).Select(f => $"{f.Key}={f.Value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal)}\n")));

    /// <inheritdoc/>
    public override string ToString() => $"{Label} ({Hash[..12]})";

    /// <summary>The seed model: its start, its data and its budget. Cost: a folder's weights are read once.</summary>
    internal static UnitKey OfSeed(StudyPlan plan, string? data)
    {
        var seed = plan.Study.Seed;
        return new UnitKey("seed", [
            .. Common(plan, "seed"), ("start", StartOf(seed.Model)), ("data", data ?? "none"),
            ("budget", seed.Budget is { } budget ? Text(budget, 1) : "none"), ("rng_seed", Text(plan.Study.RngSeed)),
        ]);
    }

    /// <summary>A unit's model.</summary>
    internal static UnitKey OfUnit(StudyPlan plan, UnitKey seed, DataUnit unit, ulong rngSeed)
    {
        var t = plan.Study.Training;
        return new UnitKey($"unit {unit.Name}{(t.Seeds.Count > 1 ? $", seed {rngSeed}" : "")}", [
            .. Common(plan, "unit"), ("start", seed.Hash), ("data", unit.SequenceHash), ("documents", unit.ContentHash), ("budget", Text(t.Budget, 1)),
            ("pull", Text(t.Pull)), ("lora", t.Lora is { } l ? $"rank {l.Rank}, alpha {Text(l.Alpha)}, {string.Join(",", l.Targets)}" : "none"),
            ("fractions", string.Join(",", t.Fractions.Select(Text))), ("rng_seed", Text(rngSeed)),
        ]);
    }

    /// <summary>The true training of a mixture: <paramref name="data"/> is the hash of the sequences it trains on.</summary>
    internal static UnitKey OfMixture(StudyPlan plan, UnitKey seed, string label, string data, long times, ulong rngSeed) =>
        new($"mixture {label}", [
            .. Common(plan, "mixture"), ("start", seed.Hash), ("data", data), ("budget", Text(plan.Study.Training.Budget, times)), ("rng_seed", Text(rngSeed)),
        ]);

    /// <summary>A model from elsewhere.</summary>
    internal static UnitKey OfImport(StudyPlan plan, UnitKey seed, DataUnit unit, string content) =>
        new($"unit {unit.Name}, imported", [.. Common(plan, "import"), ("seed", seed.Hash), ("content", content)]);

    /// <summary>SHA-256 of a text, in hexadecimal.</summary>
    internal static string HashOf(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));

    /// <summary>SHA-256 of the weights and the configuration of a folder's files.</summary>
    internal static string HashOfFolder(string folder)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string file in Directory.EnumerateFiles(folder).Where(f => f.EndsWith(".safetensors", StringComparison.Ordinal) || f.EndsWith(".json", StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            using var stream = File.OpenRead(file);
            hash.AppendData(Encoding.UTF8.GetBytes(Path.GetFileName(file) + "\0"));
            hash.AppendData(SHA256.HashData(stream));
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static IEnumerable<(string, string)> Common(StudyPlan plan, string kind) =>
    [
        ("kind", kind), ("config", Text(plan.Config)), ("tokenizer", HashOf(plan.Tokenizer)), ("numbers", "float32"),
        ("code", $"{typeof(UnitKey).Assembly.GetName().Version?.ToString(3)}/{TrainingCode}"),
    ];

    private static string StartOf(string model) => ModelPresets.NameIn(model) is not null ? model : HashOfFolder(model);

    private static string HashOf(Tokenizer tokenizer)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{tokenizer.VocabularySize} {tokenizer.BosId} {tokenizer.EosId} {tokenizer.AddsBos}\n");
        for (int id = 0; id < tokenizer.VocabularySize; id++)
        {
            text.Append(tokenizer.TokenText(id)).Append('\n');
        }
        return HashOf(text.ToString());
    }

    private static string Text(StudyBudget b, long times) => string.Create(CultureInfo.InvariantCulture,
        $"{b.Steps * times} steps of {b.Batch}, {b.Schedule} from {b.LearningRate:R}, warm-up {b.Warmup:R}, clip {b.ClipNorm:R}, {b.Optimizer.Kind} {b.Optimizer.Beta1:R} {b.Optimizer.Beta2:R} {b.Optimizer.Epsilon:R} decay {b.Optimizer.WeightDecay:R}");

    private static string Text(LlamaConfig c) => string.Create(CultureInfo.InvariantCulture,
        $"V{c.VocabularySize} C{c.HiddenSize} I{c.IntermediateSize} L{c.Layers} H{c.Heads}/{c.KeyValueHeads}x{c.HeadSize} T{c.ContextLength} eps {c.NormEpsilon:R} theta {c.RopeTheta:R} tied {c.TiedEmbeddings}");

    private static string Text(double value) => value.ToString("R", CultureInfo.InvariantCulture);

    private static string Text(ulong value) => value.ToString(CultureInfo.InvariantCulture);
}
