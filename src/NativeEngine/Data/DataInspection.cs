namespace NativeEngine.Data;

/// <summary>Lengths of a set of texts: nearest-rank quantiles (the smallest value that at least a share q of the values do not exceed).</summary>
/// <param name="Minimum">The shortest.</param>
/// <param name="Median">q = 0.5.</param>
/// <param name="P90">q = 0.9.</param>
/// <param name="P99">q = 0.99.</param>
/// <param name="Maximum">The longest.</param>
public sealed record LengthQuantiles(int Minimum, int Median, int P90, int P99, int Maximum)
{
    /// <summary>Of a non-empty list, which is sorted in place.</summary>
    internal static LengthQuantiles Of(List<int> lengths)
    {
        lengths.Sort();
        int At(int percent) => lengths[(int)(((long)lengths.Count * percent + 99) / 100) - 1];
        return new LengthQuantiles(lengths[0], At(50), At(90), At(99), lengths[^1]);
    }
}

/// <summary>One source of an inspected mixture.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Examples">Examples.</param>
/// <param name="Share">Examples over all examples.</param>
/// <param name="Bytes">UTF-8 bytes of the training texts.</param>
/// <param name="Tokens">Tokens of the training texts, special tokens included; null without a tokenizer.</param>
/// <param name="Duplicates">Examples whose training text has been seen before, in any source.</param>
/// <param name="Small">Whether it is small by the mean rule: fewer examples than all examples / number of sources.</param>
/// <param name="Lengths">Quantiles of the length in tokens, or in bytes without a tokenizer.</param>
public sealed record SourceInspection(string Name, int Examples, double Share, long Bytes, long? Tokens, int Duplicates, bool Small,
    LengthQuantiles Lengths);

/// <summary>What a data file holds, for people to look at before they train.</summary>
public sealed record DataInspection
{
    /// <summary>The file.</summary>
    public required string Name { get; init; }

    /// <summary>Lines, blank and bad ones included.</summary>
    public required long Lines { get; init; }

    /// <summary>Usable examples.</summary>
    public required int Examples { get; init; }

    /// <summary>Lines that are no usable example.</summary>
    public required long BadLineCount { get; init; }

    /// <summary>The first of them with their reasons.</summary>
    public required IReadOnlyList<BadLine> BadLines { get; init; }

    /// <summary>UTF-8 bytes of the training texts.</summary>
    public required long Bytes { get; init; }

    /// <summary>Tokens of the training texts, or null without a tokenizer.</summary>
    public required long? Tokens { get; init; }

    /// <summary>Examples whose training text has been seen before.</summary>
    public required int Duplicates { get; init; }

    /// <summary>Quantiles of the length in tokens, or in bytes without a tokenizer.</summary>
    public required LengthQuantiles Lengths { get; init; }

    /// <summary>The sources in the order of their ids.</summary>
    public required IReadOnlyList<SourceInspection> Sources { get; init; }

    /// <summary>
    /// Reads a whole file. Memory: 12 bytes an example. Duplicates are found by a 64-bit hash of the text (chance of a false one
    /// below 10⁻⁷ for a million examples).
    /// </summary>
    public static DataInspection Run(JsonlReader reader, Tokenizer? tokenizer, CancellationToken cancellation = default)
    {
        var tallies = new Dictionary<string, Tally>(StringComparer.Ordinal);
        var seen = new HashSet<ulong>();
        foreach (var example in reader.Read(cancellation))
        {
            if (!tallies.TryGetValue(example.Source, out var tally))
            {
                tallies.Add(example.Source, tally = new Tally());
            }
            string text = example.Text;
            int bytes = System.Text.Encoding.UTF8.GetByteCount(text);
            int tokens = tokenizer?.Encode(text).Ids.Length ?? 0;
            tally.Bytes += bytes;
            tally.Tokens += tokens;
            tally.Lengths.Add(tokenizer is null ? bytes : tokens);
            tally.Duplicates += seen.Add(TextHash.Of(text)) ? 0 : 1;
        }
        int examples = (int)reader.ExampleCount;
        string[] names = SourceOrder.Sort(tallies.Keys);
        return new DataInspection
        {
            Name = reader.Name,
            Lines = reader.LineCount,
            Examples = examples,
            BadLineCount = reader.BadLineCount,
            BadLines = [.. reader.BadLines],
            Bytes = tallies.Values.Sum(static t => t.Bytes),
            Tokens = tokenizer is null ? null : tallies.Values.Sum(static t => t.Tokens),
            Duplicates = tallies.Values.Sum(static t => t.Duplicates),
            Lengths = LengthQuantiles.Of([.. tallies.Values.SelectMany(static t => t.Lengths)]),
            Sources = [.. names.Select(name => tallies[name].Result(name, examples, names.Length, tokenizer is not null))],
        };
    }

    private sealed class Tally
    {
        public long Bytes { get; set; }
        public long Tokens { get; set; }
        public int Duplicates { get; set; }
        public List<int> Lengths { get; } = [];

        public SourceInspection Result(string name, int total, int sources, bool tokens) => new(name, Lengths.Count,
            (double)Lengths.Count / total, Bytes, tokens ? Tokens : null, Duplicates, (long)Lengths.Count * sources < total,
            LengthQuantiles.Of(Lengths));
    }
}
