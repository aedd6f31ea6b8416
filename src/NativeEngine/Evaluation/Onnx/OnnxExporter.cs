using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using NativeEngine.Formats;
using NativeEngine.Model;

namespace NativeEngine.Evaluation;

/// <summary>How a model is written.</summary>
public sealed record OnnxExportOptions
{
    /// <summary>Whether the model takes the keys and values of earlier tokens and gives those of all.</summary>
    public bool KeyValueCache { get; init; }

    /// <summary>Whether the weights lie in a file of their own even when they would fit into the model's.</summary>
    public bool ExternalData { get; init; }

    /// <summary>Bytes of weights above which they lie in a file of their own; a protobuf file ends at 2^31 - 1.</summary>
    public long InlineLimit { get; init; } = 2_000_000_000;

    /// <summary>Further key-value pairs for the model file.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; init; } = new Dictionary<string, string>();
}

/// <summary>What was written.</summary>
/// <param name="Path">The model file.</param>
/// <param name="WeightsPath">The file of weights beside it, or null.</param>
/// <param name="Parameters">Number of weights.</param>
/// <param name="Bytes">Bytes of both files.</param>
/// <param name="WeightsHash">SHA-256 of the weights, in hexadecimal.</param>
public sealed record OnnxExportReport(string Path, string? WeightsPath, long Parameters, long Bytes, string WeightsHash);

/// <summary>
/// Writes a Llama model as ONNX (operator set 17): input_ids, attention_mask and position_ids, int64 [batch, sequence], to logits, float32
/// [batch, sequence, V]. Weights are float32, named and shaped as in Hugging Face's files. In a file of their own they are a safetensors file
/// whose data section the model points into; its header does not change length with the weights, so the file can be replaced by that of any
/// model of the same configuration. Needs no runtime. Cost: two passes over the weights; memory: one chunk of them.
/// </summary>
public static class OnnxExporter
{
    /// <summary>Metadata: the hash of weights that lie in the model file, in its key-value pairs, or in the header of a file of their own.</summary>
    public const string WeightsHashKey = "weights_sha256";

    /// <summary>Metadata: the model's configuration as JSON.</summary>
    public const string ConfigurationKey = "configuration";

    /// <summary>Metadata: the longest sequence.</summary>
    public const string ContextKey = "context_length";

    /// <summary>Metadata: the name of the file of weights.</summary>
    public const string WeightsFileKey = "weights_file";

    /// <summary>The operator set that is written.</summary>
    public const int Opset = OnnxModelBuilder.Opset;

    private const string Producer = "NativeEngine";
    private const int Chunk = 1 << 18;

    /// <summary>The name of the file of weights of a model file: model.onnx has model.onnx.safetensors.</summary>
    public static string WeightsPathOf(string path) => path + ".safetensors";

    /// <summary>
    /// Writes the model, and its weights beside it when they are too many or that is asked for; each file is published atomically, the weights
    /// first. Errors: WillNotFit and Usage as <see cref="AtomicFile"/>.
    /// </summary>
    public static OnnxExportReport Export(
        string path, LlamaConfig config, ParameterSet parameters, OnnxExportOptions? options = null, CancellationToken cancellation = default)
    {
        options ??= new OnnxExportOptions();
        bool external = options.ExternalData || config.ParameterCount * sizeof(float) > Math.Min(options.InlineLimit, 2_100_000_000);
        string hash = Hash(parameters, cancellation);
        string? weights = external ? WeightsPathOf(path) : null;
        var model = Build(config, parameters, options, external ? Layout(weights!, parameters) : null, external ? Path.GetFileName(weights) : null, hash, cancellation);
        if (external)
        {
            WriteWeights(weights!, parameters, hash, cancellation);
        }
        AtomicFile.Write(path, model.WriteTo, model.Length);
        return new OnnxExportReport(path, weights, config.ParameterCount, model.Length + (external ? new FileInfo(weights!).Length : 0), hash);
    }

