using NativeEngine.Data;
using NativeEngine.Formats;

namespace NativeEngine.Merging;

/// <summary>How one model's vocabulary relates to that of the result.</summary>
/// <param name="Model">As the recipe names it.</param>
/// <param name="Tokens">Tokens of the model.</param>
/// <param name="SameId">Tokens of the result that have the same id in the model.</param>
/// <param name="Moved">Tokens of the result that have another id in the model.</param>
/// <param name="Filled">Tokens of the result that the model lacks; their rows come from the base, the only owner, or the mean of the owners.</param>
/// <param name="Dropped">Tokens of the model that the result does not have.</param>
public sealed record VocabularyReport(string Model, int Tokens, int SameId, int Moved, int Filled, int Dropped);

/// <summary>
/// Rows of embeddings and output matrices of models with different vocabularies, brought together by token string. The result has the
/// tokens of the base (or first) model, of another one, or the union: the base's ids first, then the new tokens of the others in order.
/// A row that a model lacks is the base's, else the only owner's, else the mean of all owners'. Rows without a token (padding) stay at
/// their index.
/// </summary>
internal sealed class VocabularyAlignment
{
    private readonly Dictionary<MergeInput, TokenVocabulary> _vocabularies;
    private readonly MergeInput? _base;
    private readonly string?[] _tokens;

    private VocabularyAlignment(Dictionary<MergeInput, TokenVocabulary> vocabularies, MergeInput? baseInput, string?[] tokens, TokenVocabulary source, bool isUnion)
    {
        (_vocabularies, _base, _tokens, Source, IsUnion) = (vocabularies, baseInput, tokens, source, isUnion);
        Reports = [.. vocabularies.Select(pair => Report(pair.Key.Reference, pair.Value))];
    }

    /// <summary>The tokenizer whose files the result gets.</summary>
    public TokenVocabulary Source { get; }

    /// <summary>Whether tokens of other models are added to it.</summary>
    public bool IsUnion { get; }

    /// <summary>Rows of the result's embedding.</summary>
    public int Rows => _tokens.Length;

    /// <summary>Tokens by id beyond those of <see cref="Source"/>.</summary>
    public IEnumerable<(string Token, int Id)> Added => Enumerable.Range(0, Rows)
        .Where(id => _tokens[id] is { } token && !Source.Ids.ContainsKey(token)).Select(id => (_tokens[id]!, id));

    /// <summary>One line for every model.</summary>
    public IReadOnlyList<VocabularyReport> Reports { get; }

    /// <summary>Whether a tensor has one row for every token.</summary>
    public static bool IsVocabularyTensor(string name) => name.EndsWith("embed_tokens.weight", StringComparison.Ordinal)
        || name.EndsWith("lm_head.weight", StringComparison.Ordinal) || name.EndsWith("wte.weight", StringComparison.Ordinal)
        || name.EndsWith("embed_in.weight", StringComparison.Ordinal) || name.EndsWith("embed_out.weight", StringComparison.Ordinal);

    /// <summary>
    /// The alignment of these models, or null when nothing needs it: equal vocabularies and row counts, or no tokenizers to tell tokens by
    /// (then shapes that differ are refused as any other). Errors: BadInput for a tokenizer_source that is none of the choices.
    /// </summary>
    public static VocabularyAlignment? Make(string? tokenizerSource, MergeInput donor, MergeInput? baseInput, IReadOnlyList<MergeInput> inputs)
    {
        var vocabularies = ReadAll(donor, inputs);
        var source = vocabularies.GetValueOrDefault(donor);
        bool union = tokenizerSource == "union";
        MergeInput? chosen = donor;
        if (tokenizerSource is not (null or "base" or "union"))
        {
            chosen = inputs.FirstOrDefault(input => input.Reference == tokenizerSource);
            source = chosen is null ? TokenVocabulary.Read(tokenizerSource) : vocabularies.GetValueOrDefault(chosen);
            if (source is null)
            {
                throw new EngineException(ErrorKind.BadInput, $"tokenizer_source {tokenizerSource} is no folder with a {TokenizerFile.FileName}",
                    "give base, union, a model of the recipe, or a folder");
            }
        }
        if (source is null || vocabularies.Count < inputs.Count)
        {
            return null;
        }
        var rows = inputs.Select(RowsOf).ToList();
        if (vocabularies.Values.All(source.Agrees) && rows.Distinct().Count() == 1)
        {
            return null;
        }
        return new VocabularyAlignment(vocabularies, baseInput, Tokens(source, chosen is null ? 0 : RowsOf(chosen), union ? vocabularies.Values : []), source, union);
    }

