namespace NativeEngine.Model;

/// <summary>
/// Initial weights from a seed: matrices normal with standard deviation sqrt(2 / (5 C)) (Nguyen and Salazar 2019), those that write to the
/// residual stream (o_proj, down_proj) divided by sqrt(2 L), norm weights one. Each weight is a pure function of (seed, tensor, index).
/// </summary>
public static class ModelInitializer
{
    /// <summary>Fills every weight of a model.</summary>
    public static void Initialize(LlamaConfig config, ParameterSet parameters, ulong seed)
    {
        double deviation = Math.Sqrt(2.0 / (5.0 * config.HiddenSize));
        double residual = deviation / Math.Sqrt(2.0 * config.Layers);
        foreach (var (entry, stream) in parameters.Layout.Entries.Select((e, i) => (e, (uint)i)))
        {
            if (!entry.Decays)
            {
                parameters.Device.Kernels.Fill(1, parameters.View(entry));
                continue;
            }
            bool writesResidual = entry.Name.Contains("o_proj", StringComparison.Ordinal) || entry.Name.Contains("down_proj", StringComparison.Ordinal);
            Fill(parameters, entry, seed, stream, writesResidual ? residual : deviation);
        }
        parameters.Device.Synchronize();
    }

    internal static void Fill(ParameterSet parameters, ParameterEntry entry, ulong seed, uint stream, double deviation)
    {
        var random = new CounterRandom(seed, RandomPurpose.Initialization, stream);
        const int Chunk = 1 << 16;
        var values = new float[Math.Min(Chunk, entry.Shape.Count)];
        var flat = parameters.View(entry).Reshape(entry.Shape.Count);
        for (long first = 0; first < flat.Length; first += Chunk)
        {
            int count = (int)Math.Min(Chunk, flat.Length - first);
            for (int i = 0; i < count; i++)
            {
                values[i] = deviation == 0 ? 0 : (float)(random.Normal((ulong)(first + i)) * deviation);
            }
            parameters.Device.Upload<float>(values.AsSpan(0, count), flat.Slice(first, count));
        }
    }
}
