using System.Text;
using NativeEngine.Data;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Data;

public class BpeTokenizerTests
{
    [TheoryWithSharedData("data/stories260K/tokenizer.json")]
    [InlineData("Once upon a time, there was a little girl named Lily. She loved to play outside in the park.",
        "1 403 407 261 378 432 383 286 261 376 298 315 421 395 317 426 338 401 396 267 337 410 408 419 292 411 322 265 282 295 433 426")]
    [InlineData("The 3 cats (née Ünï) couldn't swim; they cost $4.50!",
        "1 291 410 472 280 294 419 410 489 416 485 411 410 198 159 416 198 178 488 280 389 416 439 413 262 424 288 474 366 280 414 356 410 494 484 426 480 477 443")]
    public void Encode_Stories260K_GivesTheKnownTokens(string text, string expected)
    {
        var tokenizer = TokenizerFile.Load(RepositoryPaths.Shared("data/stories260K"));
        var encoded = tokenizer.Encode(text);
        Assert.Equal(expected, string.Join(' ', encoded.Ids));
        Assert.Equal(text, tokenizer.Decode(encoded.Ids));
        Assert.Equal((512, 1, 2, true), (tokenizer.VocabularySize, tokenizer.BosId, tokenizer.EosId, tokenizer.AddsBos));
    }

    [Fact]
    public void Encode_ByteLevelWords_MergesWithinWords()
    {
        var tokenizer = TokenizerSamples.Parse(TokenizerSamples.ByteLevel());
        var encoded = tokenizer.Encode("hello world<|end|>ab!");
        Assert.Equal([259, 264, 300, 265, '!'], encoded.Ids);
        Assert.Equal([0, 5, 11, 18, 20], encoded.Starts);
        Assert.Equal("hello worldab!", tokenizer.Decode(encoded.Ids));
        Assert.Equal("hello world<|end|>ab!", tokenizer.Decode(encoded.Ids, skipSpecialTokens: false));
        Assert.Equal(301, tokenizer.VocabularySize);
    }

    public static TheoryData<string> Kinds => ["bytes", "bytelevel", "llama3", "sentencepiece", "metaspace", "metaspace-nosplit"];

