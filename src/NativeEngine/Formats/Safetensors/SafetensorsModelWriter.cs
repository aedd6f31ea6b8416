using System.Globalization;
using System.Text.Json;

namespace NativeEngine.Formats;

/// <summary>
/// Writes a model's tensors into a folder in Hugging Face's form: model.safetensors, or, when they exceed the shard size,
/// model-00001-of-0000N.safetensors with model.safetensors.index.json written last.
/// </summary>
public static class SafetensorsModelWriter
{
    /// <summary>The shard size Hugging Face uses by default, in bytes.</summary>
    public const long DefaultShardBytes = 5_000_000_000;

    /// <summary>
    /// Writes the tensors; <paramref name="write"/> is called once for each, shard by shard. A shard is closed before the tensor that
    /// would take it past <paramref name="maxShardBytes"/> of data; a tensor larger than that has a shard of its own. Every file is
    /// atomic; for all of them together use <see cref="AtomicFolder"/>. Usage error: the folder already has a model in the other
    /// form, or a sharded one (a mixture of old and new files would load as neither).
    /// </summary>
    public static void Write(string folder, IReadOnlyList<TensorSpec> tensors, Action<TensorSpec, TensorSink> write,
        IReadOnlyDictionary<string, string>? metadata = null, long maxShardBytes = DefaultShardBytes, CancellationToken cancellation = default) =>
        WriteFiles(folder, tensors, maxShardBytes, (path, shard) => SafetensorsWriter.Write(path, shard, write, metadata, cancellation));

    /// <summary>
    /// The same with <paramref name="write"/> called once for each file, with all its tensors: they are filled in any order, from several threads at a time
    /// (<see cref="SafetensorsWriter.WriteTogether"/>).
    /// </summary>
    public static void WriteTogether(string folder, IReadOnlyList<TensorSpec> tensors, Action<IReadOnlyList<(TensorSpec Spec, TensorSink Sink)>> write,
        IReadOnlyDictionary<string, string>? metadata = null, long maxShardBytes = DefaultShardBytes) =>
        WriteFiles(folder, tensors, maxShardBytes, (path, shard) => SafetensorsWriter.WriteTogether(path, shard, write, metadata));

    private static void WriteFiles(string folder, IReadOnlyList<TensorSpec> tensors, long maxShardBytes, Action<string, IReadOnlyList<TensorSpec>> writeFile)
    {
        List<List<TensorSpec>> shards = Split(tensors, maxShardBytes);
        string index = Path.Combine(folder, SafetensorsModel.IndexName);
        string single = Path.Combine(folder, SafetensorsModel.SingleName);
        if (File.Exists(index) || (shards.Count > 1 && File.Exists(single)))
        {
            throw new EngineException(ErrorKind.Usage, $"cannot write a model into {folder}: it already has {(File.Exists(index) ? SafetensorsModel.IndexName : SafetensorsModel.SingleName)}",
                "name an empty folder");
        }
        if (shards.Count == 1)
        {
            writeFile(single, tensors);
            return;
        }
        WriteErrors.RequireSpace(folder, folder, tensors.Sum(t => t.ByteLength));
        for (int i = 0; i < shards.Count; i++)
        {
            writeFile(Path.Combine(folder, ShardName(i, shards.Count)), shards[i]);
        }
        WriteIndex(index, shards);
    }

    private static List<List<TensorSpec>> Split(IReadOnlyList<TensorSpec> tensors, long maxShardBytes)
    {
        var shards = new List<List<TensorSpec>> { new() };
        long bytes = 0;
        foreach (TensorSpec tensor in tensors)
        {
            if (shards[^1].Count > 0 && tensor.ByteLength > maxShardBytes - bytes)
            {
                shards.Add([]);
                bytes = 0;
            }
            shards[^1].Add(tensor);
            bytes += tensor.ByteLength;
        }
        return shards;
    }

    private static string ShardName(int index, int count)
        => string.Create(CultureInfo.InvariantCulture, $"model-{index + 1:D5}-of-{count:D5}.safetensors");

    private static void WriteIndex(string path, List<List<TensorSpec>> shards)
    {
        AtomicFile.Write(path, stream =>
        {
            using var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = true, NewLine = "\n" });
            json.WriteStartObject();
            json.WriteStartObject("metadata"u8);
            json.WriteNumber("total_size"u8, shards.Sum(shard => shard.Sum(t => t.ByteLength)));
            json.WriteEndObject();
            json.WriteStartObject("weight_map"u8);
            var names = shards.SelectMany((shard, i) => shard.Select(t => (t.Name, Shard: ShardName(i, shards.Count))));
            foreach ((string name, string shard) in names.OrderBy(pair => pair.Name, StringComparer.Ordinal))
            {
                json.WriteString(name, shard);
            }
            json.WriteEndObject();
            json.WriteEndObject();
        });
    }
}
