using System.Text;
using NativeEngine.Data;
using NativeEngine.Evaluation;
using NativeEngine.Model;
using NativeEngine.Tests.Formats;
using NativeEngine.Tests.Model;
using NativeEngine.Tests.Reference;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Evaluation;

public sealed class MultipleChoiceTests
{
    private static readonly Example[] _questions =
    [
        Example.FromChoices("b", "2 + 2 =", ["3", "4", "twenty"], 1),
        Example.FromChoices("a", "x", ["ab", "c"], 0),
        Example.FromChoices("b", "7", ["é", "zz", "q", "rr"], 3),
        Example.FromChoices("a", "long", ["ok", new string('k', 40)], 0),
        Example.FromChoices("b", "Who?", ["me", "you"], 1),
    ];

    [Fact]
    public void Evaluate_SmallModel_ChoicesOfTheDoubleReference()
    {
        using var folder = new TinyModelFolder();
        using var model = new LlamaModel(folder.Config, folder.Parameters);
        using var losses = new NativeLosses(model);
        var result = new MultipleChoice(losses, folder.Tokenizer).Evaluate(_questions);
        var reference = new ReferenceLlama(folder.Config, TinyModel.Values(folder.Parameters).ToDictionary(p => p.Key, p => Array.ConvertAll(p.Value, v => (double)v)));
        int plain = 0, normalized = 0;
        foreach (var question in _questions.Where(q => q.Prompt != "long"))
        {
            double[] likelihood = [.. question.Choices.Select(choice =>
            {
                int prompt = Encoding.UTF8.GetByteCount(question.Prompt + "\n");
                int[] tokens = [256, .. Encoding.UTF8.GetBytes($"{question.Prompt}\n{choice}").Select(b => (int)b)];
                return -reference.Losses(tokens[..^1], tokens[1..]).Skip(prompt).Sum();
            })];
            double[] perByte = [.. likelihood.Zip(question.Choices, (l, c) => l / Encoding.UTF8.GetByteCount(c))];
            plain += Array.IndexOf(likelihood, likelihood.Max()) == question.Answer ? 1 : 0;
            normalized += Array.IndexOf(perByte, perByte.Max()) == question.Answer ? 1 : 0;
        }
        Assert.Equal((4, 1, 0), (result.Questions, result.TooLong, result.NoToken));
        Assert.Equal((plain, normalized), (result.Total.Plain.Successes, result.Total.Normalized.Successes));
        Assert.Equal(["a", "b"], result.Sources.Select(s => s.Source));
        Assert.Equal([1, 3], result.Sources.Select(s => s.Plain.Trials));
        Assert.Equal((1 / 3.0 + 1 / 4.0 + 1 / 2.0) / 3, result.Sources[1].Chance, 1e-12);
    }

    [Fact]
    public void Evaluate_OneChoiceMadeLikely_WinsUntilLengthCounts()
    {
        var engine = new ScriptedLosses();
        var questions = new[] { Example.FromChoices("s", "p", ["aaaa", "b"], 1) };
        // Loss 1 for each token of either: the short one is likelier as a whole, the two are equal per byte, and ties go to the first.
        var result = new MultipleChoice(engine, ByteTokenizer.Create()).Evaluate(questions);
        Assert.Equal((1, 0), (result.Total.Plain.Successes, result.Total.Normalized.Successes));
    }

    [Fact]
    public void Evaluate_NothingFits_RefusedWithTheCounts()
    {
        using var folder = new TinyModelFolder();
        using var model = new LlamaModel(folder.Config, folder.Parameters);
        using var losses = new NativeLosses(model);
        var choice = new MultipleChoice(losses, folder.Tokenizer);
        Expect.Fails(ErrorKind.BadInput, () => choice.Evaluate([_questions[3]]), "1 are longer than the context of 32");
    }

    [Theory]
    [InlineData("""{"prompt":"p","choices":["a","b"],"answer":1}""", 1)]
    [InlineData("""{"prompt":"p","choices":["a","b"],"answer":"b"}""", 1)]
    [InlineData("""{"prompt":"p","choices":["a","b"],"answer":"B"}""", 1)]
    [InlineData("""{"prompt":"p","choices":["B","A"],"answer":"A"}""", 1)]
    public void Reader_Answers_NumberTextOrLetter(string line, int expected)
    {
        var example = Assert.Single(Reader(line).Read());
        Assert.Equal(expected, example.Answer);
        Assert.Equal(example.Choices[expected], example.Completion);
    }

