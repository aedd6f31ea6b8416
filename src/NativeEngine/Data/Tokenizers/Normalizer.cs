namespace NativeEngine.Data;

/// <summary>A rewriting of the text before it is split: Hugging Face's Prepend, Replace (of a string) and Sequence.</summary>
internal abstract class Normalizer
{
    public abstract AlignedText Apply(AlignedText text);

    /// <summary>Puts a string before a text that is not empty.</summary>
    internal sealed class Prepend(string prefix) : Normalizer
    {
        public override AlignedText Apply(AlignedText text) =>
            text.Length == 0 ? text : new Piece(text, 0, text.Length).WithPrefix(prefix);
    }

    /// <summary>Replaces every occurrence of a string.</summary>
    internal sealed class Replace(string pattern, string content) : Normalizer
    {
        public override AlignedText Apply(AlignedText text) => text.Text.Contains(pattern, StringComparison.Ordinal)
            ? new Piece(text, 0, text.Length).Replace(pattern, content) : text;
    }

    /// <summary>One after the other.</summary>
    internal sealed class Sequence(Normalizer[] steps) : Normalizer
    {
        public override AlignedText Apply(AlignedText text) => steps.Aggregate(text, static (t, step) => step.Apply(t));
    }
}
