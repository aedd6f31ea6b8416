using NativeEngine.Devices;

namespace NativeEngine.Model;

/// <summary>
/// Low-rank adapters (Hu et al. 2021) on chosen projections: W x becomes W x + (alpha / r) B A x with A [r, in] normal with standard
/// deviation 1/r at the start and B [out, r] zero, so that training starts at the base model. Owns its weights and gradients.
/// </summary>
public sealed class LoraAdapter : IDisposable
{
    /// <summary>The projections an adapter may sit on.</summary>
    public static IReadOnlyList<string> AllTargets { get; } = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

    private readonly Dictionary<string, LowRank> _pairs = [];

    /// <summary>
    /// An adapter for a model's shape. <paramref name="trainable"/> also makes gradients. Errors: Usage for a rank below 1 or an unknown target.
    /// </summary>
    public LoraAdapter(Device device, LlamaConfig config, int rank, float alpha, IReadOnlyList<string> targets, bool trainable)
    {
        if (rank < 1)
        {
            throw new EngineException(ErrorKind.Usage, $"the LoRA rank is {rank}, it must be at least 1");
        }
        foreach (string target in targets)
        {
            if (!AllTargets.Contains(target))
            {
                throw new EngineException(ErrorKind.Usage, $"\"{target}\" is no projection of this model", $"LoRA targets are {string.Join(", ", AllTargets)}");
            }
        }
        (Rank, Alpha, Targets) = (rank, alpha, targets);
        var layout = LayoutOf(config, rank, targets);
        Parameters = new ParameterSet(device, layout, MemoryUse.Parameters);
        Gradients = trainable ? new ParameterSet(device, layout, MemoryUse.Gradients) : null;
        foreach (var entry in Adapted(config, targets))
        {
            string a = NameOf(entry.Name, 'A'), b = NameOf(entry.Name, 'B');
            _pairs[entry.Name] = new LowRank(
                Parameters[a], Parameters[b], Gradients is null ? default : Gradients[a], Gradients is null ? default : Gradients[b], alpha / rank);
        }
    }

    /// <summary>Rank r.</summary>
    public int Rank { get; }

    /// <summary>The numerator of the scale alpha / r.</summary>
    public float Alpha { get; }

    /// <summary>The adapted projections.</summary>
    public IReadOnlyList<string> Targets { get; }

    /// <summary>A and B of every adapted projection.</summary>
    public ParameterSet Parameters { get; }

    /// <summary>Their gradients, or null when the adapter is frozen.</summary>
    public ParameterSet? Gradients { get; }

    /// <summary>The name of a weight's adapter: model.layers.0.self_attn.q_proj.weight gives model.layers.0.self_attn.q_proj.lora_A.weight.</summary>
    public static string NameOf(string weight, char part) => weight[..^".weight".Length] + $".lora_{part}.weight";

    /// <summary>Draws A from the seed and sets B to zero.</summary>
    public void Initialize(ulong seed)
    {
        foreach (var (entry, stream) in Parameters.Layout.Entries.Select((e, i) => (e, (uint)i)))
        {
            bool isA = entry.Name.EndsWith(".lora_A.weight", StringComparison.Ordinal);
            // Streams past those of the base weights, so that no number is used twice.
            ModelInitializer.Fill(Parameters, entry, seed, 1_000_000 + stream, isA ? 1.0 / Rank : 0);
        }
    }

    /// <summary>Adds (alpha / r) B A to the base weights; the adapter itself is unchanged.</summary>
    public void MergeInto(ParameterSet weights)
    {
        var kernels = weights.Device.Kernels;
        foreach (var (name, pair) in _pairs)
        {
            var target = weights[name];
            using var delta = weights.Device.Allocate<float>(target.Length, MemoryUse.Activations);
            var product = delta.View.Reshape(target.Rows, target.RowLength);
            kernels.MatMul(pair.B, false, pair.A, false, false, product);
            kernels.Axpy(pair.Scale, product, target);
        }
        weights.Device.Synchronize();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Parameters.Dispose();
        Gradients?.Dispose();
    }

    /// <summary>A and B of every adapted projection of a model, before anything is allocated.</summary>
    internal static ParameterLayout LayoutOf(LlamaConfig config, int rank, IReadOnlyList<string> targets) => new(Adapted(config, targets).SelectMany(e => new[]
    {
        (NameOf(e.Name, 'A'), new Shape(rank, e.Shape[1]), true),
        (NameOf(e.Name, 'B'), new Shape(e.Shape[0], rank), true),
    }));

    private static IEnumerable<ParameterEntry> Adapted(LlamaConfig config, IReadOnlyList<string> targets) =>
        config.Layout().Entries.Where(e => targets.Any(t => e.Name.EndsWith($".{t}.weight", StringComparison.Ordinal)));

    internal LowRank? For(string weight, bool frozen) => _pairs.GetValueOrDefault(weight) is not { } pair ? null
        : frozen ? pair with { GradientA = default, GradientB = default }
        : pair;
}
