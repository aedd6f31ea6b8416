using System.Text;
using System.Text.Json;
using NativeEngine.Data;
using NativeEngine.Tests.Reference;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Data;

public class BpeTrainerTests
{
    private static readonly string[] _corpus =
    [
        "the cat sat on the mat, the cat ate the rat", "aaaa aaa aa a aaaaa abab ababab", "naïve café naïve 日本日本 😀😀😀",
        "low lower lowest newer newest widest", "x = x + 1; y = y + 11; z = 111", "  indent\n    indent\n\n\n",
    ];

    public static TheoryData<int, int> RandomCorpora
    {
        get
        {
            var data = new TheoryData<int, int>();
            for (int seed = 0; seed < 20; seed++)
            {
                data.Add(seed, 2 + seed % 4);
            }
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(RandomCorpora))]
    public void Train_RandomWords_AgreesWithRecounting(int seed, int letters)
    {
        var random = new CounterRandom((ulong)seed, RandomPurpose.Test);
        ulong at = 0;
        var texts = Enumerable.Range(0, 40).Select(_ => string.Join(' ', Enumerable.Range(0, 8).Select(_ =>
            new string([.. Enumerable.Range(0, 1 + (int)random.Below(at++, 12)).Select(_ => (char)('a' + random.Below(at++, letters)))])))).ToList();
        AssertAgrees(texts, 330, 2);
    }

    [Fact]
    public void Train_MixedTexts_AgreesWithRecounting() => AssertAgrees(_corpus, 340, 2);

    private static void AssertAgrees(IEnumerable<string> texts, int vocabulary, int minFrequency)
    {
        var words = BpeTrainer.CountWords(texts, default).Select(static w => (w.Key, w.Value));
        var expected = NaiveBpe.Train(words, vocabulary, minFrequency);
        Assert.True(expected.Count > 10);
        var trained = BpeTrainer.Train(texts, vocabulary, minFrequency);
        Assert.Equal(expected.Select(static m => Spell(m.Left) + " " + Spell(m.Right)), MergesOf(trained));
        var reversed = BpeTrainer.Train(texts.Reverse(), vocabulary, minFrequency);
        Assert.Equal(MergesOf(trained), MergesOf(reversed));
    }

    private static string Spell(string latin1) => ByteAlphabet.Spell(Encoding.Latin1.GetBytes(latin1));

    private static List<string> MergesOf(Tokenizer tokenizer)
    {
        using var folder = new TemporaryFolder();
        tokenizer.Save(folder.Path);
        using var json = JsonDocument.Parse(File.ReadAllBytes(folder.File(TokenizerFile.FileName)));
        return [.. json.RootElement.GetProperty("model").GetProperty("merges").EnumerateArray().Select(static m => $"{m[0]} {m[1]}")];
    }

    [Fact]
    public void Train_SavedAndLoaded_EncodesTheSameAndRoundTrips()
    {
        var trained = BpeTrainer.Train(_corpus, 320);
        using var folder = new TemporaryFolder();
        trained.Save(folder.Path);
        var loaded = TokenizerFile.Load(folder.Path);
        Assert.Equal((256, 257, true), (loaded.BosId, loaded.EosId, loaded.AddsBos));
        foreach (string text in TokenizerSamples.HardTexts.Concat(_corpus))
        {
            Assert.Equal(trained.Encode(text).Ids, loaded.Encode(text).Ids);
            Assert.Equal(text, loaded.Decode(loaded.Encode(text).Ids));
        }
        Assert.True(loaded.Encode(_corpus[0]).Ids.Length < _corpus[0].Length * 2 / 3);
    }

    [Fact]
    public void Train_SmallCorpus_StopsAtTheFrequency()
    {
        Assert.Equal(BpeTrainer.MinimumVocabulary, BpeTrainer.Train(["abc"], 1000).VocabularySize);
        Assert.Equal(BpeTrainer.MinimumVocabulary + 2, BpeTrainer.Train(["abc"], 1000, minFrequency: 1).VocabularySize);
        Assert.Equal(BpeTrainer.MinimumVocabulary, BpeTrainer.Train([], 1000).VocabularySize);
        Assert.Equal(ErrorKind.Usage, Assert.Throws<EngineException>(() => BpeTrainer.Train([], 100)).Kind);
    }

    [Theory]
    [MemberData(nameof(RandomCorpora))]
    public void Encode_RandomMerges_AgreesWithTheNaiveEncoder(int seed, int letters)
    {
        var random = new CounterRandom((ulong)seed, RandomPurpose.Test, 1);
        ulong at = 0;
        List<string> tokens = [.. Enumerable.Range(0, letters).Select(static c => ((char)('a' + c)).ToString())];
        var merges = new List<(string, string)>();
        while (merges.Count < 40)
        {
            string left = tokens[(int)random.Below(at++, tokens.Count)], right = tokens[(int)random.Below(at++, tokens.Count)];
            if (left.Length + right.Length <= 8 && !merges.Contains((left, right)))
            {
                merges.Add((left, right));
                tokens.Add(left + right);
            }
        }
        var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (string token in tokens)
        {
            vocabulary.TryAdd(token, vocabulary.Count);
        }
        var model = new BpeModel(vocabulary, [.. merges.Select(m => (vocabulary[m.Item1], vocabulary[m.Item2], vocabulary[m.Item1 + m.Item2]))],
            bytesAreSymbols: false, byteFallback: false, unknownId: null, fuseUnknown: false, ignoreMerges: false);
        for (int trial = 0; trial < 60; trial++)
        {
            string word = new([.. Enumerable.Range(0, 1 + (int)random.Below(at++, 80)).Select(_ => (char)('a' + random.Below(at++, letters)))]);
            var ids = new List<int>();
            var offsets = new List<int>();
            model.Encode(word, ids, offsets);
            var expected = NaiveBpe.Encode(word.Select(static c => c.ToString()), merges);
            Assert.Equal(expected.Select(t => vocabulary[t]), ids);
            Assert.Equal(expected.Select((_, i) => expected.Take(i).Sum(static t => t.Length)), offsets);
        }
    }

    [Fact]
    public void Encode_VeryLongWord_IsNotQuadratic()
    {
        var trained = BpeTrainer.Train(["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"], 262);
        string word = new('a', 1_000_000);
        Assert.Equal(word, trained.Decode(trained.Encode(word).Ids));
    }
}
