using System.IO.Compression;
using System.Text;
using NativeEngine.Data;
using NativeEngine.Merging;
using NativeEngine.Selection;
using NativeEngine.Tests.Data;

namespace NativeEngine.Tests.Fuzz;

/// <summary>Texts, tokenizers, and what is written by hand: recipes, studies, settings.</summary>
internal static partial class FuzzFormats
{
    private static readonly byte[][] _examples =
    [
        Encoding.UTF8.GetBytes("""
            {"prompt":"What is 2+2?","completion":" 4","source":"math"}
            {"text":"A story.","source":"prose","id":7}

            {"prompt":"é","completion":"\u00e9\ud83d\ude00","source":3,"extra":{"a":[1,2]}}
            """),
        Encoding.UTF8.GetBytes("{\"text\":\"one\"}\n{\"text\":\"two\"}\r\n"),
    ];

    private static FuzzFormat Jsonl() => new("jsonl", _examples, new LineFields(_examples, json: true), () => bytes =>
    {
        foreach (var policy in new[] { BadLinePolicy.Fail, BadLinePolicy.Skip })
        {
            var reader = new JsonlReader("mutant", () => new MemoryStream(bytes), new JsonlOptions { OnBadLine = policy, KeepLines = policy == BadLinePolicy.Skip });
            reader.FirstLineHasArray("choices");
            long examples = reader.Read().LongCount();
            Assert.Equal(examples, reader.ExampleCount);
            Assert.True(policy == BadLinePolicy.Skip || reader.BadLineCount == 0);
        }
    })
    { TotalFactor = 64 };

    private static FuzzFormat JsonlChoices()
    {
        byte[][] seeds = [Encoding.UTF8.GetBytes("{\"prompt\":\"2+2?\",\"choices\":[\"3\",\"4\"],\"answer\":1,\"source\":\"math\"}\n{\"prompt\":\"Sky?\",\"choices\":[\"red\",\"blue\",\"A\"],\"answer\":\"B\",\"source\":\"x\"}\n")];
        return new FuzzFormat("jsonl choices", seeds, new LineFields(seeds, json: true), () => bytes =>
            Assert.True(new JsonlReader("mutant", () => new MemoryStream(bytes), new JsonlOptions { ChoicesField = "choices" }).Read().LongCount() > 0))
        { TotalFactor = 64 };
    }

    /// <summary>Lines whose field of any name gives the order of a study's documents.</summary>
    private static FuzzFormat JsonlOrder()
    {
        byte[][] seeds = [Encoding.UTF8.GetBytes("{\"text\":\"one\",\"id\":2}\n{\"text\":\"two\",\"id\":\"x\\u00e9\"}\n{\"prompt\":\"a\",\"completion\":\"b\",\"id\":1.5}\n")];
        return new FuzzFormat("jsonl order_by", seeds, new LineFields(seeds, json: true), () => bytes =>
        {
            foreach (var example in new JsonlReader("mutant", () => new MemoryStream(bytes), new JsonlOptions { OnBadLine = BadLinePolicy.Skip, KeepLines = true }).Read())
            {
                NativeEngine.Ablation.StudyDocuments.Key(example, "id");
            }
        })
        { TotalFactor = 128 };
    }

    private static FuzzFormat JsonlGzip()
    {
        byte[][] seeds = [.. _examples.Select(GzipFields.Compress)];
        return new FuzzFormat("jsonl.gz", seeds, new GzipFields(new LineFields(_examples, json: true)), () => bytes =>
            Assert.True(new JsonlReader("mutant.gz", () => new GZipStream(new MemoryStream(bytes), CompressionMode.Decompress)).Read().LongCount() > 0))
        { TotalFactor = 64, Size = Unpacked };
    }

    private static FuzzFormat SourcesJsonl()
    {
        byte[][] seeds = [Encoding.UTF8.GetBytes("{\"source\":\"a\"}\n{\"source\":\"b\",\"x\":[1]}\n{\"source\":3}\n")];
        return new FuzzFormat("sources.jsonl", seeds, new LineFields(seeds, json: true), () => bytes => SourceFile.ReadJsonl("mutant", new MemoryStream(bytes), "source")) { TotalFactor = 128 };
    }

    private static FuzzFormat SourcesText()
    {
        byte[][] seeds = [Encoding.UTF8.GetBytes("red\ngreen\nred\nb l u e\n")];
        return new FuzzFormat("sources.txt", seeds, new LineFields(seeds, json: false), () => bytes => SourceFile.ReadText("mutant", new MemoryStream(bytes))) { TotalFactor = 128 };
    }

