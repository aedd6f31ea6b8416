using NativeEngine.Devices;
using NativeEngine.Formats;

namespace NativeEngine.Selection;

/// <summary>A feature matrix on disk: a two-dimensional float array in an .npy file or an .npz archive (FILE#array), or a tensor of a safetensors file (FILE#tensor).</summary>
public sealed class FeatureFile : IDisposable
{
    /// <summary>Elements moved to the device at a time.</summary>
    private const int Piece = 1 << 20;

    /// <summary>Pieces between two releases of the mapping: it takes 64 MiB at most.</summary>
    private const int Release = 16;

    private readonly IDisposable _file;
    private readonly Action<long, Memory<float>> _read;
    private readonly Action _forget;

    private FeatureFile(string name, IDisposable file, ReadOnlySpan<long> shape, DType type, Action<long, Memory<float>> read, Action forget)
    {
        (Name, _file, _read, _forget) = (name, file, read, forget);
        if (shape.Length != 2 || !type.IsFloat() || shape[0] == 0 || shape[1] == 0)
        {
            throw FormatErrors.Bad(
                name, $"features must be a floating-point matrix with a row for each example, this is {type} {FormatErrors.Shape(shape)}",
                "in Python: numpy.save('F.npy', array.astype('float32').reshape(len(array), -1))");
        }
        if (shape[0] > int.MaxValue || shape[1] > int.MaxValue)
        {
            throw FormatErrors.Bad(name, $"features of {FormatErrors.Shape(shape)} have more rows or columns than 2^31 - 1");
        }
        (Rows, Columns) = ((int)shape[0], (int)shape[1]);
    }

    /// <summary>The path, with #tensor where it was given.</summary>
    public string Name { get; }

    /// <summary>Examples.</summary>
    public int Rows { get; }

    /// <summary>Elements of a feature.</summary>
    public int Columns { get; }

    /// <summary>Whether a name is one of features, by its ending.</summary>
    public static bool IsName(string name) =>
        NamedPart.Of(name, ".safetensors") is not null || NamedPart.Of(name, NpzFile.Ending) is not null || name.EndsWith(".npy", StringComparison.OrdinalIgnoreCase);

    /// <summary>
    /// Opens FILE.npy, FILE.npz[#array] or FILE.safetensors[#tensor]; without a name the file holds one. Errors: BadInput with what the file holds.
    /// </summary>
    public static FeatureFile Open(string name)
    {
        if (NamedPart.Of(name, ".safetensors") is { } tensors)
        {
            return Of(name, SafetensorsFile.Open(tensors.Path), tensors.Part);
        }
        if (NamedPart.Of(name, NpzFile.Ending) is { } archive)
        {
            return Of(name, NpzFile.Open(archive.Path, archive.Part));
        }
        return name.EndsWith(".npy", StringComparison.OrdinalIgnoreCase)
            ? Of(name, NpyFile.Open(name))
            : throw FormatErrors.Bad(name, "features are read from .npy, .npz and .safetensors files, by the ending of the name",
                name.Contains(".jsonl", StringComparison.OrdinalIgnoreCase) ? $"a data file goes without --features: nengine select {name} --budget 10%"
                : Directory.Exists(name) ? MissingPath.Inside(name, ".npy") ?? $"nengine features --model {name} --data train.jsonl --output f.npy makes them" : null);
    }

    /// <summary>The features of an array, whose file it takes.</summary>
    internal static FeatureFile Of(string name, NpyFile npy) => Owning(npy, () =>
        new FeatureFile(name, npy, npy.Shape, npy.DType, (start, target) => npy.ReadFloat32(start, target.Span), npy.Forget));

    /// <summary>The features of a tensor, or of the only one, of a file that it takes.</summary>
    internal static FeatureFile Of(string name, SafetensorsFile file, string? tensorName) => Owning(file, () =>
    {
        var tensor = tensorName is null ? Only(file.Path, file) : file[tensorName];
        return new FeatureFile(name, file, tensor.Shape, tensor.DType, (start, target) => tensor.ReadFloat32(start, target.Span), file.Forget);
    });

    private static FeatureFile Owning(IDisposable file, Func<FeatureFile> open)
    {
        try
        {
            return open();
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Copies all rows to a device. Errors: WillNotFit.</summary>
    public DeviceBuffer<float> Load(Device device, CancellationToken cancellation = default)
    {
        long total = (long)Rows * Columns;
        var buffer = device.Allocate<float>(total, MemoryUse.Selection);
        try
        {
            var piece = new float[(int)Math.Min(Piece, total)];
            int pieces = 0;
            for (long start = 0; start < total; start += piece.Length)
            {
                cancellation.ThrowIfCancellationRequested();
                var part = piece.AsMemory(0, (int)Math.Min(piece.Length, total - start));
                _read(start, part);
                device.Upload<float>(part.Span, new Tensor<float>(buffer, start, new Shape(part.Length)));
                if (++pieces % Release == 0)
                {
                    _forget();
                }
            }
            _forget();
            return buffer;
        }
        catch
        {
            buffer.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    private static SafetensorsTensor Only(string path, SafetensorsFile file) => file.Tensors.Count == 1
        ? file.Tensors[0]
        : throw FormatErrors.Bad(
            path, $"the file holds {file.Tensors.Count} tensors ({string.Join(", ", file.Tensors.Take(8).Select(t => t.Name))})", $"name one: {path}#NAME");
}
