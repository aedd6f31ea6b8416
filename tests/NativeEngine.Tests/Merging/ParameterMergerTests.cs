using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Formats;
using NativeEngine.Merging;
using NativeEngine.Model;
using NativeEngine.Tests.Formats;
using NativeEngine.Tests.Model;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Merging;

public sealed class ParameterMergerTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Run_AnyThreads_SameBytes()
    {
        Random("a", 300_000);
        Random("b", 300_000);
        byte[]? expected = null;
        foreach (int threads in new[] { 1, 2, 5 })
        {
            Merge($"out{threads}", MergeRecipe.Linear((_folder.File("a"), 0.3), (_folder.File("b"), 0.7)), new MergeOptions { Threads = threads });
            byte[] bytes = File.ReadAllBytes(_folder.File($"out{threads}/model.safetensors"));
            Assert.Equal(expected ??= bytes, bytes);
        }
    }

    [Fact]
    public void Run_Linear_EqualsTheDeviceKernel()
    {
        float[][] values = [Random("a", 70_001), Random("b", 70_001), Random("c", 70_001)];
        double[] weights = [0.2, 0.5, 0.3];
        double sum = weights.Sum();
        Merge("out", MergeRecipe.Linear([.. weights.Select((w, i) => (_folder.File("abc"[i].ToString()), w / sum))]));
        using var device = new CpuDevice(2);
        using var x = device.Allocate<float>([.. values.SelectMany(v => v)], MemoryUse.Data);
        using var w = device.Allocate<double>([.. weights.Select(v => v / sum)], MemoryUse.Data);
        using var y = device.Allocate<float>(70_001, MemoryUse.Data);
        device.Kernels.WeightedSum(x.View.Reshape(3, 70_001), w.View, y.View);
        Assert.Equal(device.Download(y.View), Result("out")["x"]);
    }

    [Fact]
    public void Run_RepeatedModel_CountsEveryTime()
    {
        Put("a", ("x", [2], [1, 2]));
        Put("b", ("x", [2], [5, 10]));
        Merge("out", MergeRecipe.Linear((_folder.File("a"), 1), (_folder.File("b"), 1), (_folder.File("a"), 2)));
        Assert.Equal([2f, 4f], Result("out")["x"]);
    }

    [Fact]
    public void Plan_NegativeWeightNormalized_IsWarnedOf()
    {
        Put("a", ("x", [2], [1, 2]));
        using var merger = new ParameterMerger(MergeRecipe.Linear((_folder.File("a"), 3), (_folder.File("a"), -1)));
        Assert.Contains(merger.Plan.Warnings, w => w.Contains("negative", StringComparison.Ordinal));
    }

    [Fact]
    public void Run_IntegersThatDiffer_AreRefused()
    {
        Integers("a", 1, 2);
        Integers("b", 1, 3);
        Expect.Fails(ErrorKind.BadInput, () => Merge("out", MergeRecipe.Linear((_folder.File("a"), 1), (_folder.File("b"), 1))), "\"ids\"", "integers");
        Integers("b", 1, 2);
        Merge("out", MergeRecipe.Linear((_folder.File("a"), 1), (_folder.File("b"), 1)));
        using var model = SafetensorsModel.Open(_folder.File("out"));
        Assert.Equal(DType.I64, model["ids"].DType);
    }

    [Fact]
    public void Run_FileWithAHole_IsRefused()
    {
        Put("a", ("x", [2], [1, 2]));
        byte[] bytes = File.ReadAllBytes(_folder.File("a/model.safetensors"));
        Directory.CreateDirectory(_folder.File("b"));
        File.WriteAllBytes(_folder.File("b/model.safetensors"), [.. bytes, 0, 0, 0, 0]);
        Expect.Fails(ErrorKind.BadInput, () => Merge("out", MergeRecipe.Linear((_folder.File("a"), 1), (_folder.File("b"), 1))), "model.safetensors");
        Assert.False(Path.Exists(_folder.File("out")));
    }

    [Fact]
    public void Run_TooLargeForTheStoredType_NamesTheTensor()
    {
        Put("a", ("x", [2], [1, 70000]));
        var recipe = MergeRecipe.Parse($"merge_method: linear\nmodels: [{{model: '{_folder.File("a")}', parameters: {{weight: 1}}}}]\nout_dtype: float16");
        Expect.Fails(ErrorKind.Numerical, () => Merge("out", recipe), "element 1", "\"x\"", "F16");
        Assert.Equal(["a"], _folder.Names());
    }

    [Fact]
    public void Run_Cancelled_LeavesNothing()
    {
        Random("a", 50_000);
        using var source = new CancellationTokenSource();
        source.Cancel();
        using var merger = new ParameterMerger(MergeRecipe.Linear((_folder.File("a"), 1)));
        Assert.Throws<OperationCanceledException>(() => merger.Run(_folder.File("out"), cancellation: source.Token));
        Assert.Equal(["a"], _folder.Names());
    }

    [Fact]
    public void Run_TensorsOfAllSizes_EachInItsPlace()
    {
        int[] sizes = [0, 1, 70_001, 0, 5, 40_000, 3, 0];
        foreach (string name in new[] { "a", "b" })
        {
            Put(name, [.. sizes.Select((n, i) => ($"t{i}", new long[] { n }, MergeKit.Normal((uint)(name[0] + i), n).Select(v => (float)v).ToArray()))]);
        }
        foreach (int threads in new[] { 1, 3 })
        {
            long done = 0;
            using (var merger = new ParameterMerger(MergeRecipe.Linear((_folder.File("a"), 1), (_folder.File("b"), 1)), new MergeOptions { Threads = threads }))
            {
                merger.Run(_folder.File($"out{threads}"), count => done = count);
            }
            Assert.Equal(sizes.Sum(), done);
            var (a, b, result) = (Result("a"), Result("b"), Result($"out{threads}"));
            Assert.Equal(sizes, Enumerable.Range(0, sizes.Length).Select(i => result[$"t{i}"].Length));
            foreach (string name in a.Keys)
            {
                Assert.Equal(a[name].Zip(b[name], (x, y) => (float)(((double)x + y) / 2)), result[name]);
            }
        }
    }

    [Fact]
    public void Run_SeveralTensorsNotFinite_TellsTheFirstElementOfTheFirst()
    {
        float[] clean = [.. MergeKit.Normal(1, 100_000).Select(v => (float)v)], bad = [.. clean];
        (bad[99_999], bad[70_000]) = (float.NaN, float.PositiveInfinity);
        Put("a", ("x", [clean.Length], clean), ("y", [clean.Length], bad), ("z", [clean.Length], bad));
        Expect.Fails(ErrorKind.Numerical, () => Merge("out", MergeRecipe.Linear((_folder.File("a"), 1)), new MergeOptions { Threads = 3 }), "element 70000 ", "\"y\"");
        Assert.Equal(["a"], _folder.Names());
    }

    [FactOnLinux]
    public void Run_InputCutShortAfterOpening_IsAnError()
    {
        Random("a", 300_000);
        Random("b", 300_000);
        using var merger = new ParameterMerger(MergeRecipe.Linear((_folder.File("a"), 1), (_folder.File("b"), 1)));
        // Another program, since this one keeps itself from writing what it has open.
        using (var other = System.Diagnostics.Process.Start("truncate", ["-s", "100000", _folder.File("b/model.safetensors")]))
        {
            other.WaitForExit();
            Assert.Equal(0, other.ExitCode);
        }
        Expect.Fails(ErrorKind.BadInput, () => merger.Run(_folder.File("out")), "b/model.safetensors", "ends now at 100,000");
        Assert.Equal(["a", "b"], _folder.Names());
    }

    [Fact]
    public void Run_ManyInputs_MemoryDoesNotGrowWithThem()
    {
        Random("a", 600_000);
        long Peak(int k)
        {
            using var merger = new ParameterMerger(MergeRecipe.Linear([.. Enumerable.Repeat((_folder.File("a"), 1.0), k)]), new MergeOptions { Threads = 1 });
            var report = merger.Run(_folder.File($"out{k}"));
            Assert.True(report.PeakBytes <= merger.Plan.PeakBytes, $"{k} models held {report.PeakBytes}, planned {merger.Plan.PeakBytes}");
            return report.PeakBytes;
        }
        Assert.Equal(Peak(1), Peak(16));
    }

    [Fact]
    public void Slices_Passthrough_StacksLayersAndTellsTheConfiguration()
    {
        using var a = new TinyModelFolder();
        Scale(a, "b", 2);
        Merge("out", MergeRecipe.Parse($$"""
            merge_method: passthrough
            slices:
              - sources: [{model: "{{a.Path}}", layer_range: [0, 2]}]
              - sources: [{model: "{{_folder.File("b")}}", layer_range: [1, 2]}]
            """));
        var config = ConfigJson.Read(_folder.File("out"));
        Assert.Equal(3, config.Layers);
        var result = Result("out");
        using var original = SafetensorsModel.Open(a.Path);
        Assert.Equal(original["model.layers.1.mlp.up_proj.weight"].ToFloat32(), result["model.layers.1.mlp.up_proj.weight"]);
        Assert.Equal(original["model.layers.1.mlp.up_proj.weight"].ToFloat32().Select(v => 2 * v), result["model.layers.2.mlp.up_proj.weight"]);
        Assert.Equal(original["model.embed_tokens.weight"].ToFloat32(), result["model.embed_tokens.weight"]);
        Assert.Equal(original["model.norm.weight"].ToFloat32().Select(v => 2 * v), result["model.norm.weight"]);
        var (_, parameters) = ModelFolder.Load(_folder.File("out"), a.Device);
        parameters.Dispose();
    }

    [Fact]
    public void Gradient_WeightsOverLayers_ChangeWithDepth()
    {
        Put("a", ("model.layers.0.w", [1], [0]), ("model.layers.1.w", [1], [0]), ("model.layers.2.w", [1], [0]), ("norm", [1], [0]));
        Put("b", ("model.layers.0.w", [1], [8]), ("model.layers.1.w", [1], [8]), ("model.layers.2.w", [1], [8]), ("norm", [1], [8]));
        Merge("out", MergeRecipe.Parse($$"""
            merge_method: linear
            models:
              - {model: "{{_folder.File("a")}}", parameters: {weight: [1, 0]} }
              - {model: "{{_folder.File("b")}}", parameters: {weight: [{filter: norm, value: 3}, {value: [0, 1]}]} }
            """));
        var result = Result("out");
        Assert.Equal([0f, 4f, 8f, 6f], new[] { "model.layers.0.w", "model.layers.1.w", "model.layers.2.w", "norm" }.Select(n => result[n][0]));
    }

    [Fact]
    public void Adapter_OnAModel_EqualsTheModelItWasMergedInto()
    {
        using var model = new TinyModelFolder();
        using var adapter = new LoraAdapter(model.Device, model.Config, rank: 3, alpha: 6, ["q_proj", "down_proj"], trainable: false);
        adapter.Initialize(4);
        foreach (var entry in adapter.Parameters.Layout.Entries)
        {
            model.Device.Upload<float>([.. MergeKit.Normal(8, (int)entry.Shape.Count).Select(v => (float)(0.1 * v))], adapter.Parameters.View(entry).Reshape(entry.Shape.Count));
        }
        AdapterFolder.Save(_folder.File("adapter"), adapter, model.Path);
        Merge("out", MergeRecipe.Linear(($"{model.Path}+{_folder.File("adapter")}", 1)));
        adapter.MergeInto(model.Parameters);
        var result = Result("out");
        int changed = 0;
        using var original = SafetensorsModel.Open(model.Path);
        foreach (var entry in model.Parameters.Layout.Entries)
        {
            float[] expected = model.Device.Download(model.Parameters.View(entry));
            Assert.All(expected.Zip(result[entry.Name]), pair => Assert.Equal(pair.First, pair.Second, 1e-6f));
            changed += original[entry.Name].ToFloat32().AsSpan().SequenceEqual(result[entry.Name]) ? 0 : 1;
        }
        Assert.Equal(4, changed);
    }

    [Fact]
    public void Adapter_OfAnotherModel_IsRefused()
    {
        using var model = new TinyModelFolder();
        using var adapter = new LoraAdapter(model.Device, model.Config, 2, 2, ["q_proj"], trainable: false);
        AdapterFolder.Save(_folder.File("adapter"), adapter, "x");
        Put("other", ("model.layers.0.self_attn.q_proj.weight", [4], [1, 2, 3, 4]));
        Expect.Fails(ErrorKind.BadInput, () => Merge("out", MergeRecipe.Linear(($"{_folder.File("other")}+{_folder.File("adapter")}", 1))), "adapter");
    }

    [Fact]
    public void Vocabulary_OtherOrderWithoutTokenizerSource_AlignsToTheFirstAndReports()
    {
        Vocabulary("a", "x", "y", "z");
        Vocabulary("b", "z", "new", "y", "x");
        Put("a", ("model.embed_tokens.weight", [4, 1], [1, 2, 3, 9]));
        Put("b", ("model.embed_tokens.weight", [4, 1], [30, 70, 20, 10]));
        var report = Merge("out", MergeRecipe.Linear((_folder.File("a"), 1), (_folder.File("b"), 1)));
        // Row 3 of the first model is padding; in the second that id is a token, so the first alone gives it.
        Assert.Equal([5.5f, 11f, 16.5f, 9f], Result("out")["model.embed_tokens.weight"]);
        Assert.Equal([new(_folder.File("a"), 3, 3, 0, 0, 0), new VocabularyReport(_folder.File("b"), 4, 0, 3, 0, 1)], report.Vocabulary);
        Assert.Equal(File.ReadAllBytes(_folder.File("a/tokenizer.json")), File.ReadAllBytes(_folder.File("out/tokenizer.json")));
    }

    [Fact]
    public void Vocabulary_UnionOfTokenizers_IsATokenizerOfAllTokens()
    {
        using var a = new TinyModelFolder();
        using var b = new TinyModelFolder();
        TinyModelFolder.EditJson(Path.Combine(b.Path, "tokenizer.json"), "added_tokens", """[{"id":256,"content":"<|bos|>","special":true},{"id":257,"content":"<|tool|>","special":true}]""");
        string text = File.ReadAllText(Path.Combine(b.Path, "tokenizer.json")).Replace("\"\\u003C|eos|\\u003E\":257", "\"<|tool|>\":257", StringComparison.Ordinal);
        File.WriteAllText(Path.Combine(b.Path, "tokenizer.json"), text);
        Merge("out", MergeRecipe.Parse($$"""
            merge_method: linear
            models:
              - {model: "{{a.Path}}", parameters: {weight: 1} }
              - {model: "{{b.Path}}", parameters: {weight: 1} }
            tokenizer_source: union
            """));
        Assert.Equal(259, ConfigJson.Read(_folder.File("out")).VocabularySize);
        var tokenizer = TokenizerFile.Load(_folder.File("out"));
        Assert.Equal([258], tokenizer.Encode("<|tool|>", addSpecialTokens: false).Ids);
        float[] rows = Result("out")["model.embed_tokens.weight"];
        using var second = SafetensorsModel.Open(b.Path);
        Assert.Equal(second["model.embed_tokens.weight"].ToFloat32()[(257 * 10)..], rows[(258 * 10)..]);
    }

    [Fact]
    public void Configuration_ThatChangesTheMeaning_IsRefusedAndTheRestWarnedOf()
    {
        using var a = new TinyModelFolder();
        using var b = new TinyModelFolder();
        b.Edit("config.json", "rope_theta", "1000");
        using (var merger = new ParameterMerger(MergeRecipe.Linear((a.Path, 1), (b.Path, 1))))
        {
            Assert.Contains("rope_theta", Assert.Single(merger.Plan.Warnings), StringComparison.Ordinal);
        }
        b.Edit("config.json", "num_attention_heads", "5");
        Expect.Fails(ErrorKind.BadInput, () => new ParameterMerger(MergeRecipe.Linear((a.Path, 1), (b.Path, 1))).Dispose(), "num_attention_heads", "4", "5");
    }

    [Fact]
    public void TiedAndUntied_Models_MergeWithTheEmbeddingAsHead()
    {
        using var tied = new TinyModelFolder(tied: true);
        using var untied = new TinyModelFolder(tied: false);
        var report = Merge("out", MergeRecipe.Linear((tied.Path, 1), (untied.Path, 1)));
        Assert.Contains(report.Warnings, w => w.Contains("tied", StringComparison.Ordinal));
        Assert.False(ConfigJson.Read(_folder.File("out")).TiedEmbeddings);
        using var t = SafetensorsModel.Open(tied.Path);
        using var u = SafetensorsModel.Open(untied.Path);
        var expected = t["model.embed_tokens.weight"].ToFloat32().Zip(u["lm_head.weight"].ToFloat32(), (x, y) => (float)(((double)x + y) / 2));
        Assert.Equal(expected, Result("out")["lm_head.weight"]);
    }

    [Fact]
    public void DType_BFloat16Inputs_KeepTheirTypeAndRoundOnce()
    {
        using var model = new TinyModelFolder(type: DType.BF16);
        Merge("out", MergeRecipe.Linear((model.Path, 0.1), (model.Path, 0.2)));
        using var original = SafetensorsModel.Open(model.Path);
        using var result = SafetensorsModel.Open(_folder.File("out"));
        Assert.All(original.Tensors, t => Assert.True(t.Bytes(0, (int)t.ByteLength).SequenceEqual(result[t.Name].Bytes(0, (int)t.ByteLength)), t.Name));
    }

    private MergeReport Merge(string output, MergeRecipe recipe, MergeOptions? options = null)
    {
        using var merger = new ParameterMerger(recipe, options);
        return merger.Run(_folder.File(output));
    }

    private Dictionary<string, float[]> Result(string name)
    {
        using var model = SafetensorsModel.Open(_folder.File(name));
        return model.Tensors.ToDictionary(t => t.Name, t => t.ToFloat32());
    }

    private void Put(string name, params (string Tensor, long[] Shape, float[] Values)[] tensors)
    {
        Directory.CreateDirectory(_folder.File(name));
        SafetensorsWriter.WriteFloat32(_folder.File(name + "/model.safetensors"), null, [.. tensors.Select(t => (t.Tensor, t.Shape, (ReadOnlyMemory<float>)t.Values))]);
    }

    private float[] Random(string name, int count)
    {
        float[] values = [.. MergeKit.Normal((uint)name[0], count).Select(v => (float)v)];
        Put(name, ("x", [count], values));
        return values;
    }

    private void Integers(string name, params long[] values)
    {
        Directory.CreateDirectory(_folder.File(name));
        SafetensorsWriter.Write(_folder.File(name + "/model.safetensors"), [new TensorSpec("ids", DType.I64, values.Length)], (_, sink) => sink.Write(values));
    }

    private void Vocabulary(string name, params string[] tokens) => _folder.Write(name + "/tokenizer.json",
        $$$"""{"model":{"type":"BPE","vocab":{{{"{" + string.Join(",", tokens.Select((t, i) => $"\"{t}\":{i}")) + "}"}}},"merges":[]}}""");

    private void Scale(TinyModelFolder model, string name, float factor)
    {
        using var original = SafetensorsModel.Open(model.Path);
        Put(name, [.. original.Tensors.Select(t => (t.Name, t.Shape.ToArray(), t.ToFloat32().Select(v => v * factor).ToArray()))]);
    }
}
