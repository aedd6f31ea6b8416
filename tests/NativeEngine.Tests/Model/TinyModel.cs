using NativeEngine.Devices;
using NativeEngine.Model;
using NativeEngine.Tests.Reference;

namespace NativeEngine.Tests.Model;

/// <summary>A model small enough for central differences of every weight, with uneven sizes, and a batch of three sequences for it.</summary>
internal sealed class TinyModel : IDisposable
{
    private static readonly int[][] _tokens = [[1, 5, 2, 7, 3], [4], [6, 0, 10, 10, 2, 9, 8]];
    private static readonly int[][] _targets = [[-1, 2, 7, -1, 1], [3], [0, 10, 10, 2, 9, -1, 5]];

    public TinyModel(Device device, int kvHeads = 1, bool tied = true, bool lora = false)
    {
        Config = new LlamaConfig
        {
            VocabularySize = 11,
            HiddenSize = 6,
            IntermediateSize = 7,
            Layers = 2,
            Heads = 2,
            KeyValueHeads = kvHeads,
            HeadSize = 4,
            ContextLength = 8,
            TiedEmbeddings = tied,
        };
        Parameters = new ParameterSet(device, Config.Layout(), MemoryUse.Parameters);
        Gradients = new ParameterSet(device, Config.Layout(), MemoryUse.Gradients);
        Randomize(Parameters, 1);
        if (lora)
        {
            Adapter = new LoraAdapter(device, Config, 3, 6, LoraAdapter.AllTargets, trainable: true);
            Randomize(Adapter.Parameters, 2);
        }
        Model = new LlamaModel(Config, Parameters, Gradients, Adapter);
        int[] offsets = [0, 5, 6, 13];
        Batch = new TokenBatch(
            device, Config, _tokens.SelectMany(t => t).ToArray(), _tokens.SelectMany(t => Enumerable.Range(0, t.Length)).ToArray(), offsets,
            _targets.SelectMany(t => t).ToArray());
    }

    public LlamaConfig Config { get; }

    public ParameterSet Parameters { get; }

    public ParameterSet Gradients { get; }

    public LoraAdapter? Adapter { get; }

    public LlamaModel Model { get; }

    public TokenBatch Batch { get; }

    /// <summary>What is trained: the weights, or the adapter where there is one.</summary>
    public ParameterSet Trained => Adapter?.Parameters ?? Parameters;

    public ParameterSet TrainedGradients => Adapter?.Gradients ?? Gradients;

    /// <summary>A weight for every label row: uneven, to notice mix-ups.</summary>
    public float[] RowWeights => [.. Enumerable.Range(0, (int)Batch.LabelCount).Select(r => 0.1f + (0.07f * r))];

    /// <summary>The engine's losses and gradients by name.</summary>
    public (float[] Losses, Dictionary<string, float[]> Gradients) Run(bool checkpoint = false)
    {
        var device = Parameters.Device;
        device.Kernels.Fill(0, TrainedGradients.Flat);
        using var workspace = new Workspace(device);
        using var losses = device.Allocate<float>(Batch.LabelCount, MemoryUse.Data);
        using var weights = device.Allocate<float>(RowWeights, MemoryUse.Data);
        Model.LossAndGradient(Batch, weights.View, losses.View, checkpoint, workspace);
        Assert.Equal(0, workspace.LiveBytes);
        return (device.Download(losses.View), Values(TrainedGradients));
    }

    /// <summary>Every weight (and adapter weight) in double.</summary>
    public Dictionary<string, double[]> DoubleWeights()
    {
        var all = Values(Parameters).Concat(Adapter is null ? [] : Values(Adapter.Parameters));
        return all.ToDictionary(p => p.Key, p => Array.ConvertAll(p.Value, v => (double)v));
    }

    /// <summary>The reference's losses for given weights.</summary>
    public List<double> ReferenceLosses(IReadOnlyDictionary<string, double[]> weights)
    {
        var reference = new ReferenceLlama(Config, weights, Adapter is null ? 0 : Adapter.Alpha / Adapter.Rank);
        return _tokens.Zip(_targets, reference.Losses).SelectMany(l => l).ToList();
    }

    public void Dispose()
    {
        Batch.Dispose();
        Model.Dispose();
        Adapter?.Dispose();
        Gradients.Dispose();
        Parameters.Dispose();
    }

    public static Dictionary<string, float[]> Values(ParameterSet set) =>
        set.Layout.Entries.ToDictionary(e => e.Name, e => set.Device.Download(set.View(e)));

    private static void Randomize(ParameterSet set, uint stream)
    {
        var random = new CounterRandom(7, RandomPurpose.Test, stream);
        foreach (var entry in set.Layout.Entries)
        {
            var values = new float[entry.Shape.Count];
            for (int i = 0; i < values.Length; i++)
            {
                values[i] = (float)((0.4 * random.Normal((ulong)(entry.Offset + i))) + (entry.Decays ? 0 : 1));
            }
            set.Device.Upload<float>(values, set.View(entry));
        }
    }
}
