using NativeEngine.Devices;
using NativeEngine.Selection;

namespace NativeEngine.Cli;

/// <summary>The features that a selection was made from, and the normaliser with the history it started from.</summary>
internal sealed class SelectionInput : IDisposable
{
    private readonly DeviceBuffer<float> _rows;

    /// <summary>Reads both; <paramref name="state"/> is the file of the history, or null for the one the document names.</summary>
    public SelectionInput(VerbContext context, Device device, SelectionDocument document, string features, string? state)
    {
        using var file = FeatureFile.Open(features);
        Normalizer = document.Adam ? GradientNormalizer.Adam(device) : GradientNormalizer.None();
        try
        {
            if (document.Adam && (state ?? document.State) is { } history)
            {
                SelectorState.Load(history, Normalizer, file.Columns);
            }
            _rows = file.Load(device, context.Cancellation);
        }
        catch
        {
            Normalizer.Dispose();
            throw;
        }
        Rows = _rows.View.Reshape(file.Rows, file.Columns);
    }

    /// <summary>Reads a selection; refuses the features in its place.</summary>
    public static SelectionDocument Document(string path, string features) =>
        FeatureFile.IsName(path) && !FeatureFile.IsName(features)
            ? throw new EngineException(ErrorKind.Usage, $"{path} holds features and {features} does not: they stand in each other's place", $"{features} --features {path}")
            : SelectionDocument.Load(path);

    /// <summary>A row for every example.</summary>
    public Tensor<float> Rows { get; }

    /// <summary>As it was before the selection.</summary>
    public IGradientNormalizer Normalizer { get; }

    public void Dispose()
    {
        _rows.Dispose();
        Normalizer.Dispose();
    }
}