    [Theory]
    [InlineData("""{"prompt":"p","choices":["a","b"],"answer":2}""", "it is 2")]
    [InlineData("""{"prompt":"p","choices":["a","b"],"answer":-1}""", "from 0 to 1")]
    [InlineData("""{"prompt":"p","choices":["a","b"],"answer":"C"}""", "it is \"C\"")]
    [InlineData("""{"prompt":"p","choices":["a","b"]}""", "it is missing")]
    [InlineData("""{"prompt":"p","choices":["a"],"answer":0}""", "has 1 entries")]
    [InlineData("""{"prompt":"p","choices":["a","a"],"answer":0}""", "same text twice")]
    [InlineData("""{"prompt":"p","choices":["a",""],"answer":0}""", "number 1 is not")]
    [InlineData("""{"prompt":"p","choices":["a",3],"answer":0}""", "number 1 is not")]
    [InlineData("""{"prompt":"p","choices":"ab","answer":0}""", "no array \"choices\"")]
    [InlineData("""{"choices":["a","b"],"answer":0}""", "no text \"prompt\"")]
    public void Reader_BadQuestions_RefusedByLine(string line, string reason) =>
        Expect.Fails(ErrorKind.BadInput, () => Reader(line).Read().ToList(), "q:1", reason);

    [Fact]
    public void Wilson_KnownIntervals()
    {
        // Wilson (1927) with z = 1.96: 0 of 10, 5 of 10, 81 of 263 (Newcombe 1998, table I: 0.2553 to 0.3662).
        Assert.Equal((0.0, 0.2775), Rounded(new Proportion(0, 10)));
        Assert.Equal((0.2366, 0.7634), Rounded(new Proportion(5, 10)));
        Assert.Equal((0.2553, 0.3662), Rounded(new Proportion(81, 263)));
        Assert.Equal(1.0, new Proportion(7, 7).Interval().High);
        Assert.True(double.IsNaN(new Proportion(0, 0).Value));
        var (value, low, high) = Proportion.Mean([new Proportion(5, 10), new Proportion(0, 0)]);
        Assert.Equal((0.5, 0.2366, 0.7634), (value, Math.Round(low, 4), Math.Round(high, 4)));
        var two = Proportion.Mean([new Proportion(50, 100), new Proportion(50, 100)]);
        var one = new Proportion(100, 200).Interval();
        Assert.Equal(one.High - one.Low, two.High - two.Low, 2e-3);

        static (double, double) Rounded(Proportion p) => (Math.Round(p.Interval().Low, 4), Math.Round(p.Interval().High, 4));
    }

    [Fact]
    public void Eval_ChoiceFile_FoundByItsFirstLine()
    {
        using var folder = new TinyModelFolder();
        string path = folder.Beside("q.jsonl");
        File.WriteAllText(path, """
            {"prompt":"2 + 2 =","choices":["3","4"],"answer":"B","source":"sum"}
            {"prompt":"up","choices":["down","left","right"],"answer":0,"source":"way"}
            """);
        var json = NEngine.Run("eval", "--model", folder.Path, "--data", path, "--json").Expect(0).Json();
        Assert.Equal(("choice", 2, "native"), (json.GetProperty("task").GetString(), json.GetProperty("questions").GetInt32(), json.GetProperty("engine").GetString()));
        var sources = json.GetProperty("sources").EnumerateArray().ToList();
        Assert.Equal(["sum", "way"], sources.Select(s => s.GetProperty("source").GetString()));
        Assert.Equal(0.5, sources[0].GetProperty("chance").GetDouble());
        Assert.Equal(2, sources[0].GetProperty("accuracy_interval").GetArrayLength());
        // From standard input the task must be said.
        string again = NEngine.Run(["eval", "--model", folder.Path, "--data", "-", "--task", "choice", "--json"], stdin: File.ReadAllText(path)).Expect(0).StdOut;
        Assert.Equal(NEngine.Run("eval", "--model", folder.Path, "--data", path, "--json").StdOut, again);
        if (OnnxRuntime.Library is { } library)
        {
            var onnx = NEngine.Run("eval", "--model", folder.Path, "--data", path, "--json", "--engine", "onnx", "--ort-lib", library.Path!).Expect(0).Json();
            Assert.Equal(json.GetProperty("accuracy").GetDouble(), onnx.GetProperty("accuracy").GetDouble());
        }
    }

    private static JsonlReader Reader(string line) =>
        new("q", () => new MemoryStream(Encoding.UTF8.GetBytes(line)), new JsonlOptions { ChoicesField = "choices" });

    /// <summary>A loss of one for every token.</summary>
    private sealed class ScriptedLosses : ITokenLosses
    {
        public int ContextLength => 100;

        public float[] Losses(PackedBatch batch, CancellationToken cancellation = default)
        {
            var losses = new float[batch.LabelCount];
            losses.AsSpan().Fill(1);
            return losses;
        }
    }
}
