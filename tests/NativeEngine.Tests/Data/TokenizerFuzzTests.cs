using System.Text;
using NativeEngine.Data;

namespace NativeEngine.Tests.Data;

public class TokenizerFuzzTests
{
    private static readonly string[] _splices =
    [
        "null", "true", "-1", "0", "2147483647", "99999999999999999999", "1e400", "\"\"", "\"\\ud800\"", "\"a\"", "[]", "{}", "[[]]", "\"(\"", "\"[\"",
        "\"a**\"", "\"(?<\"", "\"Sequence\"", "\"ByteLevel\"", "\"Metaspace\"", "{\"type\":\"Sequence\"}", "\"▁\"", "{\"String\":\"\"}",
        "{\"Regex\":\"(a|a?)+$\"}", "[\"h\",\"e\",\"l\"]", "[null,1]", "\"h  e\"", "\"he \"", "1.5",
    ];

    public static TheoryData<int> Kinds => [0, 1, 2, 3];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Parse_Mutants_LoadOrAreRefusedAsBadInput(int kind)
    {
        byte[] original = Encoding.UTF8.GetBytes(kind switch
        {
            0 => TokenizerSamples.ByteLevel("""{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\p{N}{1,3}|[^\\r\\n]?+\\p{L}+"},"behavior":"Isolated","invert":false},{"type":"ByteLevel","add_prefix_space":true,"use_regex":true}]}"""),
            1 => TokenizerSamples.SentencePiece(),
            2 => TokenizerSamples.SentencePiece("null", """{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true}""", """{"type":"Metaspace","replacement":"▁","prepend_scheme":"first"}"""),
            _ => TokenizerSamples.ByteLevel(postProcessor: """{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<|end|>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"special_tokens":{"<|end|>":{"id":"<|end|>","ids":[300],"tokens":["<|end|>"]}}}"""),
        });
        var random = new CounterRandom((ulong)kind, RandomPurpose.Test, 9);
        ulong at = 0;
        int Below(int bound) => (int)random.Below(at++, bound);
        int refused = 0, loaded = 0;
        for (int mutant = 0; mutant < 1300; mutant++)
        {
            byte[] bytes = Mutate([.. original], Below);
            try
            {
                var tokenizer = TokenizerFile.Parse(bytes, "mutant.json");
                foreach (string text in (ReadOnlySpan<string>)["hello world", "a <|end|> é😀 12", ""])
                {
                    var encoded = tokenizer.Encode(text);
                    Assert.All(encoded.Ids, id => Assert.InRange(id, 0, tokenizer.VocabularySize - 1));
                    tokenizer.Decode(encoded.Ids, skipSpecialTokens: false);
                }
                loaded++;
            }
            catch (EngineException e)
            {
                Assert.Equal(ErrorKind.BadInput, e.Kind);
                refused++;
            }
        }
        Assert.True(refused > 100 && loaded > 25, $"{refused} refused, {loaded} loaded");
    }

    private static byte[] Mutate(List<byte> bytes, Func<int, int> below)
    {
        // Most strikes hit the structure around the vocabulary, which is most of the text.
        for (int strikes = 1 + below(2); strikes > 0; strikes--)
        {
            int where = below(4) == 0 ? below(bytes.Count) : below(2) == 0 ? below(Math.Min(700, bytes.Count)) : bytes.Count - 1 - below(Math.Min(900, bytes.Count));
            switch (below(9))
            {
                case 0:
                    bytes[where] = (byte)below(256);
                    break;
                case 1:
                    bytes[where] ^= (byte)(1 << below(8));
                    break;
                case 2:
                    bytes.RemoveRange(where, Math.Min(1 + below(20), bytes.Count - where));
                    break;
                case < 7:
                    byte[] other = ValueAfter(bytes, below(bytes.Count), out _);
                    SpliceValue(bytes, where, other);
                    break;
                default:
                    SpliceValue(bytes, where, Encoding.UTF8.GetBytes(_splices[below(_splices.Length)]));
                    break;
            }
            if (bytes.Count == 0)
            {
                break;
            }
        }
        return [.. bytes];
    }

    // Replaces the value after the next colon, bracket or comma, so that many mutants are still JSON.
    private static void SpliceValue(List<byte> bytes, int from, byte[] value)
    {
        byte[] old = ValueAfter(bytes, from, out int start);
        if (old.Length > 0)
        {
            bytes.RemoveRange(start, old.Length);
            bytes.InsertRange(start, value);
        }
    }

    private static byte[] ValueAfter(List<byte> bytes, int from, out int start)
    {
        start = bytes.FindIndex(from, static b => b is (byte)':' or (byte)'[' or (byte)',') + 1;
        int end = start == 0 ? -1 : bytes.FindIndex(start, static b => b is (byte)',' or (byte)'}' or (byte)']');
        return end > start ? [.. bytes[start..end]] : [];
    }
}
