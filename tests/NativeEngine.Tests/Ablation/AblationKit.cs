using NativeEngine.Ablation;
using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Formats;
using NativeEngine.Model;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Ablation;

/// <summary>A study of a few thousand weights on files of its own: three sources, one of them large enough for two units.</summary>
internal sealed class AblationKit : IDisposable
{
    public const int Steps = 6;
    private readonly TemporaryFolder _folder = new();

    public AblationKit()
    {
        string[] sources = ["numbers", "letters", "words"];
        int[] counts = [60, 30, 26];
        JsonlWriter.Write(File("train.jsonl"), Documents(sources, counts, 0));
        JsonlWriter.Write(File("valid.jsonl"), Documents(sources, [5, 5, 5], 1000));
        using var device = new CpuDevice(threads: 1);
        var config = new LlamaConfig
        {
            VocabularySize = 258,
            HiddenSize = 8,
            IntermediateSize = 12,
            Layers = 1,
            Heads = 2,
            KeyValueHeads = 1,
            HeadSize = 4,
            ContextLength = 32,
            BosTokenId = 256,
            EosTokenId = 257,
        };
        using var parameters = new ParameterSet(device, config.Layout(), MemoryUse.Parameters);
        ModelInitializer.Initialize(config, parameters, seed: 5);
        ModelFolder.Save(File("seed"), config, parameters, ByteTokenizer.Create());
        Write();
    }

    /// <summary>The study's file.</summary>
    public string StudyPath => File("study.yaml");

    public string File(string name) => _folder.File(name);

    /// <summary>Writes the study; the arguments are lines of the sections.</summary>
    public void Write(string data = "  eval: valid.jsonl", string seed = "  model: seed", string units = "", string training = "", string rest = "") =>
        System.IO.File.WriteAllText(StudyPath, $"""
            data:
              train: train.jsonl
            {data}
            seed:
            {seed}
            units:
              tokens: 700
              length: 16
            {units}
            training:
              steps: {Steps}
              batch: 4
              lr: 0.01
            {training}
            {rest}
            """);

    public StudyPlan Plan() => StudyPlan.Create(StudyFile.Load(StudyPath));

    /// <summary>The bytes of a model file.</summary>
    public static byte[] Model(string folder) => System.IO.File.ReadAllBytes(Path.Combine(folder, SafetensorsModel.SingleName));

    /// <summary>A runner for one thread.</summary>
    public static StudyRunner Runner(StudyPlan plan, UnitCache cache, Device device, Action<TrainingProgress>? onStep = null) =>
        new(plan, new StudyJobs(plan), cache, device, WorkShare.Whole) { OnStep = onStep };

    public void Dispose() => _folder.Dispose();

    private static IEnumerable<Example> Documents(string[] sources, int[] counts, int offset)
    {
        for (int s = 0; s < sources.Length; s++)
        {
            for (int i = 0; i < counts[s]; i++)
            {
                int n = offset + i;
                yield return s switch
                {
                    0 => Example.FromPrompt(sources[s], $"{n} + {n % 7} =", $"{n + (n % 7)} and {n * 3}"),
                    1 => Example.FromPrompt(sources[s], $"letters {n}", new string((char)('a' + (n % 26)), 12)),
                    _ => Example.FromText(sources[s], $"the {n}th word of a long list of words"),
                };
            }
        }
    }
}
