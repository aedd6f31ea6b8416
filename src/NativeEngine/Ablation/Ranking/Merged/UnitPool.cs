using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Formats;
using NativeEngine.Model;

namespace NativeEngine.Ablation.Ranking;

/// <summary>A unit's trained model on disk.</summary>
/// <param name="Name">The unit's name.</param>
/// <param name="Folder">A Hugging Face model folder.</param>
/// <param name="Key">What stands for its content in cache keys; null: the hash of its weights is taken when the pool opens.</param>
public sealed record PoolUnit(string Name, string Folder, string? Key = null);

/// <summary>
/// The unit models and the seed they branched from, opened once: F32 weights stay where they lie in memory-mapped files, other types are
/// widened into memory. All have the same configuration and layout. Opening reads every weight once: it must be finite, and the largest
/// magnitude sets the fixed point of <see cref="MergedModel"/>.
/// </summary>
public sealed unsafe class UnitPool : IDisposable
{
    private readonly List<SafetensorsModel> _files = [];
    private readonly List<ParameterSet> _widened = [];
    private readonly CpuDevice _host;
    private readonly nint[][] _addresses;

    /// <summary>
    /// Opens the seed and the units. <paramref name="aligned"/> replaces a unit's weights in memory by the ones it returns (see
    /// <see cref="UnitAlignment"/>). Errors: BadInput where a model differs from the seed in configuration, a tensor is missing or has another
    /// shape; Numerical for a weight that is not finite, naming model, tensor and element.
    /// </summary>
    public UnitPool(PoolUnit seed, IReadOnlyList<PoolUnit> units, int threads = 1, Func<UnitPool, int, ParameterSet, int>? aligned = null, CancellationToken cancellation = default)
    {
        if (units.Count == 0)
        {
            throw new EngineException(ErrorKind.BadInput, "a pool of no units cannot be merged", "train units first: nengine ablate train STUDY.yaml --output DIR");
        }
        _host = new CpuDevice(threads);
        try
        {
            Config = ConfigJson.Read(seed.Folder);
            Layout = Config.Layout();
            Names = [.. units.Select(u => u.Name)];
            _addresses = new nint[units.Count + 1][];
            var keys = new string[units.Count + 1];
            double largest = 0;
            for (int v = 0; v <= units.Count; v++)
            {
                cancellation.ThrowIfCancellationRequested();
                var model = v < units.Count ? units[v] : seed;
                var config = ConfigJson.Read(model.Folder);
                if (config != Config)
                {
                    throw new EngineException(ErrorKind.BadInput,
                        $"{model.Folder}: the configuration of unit {model.Name} is not the seed's ({seed.Folder}): {Difference(config, Config)}",
                        "units must branch from the seed they are merged with");
                }
                _addresses[v] = Open(model, cancellation);
                keys[v] = model.Key ?? Hash(v);
                largest = Math.Max(largest, Largest(v, model));
            }
            UnitKeys = keys[..^1];
            SeedKey = keys[^1];
            LargestMagnitude = largest;
            if (aligned is not null)
            {
                Align(aligned, cancellation);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The shape all models have.</summary>
    public LlamaConfig Config { get; }

    /// <summary>Where each tensor lies in a merged model.</summary>
    public ParameterLayout Layout { get; }

    /// <summary>Units.</summary>
    public int Count => Names.Count;

    /// <summary>The units' names.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>What stands for each unit's weights in cache keys.</summary>
    public IReadOnlyList<string> UnitKeys { get; private set; }

    /// <summary>What stands for the seed's weights.</summary>
    public string SeedKey { get; }

    /// <summary>The largest |weight| of all models.</summary>
    public double LargestMagnitude { get; }

    /// <summary>Moved hidden units and heads of each aligned unit; empty when none was aligned.</summary>
    public IReadOnlyList<int> Moved { get; private set; } = [];

    /// <summary>A unit's (or, for <see cref="Count"/>, the seed's) weights of a tensor.</summary>
    public ReadOnlySpan<float> Weights(int unit, ParameterEntry entry) =>
        new((float*)Address(unit, Index(entry)), checked((int)entry.Shape.Count));

    /// <summary>Address of the first element of a tensor, by place in the layout; the pool must stay open.</summary>
    internal nint Address(int unit, int entry) => _addresses[unit][entry];

    /// <inheritdoc/>
    public void Dispose()
    {
        _widened.ForEach(set => set.Dispose());
        _files.ForEach(file => file.Dispose());
        _host.Dispose();
    }

    private int Index(ParameterEntry entry)
    {
        for (int e = 0; e < Layout.Entries.Count; e++)
        {
            if (Layout.Entries[e] == entry)
            {
                return e;
            }
        }
        throw new KeyNotFoundException($"no parameter is named {entry.Name}");
    }

    private nint[] Open(PoolUnit model, CancellationToken cancellation)
    {
        var file = SafetensorsModel.Open(model.Folder);
        _files.Add(file);
        if (Layout.Entries.All(e => file.Find(e.Name) is { DType: DType.F32 } t && t.Shape.SequenceEqual(Extents(e.Shape))))
        {
            return [.. Layout.Entries.Select(e => (nint)System.Runtime.CompilerServices.Unsafe.AsPointer(
                ref MemoryMarshal.GetReference(file[e.Name].Bytes(0, checked((int)file[e.Name].ByteLength)))))];
        }
        // Another type, or something missing or misshapen, which the loader says in its own words.
        var (_, parameters) = ModelFolder.Load(model.Folder, _host, cancellation);
        _widened.Add(parameters);
        return Addresses(parameters);
    }

    private nint[] Addresses(ParameterSet parameters) => [.. Layout.Entries.Select(e => (nint)parameters.View(e).Pointer)];

    private void Align(Func<UnitPool, int, ParameterSet, int> aligned, CancellationToken cancellation)
    {
        var moved = new int[Count];
        for (int u = 0; u < Count; u++)
        {
            cancellation.ThrowIfCancellationRequested();
            var copy = new ParameterSet(_host, Layout, MemoryUse.Parameters);
            _widened.Add(copy);
            foreach (var entry in Layout.Entries)
            {
                _host.Upload(Weights(u, entry), copy.View(entry).Reshape(entry.Shape.Count));
            }
            moved[u] = aligned(this, u, copy);
            _addresses[u] = Addresses(copy);
        }
        Moved = moved;
        UnitKeys = [.. UnitKeys.Select((key, u) => moved[u] == 0 ? key : key + "+aligned")];
    }

    private string Hash(int vector)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (int e = 0; e < Layout.Entries.Count; e++)
        {
            hash.AppendData(Encoding.UTF8.GetBytes(Layout.Entries[e].Name));
            hash.AppendData(new ReadOnlySpan<byte>((void*)Address(vector, e), checked((int)(Layout.Entries[e].Shape.Count * sizeof(float)))));
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private double Largest(int vector, PoolUnit model)
    {
        float largest = 0;
        for (int e = 0; e < Layout.Entries.Count; e++)
        {
            var values = new ReadOnlySpan<float>((float*)Address(vector, e), checked((int)Layout.Entries[e].Shape.Count));
            // Magnitudes as bit patterns order like numbers, and whatever is not finite is above all of them.
            uint most = 0;
            foreach (uint bits in MemoryMarshal.Cast<float, uint>(values))
            {
                most = Math.Max(most, bits & 0x7FFFFFFF);
            }
            float magnitude = BitConverter.UInt32BitsToSingle(most);
            if (!float.IsFinite(magnitude))
            {
                int at = 0;
                while (float.IsFinite(values[at]))
                {
                    at++;
                }
                throw new EngineException(ErrorKind.Numerical,
                    FormattableString.Invariant($"element {at} of tensor {FormatErrors.Quote(Layout.Entries[e].Name)} is {values[at]} in {model.Folder} (unit {model.Name})"),
                    "train that unit again with a smaller learning rate, or leave it out");
            }
            largest = Math.Max(largest, magnitude);
        }
        return largest;
    }

    private static long[] Extents(Shape shape) => [.. Enumerable.Range(0, shape.Rank).Select(i => shape[i])];

    private static string Difference(LlamaConfig got, LlamaConfig expected)
    {
        var rows = new (string Name, object? Got, object? Expected)[]
        {
            ("vocab_size", got.VocabularySize, expected.VocabularySize), ("hidden_size", got.HiddenSize, expected.HiddenSize),
            ("intermediate_size", got.IntermediateSize, expected.IntermediateSize), ("num_hidden_layers", got.Layers, expected.Layers),
            ("num_attention_heads", got.Heads, expected.Heads), ("num_key_value_heads", got.KeyValueHeads, expected.KeyValueHeads),
            ("head_dim", got.HeadSize, expected.HeadSize), ("max_position_embeddings", got.ContextLength, expected.ContextLength),
            ("rms_norm_eps", got.NormEpsilon, expected.NormEpsilon), ("rope_theta", got.RopeTheta, expected.RopeTheta),
            ("tie_word_embeddings", got.TiedEmbeddings, expected.TiedEmbeddings), ("bos_token_id", got.BosTokenId, expected.BosTokenId),
            ("eos_token_id", got.EosTokenId, expected.EosTokenId),
        };
        return string.Join(", ", rows.Where(r => !Equals(r.Got, r.Expected)).Select(r => FormattableString.Invariant($"{r.Name} {r.Got} against {r.Expected}")));
    }
}
