using NativeEngine.Data;
using NativeEngine.Formats;
using NativeEngine.Model;
using NativeEngine.Tests.Model;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Cli;

/// <summary>export and eval --engine onnx as a user runs them: what they write, and one sentence for whatever is wrong.</summary>
public sealed class OnnxVerbsTests
{
    private const string Data = """{"prompt":"2 + 2 =","completion":"4","source":"b"}""" + "\n" + """{"text":"Grüße","source":"a"}""" + "\n";

    [FactWithOnnxRuntime]
    public void Eval_EveryWayToTheSameModel_SameLosses()
    {
        using var folder = new TinyModelFolder();
        string inline = folder.Beside("m.onnx"), external = folder.Beside("e.onnx");
        var report = NEngine.Run("export", "--model", folder.Path, "--output", inline, "--json").Expect(0).Json();
        Assert.Equal((folder.Config.ParameterCount, 17), (report.GetProperty("parameters").GetInt64(), report.GetProperty("opset").GetInt32()));
        NEngine.Run("export", "--model", folder.Path, "--output", external, "--external-data", "--kv-cache").Expect(0);
        var native = Eval("--model", folder.Path);
        foreach (string model in new[] { folder.Path, inline, external })
        {
            var onnx = Eval("--model", model, "--engine", "onnx");
            Assert.Equal(("onnx", "cpu"), (onnx.GetProperty("engine").GetString(), onnx.GetProperty("provider").GetString()));
            Assert.Equal(native.GetProperty("tokens").GetInt32(), onnx.GetProperty("tokens").GetInt32());
            Assert.Equal(native.GetProperty("nll").GetDouble(), onnx.GetProperty("nll").GetDouble(), 1e-5);
            Assert.Equal(native.GetProperty("sources")[0].GetProperty("nll").GetDouble(), onnx.GetProperty("sources")[0].GetProperty("nll").GetDouble(), 1e-5);
        }
    }

    [FactWithOnnxRuntime]
    public void Export_Adapter_IsMergedIntoTheWeights()
    {
        using var folder = new TinyModelFolder();
        using var adapter = new LoraAdapter(folder.Device, folder.Config, 2, 4, ["v_proj", "down_proj"], trainable: false);
        foreach (var entry in adapter.Parameters.Layout.Entries)
        {
            ModelInitializer.Fill(adapter.Parameters, entry, 9, (uint)entry.Offset, 0.5);
        }
        AdapterFolder.Save(folder.Beside("adapter"), adapter, folder.Path);
        double native = Loss("--model", folder.Path, "--adapter", folder.Beside("adapter"));
        NEngine.Run("export", "--model", folder.Path, "--adapter", folder.Beside("adapter"), "--output", folder.Beside("m.onnx")).Expect(0);
        Assert.Equal(native, Loss("--model", folder.Beside("m.onnx"), "--engine", "onnx"), 1e-5);
        Assert.Equal(native, Loss("--model", folder.Path, "--adapter", folder.Beside("adapter"), "--engine", "onnx"), 1e-5);
        Refused(2, ["eval", "--model", folder.Beside("m.onnx"), "--adapter", folder.Beside("adapter"), "--engine", "onnx", "--data", "-"], "--adapter cannot be put on");
        Refused(3, ["export", "--model", folder.Beside("adapter"), "--output", folder.Beside("x.onnx")], "is a LoRA adapter without its model");
    }

    [FactWithOnnxRuntime]
    public void Export_WeightsOnly_TheSameFileEvaluatesAsTheOtherModel()
    {
        using var folder = new TinyModelFolder();
        string path = folder.Beside("m.onnx");
        NEngine.Run("export", "--model", folder.Path, "--output", path, "--external-data").Expect(0);
        byte[] before = File.ReadAllBytes(path);
        folder.Device.Kernels.Scale(0.5f, folder.Parameters.Flat);
        ModelFolder.Save(folder.Beside("other"), folder.Config, folder.Parameters, folder.Tokenizer);
        NEngine.Run("export", "--model", folder.Beside("other"), "--output", path, "--weights-only").Expect(0);
        Assert.Equal(before, File.ReadAllBytes(path));
        double other = Loss("--model", folder.Beside("other"));
        Assert.True(Math.Abs(other - Loss("--model", folder.Path)) > 1e-3);
        Assert.Equal(other, Loss("--model", path, "--engine", "onnx"), 1e-5);
    }

    [Fact]
    public void Export_DryRun_WritesNothing()
    {
        using var folder = new TinyModelFolder();
        var json = NEngine.Run("export", "--model", folder.Path, "--output", folder.Beside("m.onnx"), "--json", "--dry-run").Expect(0).Json();
        Assert.Equal(folder.Config.ParameterCount, json.GetProperty("parameters").GetInt64());
        Assert.False(File.Exists(folder.Beside("m.onnx")));
    }

    [Fact]
    public void Export_BesideAnotherTokenizer_KeepsItAndWarns()
    {
        using var folder = new TinyModelFolder();
        Directory.CreateDirectory(folder.Beside("out"));
        File.WriteAllText(folder.Beside("out/tokenizer.json"), "{}");
        var run = NEngine.Run("export", "--model", folder.Path, "--output", folder.Beside("out/m.onnx")).Expect(0);
        Assert.Contains("is another one and stays", run.StdErr, StringComparison.Ordinal);
        Assert.Equal("{}", File.ReadAllText(folder.Beside("out/tokenizer.json")));
    }

