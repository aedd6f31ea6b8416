using System.IO.Compression;
using System.Text.Json;
using NativeEngine.Data;
using NativeEngine.Formats;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Data;

public class DataOperationsTests
{
    private static List<Example> Synthesize(int count, ulong seed, SynthesisSplit split = SynthesisSplit.Train) =>
        [.. MixtureSynthesizer.Generate(count, seed, split)];

    [Theory]
    [InlineData(8)]
    [InlineData(9)]
    [InlineData(100)]
    [InlineData(1003)]
    [InlineData(12_000)]
    public void Generate_AnyCount_HasTheDocumentedSizes(int count)
    {
        var examples = Synthesize(count, 1);
        Assert.Equal(count, examples.Count);
        var sizes = MixtureSynthesizer.Sizes(count);
        for (int s = 0; s < sizes.Length; s++)
        {
            Assert.True(sizes[s] >= 1);
            Assert.Equal(sizes[s], examples.Count(e => e.Source == MixtureSynthesizer.Sources[s].Name));
            if (count >= 1000)
            {
                Assert.InRange(sizes[s] - MixtureSynthesizer.Sources[s].Share * count, -1, 1);
            }
        }
        Assert.Equal(1.0, MixtureSynthesizer.Sources.Sum(static s => s.Share), 12);
    }

    [Fact]
    public void Generate_TrainAndValid_ShareNoPromptWhateverTheSeed()
    {
        var train = Synthesize(6000, 1).Concat(Synthesize(3000, 2)).Select(static e => e.Prompt).ToHashSet();
        var valid = Synthesize(2000, 1, SynthesisSplit.Valid).Concat(Synthesize(1000, 3, SynthesisSplit.Valid)).Select(static e => e.Prompt);
        Assert.DoesNotContain(valid, train.Contains);
    }

    [Fact]
    public void Generate_SameSeed_GivesTheSameAndPromptsAreFresh()
    {
        var examples = Synthesize(5000, 7);
        Assert.Equal(examples.Select(static e => e.Text), Synthesize(5000, 7).Select(static e => e.Text));
        Assert.NotEqual(examples.Select(static e => e.Text), Synthesize(5000, 8).Select(static e => e.Text));
        Assert.Equal(5000, examples.Select(static e => e.Prompt).Distinct().Count());
        Assert.All(examples, static e => Assert.InRange(e.Text.Length, 5, 250));
        Assert.Equal(ErrorKind.Usage, Assert.Throws<EngineException>(() => MixtureSynthesizer.Sizes(7)).Kind);
    }

    [Fact]
    public void Generate_Answers_FollowFromTheirPrompts()
    {
        var bySource = Synthesize(6000, 4).GroupBy(static e => e.Source).ToDictionary(static g => g.Key, static g => g.ToList());
        foreach (var e in bySource["arithmetic"])
        {
            string[] parts = e.Prompt!.Split(' ');
            int a = int.Parse(parts[0]), b = int.Parse(parts[2]);
            int expected = parts[1] switch { "+" => a + b, "-" => a - b, "*" => a * b, _ => a % b };
            Assert.Equal(expected.ToString(), e.Completion);
        }
        foreach (var e in bySource["sorting"])
        {
            string[] items = e.Prompt![(e.Prompt!.IndexOf(':') + 2)..].Split(' '), sorted = e.Completion!.Split(' ');
            Assert.Equal(items.Order(StringComparer.Ordinal), sorted.Order(StringComparer.Ordinal));
            if (int.TryParse(items[0], out _))
            {
                int direction = e.Prompt.StartsWith("sort down") ? -1 : 1;
                Assert.All(sorted.Zip(sorted.Skip(1)), p => Assert.True(direction * int.Parse(p.First) <= direction * int.Parse(p.Second)));
            }
        }
        foreach (var e in bySource["code"])
        {
            Assert.Equal(RunProgram(e.Prompt!), e.Completion);
        }
        foreach (var e in bySource["json"])
        {
            using var json = JsonDocument.Parse(e.Completion!);
            Assert.Equal(JsonValueKind.Object, json.RootElement.ValueKind);
        }
        Assert.All(bySource["records"], static e => Assert.Contains(e.Completion!, e.Prompt!));
        Assert.Equal("MCMXCIV", SynthesisTasks.RomanOf(1994));
        Assert.All(bySource["dates"].Where(static e => e.Prompt!.StartsWith("the day after")), static e =>
            Assert.Equal(DateOnly.Parse(e.Prompt![^10..]).AddDays(1), DateOnly.Parse(e.Completion!)));
    }

    private static string RunProgram(string program)
    {
        var values = new Dictionary<string, int>();
        foreach (string line in program.Split('\n'))
        {
            string[] words = line.Split(' ');
            if (line.StartsWith("print("))
            {
                string[] inside = line[6..^1].Split(" > ");
                return inside.Length == 1 ? values[inside[0]].ToString() : values[inside[0]] > int.Parse(inside[1]) ? "True" : "False";
            }
            values[words[0]] = words.Length == 3 ? int.Parse(words[2]) : words[3] switch
            {
                "+" => values[words[2]] + values[words[4]],
                "-" => values[words[2]] - values[words[4]],
                _ => values[words[2]] * values[words[4]],
            };
        }
        return "";
    }

