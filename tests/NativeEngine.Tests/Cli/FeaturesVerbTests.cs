using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Formats;
using NativeEngine.Model;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Cli;

/// <summary>The verb features, and select on what it writes.</summary>
public sealed class FeaturesVerbTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly string _model, _data;

    public FeaturesVerbTests()
    {
        _model = _folder.File("model");
        var config = Training.TinyTraining.Config();
        using var device = new CpuDevice(threads: 2);
        using var parameters = new ParameterSet(device, config.Layout(), MemoryUse.Parameters);
        ModelInitializer.Initialize(config, parameters, 3);
        ModelFolder.Save(_model, config, parameters, ByteTokenizer.Create());
        _data = _folder.File("data.jsonl");
        JsonlWriter.Write(_data, MixtureSynthesizer.Generate(90, 5, SynthesisSplit.Train));
    }

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("grad", FeatureKind.Gradient, 128)]
    [InlineData("zo", FeatureKind.ZerothOrder, 128)]
    [InlineData("hidden", FeatureKind.Hidden, 16)]
    public void Run_EveryKind_WritesTheLibrarysFeaturesRowByRow(string kind, FeatureKind expected, int dimension)
    {
        string file = _folder.File("f.npy");
        var json = NEngine.Run(Args(file, "--kind", kind, "--directions", "2", "--seed", "7")).Expect(0).Json();
        int n = json.GetProperty("n").GetInt32();
        Assert.Equal(90, n + json.GetProperty("left_out").GetInt32());
        Assert.InRange(n, 1, 89);
        Assert.Equal((dimension, 4L * n * dimension), (json.GetProperty("dim").GetInt32(), json.GetProperty("bytes").GetInt64()));

        using var npy = NpyFile.Open(file);
        Assert.Equal(DType.F32, npy.DType);
        Assert.Equal([n, dimension], npy.Shape.ToArray());
        using var device = new CpuDevice(threads: 1);
        var (config, parameters) = ModelFolder.Load(_model, device);
        using var owned = parameters;
        using var model = new LlamaModel(config, parameters);
        using var features = new GradientFeatures(model, new FeatureOptions(expected, 2, Seed: 7));
        using var workspace = new Workspace(device);
        var data = MixtureDataset.Build(new JsonlReader(_data).Read(), ByteTokenizer.Create(), DatasetOptions.Training(config.ContextLength));
        foreach (int row in new[] { 0, 1, n / 2, n - 1 })
        {
            using var batch = new TokenBatch(device, config, BatchPacker.Pack(data, [row]));
            using var one = device.Allocate<float>(dimension, MemoryUse.Selection);
            features.Compute(batch, one.View.Reshape(1, dimension), workspace);
            var stored = new float[dimension];
            npy.ReadFloat32((long)row * dimension, stored);
            Assert.Contains(stored, v => v != 0);
            Assert.Equal(device.Download(one.View), stored);
        }
    }

    [Fact]
    public void Run_ThenSelect_PicksFromTheWrittenRows()
    {
        string features = _folder.File("f.npy"), sources = _folder.File("s.txt"), index = _folder.File("i.npy");
        var json = NEngine.Run(Args(features, "--sources-output", sources, "--index-output", index)).Expect(0).Json();
        int n = json.GetProperty("n").GetInt32();
        Assert.Equal(n, File.ReadLines(sources).Count());
        using (var npy = NpyFile.Open(index))
        {
            var rows = new long[n];
            npy.ReadInt64(0, rows);
            string[] names = [.. File.ReadLines(_data).Select(l => System.Text.Json.JsonDocument.Parse(l).RootElement.GetProperty("source").GetString()!)];
            Assert.Equal(rows.Select(r => names[r]), File.ReadLines(sources));
        }
        var selection = NEngine.Run("select", "--features", features, "--sources", sources, "--budget", "50%", "--keep", "small", "--top", "32", "--adam", "--json").Expect(0).Json();
        Assert.Equal((n, n / 2), (selection.GetProperty("n").GetInt32(), selection.GetProperty("indices").GetArrayLength()));
        Assert.Empty(selection.GetProperty("dropped").EnumerateArray());
        Assert.NotEmpty(selection.GetProperty("kept").EnumerateArray());
    }

    [Fact]
    public void Run_DryRun_TellsTheBytesAndWritesNothing()
    {
        string file = _folder.File("f.npy");
        var dry = NEngine.Run(Args(file, "--dry-run")).Expect(0).Json();
        Assert.False(File.Exists(file));
        var real = NEngine.Run(Args(file)).Expect(0).Json();
        Assert.Equal(dry.GetProperty("bytes").GetInt64(), real.GetProperty("bytes").GetInt64());
        Assert.InRange(new FileInfo(file).Length - real.GetProperty("bytes").GetInt64(), 64, 256);
    }

    [Fact]
    public void Run_SameRunTwiceWithOtherThreads_SameFile()
    {
        string one = _folder.File("one.npy"), three = _folder.File("three.npy");
        NEngine.Run(Args(one, "--kind", "zo", "--threads", "1")).Expect(0);
        NEngine.Run(Args(three, "--kind", "zo", "--threads", "3")).Expect(0);
        Assert.Equal(File.ReadAllBytes(one), File.ReadAllBytes(three));
    }

    [Theory]
    [InlineData(2, "--seq-len is 41", "--seq-len", "41")]
    [InlineData(2, "--directions", "--directions", "0")]
    [InlineData(2, "kind", "--kind", "gradient")]
    [InlineData(3, "no-such-folder", "--model", "no-such-folder")]
    [InlineData(3, "no-such.jsonl", "--data", "no-such.jsonl")]
    [InlineData(4, "these features need", "--max-memory", "100KiB")]
    public void Run_ImpossibleRequest_IsRefusedInASentenceAndLeavesNothing(int code, string words, params string[] extra)
    {
        string file = _folder.File("f.npy");
        var error = NEngine.Run(Args(file, extra)).Expect(code).Json().GetProperty("error");
        Assert.Contains(words, error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.DoesNotContain(Directory.GetFileSystemEntries(_folder.Path), f => f.Contains("npy", StringComparison.Ordinal));
    }

    [Fact]
    public void Run_ModelWithHugeWeights_ExitsWith6NamingTheExample()
    {
        string broken = _folder.File("broken");
        var config = Training.TinyTraining.Config();
        using (var device = new CpuDevice(threads: 1))
        using (var parameters = new ParameterSet(device, config.Layout(), MemoryUse.Parameters))
        {
            device.Kernels.Fill(1e30f, parameters.Flat);
            ModelFolder.Save(broken, config, parameters, ByteTokenizer.Create());
        }
        var error = NEngine.Run(Args(_folder.File("f.npy"), "--model", broken)).Expect(6).Json().GetProperty("error");
        Assert.Contains("feature of example 0", error.GetProperty("message").GetString(), StringComparison.Ordinal);
        Assert.False(File.Exists(_folder.File("f.npy")));
    }

    private string[] Args(string output, params string[] extra) =>
        ["features", "--output", output, "--json", .. TrainRuns.Override(["--model", _model, "--data", _data], extra)];
}
