using NativeEngine.Data;
using NativeEngine.Devices.Cpu;
using NativeEngine.Evaluation;
using NativeEngine.Model;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Evaluation;

/// <summary>
/// A real pretrained model, whose tokens, losses and greedy text two independent programs agree on: through the library and through the
/// executable. It lies beside the repository or these tests are skipped.
/// </summary>
public sealed class StoriesTests
{
    private const string Model = "data/stories260K";
    private const string Lily = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park.";
    private const string Cats = "The 3 cats (née Ünï) couldn't swim; they cost $4.50!";
    private const double LilyLoss = 0.180356, CatsLoss = 7.487846;
    private const string Greedy = Lily + " One day, she saw a big, red ball. She wanted to play with it, but it was too high.";

    private static readonly int[] _lilyTokens =
    [
        1, 403, 407, 261, 378, 432, 383, 286, 261, 376, 298, 315, 421, 395, 317, 426, 338, 401, 396, 267, 337, 410, 408, 419, 292, 411, 322, 265,
        282, 295, 433, 426,
    ];

    private static readonly int[] _catsTokens =
    [
        1, 291, 410, 472, 280, 294, 419, 410, 489, 416, 485, 411, 410, 198, 159, 416, 198, 178, 488, 280, 389, 416, 439, 413, 262, 424, 288, 474,
        366, 280, 414, 356, 410, 494, 484, 426, 480, 477, 443,
    ];

    private static readonly string _data =
        $$"""{"text":"{{Lily}}","source":"lily"}""" + "\n" + $$"""{"text":"{{Cats}}","source":"cats"}""" + "\n";

    [FactWithSharedData(Model)]
    public void Library_TwoTexts_KnownTokensAndLosses()
    {
        string folder = RepositoryPaths.Shared(Model);
        using var device = new CpuDevice(threads: 2);
        var tokenizer = TokenizerFile.Load(folder);
        Assert.Equal(_lilyTokens, tokenizer.Encode(Lily).Ids);
        Assert.Equal(_catsTokens, tokenizer.Encode(Cats).Ids);
        Assert.Equal(Lily, tokenizer.Decode(_lilyTokens));
        Assert.Equal(Cats, tokenizer.Decode(_catsTokens));
        var (config, parameters) = ModelFolder.Load(folder, device);
        using (parameters)
        {
            using var model = new LlamaModel(config, parameters);
            var data = MixtureDataset.Build(
                [Example.FromText("lily", Lily), Example.FromText("cats", Cats)], tokenizer, DatasetOptions.Evaluation(config.ContextLength));
            var result = new PerplexityEvaluator(model).Evaluate(data);
            Assert.Equal(["cats", "lily"], result.Sources.Select(s => s.Source));
            Assert.Equal([_catsTokens.Length - 1, _lilyTokens.Length - 1], result.Sources.Select(s => (int)s.Tokens));
            Assert.Equal(CatsLoss, result.Sources[0].MeanLoss, 1e-5);
            Assert.Equal(LilyLoss, result.Sources[1].MeanLoss, 1e-5);
            Assert.Equal(result.Sources.Sum(s => s.LossSum), result.Total.LossSum, 1e-12);
            Assert.Equal([System.Text.Encoding.UTF8.GetByteCount(Cats), System.Text.Encoding.UTF8.GetByteCount(Lily)], result.Sources.Select(s => (int)s.Bytes));
            // One text a batch: the same bits.
            Assert.Equal(result.Sources, new PerplexityEvaluator(model) { TokensPerBatch = 1 }.Evaluate(data).Sources);
            Assert.Equal([.. _lilyTokens[1..]], new TextGenerator(model).Generate([1], new GenerationOptions(_lilyTokens.Length - 1)));
            Assert.Equal([.. _lilyTokens[1..]], new TextGenerator(model).Generate([1], new GenerationOptions(int.MaxValue)).Take(_lilyTokens.Length - 1));
        }
    }