    [Fact]
    public void Run_Mistakes_OneSentenceEach()
    {
        using var folder = new TinyModelFolder();
        string path = folder.Beside("m.onnx");
        NEngine.Run("export", "--model", folder.Path, "--output", path).Expect(0);
        Refused(2, ["eval", "--model", path, "--data", "-"], "is an ONNX file");
        Refused(2, ["eval", "--model", folder.Path, "--data", "-", "--context", "9"], "--context is for ONNX Runtime");
        Refused(2, ["export", "--model", folder.Path, "--output", folder.Beside("m.bin")], "ends in .onnx");
        Refused(2, ["export", "--model", folder.Path, "--output", path, "--weights-only", "--kv-cache"], "--weights-only leaves");
        Refused(3, ["export", "--model", folder.Path, "--output", path, "--weights-only"], "its weights are inside the file");
        Refused(5, ["eval", "--model", folder.Path, "--data", "-", "--engine", "onnx", "--ort-lib", "/no/such/lib.so"], "/no/such/lib.so: not there");
        File.WriteAllText(path, "garbage");
        Refused(3, ["eval", "--model", path, "--data", "-", "--engine", "onnx"], "at byte");
    }

    [FactWithOnnxRuntime]
    public void Eval_ModelThatIsNoDecoder_RefusedByItsInput()
    {
        using var folder = new TinyModelFolder();
        string path = folder.Beside("m.onnx");
        var builder = new OnnxModelBuilder();
        builder.Input("pixels", OnnxElement.Float, "batch", 3);
        builder.Node("Neg", "out", ["pixels"]);
        builder.Output("out", OnnxElement.Float, "batch", 3);
        AtomicFile.WriteAllBytes(path, builder.Build("g", "t", "1", []).ToArray());
        folder.Tokenizer.Save(Path.GetDirectoryName(path)!);
        Refused(3, ["eval", "--model", path, "--data", "-", "--engine", "onnx"], "the input \"pixels\" is not one of a decoder");
    }

    /// <summary>A foreign model: int32 tokens, no positions, float16 logits, a fixed batch of two, nothing said of its context.</summary>
    [FactWithOnnxRuntime]
    public void Eval_ForeignModel_LossesOfItsDefinition()
    {
        using var folder = new TinyModelFolder();
        string path = folder.Beside("f.onnx");
        const int Vocabulary = 258;
        var builder = new OnnxModelBuilder();
        builder.Input("input_ids", OnnxElement.Int32, 2, "sequence");
        builder.Input("attention_mask", OnnxElement.Int32, 2, "sequence");
        // Row t of the table: logit 3 for the token after t, else 0.
        var table = new float[Vocabulary * Vocabulary];
        for (int t = 0; t < Vocabulary; t++)
        {
            table[(t * Vocabulary) + ((t + 1) % Vocabulary)] = 3;
        }
        builder.Weight("table", [Vocabulary, Vocabulary], table.Length * 4L, stream => stream.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes(table.AsSpan())));
        builder.Node("Gather", "rows", ["table", "input_ids"]);
        builder.Node("Cast", "logits", ["rows"], new OnnxAttribute("to", Int: OnnxElement.Float16));
        builder.Output("logits", OnnxElement.Float16, 2, "sequence", Vocabulary);
        AtomicFile.WriteAllBytes(path, builder.Build("g", "somebody", "1", []).ToArray());
        string[] line = ["eval", "--model", path, "--engine", "onnx", "--data", "-", "--json"];
        string data = """{"text":"abce"}""" + "\n" + """{"text":"b"}""" + "\n" + """{"text":"bc"}""" + "\n";
        Refused(3, line, "no tokenizer.json beside it");
        Refused(2, [.. line, "--tokenizer", folder.Path], "does not say how long its context is");
        var json = NEngine.Run([.. line, "--tokenizer", folder.Path, "--context", "16"], data, OnnxRuntime.Environment).Expect(0).Json();
        // BOS comes first; a to b, b to c twice are the likely steps.
        double norm = Math.Log(Math.Exp(3) + Vocabulary - 1);
        Assert.Equal(7, json.GetProperty("tokens").GetInt32());
        Assert.Equal(((7 * norm) - (3 * 3)) / 7, json.GetProperty("nll").GetDouble(), 1e-5);
    }

    [FactWithOnnxRuntime]
    public void Eval_OtherTokenizerThanExported_Warns()
    {
        using var folder = new TinyModelFolder();
        NEngine.Run("export", "--model", folder.Path, "--output", folder.Beside("m.onnx")).Expect(0);
        Directory.CreateDirectory(folder.Beside("t"));
        BpeTrainer.Train(["abcabcabc"], 258, 2).Save(folder.Beside("t"));
        var run = NEngine.Run(["eval", "--model", folder.Beside("m.onnx"), "--engine", "onnx", "--data", "-", "--tokenizer", folder.Beside("t")], Data, OnnxRuntime.Environment).Expect(0);
        Assert.Contains("is not the tokenizer that", run.StdErr, StringComparison.Ordinal);
    }

    private static System.Text.Json.JsonElement Eval(params string[] line) => NEngine.Run(["eval", .. line, "--data", "-", "--json"], Data, OnnxRuntime.Environment).Expect(0).Json();

    private static double Loss(params string[] line) => Eval(line).GetProperty("nll").GetDouble();

    private static void Refused(int code, string[] line, string expected)
    {
        var run = NEngine.Run(line, Data, line.Contains("--ort-lib") ? null : OnnxRuntime.Environment).Expect(code);
        Assert.Contains(expected, run.StdErr, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", run.StdErr, StringComparison.Ordinal);
    }
}
