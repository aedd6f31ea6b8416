namespace NativeEngine.Data;

/// <summary>
/// Documents end to end as training sequences of one length, as language models are pre-trained: each document with the tokens its tokenizer
/// puts around it and EOS, cut every length - 1 tokens, neighbours sharing one token so that every token but the first is learnt once an epoch.
/// What is left at the end is dropped.
/// </summary>
/// <param name="length">Tokens of a sequence, at least 2.</param>
public sealed class SequencePacker(int length)
{
    private readonly List<int[]> _sequences = [];
    private readonly List<int> _rest = [];

    /// <summary>The whole sequences so far.</summary>
    public IReadOnlyList<int[]> Sequences => _sequences;

    /// <summary>Tokens that fill no sequence yet, not counting one shared with the last sequence.</summary>
    public int Remainder => Math.Max(0, _rest.Count - (_sequences.Count > 0 ? 1 : 0));

    /// <summary>The tokens of a document as they are packed.</summary>
    public static int[] Document(Example example, Tokenizer tokenizer)
    {
        int[] ids = tokenizer.Encode(example.Text).Ids;
        return tokenizer.EosId is { } eos && (ids.Length == 0 || ids[^1] != eos) ? [.. ids, eos] : ids;
    }

    /// <summary>Adds a document's tokens.</summary>
    public void Add(ReadOnlySpan<int> tokens)
    {
        _rest.AddRange(tokens);
        int start = 0;
        for (; _rest.Count - start >= length; start += length - 1)
        {
            _sequences.Add([.. _rest.GetRange(start, length)]);
        }
        _rest.RemoveRange(0, start);
    }
}
