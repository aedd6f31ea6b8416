using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Formats;

namespace NativeEngine.Model;

/// <summary>A Hugging Face model folder: config.json, model.safetensors (one or sharded) and tokenizer files.</summary>
public static class ModelFolder
{
    private const int Chunk = 1 << 20;

    /// <summary>
    /// Reads configuration and weights (F32, BF16, F16 or F64, widened or rounded to F32). Errors: BadInput for whatever <see cref="ConfigJson"/>
    /// or the safetensors reader refuse, a missing or unexpected tensor, or a shape that is not the configuration's, with both shapes; Numerical for a
    /// weight that is not finite.
    /// </summary>
    public static (LlamaConfig Config, ParameterSet Parameters) Load(string folder, Device device, CancellationToken cancellation = default)
    {
        var config = ConfigJson.Read(folder);
        using var file = SafetensorsModel.Open(folder);
        return (config, LoadWeights(config, file, device, cancellation));
    }

    /// <summary>The weights of a configuration. Nothing of its size is allocated before the file is known to have all of them.</summary>
    internal static ParameterSet LoadWeights(LlamaConfig config, SafetensorsModel file, Device device, CancellationToken cancellation = default)
    {
        foreach (var (name, shape, _) in config.Tensors())
        {
            Require(file, name, shape);
        }
        var parameters = new ParameterSet(device, config.Layout(), MemoryUse.Parameters);
        try
        {
            foreach (var tensor in file.Tensors)
            {
                if (parameters.Layout.Find(tensor.Name) is null && !IsKnownExtra(tensor.Name, config))
                {
                    throw new EngineException(ErrorKind.BadInput, $"{tensor.File}: tensor \"{tensor.Name}\" has no place in the model that {ConfigJson.FileName} describes");
                }
            }
            Read(file, parameters, name => name, cancellation);
            return parameters;
        }
        catch
        {
            parameters.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Writes a folder that transformers loads: weights as F32 or BF16 (rounded to nearest even), configuration, and the tokenizer's files
    /// when one is given. Each file is published atomically.
    /// </summary>
    public static void Save(
        string folder, LlamaConfig config, ParameterSet parameters, Tokenizer? tokenizer, DType type = DType.F32,
        CancellationToken cancellation = default)
    {
        Directory.CreateDirectory(folder);
        var specs = parameters.Layout.Entries.Select(e => Spec(e, e.Name, type)).ToList();
        SafetensorsModelWriter.Write(
            folder, specs, (spec, sink) => Write(parameters, parameters.Layout.Find(spec.Name)!, sink), cancellation: cancellation);
        ConfigJson.Write(folder, config, type);
        tokenizer?.Save(folder);
    }

    /// <summary>Reads every entry of a parameter vector from a file in which it may have another name.</summary>
    internal static void Read(SafetensorsModel file, ParameterSet parameters, Func<string, string> nameInFile, CancellationToken cancellation)
    {
        var values = new float[Math.Min(Chunk, parameters.Layout.Length)];
        foreach (var entry in parameters.Layout.Entries)
        {
            cancellation.ThrowIfCancellationRequested();
            string name = nameInFile(entry.Name);
            var tensor = Require(file, name, entry.Shape);
            var flat = parameters.View(entry).Reshape(entry.Shape.Count);
            for (long first = 0; first < flat.Length; first += Chunk)
            {
                var part = values.AsSpan(0, (int)Math.Min(Chunk, flat.Length - first));
                tensor.ReadFloat32(first, part);
                if (FiniteCheck.FirstNotFinite(part) is >= 0 and var bad)
                {
                    throw new EngineException(ErrorKind.Numerical, FormattableString.Invariant($"{tensor.File}: element {first + bad} of tensor \"{name}\" is {part[bad]}"), "the file is damaged, or its training had diverged");
                }
                parameters.Device.Upload<float>(part, flat.Slice(first, part.Length));
            }
        }
    }

    /// <summary>The tensor of a name and a shape. Errors: BadInput when it is missing or has another shape.</summary>
    internal static SafetensorsTensor Require(SafetensorsModel file, string name, Shape expected)
    {
        var tensor = file.Find(name)
            ?? throw new EngineException(ErrorKind.BadInput, $"{file.Path}: tensor \"{name}\" is missing; it should be {expected}");
        var shape = new Shape(tensor.Shape.Length <= 4 ? tensor.Shape : [tensor.ElementCount]);
        return shape == expected ? tensor
            : throw new EngineException(ErrorKind.BadInput, $"{tensor.File}: tensor \"{name}\" is {shape}, the configuration asks for {expected}");
    }

    internal static TensorSpec Spec(ParameterEntry entry, string name, DType type)
    {
        var shape = new long[entry.Shape.Rank];
        for (int i = 0; i < shape.Length; i++)
        {
            shape[i] = entry.Shape[i];
        }
        return new TensorSpec(name, type, shape);
    }

    internal static void Write(ParameterSet parameters, ParameterEntry entry, TensorSink sink)
    {
        var values = new float[Math.Min(Chunk, entry.Shape.Count)];
        var flat = parameters.View(entry).Reshape(entry.Shape.Count);
        for (long first = 0; first < flat.Length; first += Chunk)
        {
            var part = values.AsSpan(0, (int)Math.Min(Chunk, flat.Length - first));
            parameters.Device.Download(flat.Slice(first, part.Length), part);
            sink.Write(part);
        }
    }

    // Old checkpoints store the rotary frequencies, and some store the output matrix beside the embedding it is tied to.
    private static bool IsKnownExtra(string name, LlamaConfig config) =>
        name.EndsWith("rotary_emb.inv_freq", StringComparison.Ordinal) || (config.TiedEmbeddings && name == "lm_head.weight");
}
