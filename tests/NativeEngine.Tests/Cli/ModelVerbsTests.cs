using NativeEngine.Data;
using NativeEngine.Formats;
using NativeEngine.Model;
using NativeEngine.Tests.Model;
using NativeEngine.Tests.Reference;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Cli;

/// <summary>eval and generate on a small model of our own: the numbers, and one sentence with the documented exit code for whatever is wrong.</summary>
public sealed class ModelVerbsTests
{
    private const string Data = """{"prompt":"2 + 2 =","completion":"4","source":"b"}""" + "\n" + """{"text":"Grüße","source":"a"}""" + "\n";

    [Fact]
    public void Eval_SmallModel_LossesOfTheDoubleReference()
    {
        using var folder = new TinyModelFolder();
        var json = NEngine.Run(["eval", "--model", folder.Path, "--data", "-", "--json"], stdin: Data).Expect(0).Json();
        var weights = TinyModel.Values(folder.Parameters).ToDictionary(p => p.Key, p => Array.ConvertAll(p.Value, v => (double)v));
        var reference = new ReferenceLlama(folder.Config, weights);
        double[][] losses = [.. new[] { "Grüße", "2 + 2 =\n4" }.Select(text =>
        {
            int[] tokens = [256, .. System.Text.Encoding.UTF8.GetBytes(text).Select(b => (int)b)];
            return reference.Losses(tokens[..^1], tokens[1..]).ToArray();
        })];
        Assert.Equal([7, 9], losses.Select(l => l.Length));
        Assert.Equal(16, json.GetProperty("tokens").GetInt32());
        Assert.Equal(losses.SelectMany(l => l).Average(), json.GetProperty("nll").GetDouble(), 1e-5);
        Assert.Equal(losses.SelectMany(l => l).Sum() / (16 * Math.Log(2)), json.GetProperty("bits_per_byte").GetDouble(), 1e-5);
        var sources = json.GetProperty("sources").EnumerateArray().ToArray();
        Assert.Equal(["a", "b"], sources.Select(s => s.GetProperty("source").GetString()!));
        Assert.Equal(losses[0].Average(), sources[0].GetProperty("nll").GetDouble(), 1e-5);
        Assert.Equal(losses[1].Average(), sources[1].GetProperty("nll").GetDouble(), 1e-5);
    }

    [Fact]
    public void Eval_Adapter_ChangesTheLossAsTheLibrarySays()
    {
        using var folder = new TinyModelFolder();
        using var adapter = new LoraAdapter(folder.Device, folder.Config, 2, 4, ["v_proj", "down_proj"], trainable: false);
        foreach (var entry in adapter.Parameters.Layout.Entries)
        {
            ModelInitializer.Fill(adapter.Parameters, entry, 9, (uint)entry.Offset, 0.5);
        }
        AdapterFolder.Save(folder.Beside("adapter"), adapter, folder.Path);
        double without = Loss("--model", folder.Path), with = Loss("--model", folder.Path, "--adapter", folder.Beside("adapter"));
        Assert.True(Math.Abs(with - without) > 0.01);
        adapter.MergeInto(folder.Parameters);
        ModelFolder.Save(folder.Beside("merged"), folder.Config, folder.Parameters, folder.Tokenizer);
        Assert.Equal(with, Loss("--model", folder.Beside("merged")), 1e-5);

        static double Loss(params string[] line) =>
            NEngine.Run(["eval", .. line, "--data", "-", "--json"], stdin: Data).Expect(0).Json().GetProperty("nll").GetDouble();
    }

    [Theory]
    [InlineData("eval")]
    [InlineData("generate")]
    public void DryRun_Json_OneDocumentAndNoWork(string verb)
    {
        using var folder = new TinyModelFolder();
        string[] line = verb == "eval" ? [verb, "--model", folder.Path, "--data", "-"] : [verb, "--model", folder.Path, "--prompt", "abc"];
        var json = NEngine.Run([.. line, "--json", "--dry-run"], stdin: Data).Expect(0).Json();
        Assert.True(json.GetProperty("dry_run").GetBoolean());
        Assert.False(json.TryGetProperty("nll", out _));
        Assert.False(json.TryGetProperty("text", out _));
        Assert.Equal(verb == "eval" ? 16 : 4, json.GetProperty(verb == "eval" ? "tokens" : "prompt_tokens").GetInt32());
    }

    [Fact]
    public void Run_MissingFolder_ExitsWith3() => Refused(["eval", "--model", "/no/such/folder", "--data", "-"], Data, "/no/such/folder");

    [Fact]
    public void Run_MissingData_ExitsWith3()
    {
        using var folder = new TinyModelFolder();
        Refused(["eval", "--model", folder.Path, "--data", folder.Beside("none.jsonl")], null, "none.jsonl: there is no such file");
    }

    [Fact]
    public void Run_EmptyData_ExitsWith3()
    {
        using var folder = new TinyModelFolder();
        File.WriteAllText(folder.Beside("empty.jsonl"), "");
        Refused(["eval", "--model", folder.Path, "--data", folder.Beside("empty.jsonl")], null, "got an empty file");
    }

