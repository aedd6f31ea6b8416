using System.Globalization;

namespace NativeEngine.Data;

/// <summary>Which tokens of an example with a prompt the loss covers.</summary>
public enum LossOn
{
    /// <summary>The completion only: the tokens whose first byte is at or after the completion's first byte, and EOS.</summary>
    Completion,
    /// <summary>Every token after the first.</summary>
    All,
}

/// <summary>How texts become token sequences.</summary>
public sealed record DatasetOptions
{
    /// <summary>The longest sequence in tokens; what is beyond is cut off and counted.</summary>
    public required int MaxLength { get; init; }

    /// <summary>Which tokens are labels.</summary>
    public LossOn LossOn { get; init; } = LossOn.Completion;

    /// <summary>Whether EOS ends every example that is not cut off (if the tokenizer has one and does not add it itself).</summary>
    public bool AppendEos { get; init; } = true;

    /// <summary>Training: loss on the completion, EOS appended.</summary>
    public static DatasetOptions Training(int maxLength, LossOn lossOn = LossOn.Completion) =>
        new() { MaxLength = maxLength, LossOn = lossOn };

    /// <summary>Evaluation: every token after the first is scored, no EOS.</summary>
    public static DatasetOptions Evaluation(int maxLength) =>
        new() { MaxLength = maxLength, LossOn = LossOn.All, AppendEos = false };
}

/// <summary>What became of the examples: <c>Kept + NoLabel = Read</c>.</summary>
public sealed record DatasetReport
{
    /// <summary>Examples read.</summary>
    public int Read { get; init; }

    /// <summary>Examples in the dataset.</summary>
    public int Kept { get; init; }

    /// <summary>Examples left out because no token of theirs is a label.</summary>
    public int NoLabel { get; init; }

    /// <summary>Of <see cref="NoLabel"/>, those that had labels before they were cut off.</summary>
    public int NoLabelAfterTruncation { get; init; }

    /// <summary>Examples cut off at the longest length, those left out included.</summary>
    public int Truncated { get; init; }

    /// <summary>Tokens beyond the longest length.</summary>
    public long TokensLost { get; init; }

    /// <summary>Tokens in the dataset.</summary>
    public long Tokens { get; init; }

    /// <summary>Label tokens in the dataset.</summary>
    public long LabelTokens { get; init; }

    /// <summary>The counts as a sentence.</summary>
    public override string ToString()
    {
        string text = string.Create(CultureInfo.InvariantCulture, $"{Kept} of {Read} examples, {Tokens} tokens, {LabelTokens} with a loss");
        if (Truncated > 0)
        {
            text += string.Create(CultureInfo.InvariantCulture, $"; {Truncated} cut short, losing {TokensLost} tokens");
        }
        if (NoLabel > 0)
        {
            text += string.Create(CultureInfo.InvariantCulture, $"; {NoLabel} left out without a token to learn ({NoLabelAfterTruncation} because they were cut)");
        }
        return text;
    }
}

/// <summary>
/// The tokenised examples of a mixture with their source ids. Source ids are positions in <see cref="Sources"/>, which is in the
/// order of <see cref="SourceOrder"/>; a source all of whose examples were left out keeps its id with size 0.
/// <para>The whole text is tokenised at once, so tokens may span the boundary between prompt and completion; such a token belongs
/// to the prompt. Token t of an example is a label when <c>t ≥ LabelStart</c>, and LabelStart is at least 1, because the first token
/// has nothing to be predicted from. Examples without a label are left out and counted. Memory: 4 bytes a token, 32 an example.</para>
/// </summary>
public sealed class MixtureDataset
{
    private const int ChunkTokens = 1 << 18;

    private readonly List<int[]> _chunks = [];
    private readonly List<Row> _rows = [];
    private int[] _sourceIds = [];
    private int[] _sourceSizes = [];
    private int _used;

    private MixtureDataset(DatasetOptions options) => Options = options;

    private readonly record struct Row(int Chunk, int Start, int Length, int LabelStart, int CompletionStart, int LabelBytes, int InputIndex,
        int Source);

    /// <summary>How it was made.</summary>
    public DatasetOptions Options { get; }

