using NativeEngine.Formats;

namespace NativeEngine.Data;

/// <summary>Reads the steps around the model: normaliser, pre-tokenizer, post-processor, decoder. Unknown types are refused by name.</summary>
internal static class PipelineJson
{
    public static Normalizer Normalizer(StrictJson view)
    {
        string type = view.RequireString("type");
        return type switch
        {
            "Sequence" => new Normalizer.Sequence([.. view.Require("normalizers").Items().Select(Normalizer)]),
            "Prepend" => new Normalizer.Prepend(view.RequireString("prepend")),
            "Replace" => new Normalizer.Replace(LiteralPattern(view.Require("pattern")), view.RequireString("content")),
            _ => throw Unsupported(view, "normalizer", type, "Prepend, Replace, Sequence"),
        };
    }

    /// <summary>A pre-tokenizer; ByteLevel must be the last step, because after it the symbols are bytes.</summary>
    public static PreTokenizer PreTokenizer(StrictJson view, bool last, ref bool byteLevel)
    {
        string type = view.RequireString("type");
        switch (type)
        {
            case "Sequence":
                StrictJson[] items = [.. view.Require("pretokenizers").Items()];
                var steps = new PreTokenizer[items.Length];
                for (int i = 0; i < items.Length; i++)
                {
                    steps[i] = PreTokenizer(items[i], last && i == items.Length - 1, ref byteLevel);
                }
                return new PreTokenizer.Sequence(steps);
            case "ByteLevel":
                if (!last)
                {
                    throw view.Bad("is ByteLevel before other steps; it is supported as the last pre-tokenizer only");
                }
                byteLevel = true;
                return new PreTokenizer.ByteLevel((view.OptionalBool("add_prefix_space") ?? true),
                    (view.OptionalBool("use_regex") ?? true) ? new UnicodePattern(Data.PreTokenizer.Gpt2Pattern) : null);
            case "Metaspace":
                bool add = (view.OptionalBool("add_prefix_space") ?? true);
                string scheme = view.OptionalString("prepend_scheme") ?? (add ? "always" : "never");
                return new PreTokenizer.Metaspace(Mark(view), Scheme(view, scheme, "always"), Scheme(view, scheme, "first"),
                    (view.OptionalBool("split") ?? true));
            case "Split":
                return new PreTokenizer.PatternSplit(Pattern(view.Require("pattern")), Behavior(view.Require("behavior")), (view.OptionalBool("invert") ?? false));
            case "Digits":
                return new PreTokenizer.Digits((view.OptionalBool("individual_digits") ?? false));
            default:
                throw Unsupported(view, "pre-tokenizer", type, "ByteLevel, Metaspace, Split, Digits, Sequence");
        }
    }

    /// <summary>The ids a post-processor puts before and after a single text.</summary>
    public static (int[] Prefix, int[] Suffix) PostProcessor(StrictJson? view, int vocabularySize)
    {
        if (view is null)
        {
            return ([], []);
        }
        string type = view.RequireString("type");
        switch (type)
        {
            case "ByteLevel":
                return ([], []);
            case "Sequence":
                var before = new List<int>();
                var after = new List<int>();
                foreach (var item in view.Require("processors").Items())
                {
                    var (prefix, suffix) = PostProcessor(item, vocabularySize);
                    before.InsertRange(0, prefix);
                    after.AddRange(suffix);
                }
                return ([.. before], [.. after]);
            case "TemplateProcessing":
                return Template(view, vocabularySize);
            default:
                throw Unsupported(view, "post-processor", type, "TemplateProcessing, ByteLevel, Sequence");
        }
    }

    public static TokenDecoder Decoder(StrictJson view)
    {
        string type = view.RequireString("type");
        switch (type)
        {
            case "Sequence":
                return new TokenDecoder.Sequence([.. view.Require("decoders").Items().Select(Decoder)]);
            case "Replace":
                return new TokenDecoder.Replace(LiteralPattern(view.Require("pattern")), view.RequireString("content"));
            case "ByteFallback":
                return new TokenDecoder.ByteFallback();
            case "Fuse":
                return new TokenDecoder.Fuse();
            case "Strip":
                string content = view.RequireString("content");
                return content.Length == 1 ? new TokenDecoder.Strip(content[0], view.RequireInt("start", min: 0), view.RequireInt("stop", min: 0))
                    : throw view.Require("content").Bad($"must be one character, got \"{content}\"");
            case "ByteLevel":
                return new TokenDecoder.ByteLevel();
            case "Metaspace":
                string scheme = view.OptionalString("prepend_scheme") ?? ((view.OptionalBool("add_prefix_space") ?? true) ? "always" : "never");
                return new TokenDecoder.Metaspace(Mark(view), dropFirst: !Scheme(view, scheme, "never"));
            default:
                throw Unsupported(view, "decoder", type, "Replace, ByteFallback, Fuse, Strip, ByteLevel, Metaspace, Sequence");
        }
    }

    private static (int[] Prefix, int[] Suffix) Template(StrictJson view, int vocabularySize)
    {
        var prefix = new List<int>();
        var suffix = new List<int>();
        bool seen = false;
        foreach (var item in view.Require("single").Items())
        {
            if (item.Optional("Sequence") is not null)
            {
                seen = !seen ? true : throw item.Bad("puts the text into the template a second time");
                continue;
            }
            string name = item.Require("SpecialToken").RequireString("id");
            foreach (var id in view.Require("special_tokens").Require(name).Require("ids").Items())
            {
                (seen ? suffix : prefix).Add(id.AsInt(0, vocabularySize - 1));
            }
        }
        return seen ? ([.. prefix], [.. suffix]) : throw view.Require("single").Bad("does not contain the text");
    }

    private static string LiteralPattern(StrictJson view) => view.Optional("String") is null && view.Optional("Regex") is not null
        ? throw view.Bad("is a Regex, which is not supported here (supported: String)")
        : NotEmpty(view.Require("String"));

    private static UnicodePattern Pattern(StrictJson view) => view.Optional("String") is null
        ? new UnicodePattern(view.RequireString("Regex")) : UnicodePattern.Literal(NotEmpty(view.Require("String")));

    private static string Mark(StrictJson view) => NotEmpty(view.Require("replacement"));

    private static string NotEmpty(StrictJson view) => view.AsString() is { Length: > 0 } text ? text
        : throw view.Bad("is empty");

    private static bool Scheme(StrictJson view, string scheme, string wanted) => scheme is "always" or "first" or "never"
        ? scheme == wanted : throw view.Require("prepend_scheme").Bad($"must be always, first or never, got \"{scheme}\"");

    private static SplitBehavior Behavior(StrictJson view)
    {
        string name = view.AsString();
        return name switch
        {
            "Isolated" => SplitBehavior.Isolated,
            "Removed" => SplitBehavior.Removed,
            "MergedWithPrevious" => SplitBehavior.MergedWithPrevious,
            "MergedWithNext" => SplitBehavior.MergedWithNext,
            "Contiguous" => SplitBehavior.Contiguous,
            _ => throw view.Bad($"names the split behavior \"{name}\", which is unknown"),
        };
    }

    private static EngineException Unsupported(StrictJson view, string part, string type, string supported) =>
        view.Require("type").Bad($"names the {part} \"{type}\", which is not supported (supported: {supported})");
}
