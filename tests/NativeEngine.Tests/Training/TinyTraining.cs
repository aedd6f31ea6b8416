using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Model;
using NativeEngine.Native;
using NativeEngine.Tests.Support;
using NativeEngine.Training;

namespace NativeEngine.Tests.Training;

/// <summary>A model of a few thousand weights with a trainer on the built-in mixture: everything of a real run, in milliseconds a step.</summary>
internal sealed class TinyTraining : IDisposable
{
    private const int Length = 40;
    private readonly ParameterSet _parameters;
    private readonly ParameterSet? _gradients;
    private readonly LoraAdapter? _adapter;

    public TinyTraining(
        TrainOptions options, int threads = 2, SimdWidth? width = null, bool tied = true, int loraRank = 0, MixtureDataset? data = null,
        Device? device = null, RankGroup? ranks = null)
    {
        Device = device ?? new CpuDevice(threads, width);
        var tokenizer = ByteTokenizer.Create();
        var config = Config(tied);
        _parameters = new ParameterSet(Device, config.Layout(), MemoryUse.Parameters);
        ModelInitializer.Initialize(config, _parameters, 3);
        if (loraRank > 0)
        {
            _adapter = new LoraAdapter(Device, config, loraRank, 2 * loraRank, ["q_proj", "v_proj", "down_proj"], trainable: true);
            _adapter.Initialize(3);
        }
        else
        {
            _gradients = new ParameterSet(Device, config.Layout(), MemoryUse.Gradients);
        }
        Model = new LlamaModel(config, _parameters, _gradients, _adapter);
        Data = data ?? Mixture(240);
        Trainer = new Trainer(Model, Data, options, ranks);
    }

    public Device Device { get; }

    public LlamaModel Model { get; }

    public MixtureDataset Data { get; }

    public Trainer Trainer { get; }

    /// <summary>Five steps of CoLM, 12 of 24 examples; small numbers of everything.</summary>
    public static TrainOptions Options(BatchSelection selection = BatchSelection.Colm) => new()
    {
        Steps = 5,
        Pool = 24,
        Batch = 12,
        Selection = selection,
        LearningRate = 3e-3,
        Coreset = new() { Budget = 1, Top = 32 },
        Seed = 11,
    };

    public static LlamaConfig Config(bool tied = true) => new()
    {
        VocabularySize = ByteTokenizer.Create().VocabularySize,
        HiddenSize = 16,
        IntermediateSize = 24,
        Layers = 2,
        Heads = 2,
        KeyValueHeads = 1,
        HeadSize = 8,
        ContextLength = Length,
        TiedEmbeddings = tied,
    };

    public static MixtureDataset Mixture(int count, LossOn lossOn = LossOn.Completion) =>
        MixtureDataset.Build(MixtureSynthesizer.Generate(count, 5, SynthesisSplit.Train), ByteTokenizer.Create(), DatasetOptions.Training(Length, lossOn));

    /// <summary>Trains some steps and returns their reports, with counts of their own.</summary>
    public List<StepReport> Train(int steps) =>
    [
        .. Enumerable.Range(0, steps).Select(_ => Trainer.Step()).Select(r => r with { PoolBySource = [.. r.PoolBySource], TrainedBySource = [.. r.TrainedBySource], Chosen = [.. r.Chosen] }),
    ];

    /// <summary>Everything that the future depends on, as one byte string: trained parameters, moments, history, counters, position.</summary>
    public byte[] State()
    {
        using var bytes = new MemoryStream();
        using var writer = new BinaryWriter(bytes);
        Write(Trainer.Trained);
        foreach (var (_, set) in Trainer.Optimizer.State)
        {
            Write(set);
        }
        using var folder = new TemporaryFolder();
        string selector = folder.File("selector.safetensors");
        Trainer.SaveSelector(selector);
        if (File.Exists(selector))
        {
            writer.Write(File.ReadAllBytes(selector));
        }
        writer.Write(Trainer.StepsDone);
        writer.Write(Trainer.Optimizer.Steps);
        writer.Write(Trainer.Position.Epoch);
        writer.Write(Trainer.Position.Offset);
        writer.Flush();
        return bytes.ToArray();

        void Write(ParameterSet set)
        {
            float[] values = Device.Download(set.Flat);
            Assert.Contains(values, v => v != 0);
            writer.Write(System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(values));
        }
    }

    public void Dispose()
    {
        Trainer.Dispose();
        Model.Dispose();
        _adapter?.Dispose();
        _gradients?.Dispose();
        _parameters.Dispose();
        Device.Dispose();
    }
}
