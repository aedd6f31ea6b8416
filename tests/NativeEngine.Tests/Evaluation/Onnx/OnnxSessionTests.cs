using NativeEngine.Data;
using NativeEngine.Devices.Cpu;
using NativeEngine.Evaluation;
using NativeEngine.Formats;
using NativeEngine.Model;
using NativeEngine.Tests.Formats;
using NativeEngine.Tests.Model;
using NativeEngine.Tests.Reference;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Evaluation.Onnx;

/// <summary>Exported models in ONNX Runtime against the engine and against the double-precision reference.</summary>
public sealed class OnnxSessionTests
{
    private static readonly string[] _texts = ["Grüße", "2 + 2 =\n4", "a", "abcdefghijklmnopqrstuvwxyz", "abc"];

    [TheoryWithOnnxRuntime]
    [InlineData(1, true, false)]
    [InlineData(2, false, false)]
    [InlineData(1, false, true)]
    public void Losses_TinyModel_ThoseOfTheDoubleReference(int kvHeads, bool tied, bool cache)
    {
        using var device = new CpuDevice(threads: 1);
        using var tiny = new TinyModel(device, kvHeads, tied);
        using var file = OnnxModelFile.Parse("tiny", OnnxExporter.ToBytes(tiny.Config, tiny.Parameters, new OnnxExportOptions { KeyValueCache = cache }));
        using var session = new OnnxSession(file, OnnxRuntime.Library!, device, threads: 1);
        Assert.Equal((tiny.Config.ContextLength, (int?)tiny.Config.VocabularySize), (session.ContextLength, session.VocabularySize));
        // The batch of the tiny model: labels in the middle, at the end, none at some rows; sequences of 5, 1 and 7.
        int[][] tokens = [[1, 5, 2, 7, 3, 1], [4, 3], [6, 0, 10, 10, 2, 9, 8, 5]];
        var data = Pack(tokens);
        var reference = new ReferenceLlama(tiny.Config, tiny.DoubleWeights());
        double[] expected = [.. tokens.SelectMany(t => reference.Losses(t[..^1], t[1..]))];
        float[] losses = session.Losses(data);
        Assert.Equal(expected.Length, losses.Length);
        for (int i = 0; i < losses.Length; i++)
        {
            Assert.Equal(expected[i], losses[i], 1e-5);
        }
        // Nothing depends on how sequences are put together, but for rounding.
        using var alone = new OnnxSession(file, OnnxRuntime.Library!, device, threads: 2) { TokensPerRun = 1 };
        Assert.All(alone.Losses(data).Zip(losses), pair => Assert.Equal(pair.Second, pair.First, 1e-5f));
    }

    [FactWithOnnxRuntime("data/stories260K")]
    public void Evaluate_Stories_LossesOfTheEnginePerSource() => SameLosses(RepositoryPaths.Shared("data/stories260K"));

    [FactWithOnnxRuntime]
    public void Evaluate_FreshlyTrainedPreset_LossesOfTheEnginePerSource()
    {
        using var folder = new TemporaryFolder();
        NEngine.Run("train", "--model", "preset:0.2m", "--data", "builtin", "--steps", "8", "--pool", "16", "--batch", "8", "--seq-len", "64", "--quiet", "--output", folder.File("model")).Expect(0);
        SameLosses(folder.File("model"));
    }

    [FactWithOnnxRuntime]
    public void Cache_TokensInTwoRuns_LogitsOfOneRun()
    {
        using var device = new CpuDevice(threads: 1);
        using var tiny = new TinyModel(device, kvHeads: 1);
        using var file = OnnxModelFile.Parse("tiny", OnnxExporter.ToBytes(tiny.Config, tiny.Parameters, new OnnxExportOptions { KeyValueCache = true }));
        using var raw = new RawSession(file);
        long[] ids = [1, 5, 2, 7, 3, 9, 0];
        const int First = 4;
        var whole = raw.Run(tiny.Config, ids, 0, []);
        var head = raw.Run(tiny.Config, ids[..First], 0, []);
        var tail = raw.Run(tiny.Config, ids[First..], First, head.Present);
        float[] parts = [.. head.Logits, .. tail.Logits];
        Assert.Equal(ids.Length * tiny.Config.VocabularySize, whole.Logits.Length);
        Assert.All(whole.Logits.Zip(parts), pair => Assert.Equal(pair.First, pair.Second, 1e-5f));
        Assert.All(whole.Present.Zip(tail.Present), pair => Assert.All(pair.First.Zip(pair.Second), v => Assert.Equal(v.First, v.Second, 1e-5f)));
    }

    [FactWithOnnxRuntime]
    public void Providers_Profiled_TheProcessorRanEveryNode()
    {
        using var device = new CpuDevice(threads: 1);
        using var tiny = new TinyModel(device);
        using var file = OnnxModelFile.Parse("tiny", OnnxExporter.ToBytes(tiny.Config, tiny.Parameters));
        using var session = new OnnxSession(file, OnnxRuntime.Library!, device, threads: 1, profile: true);
        Assert.Empty(session.Providers);
        session.Losses(Pack([[1, 2, 3]]));
        var (provider, nodes) = Assert.Single(session.Providers);
        Assert.Equal("CPUExecutionProvider", provider);
        Assert.True(nodes > 10);
        Assert.Empty(Directory.GetFiles(Path.GetTempPath(), $"nengine-ort-{Environment.ProcessId}-*"));
    }

