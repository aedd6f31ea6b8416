using System.Globalization;

namespace NativeEngine.Data;

/// <summary>What happens to the stretches a split pattern matches.</summary>
internal enum SplitBehavior
{
    Isolated,
    Removed,
    MergedWithPrevious,
    MergedWithNext,
    Contiguous,
}

/// <summary>Cuts a text into the words that merges stay within: Hugging Face's ByteLevel, Metaspace, Split, Digits and Sequence.</summary>
internal abstract class PreTokenizer
{
    /// <summary>GPT-2's pattern.</summary>
    public const string Gpt2Pattern = @"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

    /// <summary>Cuts one piece and appends the parts; <paramref name="first"/> says whether it begins the text.</summary>
    public abstract void Split(Piece piece, bool first, List<Piece> output);

    /// <summary>Cuts a piece by matches; behaviour as in Hugging Face's library.</summary>
    protected static void Cut(Piece piece, List<(int Start, int Length)> matches, SplitBehavior behavior, List<Piece> output)
    {
        int cursor = 0;
        bool lastWasMatch = false;
        for (int m = 0; m < matches.Count; m++)
        {
            var (start, length) = matches[m];
            switch (behavior)
            {
                case SplitBehavior.Isolated or SplitBehavior.Removed:
                    Add(piece, cursor, start, output);
                    cursor = behavior == SplitBehavior.Removed ? start + length : start;
                    if (behavior == SplitBehavior.Isolated)
                    {
                        Add(piece, start, start + length, output);
                        cursor = start + length;
                    }
                    break;
                case SplitBehavior.MergedWithPrevious:
                    Add(piece, cursor, start + length, output);
                    cursor = start + length;
                    break;
                case SplitBehavior.MergedWithNext:
                    Add(piece, cursor, start, output);
                    cursor = start;
                    break;
                case SplitBehavior.Contiguous:
                    if (!lastWasMatch || start != matches[m - 1].Start + matches[m - 1].Length)
                    {
                        Add(piece, cursor, start, output);
                        cursor = start;
                    }
                    if (m + 1 == matches.Count || matches[m + 1].Start != start + length)
                    {
                        Add(piece, cursor, start + length, output);
                        cursor = start + length;
                    }
                    break;
            }
            lastWasMatch = true;
        }
        Add(piece, cursor, piece.Length, output);
    }

    private static void Add(Piece piece, int start, int end, List<Piece> output)
    {
        if (end > start)
        {
            output.Add(piece.Slice(start, end - start));
        }
    }

    /// <summary>Splits by a pattern; bytes are the symbols (the last step of a byte-level tokenizer).</summary>
    internal sealed class ByteLevel(bool addPrefixSpace, UnicodePattern? pattern) : PreTokenizer
    {
        public override void Split(Piece piece, bool first, List<Piece> output)
        {
            if (addPrefixSpace && piece.Length > 0 && piece.Span[0] != ' ')
            {
                var prefixed = piece.WithPrefix(" ");
                piece = new Piece(prefixed, 0, prefixed.Length);
            }
            if (pattern is null)
            {
                Add(piece, 0, piece.Length, output);
                return;
            }
            Cut(piece, pattern.Matches(piece.Span), SplitBehavior.Isolated, output);
        }
    }

    /// <summary>Splits by a pattern or a literal string.</summary>
    internal sealed class PatternSplit(UnicodePattern pattern, SplitBehavior behavior, bool invert) : PreTokenizer
    {
        public override void Split(Piece piece, bool first, List<Piece> output)
        {
            var matches = pattern.Matches(piece.Span);
            Cut(piece, invert ? Gaps(matches, piece.Length) : matches, behavior, output);
        }

        private static List<(int Start, int Length)> Gaps(List<(int Start, int Length)> matches, int length)
        {
            var gaps = new List<(int, int)>(matches.Count + 1);
            int cursor = 0;
            foreach (var (start, size) in matches)
            {
                if (start > cursor)
                {
                    gaps.Add((cursor, start - cursor));
                }
                cursor = start + size;
            }
            if (cursor < length)
            {
                gaps.Add((cursor, length - cursor));
            }
            return gaps;
        }
    }

    /// <summary>Splits digits off, each by itself or in runs.</summary>
    internal sealed class Digits(bool individual) : PreTokenizer
    {
        public override void Split(Piece piece, bool first, List<Piece> output)
        {
            var matches = new List<(int Start, int Length)>();
            var span = piece.Span;
            for (int c = 0; c < span.Length;)
            {
                int width = char.IsHighSurrogate(span[c]) ? 2 : 1;
                var category = width == 2 ? CharUnicodeInfo.GetUnicodeCategory(char.ConvertToUtf32(span[c], span[c + 1]))
                    : CharUnicodeInfo.GetUnicodeCategory(span[c]);
                if (category is UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber)
                {
                    matches.Add((c, width));
                }
                c += width;
            }
            Cut(piece, matches, individual ? SplitBehavior.Isolated : SplitBehavior.Contiguous, output);
        }
    }

    /// <summary>Spaces become a visible mark, which also begins the text, and words begin at the mark.</summary>
    internal sealed class Metaspace(string mark, bool prependAlways, bool prependFirst, bool split) : PreTokenizer
    {
        public override void Split(Piece piece, bool first, List<Piece> output)
        {
            if (piece.Length == 0)
            {
                return;
            }
            var text = piece.Span.Contains(' ') ? piece.Replace(" ", mark) : null;
            var marked = text is null ? piece : new Piece(text, 0, text.Length);
            if ((prependAlways || (prependFirst && first)) && !marked.Span.StartsWith(mark, StringComparison.Ordinal))
            {
                var prefixed = marked.WithPrefix(mark);
                marked = new Piece(prefixed, 0, prefixed.Length);
            }
            if (!split)
            {
                output.Add(marked);
                return;
            }
            var matches = new List<(int Start, int Length)>();
            for (int c = 0; c <= marked.Length - mark.Length;)
            {
                int found = marked.Span[c..].IndexOf(mark, StringComparison.Ordinal);
                if (found < 0)
                {
                    break;
                }
                matches.Add((c + found, mark.Length));
                c += found + mark.Length;
            }
            Cut(marked, matches, SplitBehavior.MergedWithNext, output);
        }
    }

    /// <summary>One after the other.</summary>
    internal sealed class Sequence(PreTokenizer[] steps) : PreTokenizer
    {
        public override void Split(Piece piece, bool first, List<Piece> output)
        {
            var parts = new List<Piece> { piece };
            foreach (var step in steps)
            {
                var next = new List<Piece>(parts.Count);
                for (int p = 0; p < parts.Count; p++)
                {
                    step.Split(parts[p], first && p == 0, next);
                }
                parts = next;
            }
            output.AddRange(parts);
        }
    }
}
