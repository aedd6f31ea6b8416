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
            throw Tabbed(yaml) is { } line
                ? FormatErrors.Bad(FormattableString.Invariant($"{name}:{line}"), "not valid YAML: a tab indents the line, where YAML wants spaces", $"sed -i 's/\\t/  /g' {name}", e)
                : FormatErrors.Bad(FormattableString.Invariant($"{name}:{e.Start.Line}"), $"not valid YAML: {e.Message.ReplaceLineEndings(" ").TrimEnd('.')}",
                    e.Message.StartsWith("Duplicate", StringComparison.Ordinal) ? $"leave one of them out of {name}" : "a line is key: value; a value with ': ' or ' #' in it goes in quotes", e);
        }
        // The library throws these for a bracket that nothing closes and for a value without a key.
        catch (Exception e) when (e is InvalidOperationException or ArgumentException)
        {
            throw FormatErrors.Bad(FormattableString.Invariant($"{name}:{parser.Line}"), "not valid YAML: a bracket is not closed, or a value has no key", inner: e);
        }
    }

    // The first line that a tab indents, counted from 1.
    private static int? Tabbed(string yaml)
    {
        int at = Array.FindIndex(yaml.Split('\n'), line => line[..^line.TrimStart().Length].Contains('\t', StringComparison.Ordinal) && line.Trim().Length > 0);
        return at < 0 ? null : at + 1;
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
