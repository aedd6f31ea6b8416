using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

/// <summary>A source of the training data: its number of examples, the mean number of tokens of one, and whether it is small.</summary>
internal sealed record Source(string Name, int Examples, double Tokens, bool Small);

/// <summary>The training file, the held-out file cut to the trained length, and what is known of the sources.</summary>
internal sealed class StudyData
{
    public string Train { get; }
    public string Eval { get; }
    public SortedDictionary<string, Source> Sources { get; } = new(StringComparer.Ordinal);
    public double MeanTokens { get; }
    public double EvalTokens { get; }
    public JsonObject Hashes { get; } = [];

    public StudyData(Settings s, string folder)
    {
        Train = s.Train ?? Path.Combine(folder, "train.jsonl");
        string eval = s.Eval ?? Path.Combine(folder, "valid.jsonl");
        if (s.Train is null)
        {
            Engine.Run(["data", "synth", "--count", "6000", "--valid", eval, "--valid-count", "800", "--seed", "1", "--quiet", "--output", Train]);
        }
        var lengths = Read(Train).Select(e => (e.Source, Tokens: Math.Min(s.Length, Encoding.UTF8.GetByteCount(e.Text) + 2) - 1)).ToList();
        var groups = lengths.GroupBy(e => e.Source).ToList();
        foreach (var group in groups)
        {
            Sources[group.Key] = new Source(group.Key, group.Count(), group.Average(e => e.Tokens), (long)group.Count() * groups.Count < lengths.Count);
        }
        MeanTokens = lengths.Average(e => e.Tokens);

        // No position is scored that training never saw. A token is at least a byte, so a cut in bytes is a cut in tokens.
        Eval = Path.Combine(folder, "eval-cut.jsonl");
        using var cut = new StreamWriter(Eval);
        foreach (var (source, text) in Read(eval))
        {
            string kept = Cut(text, s.Length - 1);
            EvalTokens += Encoding.UTF8.GetByteCount(kept);
            cut.Write(new JsonObject { ["source"] = source, ["text"] = kept }.ToJsonString() + "\n");
        }
        Hashes["train"] = Hash(Train);
        Hashes["eval"] = Hash(eval);
    }

    public static string Hash(string file) => Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(file)));

    private static string Cut(string text, int bytes)
    {
        var kept = new StringBuilder();
        foreach (var rune in text.EnumerateRunes())
        {
            bytes -= rune.Utf8SequenceLength;
            if (bytes < 0)
            {
                break;
            }
            kept.Append(rune.ToString());
        }
        return kept.ToString();
    }

    private static IEnumerable<(string Source, string Text)> Read(string file)
    {
        if (!File.Exists(file))
        {
            throw new StudyException(3, $"{file} does not exist");
        }
        int line = 0;
        foreach (string text in File.ReadLines(file))
        {
            line++;
            if (string.IsNullOrWhiteSpace(text))
            {
                continue;
            }
            var node = JsonNode.Parse(text);
            string? source = (string?)node?["source"], whole = (string?)node?["text"], prompt = (string?)node?["prompt"], completion = (string?)node?["completion"];
            yield return source is null || (whole ?? prompt) is null
                ? throw new StudyException(3, $"{file}, line {line}: expected a source and a text or a prompt and a completion")
                : (source, whole ?? prompt + "\n" + completion);
        }
    }
}