    [FactWithSharedData(Model)]
    public void Library_Greedy_KnownText()
    {
        string folder = RepositoryPaths.Shared(Model);
        using var device = new CpuDevice(threads: 2);
        var tokenizer = TokenizerFile.Load(folder);
        var (config, parameters) = ModelFolder.Load(folder, device);
        using (parameters)
        {
            using var model = new LlamaModel(config, parameters);
            var generator = new TextGenerator(model);
            int[] tokens = [1, .. generator.Generate([1], new GenerationOptions(80))];
            Assert.Equal(81, tokens.Length);
            Assert.StartsWith(Greedy, tokenizer.Decode(tokens), StringComparison.Ordinal);
            // A prompt read at once ends up where the same tokens generated one by one did.
            Assert.Equal(tokens[20..], generator.Generate(tokens[..20], new GenerationOptions(61)));
        }
    }

    [FactWithSharedData(Model)]
    public void Eval_TwoTexts_TheDocumentOfTheContract()
    {
        string model = RepositoryPaths.Shared(Model);
        using var folder = new TemporaryFolder();
        string data = folder.Write("two.jsonl", _data);
        var run = NEngine.Run("eval", "--model", model, "--data", data, "--json").Expect(0);
        var json = run.Json();
        // Macro means and completion losses are additions; the rest is what scripts rely on.
        Assert.Equal(
            ["schema", "tokens", "nll", "perplexity", "bits_per_byte", "engine", "sources"],
            json.EnumerateObject().Select(m => m.Name).Where(n => !n.StartsWith("macro_", StringComparison.Ordinal) && n != "completion_nll"));
        Assert.Equal((1, 69, "native"), (json.GetProperty("schema").GetInt32(), json.GetProperty("tokens").GetInt32(), json.GetProperty("engine").GetString()));
        double sum = (CatsLoss * 38) + (LilyLoss * 31), nll = json.GetProperty("nll").GetDouble();
        Assert.Equal(sum / 69, nll, 1e-5);
        Assert.Equal(Math.Exp(nll), json.GetProperty("perplexity").GetDouble(), 1e-9);
        int bytes = System.Text.Encoding.UTF8.GetByteCount(Lily + Cats);
        Assert.Equal(sum / (bytes * Math.Log(2)), json.GetProperty("bits_per_byte").GetDouble(), 1e-5);
        var sources = json.GetProperty("sources").EnumerateArray().ToArray();
        Assert.Equal(["cats", "lily"], sources.Select(s => s.GetProperty("source").GetString()!));
        foreach (var (source, tokens, loss) in new[] { (sources[0], 38, CatsLoss), (sources[1], 31, LilyLoss) })
        {
            Assert.Equal(["source", "examples", "tokens", "nll", "perplexity", "completion_nll"], source.EnumerateObject().Select(m => m.Name));
            Assert.Equal((1, tokens), (source.GetProperty("examples").GetInt32(), source.GetProperty("tokens").GetInt32()));
            Assert.Equal(loss, source.GetProperty("nll").GetDouble(), 1e-5);
            Assert.Equal(Math.Exp(source.GetProperty("nll").GetDouble()), source.GetProperty("perplexity").GetDouble(), 1e-9);
        }
        Assert.Equal(run.StdOut, NEngine.Run(["eval", "--model", model, "--data", "-", "--json", "--threads", "3"], stdin: _data).Expect(0).StdOut);
    }

    [FactWithSharedData(Model)]
    public void Generate_FromNothing_KnownText()
    {
        string model = RepositoryPaths.Shared(Model);
        var text = NEngine.Run("generate", "--model", model, "--max-tokens", "80", "--temperature", "0").Expect(0).StdOut;
        Assert.StartsWith(Greedy, text, StringComparison.Ordinal);
        var json = NEngine.Run("generate", "--model", model, "--prompt", "Once upon a time", "--max-tokens", "74", "--json").Expect(0).Json();
        Assert.Equal(1, json.GetProperty("schema").GetInt32());
        Assert.StartsWith(Greedy, json.GetProperty("text").GetString(), StringComparison.Ordinal);
    }

    [FactWithSharedData(Model)]
    public void Generate_Sampled_SeedDecides()
    {
        string[] line = ["generate", "--model", RepositoryPaths.Shared(Model), "--prompt", "Tom", "--max-tokens", "40", "--temperature", "1", "--top-p", "0.9"];
        string first = Run("1");
        Assert.Equal(first, Run("1"));
        Assert.NotEqual(first, Run("2"));

        string Run(string seed) => NEngine.Run([.. line, "--seed", seed]).Expect(0).StdOut;
    }
}