    internal static Tokenizer OfKind(string kind) => kind switch
    {
        "bytes" => ByteTokenizer.Create(),
        "bytelevel" => TokenizerSamples.Parse(TokenizerSamples.ByteLevel()),
        "llama3" => TokenizerSamples.Parse(TokenizerSamples.ByteLevel("""
            {"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},
            "behavior":"Isolated","invert":false},{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]}
            """)),
        "sentencepiece" => TokenizerSamples.Parse(TokenizerSamples.SentencePiece()),
        _ => TokenizerSamples.Parse(TokenizerSamples.SentencePiece("null",
            $$"""{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":{{(kind == "metaspace" ? "true" : "false")}}}""",
            """{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}""")),
    };

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Decode_OfEncode_GivesTheTextBack(string kind)
    {
        var tokenizer = OfKind(kind);
        bool marks = kind.StartsWith("metaspace") || kind == "sentencepiece";
        foreach (string text in TokenizerSamples.HardTexts.Where(t => !marks || !(t.Contains('▁') || t.StartsWith(' '))))
        {
            var encoded = tokenizer.Encode(text);
            Assert.Equal(text, tokenizer.Decode(encoded.Ids));
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Encode_HardTexts_SpansTileTheText(string kind)
    {
        var tokenizer = OfKind(kind);
        foreach (string text in TokenizerSamples.HardTexts)
        {
            var encoded = tokenizer.Encode(text);
            Assert.Equal(Encoding.UTF8.GetByteCount(text), encoded.ByteLength);
            Assert.Equal(encoded.Ids.Length, encoded.Starts.Length);
            int total = 0;
            for (int t = 0; t < encoded.Ids.Length; t++)
            {
                Assert.True(encoded.BytesOf(t) >= 0, $"{kind}: token {t} of {text}");
                total += encoded.BytesOf(t);
            }
            Assert.Equal(encoded.Ids.Length == 0 ? 0 : encoded.ByteLength, total);
        }
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Encode_LoneSurrogates_CountAsReplacementCharacters(string kind)
    {
        var tokenizer = OfKind(kind);
        Assert.Equal(tokenizer.Encode("a\uFFFDb\uFFFD").Ids, tokenizer.Encode("a\uD800b\uDC00").Ids);
    }

    [Fact]
    public void Encode_ByteTokens_SpanTheirOwnBytes()
    {
        var encoded = TokenizerSamples.Parse(TokenizerSamples.SentencePiece()).Encode("hello é world");
        // <s> ▁hello ▁ C3 A9 ▁world
        Assert.Equal([1, 274, 259, 3 + 0xC3, 3 + 0xA9, 279], encoded.Ids);
        Assert.Equal([0, 0, 5, 6, 7, 8], encoded.Starts);
    }

    [Fact]
    public void Encode_AstralLetters_AreLettersToThePattern()
    {
        var tokenizer = TokenizerSamples.Parse(TokenizerSamples.ByteLevel());
        var pattern = new UnicodePattern(PreTokenizer.Gpt2Pattern);
        Assert.Equal([(0, 5), (5, 3), (8, 2)], pattern.Matches("a𝐀𝐁 𝟙😀"));
        Assert.Equal("a𝐀𝐁 𝟙😀", tokenizer.Decode(tokenizer.Encode("a𝐀𝐁 𝟙😀").Ids));
    }

    [Theory]
    [InlineData(@"[^\r\n\p{L}\p{N}]?+\p{L}+", @"(?>[^\r\n\p{L}\p{N}]?)\p{L}+")]
    [InlineData(@" ?[^\s\p{L}\p{N}]++[\r\n]*", @" ?(?>[^\s\p{L}\p{N}]+)[\r\n]*")]
    [InlineData(@"'(?i:[sdmt]|ll|ve|re)|a*+b", @"'(?i:[sdmt]|ll|ve|re)|(?>a*)b")]
    [InlineData(@"(?:ab|c)++\++", @"(?>(?:ab|c)+)\++")]
    [InlineData(@"\s+(?!\S)|\s+?x{1,3}", @"\s+(?!\S)|\s+?x{1,3}")]
    public void Translate_PossessiveQuantifiers_BecomeAtomicGroups(string pattern, string expected) =>
        Assert.Equal(expected, UnicodePattern.Translate(pattern));

    [Theory]
    [InlineData(SplitBehavior.Removed, "the|final|countdown")]
    [InlineData(SplitBehavior.Isolated, "the|-|final|-|-|countdown")]
    [InlineData(SplitBehavior.MergedWithPrevious, "the-|final-|-|countdown")]
    [InlineData(SplitBehavior.MergedWithNext, "the|-final|-|-countdown")]
    [InlineData(SplitBehavior.Contiguous, "the|-|final|--|countdown")]
    internal void Split_Behaviors_CutLikeTheOriginalLibrary(SplitBehavior behavior, string expected)
    {
        var pieces = new List<Piece>();
        var text = AlignedText.From("the-final--countdown");
        new PreTokenizer.PatternSplit(UnicodePattern.Literal("-"), behavior, invert: false).Split(new Piece(text, 0, text.Length), true, pieces);
        Assert.Equal(expected, string.Join('|', pieces.Select(static p => p.Span.ToString())));
    }

    [Fact]
    public void Encode_AddedTokenFlags_AreHonoured()
    {
        var tokenizer = TokenizerSamples.Parse(TokenizerSamples.ByteLevel(added: """
            ,{"id":301,"content":"<m>","lstrip":true,"rstrip":true,"normalized":false},{"id":302,"content":"word","single_word":true},
            {"id":303,"content":"<|end|>x","special":true}
            """));
        Assert.Equal(['a', 301, 'b'], tokenizer.Encode("a  <m> b").Ids);
        Assert.Equal([302, '!', 's', 'w', 262 - 1, 'd'], tokenizer.Encode("word!sword").Ids);
        Assert.Equal([303, 300], tokenizer.Encode("<|end|>x<|end|>").Ids);
    }

    [Fact]
    public void Decode_IdsOutsideTheVocabulary_AreRefusedAndHolesAreEmpty()
    {
        var tokenizer = TokenizerSamples.Parse(TokenizerSamples.ByteLevel());
        Assert.Equal("a", tokenizer.Decode([290, 'a']));
        Assert.Null(tokenizer.TokenText(290));
        foreach (int id in new[] { -1, 301, int.MaxValue })
        {
            var error = Assert.Throws<EngineException>(() => tokenizer.Decode([id]));
            Assert.Equal(ErrorKind.BadInput, error.Kind);
            Assert.Contains(id.ToString(), error.Message);
        }
    }

    [Theory]
    [InlineData("\"type\":\"BPE\"", "\"type\":\"Unigram\"", "Unigram")]
    [InlineData("\"normalizer\":null", "\"normalizer\":{\"type\":\"NFC\"}", "NFC")]
    [InlineData("\"type\":\"ByteLevel\",\"add", "\"type\":\"BertPreTokenizer\",\"add", "BertPreTokenizer")]
    [InlineData("\"post_processor\":null", "\"post_processor\":{\"type\":\"BertProcessing\"}", "BertProcessing")]
    [InlineData("\"decoder\":{\"type\":\"ByteLevel\"}", "\"decoder\":{\"type\":\"WordPiece\"}", "WordPiece")]
    [InlineData("\"h e\"", "\"h zz\"", "zz")]
    [InlineData("\"h e\"", "\"h e e\"", "h e e")]
    [InlineData("\"he\":256", "\"he\":255", "255")]
    [InlineData("\"he\":256", "\"he\":-4", "-4")]
    [InlineData("\"he\":256", "\"he\":2000000000", "2000000000")]
    [InlineData("\"id\":300", "\"id\":1000000", "1000000")]
    [InlineData("\"id\":300", "\"id\":5", "contradicts")]
    public void Parse_WhatIsNotSupportedOrContradicts_IsNamed(string part, string replacement, string named)
    {
        string json = TokenizerSamples.ByteLevel();
        Assert.Contains(part, json);
        var error = Assert.Throws<EngineException>(() => TokenizerSamples.Parse(json.Replace(part, replacement)));
        Assert.Equal(ErrorKind.BadInput, error.Kind);
        Assert.Contains(named, error.Message);
    }

    [Fact]
    public void Save_ThenLoad_EncodesTheSame()
    {
        using var folder = new TemporaryFolder();
        foreach (var tokenizer in new[] { ByteTokenizer.Create(), TokenizerSamples.Parse(TokenizerSamples.SentencePiece()) })
        {
            tokenizer.Save(folder.Path);
            var loaded = TokenizerFile.Load(folder.Path);
            Assert.Equal(tokenizer.Encode("hello wörld 😀").Ids, loaded.Encode("hello wörld 😀").Ids);
            File.Delete(Path.Combine(folder.Path, TokenizerFile.ConfigFileName));
        }
        var missing = Assert.Throws<EngineException>(() => TokenizerFile.Load(Path.Combine(folder.Path, "nowhere")));
        Assert.Contains("nowhere", missing.Message);
    }

    [Fact]
    public void ByteTokenizer_Ids_AreTheBytes()
    {
        var tokenizer = ByteTokenizer.Create();
        var encoded = tokenizer.Encode("aé");
        Assert.Equal([256, 'a', 0xC3, 0xA9], encoded.Ids);
        Assert.Equal([0, 0, 1, 2], encoded.Starts);
        Assert.Equal((258, 256, 257, true), (tokenizer.VocabularySize, tokenizer.BosId, tokenizer.EosId, tokenizer.AddsBos));
        Assert.Equal("\uFFFD", tokenizer.Decode([0xC3]));
    }
}