    [Fact]
    public void Run_BadLine_ExitsWith3AndNamesIt()
    {
        using var folder = new TinyModelFolder();
        File.WriteAllText(folder.Beside("bad.jsonl"), Data + "{\"text\":\n");
        Refused(["eval", "--model", folder.Path, "--data", folder.Beside("bad.jsonl")], null, "bad.jsonl:3: it is not valid JSON");
    }

    [Fact]
    public void Run_WeightsWithoutATensor_ExitsWith3()
    {
        using var folder = new TinyModelFolder();
        folder.Rewrite("model.norm.weight", DType.F32, shape: null);
        Refused(["eval", "--model", folder.Path, "--data", "-"], Data, "tensor \"model.norm.weight\" is missing; it should be [10]");
    }

    [Fact]
    public void Run_TruncatedWeights_ExitsWith3()
    {
        using var folder = new TinyModelFolder();
        using (var stream = File.OpenWrite(Path.Combine(folder.Path, "model.safetensors")))
        {
            stream.SetLength(stream.Length / 2);
        }
        Refused(["generate", "--model", folder.Path, "--prompt", "a"], null, "truncated: the tensors need");
    }

    [Theory]
    [InlineData("model_type", "\"mamba\"", "\"model_type\" is \"mamba\"")]
    [InlineData("attention_bias", "true", "\"attention_bias\" is true")]
    [InlineData("rope_scaling", """{"rope_type":"dynamic","factor":2}""", "\"dynamic\"")]
    public void Run_OtherArchitecture_ExitsWith3(string member, string value, string expected)
    {
        using var folder = new TinyModelFolder();
        folder.Edit("config.json", member, value);
        Refused(["generate", "--model", folder.Path], null, expected);
    }

    [Fact]
    public void Run_TokenizerOfALargerModel_ExitsWith3WithBothSizes()
    {
        using var folder = new TinyModelFolder();
        BpeTrainer.Train(["abcabcabcabc"], 260, 2).Save(folder.Path);
        Refused(["eval", "--model", folder.Path, "--data", "-"], Data, "the tokenizer has 260 tokens, the model's vocabulary 258");
    }

    [Fact]
    public void Run_PromptLongerThanTheContext_ExitsWith3AndPrintsNone()
    {
        using var folder = new TinyModelFolder();
        Refused(["generate", "--model", folder.Path, "--prompt", new string('x', 40)], null, "the prompt has 41 tokens, the model's context is 32");
    }

    [Fact]
    public void Run_WeightsThatAreNotNumbers_ExitsWith6AndNamesTheTensor()
    {
        using var folder = WithNorm(float.NaN);
        const string Named = "element 0 of tensor \"model.norm.weight\" is NaN";
        Refused(["eval", "--model", folder.Path, "--data", "-"], Data, 6, Named);
        Refused(["generate", "--model", folder.Path, "--max-tokens", "3"], null, 6, Named);
    }

    [Fact]
    public void Run_WeightsTooLargeForTheLogits_ExitsWith6AndNamesTheExample()
    {
        using var folder = WithNorm(float.MaxValue);
        Refused(["eval", "--model", folder.Path, "--data", "-"], Data, 6, "the loss of example 0");
        Refused(["generate", "--model", folder.Path, "--max-tokens", "3"], null, 6, "logit");
    }

    private static TinyModelFolder WithNorm(float value)
    {
        var folder = new TinyModelFolder();
        folder.Device.Kernels.Fill(value, folder.Parameters["model.norm.weight"]);
        ModelFolder.Save(folder.Path, folder.Config, folder.Parameters, folder.Tokenizer);
        return folder;
    }

    [Fact]
    public void Generate_TokensThatEndWithinACharacter_TextIsThatOfTheTokens()
    {
        using var folder = new TinyModelFolder();
        for (int seed = 0; seed < 3; seed++)
        {
            string[] line = ["generate", "--model", folder.Path, "--prompt", "é", "--max-tokens", "20", "--temperature", "3", "--seed", $"{seed}"];
            var json = NEngine.Run([.. line, "--json"]).Expect(0).Json();
            int[] tokens = [.. json.GetProperty("tokens").EnumerateArray().Select(t => t.GetInt32())];
            Assert.True(tokens.Length > 3);
            string text = folder.Tokenizer.Decode(tokens);
            Assert.Equal(text, json.GetProperty("text").GetString());
            Assert.Equal(text + "\n", NEngine.Run(line).Expect(0).StdOut);
        }
    }

    private static void Refused(string[] line, string? stdin, params string[] expected) => Refused(line, stdin, 3, expected);

    private static void Refused(string[] line, string? stdin, int code, params string[] expected)
    {
        var plain = NEngine.Run(line, stdin).Expect(code);
        Assert.Empty(plain.StdOut);
        var error = NEngine.Run([.. line, "--json"], stdin).Expect(code).Json().GetProperty("error");
        Assert.Equal(code, error.GetProperty("code").GetInt32());
        foreach (string part in expected)
        {
            Assert.Contains(part, plain.StdErr, StringComparison.Ordinal);
            Assert.Contains(part, error.GetProperty("message").GetString(), StringComparison.Ordinal);
        }
        Assert.DoesNotContain("   at ", plain.StdErr, StringComparison.Ordinal);
    }
}
