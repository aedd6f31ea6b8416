using System.Buffers;

namespace NativeEngine.Data;

/// <summary>
/// Whether bytes are one JSON value by the grammar of RFC 8259, told without an exception: a file may be full of lines that are none, and each exception takes longer than
/// reading its line. Nesting up to 64; UTF-8, names that stand twice and what an escape means are left to the parser. Cost: one pass, nothing allocated.
/// </summary>
internal static class JsonSyntax
{
    private const int MaxDepth = 64;

    // What ends a run of plain characters of a string: its end, an escape, a control character.
    private static readonly SearchValues<byte> _special = SearchValues.Create([.. "\"\\"u8, .. Enumerable.Range(0, 32).Select(c => (byte)c)]);

    /// <summary>Whether the text is one value with nothing but blanks around it.</summary>
    public static bool IsValue(ReadOnlySpan<byte> text)
    {
        // Bit d says whether level d is an object.
        ulong objects = 0;
        int depth = 0, at = 0;
        bool opened = false;
        while (true)
        {
            bool inObject = depth > 0 && ((objects >> (depth - 1)) & 1) != 0;
            byte next = Next(text, ref at);
            if (opened && next == (inObject ? '}' : ']'))
            {
                at++;
                depth--;
            }
            else
            {
                if (inObject && !(Text(text, ref at) && Next(text, ref at) == ':' && ++at <= text.Length))
                {
                    return false;
                }
                next = inObject ? Next(text, ref at) : next;
                if (next is (byte)'{' or (byte)'[')
                {
                    if (depth == MaxDepth)
                    {
                        return false;
                    }
                    ulong bit = 1UL << depth++;
                    objects = next == '{' ? objects | bit : objects & ~bit;
                    at++;
                    opened = true;
                    continue;
                }
                if (!(next == '"' ? Text(text, ref at) : Word(text, ref at)))
                {
                    return false;
                }
            }
            opened = false;
            while (true)
            {
                next = Next(text, ref at);
                if (depth == 0)
                {
                    return at == text.Length;
                }
                at++;
                if (next == ',')
                {
                    break;
                }
                if (next != (((objects >> (depth - 1)) & 1) != 0 ? '}' : ']'))
                {
                    return false;
                }
                depth--;
            }
        }
    }

    // The next byte that is no blank; 0 at the end.
    private static byte Next(ReadOnlySpan<byte> text, ref int at)
    {
        while (at < text.Length && text[at] is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n')
        {
            at++;
        }
        return at < text.Length ? text[at] : (byte)0;
    }

    private static bool Text(ReadOnlySpan<byte> text, ref int at)
    {
        if (at == text.Length || text[at++] != '"')
        {
            return false;
        }
        while (text[at..].IndexOfAny(_special) is >= 0 and var plain)
        {
            at += plain + 1;
            switch (text[at - 1])
            {
                case (byte)'"':
                    return true;
                case (byte)'\\' when at < text.Length && "\"\\/bfnrt"u8.Contains(text[at]):
                    at++;
                    break;
                case (byte)'\\' when at + 4 < text.Length && text[at] == 'u' && Digits(text.Slice(at + 1, 4)):
                    at += 5;
                    break;
                default:
                    return false;
            }
        }
        return false;

        static bool Digits(ReadOnlySpan<byte> four)
        {
            foreach (byte b in four)
            {
                if (!char.IsAsciiHexDigit((char)b))
                {
                    return false;
                }
            }
            return true;
        }
    }

    // true, false, null, or a number.
    private static bool Word(ReadOnlySpan<byte> text, ref int at)
    {
        var rest = text[at..];
        foreach (var literal in (ReadOnlySpan<string>)["true", "false", "null"])
        {
            if (rest.Length >= literal.Length && System.Text.Ascii.Equals(rest[..literal.Length], literal))
            {
                at += literal.Length;
                return true;
            }
        }
        at += rest.StartsWith("-"u8) ? 1 : 0;
        int whole = Run(text, ref at);
        if (whole == 0 || (whole > 1 && text[at - whole] == '0'))
        {
            return false;
        }
        if (at < text.Length && text[at] == '.')
        {
            at++;
            if (Run(text, ref at) == 0)
            {
                return false;
            }
        }
        if (at < text.Length && text[at] is (byte)'e' or (byte)'E')
        {
            at++;
            at += at < text.Length && text[at] is (byte)'+' or (byte)'-' ? 1 : 0;
            return Run(text, ref at) > 0;
        }
        return true;
    }

    // Steps over decimal digits; how many there were.
    private static int Run(ReadOnlySpan<byte> text, ref int at)
    {
        int first = at;
        while (at < text.Length && char.IsAsciiDigit((char)text[at]))
        {
            at++;
        }
        return at - first;
    }
}
