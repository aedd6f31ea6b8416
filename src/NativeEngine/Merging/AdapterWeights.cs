using NativeEngine.Formats;

namespace NativeEngine.Merging;

/// <summary>
/// A LoRA adapter in PEFT's form as a change of weights: W + (alpha / r) B A, added to each row when it is read, in double. The adapter's
/// matrices are held in memory (8 bytes an element), the products are not.
/// </summary>
internal sealed class AdapterWeights
{
    private const string Prefix = "base_model.model.";

    private readonly Dictionary<string, LowRank> _pairs = new(StringComparer.Ordinal);

    /// <summary>The names of the weights it changes.</summary>
    public IEnumerable<string> Weights => _pairs.Keys;

    /// <summary>Bytes held.</summary>
    public long Bytes => _pairs.Values.Sum(pair => 8L * (pair.A.Length + pair.B.Length));

    /// <summary>Reads an adapter folder. Errors: BadInput for what <see cref="AdapterConfig"/> refuses, and for matrices that do not pair.</summary>
    public static AdapterWeights Open(string folder)
    {
        var config = AdapterConfig.Read(folder);
        using var file = SafetensorsModel.Open(Path.Combine(folder, AdapterConfig.WeightsName));
        return Of(config, file);
    }

    /// <summary>The weights of an adapter that was opened.</summary>
    internal static AdapterWeights Of(AdapterConfig config, SafetensorsModel file)
    {
        var adapter = new AdapterWeights();
        foreach (var a in file.Tensors)
        {
            if (!a.Name.StartsWith(Prefix, StringComparison.Ordinal) || !(a.Name.EndsWith(".lora_A.weight", StringComparison.Ordinal) || a.Name.EndsWith(".lora_B.weight", StringComparison.Ordinal)))
            {
                throw FormatErrors.Bad(a.File, $"tensor {FormatErrors.Quote(a.Name)} is no part of a LoRA pair ({Prefix}NAME.lora_A.weight and .lora_B.weight)");
            }
            if (a.Name.EndsWith(".lora_B.weight", StringComparison.Ordinal))
            {
                _ = file[a.Name.Replace(".lora_B.", ".lora_A.", StringComparison.Ordinal)];
                continue;
            }
            var b = file[a.Name.Replace(".lora_A.", ".lora_B.", StringComparison.Ordinal)];
            if (a.Shape.Length != 2 || b.Shape.Length != 2 || a.Shape[0] != config.Rank || b.Shape[1] != config.Rank)
            {
                throw FormatErrors.Bad(a.File, $"{FormatErrors.Quote(a.Name)} is {FormatErrors.Shape(a.Shape)} and its B {FormatErrors.Shape(b.Shape)}; rank {config.Rank} asks for [{config.Rank}, in] and [out, {config.Rank}]");
            }
            string weight = a.Name[Prefix.Length..].Replace(".lora_A.weight", ".weight", StringComparison.Ordinal);
            if (!adapter._pairs.TryAdd(weight, new LowRank(Doubles(a), Doubles(b), config.Rank, config.Alpha / config.Rank)))
            {
                throw FormatErrors.Bad(a.File, $"{FormatErrors.Quote(a.Name)} and another pair change the same weight, {FormatErrors.Quote(weight)}");
            }
        }
        return adapter;
    }

    /// <summary>The changed tensor, or null when the adapter leaves it alone. Errors: a shape that is not [out, in].</summary>
    public MergeTensor? On(SafetensorsTensor tensor)
    {
        if (_pairs.GetValueOrDefault(tensor.Name) is not { } pair)
        {
            return null;
        }
        return tensor.Shape.Length == 2 && tensor.Shape[0] * pair.Rank == pair.B.Length && tensor.Shape[1] * pair.Rank == pair.A.Length
            ? new Changed(new FileTensor(tensor), pair)
            : throw FormatErrors.Bad(tensor.File, $"tensor {FormatErrors.Quote(tensor.Name)} is {FormatErrors.Shape(tensor.Shape)}; its adapter is for [{pair.B.Length / pair.Rank}, {pair.A.Length / pair.Rank}]");
    }

    private static double[] Doubles(SafetensorsTensor tensor)
    {
        var values = new double[tensor.ElementCount];
        new FileTensor(tensor).Read(0, values);
        return values;
    }

    private sealed record LowRank(double[] A, double[] B, int Rank, double Scale);

    private sealed class Changed(FileTensor weight, LowRank pair) : MergeTensor
    {
        public override IReadOnlyList<long> Shape => weight.Shape;

        public override void Bring(long start, long count) => weight.Bring(start, count);

        public override void Forget(long start, long count) => weight.Forget(start, count);

        public override void Read(long start, Span<double> target)
        {
            weight.Read(start, target);
            long columns = RowLength;
            for (int done = 0; done < target.Length;)
            {
                long row = (start + done) / columns, column = (start + done) % columns;
                var part = target.Slice(done, (int)Math.Min(columns - column, target.Length - done));
                for (int k = 0; k < pair.Rank; k++)
                {
                    double factor = pair.Scale * pair.B[(row * pair.Rank) + k];
                    var a = pair.A.AsSpan((int)((k * columns) + column), part.Length);
                    for (int i = 0; i < part.Length; i++)
                    {
                        part[i] += factor * a[i];
                    }
                }
                done += part.Length;
            }
        }
    }
}