    /// <summary>The model with its weights in memory. Errors: WillNotFit for weights of more than 2 GB.</summary>
    public static byte[] ToBytes(LlamaConfig config, ParameterSet parameters, OnnxExportOptions? options = null, CancellationToken cancellation = default)
    {
        long bytes = config.ParameterCount * sizeof(float);
        return bytes <= 2_000_000_000
            ? Build(config, parameters, options ?? new OnnxExportOptions(), null, null, Hash(parameters, cancellation), cancellation).ToArray()
            : throw new EngineException(ErrorKind.WillNotFit, $"the weights take {bytes:N0} bytes, a model in memory may have 2,000,000,000", "export it to a file first");
    }

    /// <summary>
    /// Replaces the weights of an exported model that has them in a file of their own, leaving the model file as it is. Errors: BadInput when the
    /// model file is not this exporter's, has its weights inside, or is of another configuration, naming what differs.
    /// </summary>
    public static OnnxExportReport ExportWeights(string path, LlamaConfig config, ParameterSet parameters, CancellationToken cancellation = default)
    {
        using var model = OnnxModelFile.Open(path, externalFiles: false);
        if (model.Producer != Producer || !model.Metadata.TryGetValue(ConfigurationKey, out string? have))
        {
            throw new EngineException(ErrorKind.BadInput, $"{path}: not written by this exporter, so its weights cannot be replaced by name");
        }
        if (!model.Metadata.TryGetValue(WeightsFileKey, out string? name))
        {
            throw new EngineException(ErrorKind.BadInput, $"{path}: its weights are inside the file", "export it once with --external-data");
        }
        if (OnnxExternalFiles.Problem(name) is { } problem)
        {
            throw new EngineException(ErrorKind.BadInput, $"{path}: the name of its file of weights {problem}");
        }
        string want = Describe(config);
        if (have != want)
        {
            throw new EngineException(ErrorKind.BadInput, $"{path}: it is a model of {have}, the weights are of {want}", "export the whole model");
        }
        string weights = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, name);
        var layout = Layout(weights, parameters);
        var stored = model.Tensors.ToDictionary(t => t.Name, StringComparer.Ordinal);
        foreach (var entry in parameters.Layout.Entries)
        {
            if (stored.GetValueOrDefault(entry.Name)?.External is not { } place || place.Location != name || place.Offset != layout[entry.Name])
            {
                throw new EngineException(ErrorKind.BadInput, $"{path}: it does not look for {entry.Name} at byte {layout[entry.Name]} of {name}", "export the whole model");
            }
        }
        string hash = Hash(parameters, cancellation);
        WriteWeights(weights, parameters, hash, cancellation);
        return new OnnxExportReport(path, weights, config.ParameterCount, new FileInfo(weights).Length, hash);
    }

    /// <summary>
    /// Compares the weights of a model this exporter wrote with the hash that was written with them. Nothing is said of other models. Errors:
    /// BadInput with both hashes.
    /// </summary>
    public static void VerifyWeights(OnnxModelFile model, CancellationToken cancellation = default)
    {
        if (model.Producer != Producer)
        {
            return;
        }
        string? expected;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        if (model.Metadata.TryGetValue(WeightsFileKey, out string? name) && model.ExternalFiles is [var file])
        {
            using var weights = SafetensorsFile.Open(file);
            expected = weights.Metadata.GetValueOrDefault(WeightsHashKey);
            foreach (var tensor in weights.Tensors)
            {
                for (long at = 0; at < tensor.ByteLength; at += Chunk)
                {
                    cancellation.ThrowIfCancellationRequested();
                    hash.AppendData(tensor.Bytes(at, (int)Math.Min(Chunk, tensor.ByteLength - at)));
                }
            }
        }
        else
        {
            expected = model.Metadata.GetValueOrDefault(WeightsHashKey);
            foreach (var tensor in model.Tensors.Where(t => IsWeight(t.Name) && t.RawOffset >= 0))
            {
                hash.AppendData(model.Bytes.Slice((int)tensor.RawOffset, (int)tensor.Bytes));
            }
        }
        string found = Convert.ToHexStringLower(hash.GetHashAndReset());
        if (expected is not null && expected != found)
        {
            throw new EngineException(ErrorKind.BadInput, $"{model.Path}: its weights have the SHA-256 {found}, they were written with {expected}",
                "the weights are damaged or were changed by hand; export them again");
        }
    }

    private static bool IsWeight(string name) => name.EndsWith(".weight", StringComparison.Ordinal);

    private static ProtoMessage Build(
        LlamaConfig config, ParameterSet parameters, OnnxExportOptions options, Dictionary<string, long>? layout, string? weights, string hash, CancellationToken cancellation)
    {
        var graph = new OnnxModelBuilder();
        foreach (var entry in parameters.Layout.Entries)
        {
            long[] shape = ModelFolder.Spec(entry, entry.Name, DType.F32).Shape;
            long bytes = entry.Shape.Count * sizeof(float);
            if (layout is null)
            {
                graph.Weight(entry.Name, shape, bytes, stream => Read(parameters, entry, values => stream.Write(MemoryMarshal.AsBytes(values)), cancellation));
            }
            else
            {
                graph.ExternalWeight(entry.Name, shape, new OnnxExternalData(weights!, layout[entry.Name], bytes));
            }
        }
        new OnnxLlamaGraph(config, graph, options.KeyValueCache).Write();
        var metadata = new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            [ConfigurationKey] = Describe(config),
            [ContextKey] = config.ContextLength.ToString(CultureInfo.InvariantCulture),
            [weights is null ? WeightsHashKey : WeightsFileKey] = weights ?? hash,
        };
        foreach (var (key, value) in options.Metadata)
        {
            metadata.Add(key, value);
        }
        string version = typeof(OnnxExporter).Assembly.GetName().Version?.ToString(3) ?? "";
        return graph.Build("llama", Producer, version, metadata);
    }

    // Where each tensor will start in the file of weights: the header's length does not depend on the hash.
    private static Dictionary<string, long> Layout(string weights, ParameterSet parameters)
    {
        var specs = Specs(parameters);
        long at = SafetensorsWriter.Header(weights, specs, WeightsMetadata(new string('0', 64))).Length;
        var layout = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var spec in specs)
        {
            layout.Add(spec.Name, at);
            at += spec.ByteLength;
        }
        return layout;
    }

    private static void WriteWeights(string path, ParameterSet parameters, string hash, CancellationToken cancellation) =>
        SafetensorsWriter.Write(path, Specs(parameters), (spec, sink) => ModelFolder.Write(parameters, parameters.Layout.Find(spec.Name)!, sink), WeightsMetadata(hash), cancellation);

    private static List<TensorSpec> Specs(ParameterSet parameters) => [.. parameters.Layout.Entries.Select(e => ModelFolder.Spec(e, e.Name, DType.F32))];

    private static Dictionary<string, string> WeightsMetadata(string hash) => new(StringComparer.Ordinal) { ["format"] = "pt", [WeightsHashKey] = hash };

    private static string Hash(ParameterSet parameters, CancellationToken cancellation)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var entry in parameters.Layout.Entries)
        {
            Read(parameters, entry, values => hash.AppendData(MemoryMarshal.AsBytes(values)), cancellation);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static void Read(ParameterSet parameters, ParameterEntry entry, Action<Span<float>> take, CancellationToken cancellation)
    {
        var values = new float[Math.Min(Chunk, entry.Shape.Count)];
        var flat = parameters.View(entry).Reshape(entry.Shape.Count);
        for (long first = 0; first < flat.Length; first += Chunk)
        {
            cancellation.ThrowIfCancellationRequested();
            var part = values.AsSpan(0, (int)Math.Min(Chunk, flat.Length - first));
            parameters.Device.Download(flat.Slice(first, part.Length), part);
            take(part);
        }
    }

    // Everything that decides the graph and the shapes.
    private static string Describe(LlamaConfig config)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            json.WriteNumber("vocab_size", config.VocabularySize);
            json.WriteNumber("hidden_size", config.HiddenSize);
            json.WriteNumber("intermediate_size", config.IntermediateSize);
            json.WriteNumber("num_hidden_layers", config.Layers);
            json.WriteNumber("num_attention_heads", config.Heads);
            json.WriteNumber("num_key_value_heads", config.KeyValueHeads);
            json.WriteNumber("head_dim", config.HeadSize);
            json.WriteNumber("max_position_embeddings", config.ContextLength);
            json.WriteNumber("rms_norm_eps", config.NormEpsilon);
            json.WriteNumber("rope_theta", config.RopeTheta);
            json.WriteBoolean("tie_word_embeddings", config.TiedEmbeddings);
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(stream.ToArray());
    }
}
