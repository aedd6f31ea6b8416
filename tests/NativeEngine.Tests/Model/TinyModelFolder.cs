using System.Text.Json.Nodes;
using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Formats;
using NativeEngine.Model;
using NativeEngine.Tests.Support;

namespace NativeEngine.Tests.Model;

/// <summary>A folder with a small byte-level model of uneven sizes, as the engine saves it, to be read, bent and broken.</summary>
internal sealed class TinyModelFolder : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public TinyModelFolder(bool tied = true, DType type = DType.F32)
    {
        Device = new CpuDevice(threads: 1);
        Config = new LlamaConfig
        {
            VocabularySize = 258,
            HiddenSize = 10,
            IntermediateSize = 14,
            Layers = 2,
            Heads = 4,
            KeyValueHeads = 2,
            HeadSize = 6,
            ContextLength = 32,
            NormEpsilon = 1e-6f,
            RopeTheta = 500,
            TiedEmbeddings = tied,
            BosTokenId = 256,
            EosTokenId = 257,
        };
        Parameters = new ParameterSet(Device, Config.Layout(), MemoryUse.Parameters);
        ModelInitializer.Initialize(Config, Parameters, seed: 5);
        Tokenizer = ByteTokenizer.Create();
        ModelFolder.Save(Path, Config, Parameters, Tokenizer, type);
    }

    public string Path => _folder.File("model");

    public Device Device { get; }

    public LlamaConfig Config { get; }

    /// <summary>The weights that were saved.</summary>
    public ParameterSet Parameters { get; }

    public Tokenizer Tokenizer { get; }

    /// <summary>A path beside the model.</summary>
    public string Beside(string name) => _folder.File(name);

    /// <summary>Sets a member of a JSON file of the folder; null removes it.</summary>
    public void Edit(string file, string member, string? json) => EditJson(System.IO.Path.Combine(Path, file), member, json);

    /// <inheritdoc cref="Edit"/>
    public static void EditJson(string path, string member, string? json)
    {
        var document = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        document.Remove(member);
        if (json is not null)
        {
            document.Add(member, JsonNode.Parse(json));
        }
        File.WriteAllText(path, document.ToJsonString());
    }

    /// <summary>Writes the weights again with one tensor left out (no shape) or replaced or added (zeros of that type and shape).</summary>
    public void Rewrite(string name, DType type, params long[]? shape) => RewriteTensors(System.IO.Path.Combine(Path, "model.safetensors"), name, type, shape);

    /// <inheritdoc cref="Rewrite"/>
    public static void RewriteTensors(string path, string name, DType type, params long[]? shape)
    {
        var tensors = new List<(TensorSpec Spec, byte[] Bytes)>();
        using (var file = SafetensorsModel.Open(path))
        {
            foreach (var tensor in file.Tensors.Where(t => t.Name != name))
            {
                tensors.Add((new TensorSpec(tensor.Name, tensor.DType, tensor.Shape.ToArray()), tensor.Bytes(0, (int)tensor.ByteLength).ToArray()));
            }
        }
        if (shape is not null)
        {
            var spec = new TensorSpec(name, type, shape);
            tensors.Add((spec, new byte[spec.ByteLength]));
        }
        SafetensorsWriter.Write(
            path, [.. tensors.Select(t => t.Spec)], (spec, sink) => sink.WriteBytes(tensors.Single(t => t.Spec.Name == spec.Name).Bytes));
    }

    /// <summary>The losses of a fixed text with a model.</summary>
    public float[] Losses(LlamaModel model)
    {
        int[] tokens = [256, 72, 101, 108, 108, 111, 32, 119, 111, 114, 108, 100];
        int[] targets = [.. tokens[1..], 33];
        using var batch = new TokenBatch(Device, Config, tokens, [.. Enumerable.Range(0, tokens.Length)], [0, tokens.Length], targets);
        using var losses = Device.Allocate<float>(batch.LabelCount, MemoryUse.Data);
        using var workspace = new Workspace(Device);
        model.Loss(batch, losses.View, workspace);
        return Device.Download(losses.View);
    }

    public void Dispose()
    {
        Parameters.Dispose();
        Device.Dispose();
        _folder.Dispose();
    }
}
