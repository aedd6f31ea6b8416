using System.Globalization;

namespace NativeEngine.Formats;

/// <summary>What a model may be at most before a runtime sees it.</summary>
public sealed record OnnxLimits
{
    /// <summary>Nodes, with those of local functions counted once for every call.</summary>
    public long MaxNodes { get; init; } = 1_000_000;

    /// <summary>Local functions.</summary>
    public int MaxFunctions { get; init; } = 1000;

    /// <summary>Graphs within graphs, and types within types.</summary>
    public int MaxDepth { get; init; } = 8;

    /// <summary>Dimensions of a tensor.</summary>
    public int MaxRank { get; init; } = 32;

    /// <summary>Bytes of a tensor that a constant shape asks the runtime to make.</summary>
    public long MaxTensorBytes { get; init; } = 1L << 34;
}

/// <summary>
/// An ONNX model that has been checked: the whole file is walked before a runtime sees it. Refused (BadInput, with the byte): what is not
/// protobuf or not ONNX, a repeated singular field, a tensor whose dimensions times type are not its bytes, graphs nested too deep, too
/// many nodes (calls of local functions multiplied out), functions that call themselves, nodes that use values nobody made, loops (a decoder
/// has none and they have no bound), sparse tensors, training information, constants that ask for more memory than allowed, and weights
/// outside the model's folder, through links too. Cost: one pass over the bytes that are not weights. Owns a mapping of the file.
/// </summary>
public sealed class OnnxModelFile : IDisposable
{
    /// <summary>Protobuf's own limit.</summary>
    public const long MaxBytes = int.MaxValue;

    private readonly MappedFile? _map;
    private readonly byte[]? _memory;

    private OnnxModelFile(string path, MappedFile? map, byte[]? memory, OnnxSummary summary, IReadOnlyList<string> externalFiles)
    {
        (Path, _map, _memory, ExternalFiles) = (path, map, memory, externalFiles);
        IrVersion = summary.IrVersion;
        Producer = summary.Producer;
        ProducerVersion = summary.ProducerVersion;
        Opsets = summary.Opsets;
        Metadata = summary.Metadata;
        Tensors = summary.Tensors;
        Outputs = summary.Outputs;
        NodeCount = summary.NodeCount;
        // Before IR version 4 initializers had to be listed as inputs too; they are not for the caller to give.
        var stored = summary.Tensors.Select(t => t.Name).ToHashSet(StringComparer.Ordinal);
        Inputs = [.. summary.Inputs.Where(input => !stored.Contains(input.Name))];
    }

    /// <summary>The path, or what the model is called in messages.</summary>
    public string Path { get; }

    /// <summary>Version of the format.</summary>
    public long IrVersion { get; }

    /// <summary>The program that made it, or "".</summary>
    public string Producer { get; }

    /// <summary>The version of that program, or "".</summary>
    public string ProducerVersion { get; }

    /// <summary>Version of each operator set by its domain; "" is ONNX's own.</summary>
    public IReadOnlyDictionary<string, long> Opsets { get; }

    /// <summary>The model's own key-value pairs.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>What must be given.</summary>
    public IReadOnlyList<OnnxValue> Inputs { get; }

    /// <summary>What comes out.</summary>
    public IReadOnlyList<OnnxValue> Outputs { get; }

    /// <summary>The stored tensors of the main graph.</summary>
    public IReadOnlyList<OnnxTensor> Tensors { get; }

    /// <summary>Nodes, calls of local functions multiplied out.</summary>
    public long NodeCount { get; }

    /// <summary>The other files the model's weights lie in, by their real paths.</summary>
    public IReadOnlyList<string> ExternalFiles { get; }

    /// <summary>The bytes of the file. They must not be used after Dispose.</summary>
    public ReadOnlySpan<byte> Bytes => _map is null ? _memory : _map.Bytes(0, (int)_map.Length);

    /// <summary>
    /// Opens and checks a file. <paramref name="externalFiles"/> false leaves out the check that other files are there and long enough, for
    /// writing them.
    /// </summary>
    public static OnnxModelFile Open(string path, OnnxLimits? limits = null, bool externalFiles = true)
    {
        var map = MappedFile.Open(path);
        try
        {
            if (map.Length > MaxBytes)
            {
                throw FormatErrors.Bad(path, $"{FormatErrors.Count(map.Length)} bytes; an ONNX file holds at most {FormatErrors.Count(MaxBytes)}, larger weights lie beside it");
            }
            var summary = new OnnxChecker(path, limits ?? new OnnxLimits()).Check(map.Bytes(0, (int)map.Length));
            return new OnnxModelFile(path, map, null, summary, externalFiles ? OnnxExternalFiles.Check(path, summary.External) : []);
        }
        catch
        {
            map.Dispose();
            throw;
        }
    }