    private static FuzzFormat SourcesArray() => Npy() with
    {
        Name = "sources.npy",
        Seeds = [NpyBytes("{'descr': '<i8', 'fortran_order': False, 'shape': (3,), }\n", 24), NpyBytes("{'descr': '|u1', 'fortran_order': False, 'shape': (5,), }\n", 5)],
        Open = () => bytes =>
        {
            using var file = NativeEngine.Formats.NpyFile.Parse("mutant", bytes);
            SourceFile.ReadNumbers("mutant", file);
        },
    };

    private static FuzzFormat Tokenizer()
    {
        const string Small = """
            {"version":"1.0","added_tokens":[{"id":0,"content":"<unk>","special":true},{"id":9,"content":"<|end|>","special":true,"lstrip":true}],
            "normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]},
            "pre_tokenizer":PRE,"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<unk>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"special_tokens":{"<unk>":{"id":"<unk>","ids":[0],"tokens":["<unk>"]}}},
            "decoder":{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]},
            "model":{"type":"BPE","unk_token":"<unk>","fuse_unk":true,"vocab":{"<unk>":0,"h":1,"e":2,"l":3,"o":4,"he":5,"ll":6,"hell":7,"▁":8},"merges":["h e",["l","l"],"he ll"]}}
            """;
        string[] pipelines =
        [
            "null", """{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true}""",
            """{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\p{N}{1,3}|[^\\r\\n]?+\\p{L}+"},"behavior":"Isolated","invert":false},{"type":"Digits","individual_digits":true}]}""",
            """{"type":"ByteLevel","add_prefix_space":true,"use_regex":true}""",
        ];
        byte[][] seeds = [.. pipelines.Select(p => Encoding.UTF8.GetBytes(Small.Replace("PRE", p, StringComparison.Ordinal))), Encoding.UTF8.GetBytes(TokenizerSamples.ByteLevel())];
        return new FuzzFormat("tokenizer.json", seeds, new JsonFields(seeds), () => bytes =>
        {
            var tokenizer = TokenizerFile.Parse(bytes, "mutant");
            foreach (string text in (ReadOnlySpan<string>)["hello hell", "a <|end|> é😀 12", ""])
            {
                var encoded = tokenizer.Encode(text);
                Assert.All(encoded.Ids, id => Assert.InRange(id, 0, tokenizer.VocabularySize - 1));
                tokenizer.Decode(encoded.Ids, skipSpecialTokens: false);
            }
        })
        {
            Words = ["\"(\"", "\"[\"", "\"a**\"", "\"(?<\"", "\"Sequence\"", "\"ByteLevel\"", "\"Metaspace\"", "\"▁\"", "{\"String\":\"\"}", "{\"Regex\":\"(a|a?)+$\"}", "\"Regex\":", "(a+)+", "\\\\p{Han}", "++", "{2,1}"],
            // Texts are encoded, too, and a step may make them longer; a pattern is built.
            TotalFactor = 2000,
        };
    }

    private static FuzzFormat TokenizerConfig() => Json(
        "tokenizer_config.json", json => _smallTokenizer.Value.Read(json.Element),
        """{"bos_token":"<s>","eos_token":{"content":"</s>","special":true},"model_max_length":1000000000000000019884624838656,"add_bos_token":true}""");

    private static FuzzFormat Vocabulary() => Json(
        "tokenizer vocabulary", json => TokenVocabulary.Parse(json, "mutant"),
        """{"model":{"type":"WordPiece","vocab":{"[UNK]":0,"a":1,"##b":2}},"added_tokens":[{"id":3,"content":"[CLS]"}]}""",
        """{"model":{"type":"Unigram","vocab":[["<unk>",0.0],["a",-1.5],["b",-2]]},"added_tokens":[]}""");

    private static FuzzFormat Recipe()
    {
        byte[][] seeds =
        [
            Encoding.UTF8.GetBytes("merge_method: linear\nmodels:\n  - model: a\n    parameters:\n      weight: 0.25\n  - model: b\n    parameters:\n      weight:\n        - filter: self_attn\n          value: [0, 0.5, 1]\n        - value: 0.75\nparameters:\n  normalize: true\ndtype: float32\nout_dtype: bfloat16\ntokenizer_source: a\n"),
            Encoding.UTF8.GetBytes("merge_method: dare_ties\nbase_model: base\nslices:\n  - sources:\n      - model: base\n        layer_range: [0, 2]\n      - model: b\n        layer_range: [0, 2]\n        parameters:\n          density: 0.5\n          weight: 1\n"),
        ];
        return Yaml("recipe.yaml", seeds, text =>
        {
            var recipe = MergeRecipe.Parse(text, "mutant");
            foreach (var parameter in recipe.Method.Parameters)
            {
                foreach (var slice in recipe.Slices)
                {
                    Assert.All(slice.Models, model => recipe.Value(parameter, slice, model, "model.layers.0.self_attn.q_proj.weight", 0.5));
                }
            }
        });
    }

