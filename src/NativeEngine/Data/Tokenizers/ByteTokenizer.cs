namespace NativeEngine.Data;

/// <summary>
/// Raw bytes as tokens: ids 0–255 are the bytes of the UTF-8 text, 256 is BOS (put before every text), 257 is EOS; a vocabulary of
/// 258, not padded. It is a byte-level BPE without merges, so the tokenizer.json it saves is an ordinary one.
/// </summary>
public static class ByteTokenizer
{
    /// <summary>The byte tokenizer.</summary>
    public static Tokenizer Create() => TokenizerWriter.Create([], [], splitWords: false);
}
