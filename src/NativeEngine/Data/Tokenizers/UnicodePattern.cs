using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace NativeEngine.Data;

/// <summary>
/// A regular expression of tokenizer.json (Oniguruma syntax) run by .NET's engine. What differs is bridged: possessive quantifiers
/// (<c>?+ *+ ++</c>) become atomic groups, and characters outside the Basic Multilingual Plane, which .NET sees as two surrogates,
/// are matched as one stand-in character of the same Unicode category. A pattern .NET cannot parse (script names such as
/// <c>\p{Han}</c>, absent operators) is refused. A match that takes longer than ten seconds is an error.
/// </summary>
internal sealed class UnicodePattern
{
    // One BMP character of each Unicode category, in the order of UnicodeCategory.
    private const string StandIns =
        "\u0100\u0101\u01C5\u02B0\u00AA\u0300\u0903\u0488\u0660\u2160\u00B2\u2003\u2028\u2029\u0001\u00AD\u00AD\uE000"
        + "\u203F\u2013\u2045\u2046\u00AB\u00BB\u00A7\u00B1\u00A2\u00A8\u00A9\uE000";

    // Some four times the longest in use; .NET builds some kilobytes for each character.
    private const int MaxLength = 2048;

    private static readonly TimeSpan _limit = TimeSpan.FromSeconds(10);
    private readonly Regex _regex;
    private readonly string _pattern;

    public UnicodePattern(string pattern)
    {
        _pattern = pattern.Length <= MaxLength ? pattern
            : throw new EngineException(ErrorKind.BadInput, $"reading a tokenizer: the pattern {Shorten(pattern)} has {pattern.Length} characters; at most {MaxLength} are read");
        try
        {
            _regex = new Regex(Translate(pattern), RegexOptions.CultureInvariant, _limit);
        }
        catch (ArgumentException e)
        {
            throw new EngineException(ErrorKind.BadInput,
                $"reading a tokenizer: the pattern {Shorten(pattern)} cannot be used: {e.Message}", null, e);
        }
    }

    /// <summary>A pattern that matches a string literally.</summary>
    public static UnicodePattern Literal(string text) => new(Regex.Escape(text));

    /// <summary>All matches from the left, without empty ones, in positions of the text.</summary>
    public List<(int Start, int Length)> Matches(ReadOnlySpan<char> text)
    {
        var matches = new List<(int, int)>();
        try
        {
            if (text.IndexOfAnyInRange('\uD800', '\uDFFF') < 0)
            {
                Collect(text, null, matches);
            }
            else
            {
                var shadow = Shadow(text, out int[] origin);
                Collect(shadow, origin, matches);
            }
        }
        catch (RegexMatchTimeoutException e)
        {
            throw new EngineException(ErrorKind.BadInput,
                $"tokenizing: the tokenizer's pattern {Shorten(_pattern)} took longer than {_limit.TotalSeconds} s on a text of {text.Length} characters",
                "the pattern backtracks without end; use a tokenizer with another one", e);
        }
        return matches;
    }

    private void Collect(ReadOnlySpan<char> text, int[]? origin, List<(int, int)> matches)
    {
        foreach (var match in _regex.EnumerateMatches(text))
        {
            if (match.Length > 0)
            {
                int end = match.Index + match.Length;
                matches.Add(origin is null ? (match.Index, match.Length) : (origin[match.Index], origin[end] - origin[match.Index]));
            }
        }
    }

    private static string Shadow(ReadOnlySpan<char> text, out int[] origin)
    {
        var shadow = new StringBuilder(text.Length);
        origin = new int[text.Length + 1];
        for (int c = 0; c < text.Length; c++)
        {
            origin[shadow.Length] = c;
            if (char.IsHighSurrogate(text[c]))
            {
                var category = CharUnicodeInfo.GetUnicodeCategory(char.ConvertToUtf32(text[c], text[c + 1]));
                shadow.Append(StandIns[(int)category]);
                c++;
            }
            else
            {
                shadow.Append(text[c]);
            }
        }
        origin[shadow.Length] = text.Length;
        return shadow.ToString();
    }

    /// <summary>Rewrites possessive quantifiers: <c>X?+</c> is <c>(?>X?)</c>.</summary>
    internal static string Translate(string pattern)
    {
        var output = new StringBuilder(pattern.Length + 16);
        var groups = new Stack<int>();
        int atom = 0;
        for (int c = 0; c < pattern.Length; c++)
        {
            char unit = pattern[c];
            bool quantifier = unit is '?' or '*' or '+' && output.Length > 0 && atom < output.Length;
            if (quantifier)
            {
                output.Append(unit);
                if (c + 1 < pattern.Length && pattern[c + 1] == '+')
                {
                    output.Insert(atom, "(?>").Append(')');
                    c++;
                }
                else if (c + 1 < pattern.Length && pattern[c + 1] == '?')
                {
                    output.Append('?');
                    c++;
                }
                continue;
            }
            if (unit == '{' && c > 0)
            {
                int close = pattern.IndexOf('}', c);
                close = close < 0 ? pattern.Length - 1 : close;
                output.Append(pattern, c, close - c + 1);
                c = close;
                continue;
            }
            if (unit == ')')
            {
                output.Append(unit);
                atom = groups.Count > 0 ? groups.Pop() : 0;
                continue;
            }
            atom = output.Length;
            if (unit == '(')
            {
                groups.Push(output.Length);
                int head = GroupHead(pattern, c);
                output.Append(pattern, c, head);
                c += head - 1;
                atom = output.Length;
            }
            else
            {
                int length = unit == '\\' ? EscapeLength(pattern, c) : unit == '[' ? ClassLength(pattern, c) : 1;
                output.Append(pattern, c, length);
                c += length - 1;
                if (unit == '|')
                {
                    atom = output.Length;
                }
            }
        }
        return output.ToString();
    }

    // "(" with what makes it special: "(?:", "(?i:", "(?!", "(?<=", "(?<name>".
    private static int GroupHead(string pattern, int at)
    {
        if (at + 1 >= pattern.Length || pattern[at + 1] != '?')
        {
            return 1;
        }
        int c = at + 2;
        while (c < pattern.Length && (char.IsAsciiLetterOrDigit(pattern[c]) || pattern[c] is '-' or '<' or '_'))
        {
            c++;
        }
        return c < pattern.Length && pattern[c] != ')' ? c - at + 1 : c - at;
    }

    private static int EscapeLength(string pattern, int at)
    {
        if (at + 1 >= pattern.Length)
        {
            return 1;
        }
        if (pattern[at + 1] is 'p' or 'P' && at + 2 < pattern.Length && pattern[at + 2] == '{')
        {
            int close = pattern.IndexOf('}', at);
            return close < 0 ? pattern.Length - at : close - at + 1;
        }
        return 2;
    }

    private static int ClassLength(string pattern, int at)
    {
        int c = at + 1;
        c += c < pattern.Length && pattern[c] == '^' ? 1 : 0;
        c += c < pattern.Length && pattern[c] == ']' ? 1 : 0;
        while (c < pattern.Length && pattern[c] != ']')
        {
            if (pattern[c] == '[')
            {
                throw new ArgumentException("a character class within a character class");
            }
            c += pattern[c] == '\\' ? 2 : 1;
        }
        return Math.Min(c + 1, pattern.Length) - at;
    }

    private static string Shorten(string text) => text.Length <= 80 ? text : text[..80] + "…";
}
