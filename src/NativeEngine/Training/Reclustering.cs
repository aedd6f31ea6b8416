using System.Globalization;
using NativeEngine.Model;
using NativeEngine.Selection;

namespace NativeEngine.Training;

/// <summary>
/// Sources that follow the model: every so many steps the examples are grouped anew by their last hidden states, so that a run needs no labels, or does not rely on
/// labels that no longer say what is alike. A function of the model as it stands, so a continued run finds the same groups.
/// </summary>
/// <param name="Every">Steps between two groupings; the first is before the first step.</param>
/// <param name="Clusters">Groups.</param>
/// <param name="Seed">Seed of the first centres.</param>
/// <param name="Threads">CPU threads; the groups do not depend on it.</param>
public sealed record Reclustering(int Every, int Clusters, ulong Seed, int Threads)
{
    /// <summary>Whether the groups are to be made anew before the next step.</summary>
    public bool IsDue(long stepsDone) => stepsDone % Every == 0;

    /// <summary>Groups the examples by the model as it is. Returns the groups.</summary>
    public KMeans Apply(Trainer trainer, LlamaModel model, CancellationToken cancellation)
    {
        using var export = new FeatureExport(model, trainer.Data, new FeatureOptions(FeatureKind.Hidden, 1, 1e-3f, Seed));
        var groups = KMeans.Fit(export.ToArray(null, cancellation), (int)export.Dimension, new KMeansOptions { Clusters = Clusters, Restarts = 1, Seed = Seed, Threads = Threads }, cancellation);
        trainer.UseSources(Names(Clusters), groups.Assignment);
        return groups;
    }

    internal static string[] Names(int clusters) => [.. Enumerable.Range(0, clusters).Select(c => c.ToString(CultureInfo.InvariantCulture))];
}
