using System.Buffers;
using System.Text;

namespace NativeEngine.Data;

/// <summary>A token that is found in the text before any merging: Hugging Face's added token.</summary>
internal sealed record AddedToken(int Id, string Content, bool SingleWord, bool StripLeft, bool StripRight, bool Normalized, bool Special);

/// <summary>Finds added tokens in a text: leftmost first, of several at one place the longest.</summary>
internal sealed class AddedTokenFinder
{
    private readonly Dictionary<char, (string Pattern, AddedToken Token)[]> _byFirst;
    private readonly SearchValues<char> _first;

    public AddedTokenFinder(IEnumerable<(string Pattern, AddedToken Token)> tokens)
    {
        _byFirst = tokens.Where(static t => t.Pattern.Length > 0)
            .GroupBy(static t => t.Pattern[0])
            .ToDictionary(static g => g.Key, static g => g.OrderByDescending(static t => t.Pattern.Length).ToArray());
        _first = SearchValues.Create([.. _byFirst.Keys]);
    }

    /// <summary>Appends the piece cut at the added tokens found in it.</summary>
    public void Split(Piece piece, List<Piece> output)
    {
        var text = piece.Span;
        int cursor = 0;
        int at = 0;
        while (_byFirst.Count > 0 && at < text.Length)
        {
            int found = text[at..].IndexOfAny(_first);
            if (found < 0)
            {
                break;
            }
            at += found;
            var token = Match(text, at, out int length);
            if (token is null)
            {
                at++;
                continue;
            }
            int start = at;
            int end = at + length;
            while (token.StripLeft && start > cursor && char.IsWhiteSpace(text[start - 1]))
            {
                start--;
            }
            while (token.StripRight && end < text.Length && char.IsWhiteSpace(text[end]))
            {
                end++;
            }
            if (start > cursor)
            {
                output.Add(piece.Slice(cursor, start - cursor));
            }
            output.Add(piece.Slice(start, end - start) with { TokenId = token.Id });
            cursor = at = end;
        }
        if (cursor < text.Length)
        {
            output.Add(piece.Slice(cursor, text.Length - cursor));
        }
    }

    private AddedToken? Match(ReadOnlySpan<char> text, int at, out int length)
    {
        foreach (var (pattern, token) in _byFirst[text[at]])
        {
            if (text[at..].StartsWith(pattern, StringComparison.Ordinal)
                && !(token.SingleWord && (EndsInWord(text[..at]) || BeginsWord(text[(at + pattern.Length)..]))))
            {
                length = pattern.Length;
                return token;
            }
        }
        length = 0;
        return null;
    }

    private static bool BeginsWord(ReadOnlySpan<char> text) =>
        Rune.DecodeFromUtf16(text, out var rune, out _) == OperationStatus.Done && IsWord(rune);

    private static bool EndsInWord(ReadOnlySpan<char> text) =>
        Rune.DecodeLastFromUtf16(text, out var rune, out _) == OperationStatus.Done && IsWord(rune);

    private static bool IsWord(Rune rune) => Rune.IsLetterOrDigit(rune) || rune.Value == '_';
}
