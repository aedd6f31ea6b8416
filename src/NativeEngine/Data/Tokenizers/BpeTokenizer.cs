namespace NativeEngine.Data;

/// <summary>
/// A byte-pair-encoding tokenizer in Hugging Face's <c>tokenizer.json</c> form, of both kinds: byte-level (GPT-2, Llama 3) and
/// SentencePiece style (Llama 2: normaliser or Metaspace, byte fallback). Added tokens are found in the text first, as in the
/// original library, special ones included; what it was loaded from is what <see cref="Save"/> writes.
/// <para>Read are: models BPE; normalisers Prepend, Replace of a string, Sequence; pre-tokenizers ByteLevel, Metaspace, Split,
/// Digits, Sequence; post-processors TemplateProcessing, ByteLevel, Sequence; decoders Replace, ByteFallback, Fuse, Strip,
/// ByteLevel, Metaspace, Sequence. Anything else is refused by name.</para>
/// </summary>
public sealed class BpeTokenizer : Tokenizer
{
    private readonly TokenizerParts _parts;
    private readonly AddedTokenFinder _raw;
    private readonly AddedTokenFinder _normalized;

    internal BpeTokenizer(TokenizerParts parts)
    {
        _parts = parts;
        _raw = new AddedTokenFinder(parts.Added.Where(static t => !t.Normalized).Select(static t => (t.Content, t)));
        _normalized = new AddedTokenFinder(parts.Added.Where(static t => t.Normalized)
            .Select(t => (Normalize(AlignedText.From(t.Content)).Text, t)));
    }

    /// <inheritdoc/>
    public override int VocabularySize => _parts.Spellings.Length;

    /// <inheritdoc/>
    public override int? BosId => _parts.BosId;

    /// <inheritdoc/>
    public override int? EosId => _parts.EosId;

    /// <inheritdoc/>
    public override bool AddsBos => _parts.Prefix.Length > 0 && _parts.Prefix[0] == _parts.BosId;

    /// <inheritdoc/>
    public override TokenizedText Encode(string text, bool addSpecialTokens = true)
    {
        var original = AlignedText.From(text);
        int byteLength = original.Starts[^1];
        var ids = new List<int>(text.Length / 2 + 4);
        var starts = new List<int>(text.Length / 2 + 4);
        if (addSpecialTokens)
        {
            foreach (int id in _parts.Prefix)
            {
                Add(id, 0);
            }
        }
        var sections = new List<Piece>();
        var words = new List<Piece>();
        var offsets = new List<int>();
        _raw.Split(new Piece(original, 0, original.Length), sections);
        bool first = true;
        foreach (var section in sections)
        {
            words.Clear();
            if (section.TokenId >= 0)
            {
                words.Add(section);
            }
            else
            {
                Words(section, first, words);
            }
            first = false;
            foreach (var word in words)
            {
                if (word.TokenId >= 0)
                {
                    Add(word.TokenId, word.Buffer.Starts[word.Start]);
                    continue;
                }
                offsets.Clear();
                _parts.Model.Encode(word.Span, ids, offsets);
                Locate(word, offsets, starts);
            }
        }
        if (addSpecialTokens)
        {
            foreach (int id in _parts.Suffix)
            {
                Add(id, byteLength);
            }
        }
        return new TokenizedText([.. ids], [.. starts], byteLength);

        void Add(int id, int start)
        {
            ids.Add(id);
            starts.Add(start);
        }
    }

    /// <inheritdoc/>
    public override string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens = true)
    {
        var tokens = new List<string>(ids.Length);
        foreach (int id in ids)
        {
            if ((uint)id >= (uint)VocabularySize)
            {
                throw new EngineException(ErrorKind.BadInput,
                    $"decoding tokens: expected ids from 0 to {VocabularySize - 1}, got {id}", "is this the model's own tokenizer?");
            }
            if (_parts.Spellings[id] is { } spelling && !(skipSpecialTokens && _parts.Special[id]))
            {
                tokens.Add(spelling);
            }
        }
        return string.Join(_parts.Decoder is null ? " " : "", _parts.Decoder?.Apply(tokens) ?? tokens);
    }

    /// <inheritdoc/>
    public override string? TokenText(int id) => (uint)id < (uint)VocabularySize ? _parts.Spellings[id] : null;

    /// <inheritdoc/>
    public override void Save(string folder) => TokenizerFile.Write(folder, _parts.Json, _parts.ConfigJson);

    private void Words(Piece section, bool first, List<Piece> words)
    {
        var normalized = _parts.Normalizer is null ? section : Whole(Normalize(section));
        var sections = new List<Piece>();
        _normalized.Split(normalized, sections);
        foreach (var part in sections)
        {
            if (part.TokenId >= 0 || _parts.PreTokenizer is null)
            {
                words.Add(part);
            }
            else
            {
                _parts.PreTokenizer.Split(part, first, words);
            }
            first = false;
        }
    }

    private AlignedText Normalize(Piece section) => Normalize(
        new AlignedText(section.Span.ToString(), section.Buffer.Starts[section.Start..(section.Start + section.Length + 1)]));

    private AlignedText Normalize(AlignedText text) => _parts.Normalizer?.Apply(text) ?? text;

    private static Piece Whole(AlignedText text) => new(text, 0, text.Length);

    // Token offsets count the UTF-8 bytes of the word as normalised; the word knows which original byte each character starts at.
    private static void Locate(Piece word, List<int> offsets, List<int> starts)
    {
        int c = 0;
        int passed = 0;
        int width = word.Length > 0 ? Utf8Length(word.Span, 0) : 0;
        foreach (int offset in offsets)
        {
            while (passed + width <= offset && c + 1 < word.Length)
            {
                passed += width;
                c += width == 4 ? 2 : 1;
                width = Utf8Length(word.Span, c);
            }
            int next = word.Start + c + (width == 4 ? 2 : 1);
            starts.Add(Math.Min(word.Buffer.Starts[word.Start + c] + offset - passed, word.Buffer.Starts[next]));
        }
    }

    private static int Utf8Length(ReadOnlySpan<char> text, int at) =>
        text[at] < 0x80 ? 1 : text[at] < 0x800 ? 2 : char.IsHighSurrogate(text[at]) ? 4 : 3;
}

/// <summary>What a tokenizer.json holds, checked: every id is within the vocabulary.</summary>
internal sealed class TokenizerParts
{
    public required BpeModel Model { get; init; }
    public required string?[] Spellings { get; init; }
    public required bool[] Special { get; init; }
    public required AddedToken[] Added { get; init; }
    public Normalizer? Normalizer { get; init; }
    public PreTokenizer? PreTokenizer { get; init; }
    public TokenDecoder? Decoder { get; init; }
    public int[] Prefix { get; init; } = [];
    public int[] Suffix { get; init; } = [];
    public int? BosId { get; init; }
    public int? EosId { get; init; }
    public required byte[] Json { get; init; }
    public byte[]? ConfigJson { get; init; }
}
