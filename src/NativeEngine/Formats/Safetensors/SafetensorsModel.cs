namespace NativeEngine.Formats;

/// <summary>
/// The tensors of a model as one list by name: a folder with model.safetensors, a folder with model.safetensors.index.json and its
/// shards, or one named file of either kind. As in transformers, model.safetensors wins when both are there.
/// </summary>
public sealed class SafetensorsModel : IDisposable
{
    /// <summary>The file of a model in one piece.</summary>
    public const string SingleName = "model.safetensors";

    /// <summary>The index of a sharded model.</summary>
    public const string IndexName = "model.safetensors.index.json";

    private readonly List<SafetensorsFile> _files = [];
    private readonly List<SafetensorsTensor> _tensors = [];
    private readonly Dictionary<string, SafetensorsTensor> _byName = new(StringComparer.Ordinal);
    private readonly List<string> _unindexed = [];

    private SafetensorsModel(string path) => Path = path;

    /// <summary>The path as it was given.</summary>
    public string Path { get; }

    /// <summary>All tensors: by file, and in header order within a file.</summary>
    public IReadOnlyList<SafetensorsTensor> Tensors => _tensors;

    /// <summary>The files it consists of, sorted by name.</summary>
    public IReadOnlyList<SafetensorsFile> Files => _files;

    /// <summary>The metadata of the first file.</summary>
    public IReadOnlyDictionary<string, string> Metadata => _files[0].Metadata;

    /// <summary>"FILE: tensor" for tensors that lie in a shard but are not in the index; they are left out. Callers should say so.</summary>
    public IReadOnlyList<string> Unindexed => _unindexed;

    /// <summary>The tensor of a name; a name that is not there is BadInput.</summary>
    public SafetensorsTensor this[string name] => Find(name)
        ?? throw FormatErrors.Bad(Path, $"there is no tensor {FormatErrors.Quote(name)} among its {_tensors.Count}");

    /// <summary>
    /// Opens a folder, a .safetensors file, or an index (.json). BadInput: none of them there, a shard missing or outside the folder, a tensor
    /// not in the shard the index names, and everything <see cref="SafetensorsFile.Open"/> refuses.
    /// </summary>
    public static SafetensorsModel Open(string path)
    {
        var model = new SafetensorsModel(path);
        try
        {
            model.Load(FileToOpen(path));
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>A model in one file that is in memory already; the bytes must not change until it is disposed.</summary>
    internal static SafetensorsModel Parse(string name, byte[] bytes)
    {
        var model = new SafetensorsModel(name);
        model.Add(SafetensorsFile.Parse(name, bytes));
        return model;
    }

    /// <summary>The tensor of a name, or null.</summary>
    public SafetensorsTensor? Find(string name) => _byName.GetValueOrDefault(name);

    /// <summary>Unmaps all files.</summary>
    public void Dispose() => _files.ForEach(file => file.Dispose());

    private static string FileToOpen(string path)
    {
        if (!Directory.Exists(path))
        {
            return path;
        }
        string single = System.IO.Path.Combine(path, SingleName), index = System.IO.Path.Combine(path, IndexName);
        return File.Exists(single) ? single
            : File.Exists(index) ? index
            : throw FormatErrors.Bad(path, $"the folder has neither {SingleName} nor {IndexName}",
                Directory.EnumerateFiles(path, "*.bin").Any() ? "pickled weights (.bin) are not read; save them with transformers' save_pretrained(…, safe_serialization=True)" : "is the download complete? ls " + path);
    }

    private void Load(string path)
    {
        if (!path.EndsWith(".json", StringComparison.Ordinal))
        {
            Add(SafetensorsFile.Open(path));
            return;
        }
        var shardOf = ReadIndex(StrictJson.Load(path));
        string folder = System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path))!;
        foreach (string shard in shardOf.Values.Distinct().Order(StringComparer.Ordinal))
        {
            LoadShard(path, System.IO.Path.Combine(folder, shard), shard, shardOf);
        }
        foreach ((string name, string shard) in shardOf)
        {
            if (!_byName.ContainsKey(name))
            {
                throw FormatErrors.Bad(path, $"tensor {FormatErrors.Quote(name)} should be in {shard}, which does not have it");
            }
        }
    }

    private void LoadShard(string index, string file, string shard, Dictionary<string, string> shardOf)
    {
        if (!File.Exists(file))
        {
            throw FormatErrors.Bad(index, $"the shard {shard} is missing beside it", "copy or download the missing file");
        }
        var opened = SafetensorsFile.Open(file);
        _files.Add(opened);
        foreach (SafetensorsTensor tensor in opened.Tensors)
        {
            if (shardOf.GetValueOrDefault(tensor.Name) == shard)
            {
                Add(tensor);
            }
            else
            {
                _unindexed.Add($"{shard}: {tensor.Name}");
            }
        }
    }

    private void Add(SafetensorsFile single)
    {
        _files.Add(single);
        foreach (SafetensorsTensor tensor in single.Tensors)
        {
            Add(tensor);
        }
    }

    private void Add(SafetensorsTensor tensor)
    {
        _tensors.Add(tensor);
        _byName.Add(tensor.Name, tensor);
    }

    /// <summary>The shard of every tensor. Errors: BadInput, also for a shard that is not beside the index.</summary>
    internal static Dictionary<string, string> ReadIndex(StrictJson index)
    {
        var shardOf = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach ((string name, StrictJson value) in index.Require("weight_map", "must map tensor names to files").Members())
        {
            string shard = value.AsString();
            if (shard.Length == 0 || shard is "." or ".." || shard.AsSpan().ContainsAny("/\\:\0"))
            {
                throw value.Bad($"must be the name of a file in the same folder, got {FormatErrors.Quote(shard)}");
            }
            shardOf.Add(name, shard);
        }
        return shardOf.Count > 0 ? shardOf : throw FormatErrors.Bad(index.File, "\"weight_map\" has no tensors");
    }
}
