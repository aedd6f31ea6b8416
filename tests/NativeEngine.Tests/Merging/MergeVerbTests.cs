using NativeEngine.Formats;
using NativeEngine.Tests.Formats;
using NativeEngine.Tests.Model;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Merging;

/// <summary>The verb as a process: arguments, documents, exit codes, and that a failure leaves nothing.</summary>
public sealed class MergeVerbTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Linear_TwoModels_WritesTheWeightedAverageAndTheSmallFiles()
    {
        using var model = new TinyModelFolder();
        var run = NEngine.Run("merge", "--linear", $"{model.Path}=0.25", $"{Scaled(model, "b", 3)}=0.75", "--output", _folder.File("out"), "--json").Expect(0);

        Assert.Equal(1, run.Json().GetProperty("schema").GetInt32());
        Assert.Equal("linear", run.Json().GetProperty("method").GetString());
        using (var result = SafetensorsModel.Open(_folder.File("out")))
        using (var original = SafetensorsModel.Open(model.Path))
        {
            Assert.Equal(original.Tensors.Count, run.Json().GetProperty("tensors").GetInt32());
            foreach (var tensor in original.Tensors)
            {
                Assert.Equal(tensor.ToFloat32().Select(v => (float)((0.25 * v) + (0.75 * (3 * v)))), result[tensor.Name].ToFloat32());
            }
        }
        foreach (string name in (string[])["config.json", "tokenizer.json", "tokenizer_config.json"])
        {
            Assert.True(File.Exists(_folder.File("out/" + name)), name);
        }
        NEngine.Run("generate", "--model", _folder.File("out"), "--prompt", "a", "--max-tokens", "2").Expect(0);
    }

    [Fact]
    public void Recipe_FileAndFolder_PathsBesideTheRecipeAreFound()
    {
        Weights("units/a", ("x", 4, 1f));
        Weights("units/b", ("x", 4, 5f));
        string recipe = _folder.Write("recipe.yaml", """
            merge_method: linear
            models:
              - model: units/a
                parameters: {weight: 1}
              - model: units/b
                parameters: {weight: 3}
            out_dtype: bfloat16
            """);

        NEngine.Run("merge", recipe, _folder.File("out")).Expect(0);

        using var result = SafetensorsModel.Open(_folder.File("out"));
        Assert.Equal(DType.BF16, result["x"].DType);
        Assert.Equal([4f, 4f, 4f, 4f], result["x"].ToFloat32());
    }

    [Theory]
    [InlineData(2, "DIR=WEIGHT", "--linear", "a", "--output", "out")]
    [InlineData(2, "needs a recipe or --linear", "--output", "out")]
    [InlineData(2, "folder for the result", "--linear", "a=1")]
    [InlineData(2, "both", "recipe.yaml", "--linear", "a=1", "--output", "out")]
    [InlineData(2, "not empty", "--linear", "a=1", "--output", "b")]
    [InlineData(3, "neither a folder nor a file", "--linear", "a=1", "nowhere=1", "--output", "out")]
    [InlineData(3, "did you mean 'merge_method'", "typo.yaml", "out")]
    [InlineData(3, "weights sum to 0", "--linear", "a=1", "b=-1", "--output", "out")]
    [InlineData(3, "lacks 1 of the tensors", "--linear", "a=1", "other=1", "--output", "out")]
    [InlineData(3, "\"x\" is [4] in", "--linear", "a=1", "longer=1", "--output", "out")]
    [InlineData(6, "is NaN in", "--linear", "a=1", "nan=1", "--output", "out")]
    [InlineData(6, "is NaN in", "ties.yaml", "out")]
    [InlineData(4, "needs", "--linear", "a=1", "b=1", "--output", "out", "--max-memory", "1KiB")]
    public void Wrong_Requests_AreOneSentenceAndLeaveNothing(int code, string part, params string[] args)
    {
        Weights("a", ("x", 4, 1f));
        Weights("b", ("x", 4, 5f));
        Weights("other", ("y", 4, 5f));
        Weights("longer", ("x", 5, 5f));
        Weights("nan", ("x", 4, float.NaN));
        _folder.Write("typo.yaml", "merge_methd: linear\nmodels: [{model: a}]");
        _folder.Write("recipe.yaml", "merge_method: linear\nmodels: [{model: a}]");
        _folder.Write("ties.yaml", "merge_method: ties\nbase_model: a\nmodels: [{model: b, parameters: {weight: 1}}, {model: nan, parameters: {weight: 1}}]");
        string[] before = _folder.Names();

        var run = NEngine.Run(["merge", .. args, "--json"], null, workingFolder: _folder.Path).Expect(code);

        var error = run.Json().GetProperty("error");
        Assert.Contains(part, error.GetProperty("message").GetString() + error.GetProperty("hint").GetString(), StringComparison.Ordinal);
        Assert.Equal(before, _folder.Names());
    }

    [Fact]
    public void Check_AndDryRun_SayWhatWouldBeDoneAndWriteNothing()
    {
        Weights("a", ("x", 4, 1f));
        foreach (string stop in (string[])["--check", "--dry-run"])
        {
            var json = NEngine.Run(["merge", "--linear", "a=1", "a=1", "--output", "out", stop, "--json"], null, workingFolder: _folder.Path).Expect(0).Json();
            Assert.Equal(16, json.GetProperty("bytes_written").GetInt64());
            Assert.True(json.GetProperty("peak_bytes").GetInt64() > 0);
            Assert.True(json.GetProperty(stop[2..].Replace('-', '_')).GetBoolean());
        }
        Assert.False(Directory.Exists(_folder.File("out")));
    }

    [Fact]
    public void ZeroWeight_Model_IsNeverOpened()
    {
        Weights("a", ("x", 4, 1f));
        NEngine.Run(["merge", "--linear", "a=2", "nowhere=0", "--output", "out"], null, workingFolder: _folder.Path).Expect(0);
        using var result = SafetensorsModel.Open(_folder.File("out"));
        Assert.Equal([1f, 1f, 1f, 1f], result["x"].ToFloat32());
    }

    [Fact]
    public void ShardSize_Small_WritesShardsWithAnIndex()
    {
        Weights("a", ("x", 4, 1f), ("y", 4, 2f));
        NEngine.Run(["merge", "--linear", "a=1", "--output", "out", "--shard-size", "16"], null, workingFolder: _folder.Path).Expect(0);
        Assert.True(File.Exists(_folder.File("out/model-00002-of-00002.safetensors")));
        using var result = SafetensorsModel.Open(_folder.File("out"));
        Assert.Equal([2f, 2f, 2f, 2f], result["y"].ToFloat32());
    }

    private void Weights(string name, params (string Tensor, int Count, float Value)[] tensors)
    {
        Directory.CreateDirectory(_folder.File(name));
        SafetensorsWriter.WriteFloat32(_folder.File(name + "/model.safetensors"), null,
            [.. tensors.Select(t => (t.Tensor, new long[] { t.Count }, (ReadOnlyMemory<float>)Enumerable.Repeat(t.Value, t.Count).ToArray()))]);
    }

    /// <summary>A copy of a model with every weight times a factor.</summary>
    private string Scaled(TinyModelFolder model, string name, float factor)
    {
        Directory.CreateDirectory(_folder.File(name));
        using var original = SafetensorsModel.Open(model.Path);
        SafetensorsWriter.WriteFloat32(_folder.File(name + "/model.safetensors"), null,
            [.. original.Tensors.Select(t => (t.Name, t.Shape.ToArray(), (ReadOnlyMemory<float>)t.ToFloat32().Select(v => v * factor).ToArray()))]);
        return _folder.File(name);
    }
}
