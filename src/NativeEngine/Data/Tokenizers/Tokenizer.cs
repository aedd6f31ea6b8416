namespace NativeEngine.Data;

/// <summary>
/// The tokens of a text. Token t covers the UTF-8 bytes <c>[Starts[t], Starts[t + 1])</c> of the text, the last one up to
/// <see cref="ByteLength"/>; tokens that stand for no byte (BOS, EOS, an inserted space) have an empty span.
/// </summary>
/// <param name="Ids">Token ids.</param>
/// <param name="Starts">Offset of each token's first byte, ascending, as long as <paramref name="Ids"/>.</param>
/// <param name="ByteLength">UTF-8 bytes of the text.</param>
public sealed record TokenizedText(int[] Ids, int[] Starts, int ByteLength)
{
    /// <summary>UTF-8 bytes that token <paramref name="index"/> covers.</summary>
    public int BytesOf(int index) => (index + 1 < Starts.Length ? Starts[index + 1] : ByteLength) - Starts[index];
}

/// <summary>Turns text into token ids and back. Instances are immutable to their users and safe to use from several threads.</summary>
public abstract class Tokenizer
{
    /// <summary>One more than the largest token id; a model needs at least this many rows in its embedding.</summary>
    public abstract int VocabularySize { get; }

    /// <summary>The token that begins a text, or null when the tokenizer has none.</summary>
    public abstract int? BosId { get; }

    /// <summary>The token that ends a text, or null when the tokenizer has none.</summary>
    public abstract int? EosId { get; }

    /// <summary>True when <see cref="Encode"/> puts <see cref="BosId"/> first.</summary>
    public abstract bool AddsBos { get; }

    /// <summary>
    /// The tokens of a text. A lone surrogate counts as U+FFFD. Cost: near-linear in the length.
    /// </summary>
    /// <param name="text">The text.</param>
    /// <param name="addSpecialTokens">Whether the tokens the tokenizer puts around a text (BOS, …) are added.</param>
    public abstract TokenizedText Encode(string text, bool addSpecialTokens = true);

    /// <summary>
    /// The text of token ids; bytes that form no UTF-8 become U+FFFD. Ids outside the vocabulary are an error
    /// (<see cref="ErrorKind.BadInput"/>); ids inside it that have no token stand for nothing.
    /// </summary>
    /// <param name="ids">Token ids.</param>
    /// <param name="skipSpecialTokens">Whether special tokens (BOS, EOS, …) are left out.</param>
    public abstract string Decode(ReadOnlySpan<int> ids, bool skipSpecialTokens = true);

    /// <summary>The token as the vocabulary spells it, or null when the id has none.</summary>
    public abstract string? TokenText(int id);

    /// <summary>Writes the tokenizer's files (tokenizer.json, tokenizer_config.json) into an existing folder, each atomically.</summary>
    public abstract void Save(string folder);
}
