using System.Text.Json;
using NativeEngine.Devices;
using NativeEngine.Model;
using NativeEngine.Tests.Support;
using NativeEngine.Training;

namespace NativeEngine.Tests.Golden;

/// <summary>
/// One case of training_step.json as a model of the engine: weights, adapter and batch as the file gives them. The file is made by
/// tools/python/golden_training_step.py, which says what every field means.
/// </summary>
internal sealed class TrainingStepCase : IDisposable
{
    private readonly Device _device;
    private readonly ParameterSet _weights;
    private readonly ParameterSet? _weightGradients;
    private readonly LoraAdapter? _adapter;
    private readonly LlamaModel _model;
    private readonly TokenBatch _batch;

    public TrainingStepCase(string name, Device device)
    {
        _device = device;
        Json = All.Single(c => c.GetProperty("name").GetString() == name);
        Config = new LlamaConfig
        {
            VocabularySize = Int("vocab"),
            HiddenSize = Int("hidden"),
            IntermediateSize = Int("intermediate"),
            Layers = Int("layers"),
            Heads = Int("heads"),
            KeyValueHeads = Int("kv_heads"),
            HeadSize = Int("head_dim"),
            ContextLength = Int("context"),
            NormEpsilon = (float)Json.GetProperty("eps").GetDouble(),
            RopeTheta = Json.GetProperty("theta").GetDouble(),
            TiedEmbeddings = Json.GetProperty("tied").GetBoolean(),
        };
        _weights = new ParameterSet(device, Config.Layout(), MemoryUse.Parameters);
        Upload(Json.GetProperty("weights"), _weights);
        if (Json.TryGetProperty("rank", out var rank))
        {
            float alpha = (float)Json.GetProperty("alpha").GetDouble();
            _adapter = new LoraAdapter(device, Config, rank.GetInt32(), alpha, LoraAdapter.AllTargets, trainable: true);
            Upload(Json.GetProperty("adapter"), _adapter.Parameters);
        }
        else
        {
            _weightGradients = new ParameterSet(device, Config.Layout(), MemoryUse.Gradients);
        }
        _model = new LlamaModel(Config, _weights, _weightGradients, _adapter);
        _batch = Batch();
    }

    /// <summary>Every case of the file.</summary>
    public static IReadOnlyList<JsonElement> All { get; } = Read();

    public JsonElement Json { get; }

    public LlamaConfig Config { get; }

    public bool IsAdapter => _adapter is not null;

    /// <summary>What is trained: the weights, or the adapter where there is one.</summary>
    public ParameterSet Trained => _adapter?.Parameters ?? _weights;

    /// <summary>The gradients of <see cref="Trained"/>, set by <see cref="LossAndGradient"/>.</summary>
    public ParameterSet Gradients => _adapter?.Gradients ?? _weightGradients!;

    /// <summary>The base weights' flat vector as it is now.</summary>
    public float[] BaseWeights => _device.Download(_weights.Flat);

    /// <summary>The losses of the label rows; the gradients of their mean are left in <see cref="Gradients"/>.</summary>
    public float[] LossAndGradient(bool checkpoint = false)
    {
        using var workspace = new Workspace(_device);
        var mean = new float[_batch.LabelCount];
        Array.Fill(mean, 1f / mean.Length);
        using var rowWeights = _device.Allocate<float>(mean, MemoryUse.Data);
        using var losses = _device.Allocate<float>(_batch.LabelCount, MemoryUse.Data);
        _device.Kernels.Fill(0, Gradients.Flat);
        _model.LossAndGradient(_batch, rowWeights.View, losses.View, checkpoint, workspace);
        return _device.Download(losses.View);
    }

    /// <summary>Gradient, clipping to <paramref name="maximumNorm"/> (null: none) and update; returns the norm before clipping.</summary>
    public double Step(Optimizer optimizer, double learningRate, double? maximumNorm)
    {
        LossAndGradient();
        using var squares = _device.Allocate<float>(1, MemoryUse.Data);
        using var scale = _device.Allocate<float>([1f], MemoryUse.Data);
        _device.Kernels.SumOfSquares(Gradients.Flat, squares.View);
        if (maximumNorm is { } limit)
        {
            _device.Kernels.ClipScale(squares.View, (float)limit, scale.View);
        }
        optimizer.Step(Gradients, scale.View, learningRate);
        return Math.Sqrt(_device.Download(squares.View)[0]);
    }

    public int Int(string name) => Json.GetProperty(name).GetInt32();

    public void Dispose()
    {
        _batch.Dispose();
        _model.Dispose();
        _adapter?.Dispose();
        _weightGradients?.Dispose();
        _weights.Dispose();
    }

    private static IReadOnlyList<JsonElement> Read()
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(RepositoryPaths.InRepository("tests/NativeEngine.Tests/Golden/training_step.json")));
        return [.. document.RootElement.GetProperty("cases").EnumerateArray().Select(c => c.Clone())];
    }

    private static void Upload(JsonElement tensors, ParameterSet set)
    {
        Assert.Equal(set.Layout.Entries.Select(e => e.Name).Order(), tensors.EnumerateObject().Select(t => t.Name).Order());
        foreach (var entry in set.Layout.Entries)
        {
            set.Device.Upload<float>(GoldenCases.Floats(tensors.GetProperty(entry.Name)), set.View(entry));
        }
    }

    private TokenBatch Batch()
    {
        var sequences = Json.GetProperty("sequences").EnumerateArray()
            .Select(s => (Tokens: GoldenCases.Ints(s.GetProperty("tokens")), Targets: GoldenCases.Ints(s.GetProperty("targets")))).ToArray();
        var offsets = new int[sequences.Length + 1];
        for (int s = 0; s < sequences.Length; s++)
        {
            offsets[s + 1] = offsets[s] + sequences[s].Tokens.Length;
        }
        return new TokenBatch(
            _device, Config, [.. sequences.SelectMany(s => s.Tokens)], [.. sequences.SelectMany(s => Enumerable.Range(0, s.Tokens.Length))], offsets,
            [.. sequences.SelectMany(s => s.Targets)]);
    }
}