    /// <summary>The names of the sources in order; the index is the source id.</summary>
    public IReadOnlyList<string> Sources { get; private set; } = [];

    /// <summary>Examples per source id.</summary>
    public ReadOnlySpan<int> SourceSizes => _sourceSizes;

    /// <summary>The number of examples.</summary>
    public int Count => _rows.Count;

    /// <summary>What was kept, cut off and left out.</summary>
    public DatasetReport Report { get; private set; } = new();

    /// <summary>The source id of an example.</summary>
    public int SourceOf(int index) => _sourceIds[index];

    /// <summary>The tokens of an example.</summary>
    public ReadOnlySpan<int> Tokens(int index)
    {
        var row = _rows[index];
        return _chunks[row.Chunk].AsSpan(row.Start, row.Length);
    }

    /// <summary>The first token that is a label; at least 1.</summary>
    public int LabelStart(int index) => _rows[index].LabelStart;

    /// <summary>The first token of the completion, whatever the labels are; 1 for a text without a prompt, the length when it was cut off.</summary>
    public int CompletionStart(int index) => _rows[index].CompletionStart;

    /// <summary>The number of label tokens; at least 1.</summary>
    public int LabelCount(int index) => _rows[index].Length - _rows[index].LabelStart;

    /// <summary>The UTF-8 bytes the label tokens cover, for bits per byte.</summary>
    public int LabelBytes(int index) => _rows[index].LabelBytes;

    /// <summary>The 0-based position of an example among the examples read (left out ones count).</summary>
    public int InputIndex(int index) => _rows[index].InputIndex;

    /// <summary>The same examples under other sources: ids are positions in names, one for every example.</summary>
    public MixtureDataset WithSources(IReadOnlyList<string> names, int[] ids)
    {
        if (ids.Length != Count || ids.Any(id => id < 0 || id >= names.Count))
        {
            throw new ArgumentException($"{ids.Length} source ids below {names.Count} are wanted for {Count} examples", nameof(ids));
        }
        var other = (MixtureDataset)MemberwiseClone();
        (other.Sources, other._sourceIds, other._sourceSizes) = (names, ids, new int[names.Count]);
        foreach (int id in ids)
        {
            other._sourceSizes[id]++;
        }
        return other;
    }

    /// <summary>
    /// Tokenises examples. None left is an error (<see cref="ErrorKind.BadInput"/>).
    /// </summary>
    public static MixtureDataset Build(IEnumerable<Example> examples, Tokenizer tokenizer, DatasetOptions options,
        CancellationToken cancellation = default)
    {
        if (options.MaxLength < 2)
        {
            throw new EngineException(ErrorKind.Usage,
                $"tokenizing a mixture: expected a longest sequence of at least 2 tokens, got {options.MaxLength}", "--seq-len 128");
        }
        var dataset = new MixtureDataset(options);
        var names = new Dictionary<string, int>(StringComparer.Ordinal);
        var report = new DatasetReport();
        foreach (var example in examples)
        {
            cancellation.ThrowIfCancellationRequested();
            if (!names.TryGetValue(example.Source, out int source))
            {
                names.Add(example.Source, source = names.Count);
            }
            report = dataset.Add(example, source, tokenizer, report);
        }
        dataset.Finish(names, report);
        return dataset;
    }

    /// <summary>
    /// A dataset of token sequences whose every token but the first is a label; a sequence given several times is held once. Bytes of labels are not
    /// known and 0. Errors: BadInput when there is none, or one of fewer than two tokens.
    /// </summary>
    public static MixtureDataset FromSequences(IEnumerable<(string Source, int[] Tokens)> sequences)
    {
        var dataset = new MixtureDataset(new DatasetOptions { MaxLength = int.MaxValue, LossOn = LossOn.All });
        var names = new Dictionary<string, int>(StringComparer.Ordinal);
        var chunks = new Dictionary<int[], int>(ReferenceEqualityComparer.Instance);
        long tokens = 0;
        foreach (var (source, ids) in sequences)
        {
            if (ids.Length < 2)
            {
                throw new EngineException(ErrorKind.BadInput, $"sequence {dataset._rows.Count} of {source} has {ids.Length} tokens, at least 2 are needed");
            }
            if (!names.TryGetValue(source, out int id))
            {
                names.Add(source, id = names.Count);
            }
            if (!chunks.TryGetValue(ids, out int chunk))
            {
                chunks.Add(ids, chunk = dataset._chunks.Count);
                dataset._chunks.Add(ids);
            }
            dataset._rows.Add(new Row(chunk, 0, ids.Length, 1, 1, 0, dataset._rows.Count, id));
            tokens += ids.Length;
        }
        int count = dataset._rows.Count;
        dataset.Finish(names, new DatasetReport { Read = count, Kept = count, Tokens = tokens, LabelTokens = tokens - count });
        return dataset;
    }