    [FactWithOnnxRuntime]
    public void Open_CudaWithoutCuda_RefusedAndNotReplaced()
    {
        using var device = new CpuDevice(threads: 1);
        using var tiny = new TinyModel(device);
        using var file = OnnxModelFile.Parse("tiny", OnnxExporter.ToBytes(tiny.Config, tiny.Parameters));
        try
        {
            using var session = new OnnxSession(file, OnnxRuntime.Library!, device, threads: 1, OnnxProvider.Cuda);
            // Where there is a GPU the profile must name it.
            session.Losses(Pack([[1, 2, 3]]));
            Assert.Contains("CUDAExecutionProvider", session.Providers.Keys);
        }
        catch (EngineException e)
        {
            Assert.Equal(ErrorKind.DeviceUnavailable, e.Kind);
            Assert.Contains("CUDA", e.Message, StringComparison.Ordinal);
        }
    }

    [FactWithOnnxRuntime]
    public void Losses_TokenOutsideTheVocabulary_RefusedWithBoth()
    {
        using var device = new CpuDevice(threads: 1);
        using var tiny = new TinyModel(device);
        using var file = OnnxModelFile.Parse("tiny", OnnxExporter.ToBytes(tiny.Config, tiny.Parameters));
        using var session = new OnnxSession(file, OnnxRuntime.Library!, device, threads: 1);
        Expect.Fails(ErrorKind.BadInput, () => session.Losses(Pack([[1, 11]])), "token 11", "11 tokens");
        Expect.Fails(ErrorKind.BadInput, () => session.Losses(Pack([[.. Enumerable.Repeat(1, 10)]])), "9 tokens", "context is 8");
    }

    [FactWithOnnxRuntime]
    public void Losses_Cancelled_Stops()
    {
        using var device = new CpuDevice(threads: 1);
        using var tiny = new TinyModel(device);
        using var file = OnnxModelFile.Parse("tiny", OnnxExporter.ToBytes(tiny.Config, tiny.Parameters));
        using var session = new OnnxSession(file, OnnxRuntime.Library!, device, threads: 1);
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        Assert.ThrowsAny<OperationCanceledException>(() => session.Losses(Pack([[1, 2]]), stop.Token));
        // And runs again afterwards.
        Assert.Single(session.Losses(Pack([[1, 2]])));
    }

    private static void SameLosses(string folder)
    {
        using var device = new CpuDevice(threads: 2);
        var tokenizer = TokenizerFile.Load(folder);
        var (config, parameters) = ModelFolder.Load(folder, device);
        using var weights = parameters;
        using var model = new LlamaModel(config, parameters);
        using var output = new TemporaryFolder();
        var examples = MixtureSynthesizer.Generate(40, 3, SynthesisSplit.Valid).Concat(_texts.Select(t => Example.FromText("texts", t)));
        var data = MixtureDataset.Build(examples, tokenizer, DatasetOptions.Evaluation(Math.Min(config.ContextLength, 128)));
        var native = new PerplexityEvaluator(model).Evaluate(data);
        foreach (bool external in new[] { false, true })
        {
            string path = output.File($"{external}.onnx");
            var report = OnnxExporter.Export(path, config, parameters, new OnnxExportOptions { ExternalData = external });
            Assert.Equal(external, report.WeightsPath is not null);
            using var file = OnnxModelFile.Open(path);
            OnnxExporter.VerifyWeights(file);
            using var session = new OnnxSession(file, OnnxRuntime.Library!, device, threads: 2);
            var onnx = new PerplexityEvaluator(session).Evaluate(data);
            Assert.Equal(native.Total.Tokens, onnx.Total.Tokens);
            Assert.True(native.Sources.Count > 3);
            Assert.All(native.Sources.Zip(onnx.Sources), pair =>
            {
                Assert.Equal((pair.First.Source, pair.First.Examples, pair.First.Tokens), (pair.Second.Source, pair.Second.Examples, pair.Second.Tokens));
                Assert.Equal(pair.First.MeanLoss, pair.Second.MeanLoss, 2e-4);
            });
        }
    }

    /// <summary>Sequences packed with every token after the first a label.</summary>
    internal static PackedBatch Pack(int[][] sequences)
    {
        var batch = new PackedBatch(sequences.Length, sequences.Sum(s => s.Length - 1));
        int at = 0;
        for (int s = 0; s < sequences.Length; s++)
        {
            for (int t = 0; t + 1 < sequences[s].Length; t++, at++)
            {
                (batch.Tokens[at], batch.Positions[at], batch.Targets[at]) = (sequences[s][t], t, sequences[s][t + 1]);
            }
            batch.Offsets[s + 1] = at;
            batch.LabelCounts[s] = sequences[s].Length - 1;
        }
        return batch;
    }
}
