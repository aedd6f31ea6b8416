namespace NativeEngine.Formats;

/// <summary>
/// One safetensors file, memory-mapped and checked when opened: header length, UTF-8, JSON, repeated keys, dtypes, shape × dtype against
/// offsets, no holes, no overlaps, the last tensor ending at the end of the file. Whatever is wrong is one BadInput sentence with the
/// file, the tensor, and the values. Cost: the header is read, data is not.
/// </summary>
public sealed class SafetensorsFile : IDisposable
{
    private readonly MappedFile _map;
    private readonly Dictionary<string, SafetensorsTensor> _byName;
    private readonly SafetensorsTensor[] _tensors;

    private SafetensorsFile(MappedFile map)
    {
        _map = map;
        int head = (int)Math.Min(8, map.Length);
        int length = SafetensorsHeader.HeaderLength(map.Path, map.Length, map.Bytes(0, head));
        var header = SafetensorsHeader.Parse(map.Path, map.Length, map.Bytes(0, 8 + length));
        Metadata = header.Metadata;
        _tensors = [.. header.Entries.Select(entry => new SafetensorsTensor(map, header.DataStart, entry))];
        _byName = _tensors.ToDictionary(t => t.Name, StringComparer.Ordinal);
    }

    /// <summary>The path as it was given.</summary>
    public string Path => _map.Path;

    /// <summary>The tensors in the order of the header.</summary>
    public IReadOnlyList<SafetensorsTensor> Tensors => _tensors;

    /// <summary>The string map under __metadata__, empty when there is none.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>The tensor of a name; a name that is not there is BadInput.</summary>
    public SafetensorsTensor this[string name] => Find(name)
        ?? throw FormatErrors.Bad(Path, $"there is no tensor {FormatErrors.Quote(name)} among its {_tensors.Length}");

    /// <summary>Opens and checks a file.</summary>
    public static SafetensorsFile Open(string path) => Of(MappedFile.Open(path));

    /// <summary>Reads one that is in memory already; the bytes must not change until it is disposed. <paramref name="name"/> is for messages.</summary>
    public static SafetensorsFile Parse(string name, byte[] bytes) => Of(MappedFile.Of(name, bytes));

    private static SafetensorsFile Of(MappedFile map)
    {
        try
        {
            return new SafetensorsFile(map);
        }
        catch
        {
            map.Dispose();
            throw;
        }
    }

    /// <summary>The tensor of a name, or null.</summary>
    public SafetensorsTensor? Find(string name) => _byName.GetValueOrDefault(name);

    /// <summary>Lets the system take back the memory of what was read so far.</summary>
    internal void Forget() => _map.Forget();

    /// <summary>Unmaps the file; its tensors and their bytes are no longer valid.</summary>
    public void Dispose() => _map.Dispose();
}