    /// <summary>
    /// Replaces readers of vocabulary tensors by aligned ones, in place. Returns a sentence when a row can be made from no model.
    /// </summary>
    public string? Align(IReadOnlyList<MergeInput> inputs, List<MergeTensor> readers)
    {
        var own = inputs.Select((input, i) => OwnRows(_vocabularies[input], readers[i].Shape[0])).ToList();
        int baseAt = _base is null ? -1 : inputs.ToList().IndexOf(_base);
        var owners = new int[Rows][];
        for (int row = 0; row < Rows; row++)
        {
            owners[row] = baseAt >= 0 && own[baseAt][row] >= 0 ? [baseAt] : [.. Enumerable.Range(0, inputs.Count).Where(i => own[i][row] >= 0)];
            if (owners[row].Length == 0 && _tokens[row] is { } token)
            {
                return $"no model has a row for the token {FormatErrors.Quote(token)}";
            }
        }
        MergeTensor[] plain = [.. readers];
        for (int i = 0; i < readers.Count; i++)
        {
            readers[i] = new AlignedRows(plain, own, owners, i);
        }
        return null;
    }

    private static Dictionary<MergeInput, TokenVocabulary> ReadAll(MergeInput donor, IReadOnlyList<MergeInput> inputs)
    {
        var all = new Dictionary<MergeInput, TokenVocabulary>();
        var known = TokenVocabulary.Read(donor.Folder);
        byte[]? bytes = known is null ? null : File.ReadAllBytes(Path.Combine(donor.Folder!, TokenizerFile.FileName));
        foreach (var input in inputs)
        {
            string file = Path.Combine(input.Folder ?? "", TokenizerFile.FileName);
            bool same = known is not null && input.Folder is not null && File.Exists(file) && File.ReadAllBytes(file).AsSpan().SequenceEqual(bytes);
            if ((same ? known : TokenVocabulary.Read(input.Folder)) is { } vocabulary)
            {
                all[input] = vocabulary;
            }
        }
        return all;
    }

    private static int RowsOf(MergeInput input) =>
        input.Tensors.FirstOrDefault(t => IsVocabularyTensor(t.Name) && t.Shape.Length == 2) is { } tensor ? checked((int)tensor.Shape[0]) : 0;

    private static string?[] Tokens(TokenVocabulary source, int rows, IEnumerable<TokenVocabulary> others)
    {
        var tokens = source.ById.ToList();
        var known = new HashSet<string>(source.Ids.Keys, StringComparer.Ordinal);
        foreach (string token in others.SelectMany(other => other.ById).OfType<string>())
        {
            if (known.Add(token))
            {
                tokens.Add(token);
            }
        }
        while (tokens.Count < rows)
        {
            tokens.Add(null);
        }
        return [.. tokens];
    }

    private VocabularyReport Report(string model, TokenVocabulary vocabulary)
    {
        int same = 0, moved = 0, filled = 0;
        for (int id = 0; id < Rows; id++)
        {
            if (_tokens[id] is { } token)
            {
                bool has = vocabulary.Ids.TryGetValue(token, out int own);
                same += has && own == id ? 1 : 0;
                moved += has && own != id ? 1 : 0;
                filled += has ? 0 : 1;
            }
        }
        return new VocabularyReport(model, vocabulary.Ids.Count, same, moved, filled, vocabulary.Ids.Count - same - moved);
    }

    private long[] OwnRows(TokenVocabulary vocabulary, long rows)
    {
        var own = new long[Rows];
        for (int row = 0; row < Rows; row++)
        {
            long id = _tokens[row] is { } token ? vocabulary.Ids.TryGetValue(token, out int found) ? found : -1
                : row < vocabulary.ById.Length && vocabulary.ById[row] is not null ? -1 : row;
            own[row] = id < rows ? id : -1;
        }
        return own;
    }

    /// <summary>One model's matrix with the rows of the result.</summary>
    private sealed class AlignedRows(MergeTensor[] plain, List<long[]> own, int[][] owners, int model) : MergeTensor
    {
        public override IReadOnlyList<long> Shape { get; } = [own[model].Length, .. plain[model].Shape.Skip(1)];

        public override void Read(long start, Span<double> target)
        {
            long columns = Count / Shape[0];
            for (int done = 0; done < target.Length;)
            {
                long row = (start + done) / columns, column = (start + done) % columns;
                var part = target.Slice(done, (int)Math.Min(columns - column, target.Length - done));
                Row(row, column, columns, part);
                done += part.Length;
            }
        }

        private void Row(long row, long column, long columns, Span<double> part)
        {
            if (own[model][row] is >= 0 and var mine)
            {
                plain[model].Read((mine * columns) + column, part);
                return;
            }
            part.Clear();
            foreach (int owner in owners[row])
            {
                plain[owner].AddScaled(1, (own[owner][row] * columns) + column, part);
            }
            for (int i = 0; owners[row].Length > 1 && i < part.Length; i++)
            {
                part[i] /= owners[row].Length;
            }
        }
    }
}
