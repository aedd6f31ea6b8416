using System.Text.Json;
using NativeEngine.Formats;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Formats;

public class SafetensorsModelTests
{
    private static readonly TensorSpec[] _specs =
        [new("b", DType.F32, 2, 3), new("a", DType.F32, 4), new("large", DType.F32, 31), new("c", DType.BF16, 3)];

    private static void Fill(TensorSpec tensor, TensorSink sink)
        => sink.Write(Enumerable.Range(0, (int)tensor.ElementCount).Select(i => (float)i).ToArray());

    [Theory]
    [InlineData(SafetensorsModelWriter.DefaultShardBytes, 1)]
    [InlineData(40, 3)]
    [InlineData(1, 4)]
    public void Write_AnyShardSize_OneViewByName(long maxShardBytes, int files)
    {
        using var folder = new TemporaryFolder();
        SafetensorsModelWriter.Write(folder.Path, _specs, Fill, maxShardBytes: maxShardBytes);
        using var model = SafetensorsModel.Open(folder.Path);
        Assert.Equal(files, model.Files.Count);
        Assert.Empty(model.Unindexed);
        Assert.Equal("pt", model.Metadata["format"]);
        Assert.Equal(_specs.Select(s => s.Name), model.Tensors.Select(t => t.Name));
        Assert.Equal(Enumerable.Range(0, 31).Select(i => (float)i), model["large"].ToFloat32());
        Assert.Equal([2, 3], model["b"].Shape.ToArray());
        Assert.Equal([0f, 1f, 2f], model["c"].ToFloat32());
        Expect.Fails(ErrorKind.BadInput, () => _ = model["nobody"], folder.Path, "\"nobody\"");
        if (files == 3)
        {
            Assert.Equal(["model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors",
                SafetensorsModel.IndexName], folder.Names());
            using var index = JsonDocument.Parse(File.ReadAllBytes(folder.File(SafetensorsModel.IndexName)));
            Assert.Equal((6 + 4 + 31) * 4 + 6, index.RootElement.GetProperty("metadata").GetProperty("total_size").GetInt32());
            Assert.Equal("model-00002-of-00003.safetensors", index.RootElement.GetProperty("weight_map").GetProperty("large").GetString());
        }
    }

    [Fact]
    public void Write_OverAnotherForm_Refused()
    {
        using var folder = new TemporaryFolder();
        SafetensorsModelWriter.Write(folder.Path, _specs, Fill);
        SafetensorsModelWriter.Write(folder.Path, _specs, Fill);
        Expect.Fails(ErrorKind.Usage, () => SafetensorsModelWriter.Write(folder.Path, _specs, Fill, maxShardBytes: 1), "already has model.safetensors");
        File.Delete(folder.File(SafetensorsModel.SingleName));
        SafetensorsModelWriter.Write(folder.Path, _specs, Fill, maxShardBytes: 1);
        Expect.Fails(ErrorKind.Usage, () => SafetensorsModelWriter.Write(folder.Path, _specs, Fill, maxShardBytes: 1), "index.json");
    }

    [Theory]
    [InlineData("""{"weight_map":{"x":"../one.safetensors"}}""", "\"weight_map.x\" must be the name of a file in the same folder")]
    [InlineData("""{"weight_map":{"x":"/etc/passwd"}}""", "same folder")]
    [InlineData("""{"weight_map":{"x":"sub\\one.safetensors"}}""", "same folder")]
    [InlineData("""{"weight_map":{"x":".."}}""", "same folder")]
    [InlineData("""{"weight_map":{"x":""}}""", "same folder")]
    [InlineData("""{"weight_map":{"x":3}}""", "must be a string, got 3")]
    [InlineData("""{"weight_map":{}}""", "no tensors")]
    [InlineData("""{"weight_map":[]}""", "must be an object")]
    [InlineData("""{}""", "\"weight_map\" is missing")]
    [InlineData("""{"weight_map":{"x":"two.safetensors"}}""", "the shard two.safetensors is missing")]
    [InlineData("""{"weight_map":{"x":"one.safetensors","y":"one.safetensors"}}""", "tensor \"y\" should be in one.safetensors")]
    [InlineData("""{"weight_map":{"x":"one.safetensors","x":"one.safetensors"}}""", "not valid JSON")]
    public void Open_MalformedIndex_IsANamedSentence(string index, string sentence)
    {
        using var folder = new TemporaryFolder();
        SafetensorsWriter.WriteFloat32(folder.File("one.safetensors"), null, ("x", [1], new float[1]));
        folder.Write(SafetensorsModel.IndexName, index);
        Expect.Fails(ErrorKind.BadInput, () => SafetensorsModel.Open(folder.Path).Dispose(), SafetensorsModel.IndexName, sentence);
    }

    [Fact]
    public void Open_ShardWithMoreThanTheIndex_LeavesItOutAndReportsIt()
    {
        using var folder = new TemporaryFolder();
        SafetensorsWriter.WriteFloat32(folder.File("one.safetensors"), null, ("x", [1], new float[1]), ("extra", [1], new float[1]));
        string index = folder.Write(SafetensorsModel.IndexName, """{"weight_map":{"x":"one.safetensors"}}""");
        using var model = SafetensorsModel.Open(index);
        Assert.Equal(["x"], model.Tensors.Select(t => t.Name));
        Assert.Equal(["one.safetensors: extra"], model.Unindexed);
    }

    [Fact]
    public void Open_FolderWithoutModel_Refused()
    {
        using var folder = new TemporaryFolder();
        Expect.Fails(ErrorKind.BadInput, () => SafetensorsModel.Open(folder.Path).Dispose(), "neither model.safetensors nor model.safetensors.index.json");
        Expect.Fails(ErrorKind.BadInput, () => SafetensorsModel.Open(folder.File("nowhere")).Dispose(), "no such file");
    }
}
