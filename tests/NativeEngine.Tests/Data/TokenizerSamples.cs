using System.Text;
using NativeEngine.Data;

namespace NativeEngine.Tests.Data;

/// <summary>Small tokenizer.json files of both kinds, and texts that are hard on tokenizers.</summary>
internal static class TokenizerSamples
{
    public static readonly string[] HardTexts =
    [
        "", " ", "  ", "a", "\n", "\r\n\t ", "Hello world", " Hello  world ", "it's they'll we'd I'm", "naïve café Ünï",
        "e\u0301 combining \u0327\u0308", "日本語のテキスト", "😀 emoji 👩‍👩‍👧 family", "𝐀𝐁 math 𝟙𝟚 bold", "\u0000\u0001 control",
        "١٢٣ digits Ⅻ²", "tabs\tand   spaces   ", "▁ mark ▁▁", "a\u00A0nbsp\u3000wide", "\u200B\uFEFFzero", "<0x41> not a byte",
        "12345678901234567890", "x = (a+b)*[c]; // code\n\n\n    indent", "ＦＵＬＬwidth", "𠀀𠀁 CJK ext B",
    ];

    public static BpeTokenizer Parse(string json) => (BpeTokenizer)TokenizerFile.Parse(Encoding.UTF8.GetBytes(json), "test.json");

    /// <summary>Byte-level with a few merges over GPT-2's words.</summary>
    public static string ByteLevel(string preTokenizer = """{"type":"ByteLevel","add_prefix_space":false,"use_regex":true}""",
        string postProcessor = "null", string added = "")
    {
        string[] merged = ["he", "ll", "hell", "hello", "Ġw", "or", "Ġwor", "ld", "Ġworld", "ab", "ĠĠ"];
        string[] merges = ["h e", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or", "l d", "Ġwor ld", "a b", "Ġ Ġ"];
        var vocab = new StringBuilder();
        for (int b = 0; b < 256; b++)
        {
            vocab.Append(System.Text.Json.JsonSerializer.Serialize(ByteAlphabet.ToChar((byte)b).ToString())).Append(':').Append(b).Append(',');
        }
        for (int m = 0; m < merged.Length; m++)
        {
            vocab.Append($"\"{merged[m]}\":{256 + m}{(m + 1 < merged.Length ? "," : "")}");
        }
        return $$$"""
            {"version":"1.0","added_tokens":[{"id":300,"content":"<|end|>","special":true}{{{added}}}],"normalizer":null,
            "pre_tokenizer":{{{preTokenizer}}},"post_processor":{{{postProcessor}}},
            "decoder":{"type":"ByteLevel"},
            "model":{"type":"BPE","vocab":{{{{vocab}}}},"merges":[{{{string.Join(',', merges.Select(static m => $"\"{m}\""))}}}]}}
            """;
    }

    /// <summary>SentencePiece style with byte fallback; the pipeline can be given.</summary>
    public static string SentencePiece(string normalizer =
        """{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]}""",
        string preTokenizer = "null", string decoder = """
            {"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},
            {"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}
            """)
    {
        var vocab = new StringBuilder("\"<unk>\":0,\"<s>\":1,\"</s>\":2");
        for (int b = 0; b < 256; b++)
        {
            vocab.Append($",\"<0x{b:X2}>\":{3 + b}");
        }
        string[] rest = ["▁", "h", "e", "l", "o", "w", "r", "d", "a", "b", "▁h", "he", "ll", "▁he", "llo", "▁hello", "▁w", "or", "▁wor", "ld", "▁world", "▁▁"];
        for (int i = 0; i < rest.Length; i++)
        {
            vocab.Append($",\"{rest[i]}\":{259 + i}");
        }
        return $$$"""
            {"version":"1.0","added_tokens":[{"id":0,"content":"<unk>","special":true},{"id":1,"content":"<s>","special":true},
            {"id":2,"content":"</s>","special":true}],"normalizer":{{{normalizer}}},"pre_tokenizer":{{{preTokenizer}}},
            "post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],
            "pair":[],"special_tokens":{"<s>":{"id":"<s>","ids":[1],"tokens":["<s>"]} } },"decoder":{{{decoder}}},
            "model":{"type":"BPE","unk_token":"<unk>","fuse_unk":true,"byte_fallback":true,"vocab":{{{{vocab}}}},
            "merges":[["h","e"],["l","l"],["▁","he"],["ll","o"],["▁he","llo"],["▁","w"],["o","r"],["▁w","or"],["l","d"],["▁wor","ld"],["▁","▁"],["▁","h"]]}}
            """;
    }
}
