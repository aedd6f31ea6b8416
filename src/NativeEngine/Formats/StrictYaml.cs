using YamlDotNet.Core;
using YamlDotNet.Core.Events;
using YamlDotNet.RepresentationModel;

namespace NativeEngine.Formats;

/// <summary>
/// The documents of a YAML text as nodes, with what a small file could grow without bound left out: aliases (a few of them make a document of
/// billions of nodes, or one that contains itself) and nesting deeper than 64 are refused, with their line. Whatever is wrong is one BadInput sentence.
/// </summary>
public static class StrictYaml
{
    /// <summary>The longest file, in bytes: settings are written by hand.</summary>
    public const long MaxFileBytes = 1 << 20;

    private const int MaxDepth = 64;

    /// <summary>The root of every document; <paramref name="name"/> is the file's name in messages.</summary>
    public static IReadOnlyList<YamlNode> Parse(string yaml, string name)
    {
        var parser = new Limited(new Parser(new StringReader(yaml)), name);
        try
        {
            var stream = new YamlStream();
            stream.Load(parser);
            return [.. stream.Documents.Select(document => document.RootNode)];
        }
        catch (YamlException e)
        {
            throw FormatErrors.Bad(FormattableString.Invariant($"{name}:{e.Start.Line}"), $"not valid YAML: {e.Message.ReplaceLineEndings(" ")}", inner: e);
        }
        // The library throws these for a bracket that nothing closes and for a value without a key.
        catch (Exception e) when (e is InvalidOperationException or ArgumentException)
        {
            throw FormatErrors.Bad(FormattableString.Invariant($"{name}:{parser.Line}"), "not valid YAML: a bracket is not closed, or a value has no key", inner: e);
        }
    }

    private sealed class Limited(IParser inner, string name) : IParser
    {
        private int _depth;

        public ParsingEvent? Current => inner.Current;

        /// <summary>Where the last event began.</summary>
        public long Line { get; private set; } = 1;

        public bool MoveNext()
        {
            bool more = inner.MoveNext();
            Line = inner.Current?.Start.Line ?? Line;
            if (inner.Current is AnchorAlias)
            {
                throw Bad("aliases (*name) are not read", "write the value out where it is needed");
            }
            _depth += inner.Current?.NestingIncrease ?? 0;
            return _depth <= MaxDepth ? more : throw Bad($"nested deeper than {MaxDepth}");
        }

        private EngineException Bad(string sentence, string? hint = null) =>
            FormatErrors.Bad(FormattableString.Invariant($"{name}:{Line}"), sentence, hint);
    }
}
