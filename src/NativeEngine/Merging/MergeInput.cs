using NativeEngine.Formats;

namespace NativeEngine.Merging;

/// <summary>One model of a merge, opened: its tensors, mapped and not read, the adapter on it, and the folder of its other files.</summary>
internal sealed class MergeInput : IDisposable
{
    private readonly SafetensorsModel _file;
    private readonly AdapterWeights? _adapter;

    private MergeInput(string reference, string path, string? adapter)
    {
        Reference = reference;
        Folder = Directory.Exists(path) ? path : null;
        _file = SafetensorsModel.Open(path);
        try
        {
            _adapter = adapter is null ? null : AdapterWeights.Open(adapter);
            foreach (string name in _adapter?.Weights ?? [])
            {
                _ = _file.Find(name) ?? throw FormatErrors.Bad(adapter!, $"the adapter changes {FormatErrors.Quote(name)}, which {path} does not have");
            }
        }
        catch
        {
            _file.Dispose();
            throw;
        }
        Config = Folder is not null && File.Exists(Path.Combine(Folder, ConfigName)) ? StrictJson.Load(Path.Combine(Folder, ConfigName)) : null;
    }

    /// <summary>The configuration's file name.</summary>
    public const string ConfigName = "config.json";

    /// <summary>As the recipe names it.</summary>
    public string Reference { get; }

    /// <summary>The model's folder; null for a single file, which has no configuration or tokenizer.</summary>
    public string? Folder { get; }

    /// <summary>config.json, or null.</summary>
    public StrictJson? Config { get; }

    /// <summary>The stored tensors.</summary>
    public IReadOnlyList<SafetensorsTensor> Tensors => _file.Tensors;

    /// <summary>Tensors that lie in shards and not in the index.</summary>
    public IReadOnlyList<string> Unindexed => _file.Unindexed;

    /// <summary>Bytes of the adapter's matrices, which are held in memory.</summary>
    public long AdapterBytes => _adapter?.Bytes ?? 0;

    /// <summary>
    /// Opens "model" or "model+adapter". Relative paths are looked for in the working directory, then in <paramref name="folder"/>.
    /// </summary>
    public static MergeInput Open(string reference, string? folder)
    {
        if (Locate(reference, folder) is { } whole)
        {
            return new MergeInput(reference, whole, null);
        }
        int plus = reference.IndexOf('+', StringComparison.Ordinal);
        if (plus <= 0)
        {
            throw Missing(reference);
        }
        string model = reference[..plus], adapter = reference[(plus + 1)..];
        return new MergeInput(reference, Locate(model, folder) ?? throw Missing(model), Locate(adapter, folder) ?? throw Missing(adapter));
    }

    /// <summary>The stored tensor of a name, or null.</summary>
    public SafetensorsTensor? Find(string name) => _file.Find(name);

    /// <summary>The tensor of a name with the adapter's change in it.</summary>
    public MergeTensor Read(SafetensorsTensor tensor) => _adapter?.On(tensor) ?? new FileTensor(tensor);

    public void Dispose() => _file.Dispose();

    private static string? Locate(string path, string? folder) => Exists(path) ? path
        : folder is not null && Exists(Path.Combine(folder, path)) ? Path.Combine(folder, path) : null;

    private static bool Exists(string path) => Directory.Exists(path) || File.Exists(path);

    private static EngineException Missing(string path) =>
        new(ErrorKind.BadInput, $"the model {path} is neither a folder nor a file here", MissingPath.Download(path) ?? MissingPath.Hint(path, folder: true) ?? "models are folders on this machine; nothing is downloaded");
}
