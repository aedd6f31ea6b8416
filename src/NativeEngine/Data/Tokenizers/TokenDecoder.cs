using System.Text;

namespace NativeEngine.Data;

/// <summary>A step from token spellings to text: Hugging Face's Replace, ByteFallback, Fuse, Strip, ByteLevel, Metaspace, Sequence.</summary>
internal abstract class TokenDecoder
{
    /// <summary>The text of tokens, in pieces. Errors: BadInput for a step that makes it many times longer.</summary>
    public List<string> Apply(List<string> tokens) => Apply(tokens, tokens.Sum(static t => (long)t.Length));

    /// <summary>One step; <paramref name="before"/> is the number of characters before the first.</summary>
    protected abstract List<string> Apply(List<string> tokens, long before);

    /// <summary>Replaces a string in every token.</summary>
    internal sealed class Replace(string pattern, string content) : TokenDecoder
    {
        protected override List<string> Apply(List<string> tokens, long before)
        {
            if (content.Length > pattern.Length)
            {
                AlignedText.RequireGrowth(tokens.Sum(t => t.Length + ((long)t.AsSpan().Count(pattern) * (content.Length - pattern.Length))), before);
            }
            return tokens.ConvertAll(t => t.Replace(pattern, content, StringComparison.Ordinal));
        }
    }

    /// <summary>Runs of byte tokens <c>&lt;0xNN&gt;</c> become text; a run that is not UTF-8 becomes one U+FFFD a byte.</summary>
    internal sealed class ByteFallback : TokenDecoder
    {
        private static readonly UTF8Encoding _strict = new(false, throwOnInvalidBytes: true);

        protected override List<string> Apply(List<string> tokens, long before)
        {
            var output = new List<string>(tokens.Count);
            var run = new List<byte>();
            foreach (string token in tokens)
            {
                if (IsByte(token, out byte value))
                {
                    run.Add(value);
                    continue;
                }
                Flush(run, output);
                output.Add(token);
            }
            Flush(run, output);
            return output;
        }

        private static bool IsByte(string token, out byte value)
        {
            value = 0;
            return token.Length == 6 && token.StartsWith("<0x", StringComparison.Ordinal) && token[5] == '>'
                && byte.TryParse(token.AsSpan(3, 2), System.Globalization.NumberStyles.AllowHexSpecifier,
                    System.Globalization.CultureInfo.InvariantCulture, out value);
        }

        private static void Flush(List<byte> run, List<string> output)
        {
            if (run.Count == 0)
            {
                return;
            }
            try
            {
                output.Add(_strict.GetString([.. run]));
            }
            catch (DecoderFallbackException)
            {
                output.Add(new string('\uFFFD', run.Count));
            }
            run.Clear();
        }
    }

    /// <summary>Joins all tokens into one.</summary>
    internal sealed class Fuse : TokenDecoder
    {
        protected override List<string> Apply(List<string> tokens, long before) => [string.Concat(tokens)];
    }

    /// <summary>Removes up to so many of a character at both ends of every token.</summary>
    internal sealed class Strip(char content, int start, int stop) : TokenDecoder
    {
        protected override List<string> Apply(List<string> tokens, long before) => tokens.ConvertAll(token =>
        {
            int from = 0;
            while (from < start && from < token.Length && token[from] == content)
            {
                from++;
            }
            int to = token.Length;
            while (token.Length - to < stop && to > from && token[to - 1] == content)
            {
                to--;
            }
            return token[from..to];
        });
    }

    /// <summary>Spellings in the byte alphabet become bytes, and these UTF-8 text.</summary>
    internal sealed class ByteLevel : TokenDecoder
    {
        protected override List<string> Apply(List<string> tokens, long before)
        {
            var bytes = new List<byte>();
            foreach (string token in tokens)
            {
                if (token.All(static c => ByteAlphabet.ToByte(c) >= 0))
                {
                    bytes.AddRange(token.Select(static c => (byte)ByteAlphabet.ToByte(c)));
                }
                else
                {
                    bytes.AddRange(Encoding.UTF8.GetBytes(token));
                }
            }
            return [Encoding.UTF8.GetString([.. bytes])];
        }
    }

    /// <summary>The mark becomes a space; the one that begins the text is left out where one was prepended.</summary>
    internal sealed class Metaspace(string mark, bool dropFirst) : TokenDecoder
    {
        protected override List<string> Apply(List<string> tokens, long before)
        {
            var output = new List<string>(tokens.Count);
            for (int t = 0; t < tokens.Count; t++)
            {
                string token = t == 0 && dropFirst && tokens[t].StartsWith(mark, StringComparison.Ordinal)
                    ? tokens[t][mark.Length..] : tokens[t];
                output.Add(token.Replace(mark, " ", StringComparison.Ordinal));
            }
            return output;
        }
    }

    /// <summary>One after the other.</summary>
    internal sealed class Sequence(TokenDecoder[] steps) : TokenDecoder
    {
        protected override List<string> Apply(List<string> tokens, long before) => steps.Aggregate(tokens, (t, step) => step.Apply(t, before));
    }
}