    [Theory]
    [InlineData("mix.jsonl")]
    [InlineData("mix.jsonl.gz")]
    public void Write_ThenRead_GivesTheExamplesBack(string name)
    {
        using var folder = new TemporaryFolder();
        List<Example> examples = [.. Synthesize(200, 1), Example.FromText("other", "plain \"text\" é😀\n\u2028")];
        Assert.Equal(201, JsonlWriter.Write(folder.File(name), examples));
        var read = new JsonlReader(folder.File(name)).Read().ToList();
        Assert.Equal(examples.Select(static e => (e.Source, e.Prompt, e.Completion, e.PlainText)),
            read.Select(static e => (e.Source, e.Prompt, e.Completion, e.PlainText)));
    }

    [Fact]
    public void Run_Inspection_CountsSourcesDuplicatesAndLengths()
    {
        const string Text = """
            {"text":"aaaa","source":"b"}
            {"text":"aaaa","source":"b"}
            {"text":"é","source":"b"}
            bad
            {"prompt":"aa","completion":"b","source":"a"}
            """;
        var reader = new JsonlReader("d", () => new MemoryStream(System.Text.Encoding.UTF8.GetBytes(Text)), new JsonlOptions { OnBadLine = BadLinePolicy.Skip });
        var found = DataInspection.Run(reader, ByteTokenizer.Create());
        Assert.Equal((5L, 4, 1L, 14L, 18L, 1), (found.Lines, found.Examples, found.BadLineCount, found.Bytes, found.Tokens!.Value, found.Duplicates));
        Assert.Equal(["a", "b"], found.Sources.Select(static s => s.Name));
        Assert.Equal([true, false], found.Sources.Select(static s => s.Small));
        Assert.Equal(new LengthQuantiles(3, 5, 5, 5, 5), found.Lengths);
        Assert.Null(DataInspection.Run(reader, null).Tokens);
    }

    [Fact]
    public void Write_Split_KeepsLinesWholeAndPromptsApart()
    {
        using var folder = new TemporaryFolder();
        string lines = string.Concat(Enumerable.Range(0, 2000).Select(static i => $"{{\"id\":{i},\"prompt\":\"p{i % 1500}\",\"completion\":\"c\"}}\n"));
        string input = folder.Write("all.jsonl", lines), train = folder.File("train.jsonl"), valid = folder.File("valid.jsonl.gz");
        var reader = new JsonlReader(input, new JsonlOptions { KeepLines = true });
        var report = DataSplit.Write(reader, train, valid, 0.2, seed: 5);
        Assert.Equal(report, DataSplit.Count(reader, 0.2, seed: 5));
        Assert.NotEqual(report, DataSplit.Count(reader, 0.2, seed: 6));
        Assert.Equal(2000, report.Train + report.Valid);
        Assert.InRange(report.Valid, 320, 480);
        using var gzip = new StreamReader(new GZipStream(File.OpenRead(valid), CompressionMode.Decompress));
        var held = gzip.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        var kept = File.ReadAllLines(train);
        Assert.Equal(lines.Split('\n', StringSplitOptions.RemoveEmptyEntries).Order(), held.Concat(kept).Order());
        Assert.Empty(held.Select(PromptOf).Intersect(kept.Select(PromptOf)));
        var error = Assert.Throws<EngineException>(() => DataSplit.Write(reader, folder.File("t"), folder.File("v"), 1e-9, 0));
        Assert.Equal(ErrorKind.BadInput, error.Kind);
        Assert.Equal(3, Directory.GetFiles(folder.Path).Length);

        static string PromptOf(string line) => line.Split("\"prompt\"")[1];
    }

    [Fact]
    public void Write_TokenizedFile_HoldsTheDataset()
    {
        using var folder = new TemporaryFolder();
        var tokenizer = ByteTokenizer.Create();
        var data = MixtureDataset.Build(Synthesize(100, 1), tokenizer, DatasetOptions.Training(64));
        TokenizedFile.Write(folder.File("t.safetensors"), data, tokenizer);
        using var file = SafetensorsFile.Open(folder.File("t.safetensors"));
        Assert.Equal(["label_starts", "offsets", "sources", "tokens"], file.Tensors.Select(static t => t.Name).Order());
        Assert.Equal("arithmetic", file.Metadata["source.0"]);
    }

    [Fact]
    public void Verbs_SynthInspectSplitTokenize_WorkTogether()
    {
        using var folder = new TemporaryFolder();
        string mix = folder.File("mix.jsonl"), train = folder.File("train.jsonl"), valid = folder.File("valid.jsonl");
        NEngine.Run("data", "synth", "--count", "500", "--output", mix, "--json").Expect(0);
        var found = NEngine.Run("data", "inspect", mix, "--tokenizer", "bytes", "--json").Expect(0).Json();
        Assert.Equal(500, found.GetProperty("examples").GetInt32());
        Assert.Equal(8, found.GetProperty("sources").GetArrayLength());
        Assert.Contains("arithmetic", NEngine.Run(["data", "inspect", "-"], File.ReadAllText(mix)).Expect(0).StdOut);
        var split = NEngine.Run("data", "split", mix, "--output", train, "--valid", valid, "--json").Expect(0).Json();
        Assert.Equal(500, split.GetProperty("train").GetInt32() + split.GetProperty("valid").GetInt32());
        var tokens = NEngine.Run("data", "tokenize", mix, "--train-bpe", "300", "--save-tokenizer", folder.File("tok"),
            "--output", folder.File("m.safetensors"), "--json").Expect(0).Json();
        Assert.Equal(300, tokens.GetProperty("vocabulary").GetInt32());
        Assert.Equal(300, TokenizerFile.Load(folder.File("tok")).VocabularySize);
        Assert.Equal(3, NEngine.Run("data", "inspect", folder.File("none.jsonl"), "--json").Expect(3).Json().GetProperty("error").GetProperty("code").GetInt32());
    }
}
