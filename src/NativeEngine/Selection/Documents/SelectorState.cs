using System.Globalization;
using NativeEngine.Formats;

namespace NativeEngine.Selection;

/// <summary>
/// A selector's memory between runs, as a safetensors file: the history vectors (m, v; one-dimensional F32) and, in the metadata, step (optimizer
/// steps already done) and seed. A run that continues from it gives the same bits as one that was never interrupted.
/// </summary>
/// <param name="Step">Optimizer steps already done, or null where the file does not say.</param>
/// <param name="Seed">Seed of the random choices, or null where the file does not say.</param>
public sealed record SelectorState(long? Step, ulong? Seed)
{
    /// <summary>Writes the history of a normaliser, atomically. Dimension is the features' length, for a history that is still all zeros.</summary>
    public static void Save(string path, IGradientNormalizer normalizer, long dimension, long step, ulong seed)
    {
        var metadata = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["step"] = step.ToString(CultureInfo.InvariantCulture),
            ["seed"] = seed.ToString(CultureInfo.InvariantCulture),
        };
        SafetensorsWriter.WriteFloat32(
            path, metadata,
            [.. normalizer.Moments.Select(name => (name, new[] { dimension }, (ReadOnlyMemory<float>)normalizer.Save(name, dimension)))]);
    }

    /// <summary>
    /// Reads a history into a normaliser. Errors: BadInput for a vector that is missing, not one-dimensional F32, of another length than the
    /// features' (dimension), or not finite.
    /// </summary>
    public static SelectorState Load(string path, IGradientNormalizer normalizer, long dimension)
    {
        using var file = SafetensorsFile.Open(path);
        return Read(file, normalizer, dimension);
    }

    /// <summary>The same from a file that is open.</summary>
    internal static SelectorState Read(SafetensorsFile file, IGradientNormalizer normalizer, long dimension)
    {
        string path = file.Path;
        foreach (string name in normalizer.Moments)
        {
            var tensor = file.Find(name) ?? throw FormatErrors.Bad(
                path, $"a selector state needs the vectors {string.Join(" and ", normalizer.Moments)}, it has {string.Join(", ", file.Tensors.Select(t => t.Name))}");
            if (tensor.Shape.Length != 1 || tensor.DType != DType.F32 || tensor.ElementCount != dimension)
            {
                throw FormatErrors.Bad(
                    path, $"the vector {name} is {tensor.DType} {FormatErrors.Shape(tensor.Shape)}, the features need F32 [{dimension}]", "the state belongs to features of another width; leave --state out to start a new history");
            }
            float[] values = tensor.ToFloat32();
            int bad = Array.FindIndex(values, x => !float.IsFinite(x));
            if (bad >= 0 || (name == "v" && (bad = Array.FindIndex(values, x => x < 0)) >= 0))
            {
                throw FormatErrors.Bad(path, $"element {bad} of the vector {name} is {values[bad].ToString(CultureInfo.InvariantCulture)}");
            }
            normalizer.Load(name, values);
        }
        return new SelectorState(
            file.Metadata.TryGetValue("step", out string? step) && long.TryParse(step, NumberStyles.None, CultureInfo.InvariantCulture, out long s) ? s : null,
            file.Metadata.TryGetValue("seed", out string? seed) && ulong.TryParse(seed, NumberStyles.None, CultureInfo.InvariantCulture, out ulong x) ? x : null);
    }
}