    private static FuzzFormat Study()
    {
        byte[][] seeds =
        [
            Encoding.UTF8.GetBytes("data:\n  train: builtin\n  held_out: 0.1\n  order_by: id\nseed:\n  model: preset:0.2m\n  tokenizer: bpe:512\n  steps: 30\n  lr: 1e-3\nunits:\n  tokens: 1000\n  length: 64\n  tolerance: 0.25\ntraining:\n  steps: 10\n  batch: 4\n  schedule: cosine\n  lora_rank: 4\n  lora_targets: [q, v]\n  seeds: [1, 2]\n  fractions: [0.5]\ncandidates:\n  all_subsets: true\n"),
        ];
        return Yaml("study.yaml", seeds, text => NativeEngine.Ablation.StudyFile.Parse(text, "mutant"));
    }

    private static FuzzFormat ConfigurationFile()
    {
        byte[][] seeds = [Encoding.UTF8.GetBytes("seed: 7\nthreads: 2\nlr: 1e-3\ntrain:\n  steps: 10\n  model: preset:0.2m\n  batch: 8\nselect: {budget: 4}\n")];
        return Yaml("settings.yaml", seeds, text => _configuration.Value.Read(text, "mutant")) with { Kinds = [ErrorKind.BadInput, ErrorKind.Usage] };
    }

    private static FuzzFormat MixturesJson() => Json(
        "mixtures.json", json => NativeEngine.Ablation.Mixtures.MixtureList.ReadJson(json, ["a", "b", "c"]), """[["a","b"],{"a":0.5,"c":1.5},["c"]]""") with
    { TotalFactor = 128 };

    private static FuzzFormat MixturesCsv()
    {
        byte[][] seeds = [Encoding.UTF8.GetBytes("a,b,\"c\"\n0.5,,1\n1,2,3\n,,1e-3\n")];
        return new FuzzFormat("mixtures.csv", seeds, new LineFields(seeds, json: false), () => bytes =>
            NativeEngine.Ablation.Mixtures.MixtureList.ReadCsv("mutant", Encoding.UTF8.GetString(bytes).Split('\n'), ["a", "b", "c"]))
        { TotalFactor = 128 };
    }

    // YamlDotNet makes an object with two places for every node, some hundred bytes for two of text.
    private static FuzzFormat Yaml(string name, byte[][] seeds, Action<string> read) =>
        new(name, seeds, new YamlFields(seeds), () => bytes => read(Encoding.UTF8.GetString(bytes))) { TotalFactor = 1000 };

    private static long Unpacked(byte[] packed)
    {
        using var gzip = new GZipStream(new MemoryStream(packed), CompressionMode.Decompress);
        using var all = new MemoryStream();
        try
        {
            gzip.CopyTo(all);
        }
        catch (InvalidDataException)
        {
            // As far as it goes.
        }
        return all.Length + packed.Length;
    }

    private static readonly Lazy<TokenizerConfigReader> _smallTokenizer = new(() => new TokenizerConfigReader());

    private static readonly Lazy<global::NativeEngine.Cli.ConfigFile> _configuration = new(() =>
    {
        var common = new global::NativeEngine.Cli.CommonOptions();
        var root = global::NativeEngine.Cli.Verbs.VerbList.Create(common);
        return new global::NativeEngine.Cli.ConfigFile(root, [root.Subcommands.First(c => c.Name == "train")], common);
    });

    /// <summary>A tokenizer_config.json beside a small tokenizer.json.</summary>
    private sealed class TokenizerConfigReader
    {
        private readonly byte[] _tokenizer = """{"added_tokens":[{"id":0,"content":"<s>"},{"id":1,"content":"</s>"}],"model":{"type":"BPE","vocab":{"a":2,"b":3},"merges":[]}}"""u8.ToArray();

        public void Read(System.Text.Json.JsonElement config) => TokenizerJson.Read(_tokenizer, Encoding.UTF8.GetBytes(config.GetRawText()), "tokenizer.json", "mutant");
    }
}