    private DatasetReport Add(Example example, int source, Tokenizer tokenizer, DatasetReport report)
    {
        string text = example.Text;
        var encoded = tokenizer.Encode(text);
        int[] ids = encoded.Ids;
        bool eos = Options.AppendEos && tokenizer.EosId is { } id && (ids.Length == 0 || ids[^1] != id);
        int full = ids.Length + (eos ? 1 : 0);
        int length = Math.Min(full, Options.MaxLength);
        int completionStart = 1;
        if (example.CompletionStart > 0)
        {
            int boundary = System.Text.Encoding.UTF8.GetByteCount(text.AsSpan(0, example.CompletionStart));
            int first = Array.BinarySearch(encoded.Starts, boundary);
            first = first < 0 ? ~first : first;
            while (first > 0 && encoded.Starts[first - 1] == boundary)
            {
                first--;
            }
            completionStart = Math.Max(1, first);
        }
        int labelStart = Options.LossOn == LossOn.Completion ? completionStart : 1;
        report = report with
        {
            Read = report.Read + 1,
            Truncated = report.Truncated + (full > length ? 1 : 0),
            TokensLost = report.TokensLost + full - length,
        };
        if (length <= labelStart)
        {
            return report with
            {
                NoLabel = report.NoLabel + 1,
                NoLabelAfterTruncation = report.NoLabelAfterTruncation + (full > labelStart ? 1 : 0),
            };
        }
        int firstByte = labelStart < ids.Length ? encoded.Starts[labelStart] : encoded.ByteLength;
        int endByte = length < ids.Length ? encoded.Starts[length] : encoded.ByteLength;
        var target = Reserve(length, out int chunk, out int start);
        ids.AsSpan(0, Math.Min(length, ids.Length)).CopyTo(target);
        if (length > ids.Length)
        {
            target[^1] = tokenizer.EosId!.Value;
        }
        _rows.Add(new Row(chunk, start, length, labelStart, Math.Min(completionStart, length), endByte - firstByte, report.Read - 1, source));
        return report with
        {
            Kept = report.Kept + 1,
            Tokens = report.Tokens + length,
            LabelTokens = report.LabelTokens + length - labelStart,
        };
    }

    private Span<int> Reserve(int length, out int chunk, out int start)
    {
        if (_chunks.Count == 0 || _used + length > _chunks[^1].Length)
        {
            _chunks.Add(new int[Math.Max(ChunkTokens, length)]);
            _used = 0;
        }
        chunk = _chunks.Count - 1;
        start = _used;
        _used += length;
        return _chunks[chunk].AsSpan(start, length);
    }

    private void Finish(Dictionary<string, int> names, DatasetReport report)
    {
        Report = report;
        if (_rows.Count == 0)
        {
            throw new EngineException(ErrorKind.BadInput,
                $"tokenizing a mixture: none of its {report.Read} examples has a label within {Options.MaxLength} tokens",
                report.NoLabelAfterTruncation > 0 ? "allow longer sequences: a larger --seq-len, or --loss-on all" : "an example needs at least two tokens");
        }
        string[] sorted = SourceOrder.Sort(names.Keys);
        var idOf = new int[sorted.Length];
        for (int i = 0; i < sorted.Length; i++)
        {
            idOf[names[sorted[i]]] = i;
        }
        Sources = sorted;
        _sourceSizes = new int[sorted.Length];
        _sourceIds = new int[_rows.Count];
        for (int i = 0; i < _rows.Count; i++)
        {
            _sourceIds[i] = idOf[_rows[i].Source];
            _sourceSizes[_sourceIds[i]]++;
        }
    }
}