    /// <summary>Checks a model in memory, which can have no other files.</summary>
    public static OnnxModelFile Parse(string name, byte[] bytes, OnnxLimits? limits = null)
    {
        var summary = new OnnxChecker(name, limits ?? new OnnxLimits()).Check(bytes);
        return summary.External.Count == 0 ? new OnnxModelFile(name, null, bytes, summary, [])
            : throw FormatErrors.Bad(name, $"tensor {FormatErrors.Quote(summary.External[0].Name)} lies in another file; a model in memory has none");
    }

    /// <inheritdoc/>
    public void Dispose() => _map?.Dispose();
}

/// <summary>What the walk over a model found.</summary>
internal sealed class OnnxSummary
{
    public long IrVersion { get; set; }

    public string Producer { get; set; } = "";

    public string ProducerVersion { get; set; } = "";

    public Dictionary<string, long> Opsets { get; } = new(StringComparer.Ordinal);

    public Dictionary<string, string> Metadata { get; } = new(StringComparer.Ordinal);

    public List<OnnxValue> Inputs { get; } = [];

    public List<OnnxValue> Outputs { get; } = [];

    /// <summary>Tensors of the main graph.</summary>
    public List<OnnxTensor> Tensors { get; } = [];

    /// <summary>Tensors anywhere that lie in other files.</summary>
    public List<OnnxTensor> External { get; } = [];

    public long NodeCount { get; set; }
}

/// <summary>The files beside a model that hold its weights: where they may lie and how long they must be.</summary>
internal static class OnnxExternalFiles
{
    /// <summary>
    /// The real path of every file that tensors name. Refused: an absolute path, one with "..", one that leaves the folder of the model (or, when
    /// the model is a link, the folder of what it links to) through a link, what is no file, and a tensor that ends past the file's end.
    /// </summary>
    public static IReadOnlyList<string> Check(string model, IReadOnlyList<OnnxTensor> tensors)
    {
        var files = new Dictionary<string, (string Real, long Length)>(StringComparer.Ordinal);
        foreach (var tensor in tensors)
        {
            string location = tensor.External!.Location;
            if (!files.TryGetValue(location, out var file))
            {
                string real = Resolve(model, location);
                files.Add(location, file = (real, new FileInfo(real).Length));
            }
            long offset = tensor.External.Offset;
            if (offset > file.Length || tensor.Bytes > file.Length - offset)
            {
                throw FormatErrors.Bad(model,
                    $"tensor {FormatErrors.Quote(tensor.Name)} takes {FormatErrors.Count(tensor.Bytes)} bytes from byte {FormatErrors.Count(offset)} of {FormatErrors.Quote(location)}, which has {FormatErrors.Count(file.Length)}",
                    "the file of weights is cut short or belongs to another model");
            }
        }
        return [.. files.Values.Select(f => f.Real).Distinct(StringComparer.Ordinal)];
    }

    /// <summary>Refuses a location by its text alone.</summary>
    public static string? Problem(string location) =>
        location.Length == 0 ? "is empty"
        : location.Contains('\0', StringComparison.Ordinal) ? "holds a zero byte"
        : location.Contains('\\', StringComparison.Ordinal) ? "holds a backslash"
        : Path.IsPathRooted(location) || location.Contains(':', StringComparison.Ordinal) ? "is absolute"
        : location.Split('/').Contains("..") ? "leaves the folder of the model"
        : null;

    private static string Resolve(string model, string location)
    {
        string full = Path.GetFullPath(model);
        string folder = RealPath(Path.GetDirectoryName(full)!), realModel = RealPath(full);
        string path = Path.Combine(Path.GetDirectoryName(full)!, location), real = RealPath(path);
        if (!Inside(real, folder) && !Inside(real, Path.GetDirectoryName(realModel)!))
        {
            throw FormatErrors.Bad(model, $"weights lie in {FormatErrors.Quote(location)}, a link that leads outside the folder of the model ({real})");
        }
        return File.Exists(real) ? real
            : throw FormatErrors.Bad(model, $"weights lie in {FormatErrors.Quote(location)}, which is not {(Directory.Exists(real) ? "a file" : "there")}",
                "keep the file of weights in the folder of the model");
    }

    private static bool Inside(string path, string folder) => path.StartsWith(folder.TrimEnd('/') + "/", StringComparison.Ordinal) || path.StartsWith(folder + Path.DirectorySeparatorChar, StringComparison.Ordinal);

    // Every link on the way is followed; a path that does not exist is its own real path from there on.
    private static string RealPath(string path, int links = 0)
    {
        string root = Path.GetPathRoot(path)!, real = root;
        string[] parts = path[root.Length..].Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries);
        for (int i = 0; i < parts.Length; i++)
        {
            string next = Path.Combine(real, parts[i]);
            if (new FileInfo(next).LinkTarget is not { } target)
            {
                real = next;
                continue;
            }
            const int MostLinks = 40;
            if (links >= MostLinks)
            {
                throw FormatErrors.Bad(path, string.Create(CultureInfo.InvariantCulture, $"more than {MostLinks} links on the way"));
            }
            string followed = Path.GetFullPath(Path.Combine(real, target));
            return RealPath(Path.Combine([followed, .. parts[(i + 1)..]]), links + 1);
        }
        return real;
    }
}
