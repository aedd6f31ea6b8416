using System.Text;

namespace NativeEngine.Data;

/// <summary>
/// A well-formed text under normalisation, with the byte of the original text that each character comes from.
/// <c>Starts[c]</c> is the offset of the first original UTF-8 byte of character c; <c>Starts[Length]</c> is the end.
/// Inserted characters have an empty span.
/// </summary>
internal sealed class AlignedText(string text, int[] starts)
{
    public string Text { get; } = text;

    public int[] Starts { get; } = starts;

    public int Length => Text.Length;

    /// <summary>A text as it is; lone surrogates become U+FFFD.</summary>
    public static AlignedText From(string text)
    {
        string wellFormed = WellFormed(text);
        var starts = new int[wellFormed.Length + 1];
        int at = 0;
        for (int c = 0; c < wellFormed.Length; c++)
        {
            starts[c] = at;
            char unit = wellFormed[c];
            at += unit < 0x80 ? 1 : unit < 0x800 ? 2 : char.IsHighSurrogate(unit) ? 4 : char.IsLowSurrogate(unit) ? 0 : 3;
        }
        starts[wellFormed.Length] = at;
        return new AlignedText(wellFormed, starts);
    }

    /// <summary>
    /// Refuses steps of a tokenizer that make a text many times longer: some tens of them that each double it are a small file and no memory would suffice.
    /// </summary>
    public static void RequireGrowth(long characters, long bytes)
    {
        if (characters > (16 * bytes) + (16 << 10))
        {
            throw new EngineException(ErrorKind.BadInput, $"tokenizing: the tokenizer's own steps would make {characters} characters of a text of {bytes} bytes",
                "one of its Replace or Metaspace steps puts a longer text in the place of what it finds, again and again");
        }
    }

    private static string WellFormed(string text)
    {
        int at = 0;
        while (at < text.Length)
        {
            if (!char.IsSurrogate(text[at]))
            {
                at++;
            }
            else if (at + 1 < text.Length && char.IsSurrogatePair(text[at], text[at + 1]))
            {
                at += 2;
            }
            else
            {
                var repaired = new StringBuilder(text.Length);
                foreach (var rune in text.EnumerateRunes())
                {
                    repaired.Append(rune.ToString());
                }
                return repaired.ToString();
            }
        }
        return text;
    }
}

/// <summary>A stretch of an aligned text; a fixed token id when an added token was found there.</summary>
internal readonly record struct Piece(AlignedText Buffer, int Start, int Length, int TokenId = -1)
{
    public ReadOnlySpan<char> Span => Buffer.Text.AsSpan(Start, Length);

    public Piece Slice(int start, int length) => new(Buffer, Start + start, length);

    /// <summary>This stretch with a text put before it, as a buffer of its own.</summary>
    public AlignedText WithPrefix(string prefix)
    {
        var starts = new int[prefix.Length + Length + 1];
        starts.AsSpan(0, prefix.Length).Fill(Buffer.Starts[Start]);
        Buffer.Starts.AsSpan(Start, Length + 1).CopyTo(starts.AsSpan(prefix.Length));
        return new AlignedText(string.Concat(prefix, Span), starts);
    }

    /// <summary>
    /// This stretch with every occurrence of a non-empty pattern replaced (non-overlapping, from the left). The first character of
    /// the content covers the bytes of the pattern.
    /// </summary>
    public AlignedText Replace(string pattern, string content)
    {
        var span = Span;
        int left = span.Count(pattern), from = 0, to = 0;
        long length = Length + ((long)left * (content.Length - pattern.Length));
        AlignedText.RequireGrowth(length, Buffer.Starts[^1]);
        var source = Buffer.Starts.AsSpan(Start, Length + 1);
        var starts = new int[length + 1];
        for (; left > 0; left--)
        {
            int kept = span[from..].IndexOf(pattern);
            source.Slice(from, kept).CopyTo(starts.AsSpan(to));
            (from, to) = (from + kept, to + kept);
            if (content.Length > 0)
            {
                starts[to] = source[from];
                starts.AsSpan(to + 1, content.Length - 1).Fill(source[from + pattern.Length]);
            }
            (from, to) = (from + pattern.Length, to + content.Length);
        }
        source[from..].CopyTo(starts.AsSpan(to));
        string text = Length == Buffer.Length ? Buffer.Text : span.ToString();
        return new AlignedText(text.Replace(pattern, content, StringComparison.Ordinal), starts);
    }
}
