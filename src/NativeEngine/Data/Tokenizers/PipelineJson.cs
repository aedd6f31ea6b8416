namespace NativeEngine.Data;

/// <summary>Reads the steps around the model: normaliser, pre-tokenizer, post-processor, decoder. Unknown types are refused by name.</summary>
internal static class PipelineJson
{
    public static Normalizer Normalizer(JsonView view)
    {
        string type = view["type"].String();
        return type switch
        {
            "Sequence" => new Normalizer.Sequence([.. view["normalizers"].Items().Select(Normalizer)]),
            "Prepend" => new Normalizer.Prepend(view["prepend"].String()),
            "Replace" => new Normalizer.Replace(LiteralPattern(view["pattern"]), view["content"].String()),
            _ => throw Unsupported(view, "normalizer", type, "Prepend, Replace, Sequence"),
        };
    }

    /// <summary>A pre-tokenizer; ByteLevel must be the last step, because after it the symbols are bytes.</summary>
    public static PreTokenizer PreTokenizer(JsonView view, bool last, ref bool byteLevel)
    {
        string type = view["type"].String();
        switch (type)
        {
            case "Sequence":
                JsonView[] items = [.. view["pretokenizers"].Items()];
                var steps = new PreTokenizer[items.Length];
                for (int i = 0; i < items.Length; i++)
                {
                    steps[i] = PreTokenizer(items[i], last && i == items.Length - 1, ref byteLevel);
                }
                return new PreTokenizer.Sequence(steps);
            case "ByteLevel":
                if (!last)
                {
                    throw view.Error("ByteLevel is supported as the last pre-tokenizer only");
                }
                byteLevel = true;
                return new PreTokenizer.ByteLevel(view["add_prefix_space"].Bool(true),
                    view["use_regex"].Bool(true) ? new UnicodePattern(Data.PreTokenizer.Gpt2Pattern) : null);
            case "Metaspace":
                bool add = view["add_prefix_space"].Bool(true);
                string scheme = view["prepend_scheme"].StringOrNull() ?? (add ? "always" : "never");
                return new PreTokenizer.Metaspace(Mark(view), Scheme(view, scheme, "always"), Scheme(view, scheme, "first"),
                    view["split"].Bool(true));
            case "Split":
                return new PreTokenizer.PatternSplit(Pattern(view["pattern"]), Behavior(view["behavior"]), view["invert"].Bool(false));
            case "Digits":
                return new PreTokenizer.Digits(view["individual_digits"].Bool(false));
            default:
                throw Unsupported(view, "pre-tokenizer", type, "ByteLevel, Metaspace, Split, Digits, Sequence");
        }
    }

    /// <summary>The ids a post-processor puts before and after a single text.</summary>
    public static (int[] Prefix, int[] Suffix) PostProcessor(JsonView view, int vocabularySize)
    {
        if (view.IsNull)
        {
            return ([], []);
        }
        string type = view["type"].String();
        switch (type)
        {
            case "ByteLevel":
                return ([], []);
            case "Sequence":
                var before = new List<int>();
                var after = new List<int>();
                foreach (var item in view["processors"].Items())
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

    public static TokenDecoder Decoder(JsonView view)
    {
        string type = view["type"].String();
        switch (type)
        {
            case "Sequence":
                return new TokenDecoder.Sequence([.. view["decoders"].Items().Select(Decoder)]);
            case "Replace":
                return new TokenDecoder.Replace(LiteralPattern(view["pattern"]), view["content"].String());
            case "ByteFallback":
                return new TokenDecoder.ByteFallback();
            case "Fuse":
                return new TokenDecoder.Fuse();
            case "Strip":
                string content = view["content"].String();
                return content.Length == 1 ? new TokenDecoder.Strip(content[0], view["start"].Int(), view["stop"].Int())
                    : throw view["content"].Error($"expected one character, got \"{content}\"");
            case "ByteLevel":
                return new TokenDecoder.ByteLevel();
            case "Metaspace":
                string scheme = view["prepend_scheme"].StringOrNull() ?? (view["add_prefix_space"].Bool(true) ? "always" : "never");
                return new TokenDecoder.Metaspace(Mark(view), dropFirst: !Scheme(view, scheme, "never"));
            default:
                throw Unsupported(view, "decoder", type, "Replace, ByteFallback, Fuse, Strip, ByteLevel, Metaspace, Sequence");
        }
    }

    private static (int[] Prefix, int[] Suffix) Template(JsonView view, int vocabularySize)
    {
        var prefix = new List<int>();
        var suffix = new List<int>();
        bool seen = false;
        foreach (var item in view["single"].Items())
        {
            if (!item["Sequence"].IsNull)
            {
                seen = !seen ? true : throw item.Error("the text stands twice in the template");
                continue;
            }
            string name = item["SpecialToken"]["id"].String();
            foreach (var id in view["special_tokens"][name]["ids"].Items())
            {
                int value = id.Int();
                (seen ? suffix : prefix).Add((uint)value < (uint)vocabularySize ? value
                    : throw id.Error($"expected an id from 0 to {vocabularySize - 1}, got {value}"));
            }
        }
        return seen ? ([.. prefix], [.. suffix]) : throw view["single"].Error("the text is not in the template");
    }

    private static string LiteralPattern(JsonView view) => view["String"].IsNull && !view["Regex"].IsNull
        ? throw view.Error("a Regex pattern is not supported here (supported: String)")
        : NotEmpty(view["String"], "pattern");

    private static UnicodePattern Pattern(JsonView view) => view["String"].IsNull
        ? new UnicodePattern(view["Regex"].String()) : UnicodePattern.Literal(NotEmpty(view["String"], "pattern"));

    private static string Mark(JsonView view) => NotEmpty(view["replacement"], "replacement");

    private static string NotEmpty(JsonView view, string what) => view.String() is { Length: > 0 } text ? text
        : throw view.Error($"the {what} is empty");

    private static bool Scheme(JsonView view, string scheme, string wanted) => scheme is "always" or "first" or "never"
        ? scheme == wanted : throw view["prepend_scheme"].Error($"expected always, first or never, got \"{scheme}\"");

    private static SplitBehavior Behavior(JsonView view)
    {
        string name = view.String();
        return name switch
        {
            "Isolated" => SplitBehavior.Isolated,
            "Removed" => SplitBehavior.Removed,
            "MergedWithPrevious" => SplitBehavior.MergedWithPrevious,
            "MergedWithNext" => SplitBehavior.MergedWithNext,
            "Contiguous" => SplitBehavior.Contiguous,
            _ => throw view.Error($"unknown split behavior \"{name}\""),
        };
    }

    private static EngineException Unsupported(JsonView view, string part, string type, string supported) =>
        view["type"].Error($"the {part} type \"{type}\" is not supported (supported: {supported})");
}
