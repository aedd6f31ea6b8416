using NativeEngine.Ablation.Mixtures;
using NativeEngine.Ablation.Ranking;
using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Formats;
using NativeEngine.Model;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Ablation;

/// <summary>A seed and a few unit models on disk, random but near the seed, with evaluation documents of the built-in mixture.</summary>
internal sealed class TinyPool : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public TinyPool(int units = 5, int threads = 1, double movement = 0.05, int documents = 60, DType type = DType.F32, SimdWidth? width = null)
    {
        Device = new CpuDevice(threads, width);
        var tokenizer = ByteTokenizer.Create();
        Config = new LlamaConfig
        {
            VocabularySize = tokenizer.VocabularySize,
            HiddenSize = 12,
            IntermediateSize = 10,
            Layers = 2,
            Heads = 4,
            KeyValueHeads = 2,
            HeadSize = 4,
            ContextLength = 32,
        };
        using var seed = new ParameterSet(Device, Config.Layout(), MemoryUse.Parameters);
        ModelInitializer.Initialize(Config, seed, 5);
        ModelFolder.Save(SeedFolder, Config, seed, tokenizer, type);
        float[] start = Device.Download(seed.Flat);
        using var unit = new ParameterSet(Device, Config.Layout(), MemoryUse.Parameters);
        for (int u = 0; u < units; u++)
        {
            var random = new CounterRandom(9, RandomPurpose.Test, (uint)u);
            Device.Upload<float>([.. start.Select((x, i) => x == 0 ? 0 : x + (float)(movement * random.Normal((ulong)i)))], unit.Flat);
            ModelFolder.Save(UnitFolder(u), Config, unit, tokenizer, type);
        }
        Data = MixtureDataset.Build(MixtureSynthesizer.Generate(documents, 5, SynthesisSplit.Train), tokenizer, DatasetOptions.Evaluation(1 << 20));
        Pool = Open(threads);
        Set = new EvaluationSet(Data, Config, Device, new EvaluationOptions { TokensPerBatch = 500 });
        Merged = new MergedModel(Pool, Device);
    }

    public CpuDevice Device { get; }

    public LlamaConfig Config { get; }

    public MixtureDataset Data { get; }

    public UnitPool Pool { get; }

    public EvaluationSet Set { get; }

    public MergedModel Merged { get; }

    public string SeedFolder => _folder.File("seed");

    public string UnitFolder(int unit) => _folder.File("unit" + unit);

    public string Beside(string name) => _folder.File(name);

    public UnitPool Open(int threads = 1, Func<UnitPool, int, ParameterSet, int>? aligned = null) => new(
        new PoolUnit("seed", SeedFolder),
        [.. Directory.EnumerateDirectories(_folder.Path, "unit*").Order().Select((folder, u) => new PoolUnit("u" + u, folder))], threads, aligned);

    public MergedEvaluator Evaluator(LossCache? cache = null, LevelRule? level = null) => new(Pool, Merged, Set, cache, level);

    /// <summary>The average in double, by the definition.</summary>
    public double[] Average(Mixture mixture, double lambda = 1)
    {
        var result = new double[Pool.Layout.Length];
        foreach (var entry in Pool.Layout.Entries)
        {
            var seed = Pool.Weights(Pool.Count, entry);
            for (int i = 0; i < seed.Length; i++)
            {
                double sum = 0;
                for (int u = 0; u < Pool.Count; u++)
                {
                    sum += mixture.Weights[u] * Pool.Weights(u, entry)[i];
                }
                result[entry.Offset + i] = (lambda * sum) + ((1 - lambda) * seed[i]);
            }
        }
        return result;
    }

    public void Dispose()
    {
        Merged.Dispose();
        Set.Dispose();
        Pool.Dispose();
        Device.Dispose();
        _folder.Dispose();
    }
}
