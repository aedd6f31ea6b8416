using NativeEngine.Devices;

namespace NativeEngine.Selection;

/// <summary>
/// Step F: the h columns a source is compared by, chosen by importance[k] = | mean over its rows of u[row,k] |. Ties go to the lowest column.
/// </summary>
/// <param name="device">Where the features are.</param>
/// <param name="top">h; 0 or more than there are columns: all.</param>
/// <param name="mode">Which columns; all modes but <see cref="ColumnMode.Largest"/> sort on the host.</param>
/// <param name="seed">Seed of the random modes.</param>
public sealed class TopKSparsifier(Device device, int top, ColumnMode mode = ColumnMode.Largest, ulong seed = 0)
{
    /// <summary>Columns kept of d.</summary>
    public int Count(long d) => (int)(top == 0 ? d : Math.Min(top, d));

    /// <summary>
    /// Writes the columns of one source in rank order (ascending for the random modes).
    /// </summary>
    /// <param name="u">Features [n,d].</param>
    /// <param name="rows">The source's rows.</param>
    /// <param name="source">Source id: keys the sampling.</param>
    /// <param name="step">Optimizer steps done: keys the random modes.</param>
    /// <param name="columns">Count(d) elements.</param>
    /// <param name="workspace">Where scratch comes from; none: the device.</param>
    public void Columns(Tensor<float> u, Tensor<int> rows, int source, long step, Tensor<int> columns, Workspace? workspace = null)
    {
        int d = checked((int)u.RowLength), h = (int)columns.Length;
        var random = new SelectionRandom(seed, step);
        if (mode == ColumnMode.Random)
        {
            device.Upload(random.Sample(SelectionRandom.Use.Columns, SelectionPlan.AllSources, d, h), columns);
            return;
        }
        workspace ??= new Workspace(device, MemoryUse.Selection, keep: false);
        using var scope = workspace.Open();
        var values = workspace.Floats(d);
        device.Kernels.ColumnImportance(u, rows, values);
        if (mode == ColumnMode.Largest)
        {
            device.Kernels.TopK(values, columns);
            return;
        }
        device.Upload(OnHost(random, source, device.Download(values), h), columns);
    }

    private int[] OnHost(SelectionRandom random, int source, float[] importance, int h)
    {
        int d = importance.Length;
        int smallest = mode == ColumnMode.Smallest ? h : h / 2;
        if (mode == ColumnMode.Sampling)
        {
            return Sampled(random, source, importance, h);
        }
        int[] least = [.. Enumerable.Range(0, d).OrderBy(k => importance[k]).Take(smallest)];
        // Among equals the lowest columns would come first on both sides.
        return [.. least, .. Enumerable.Range(0, d).Except(least).OrderByDescending(k => importance[k]).Take(h - smallest)];
    }

    /// <summary>Without replacement in proportion to importance: the h largest of log(u) / importance (Efraimidis and Spirakis 2006).</summary>
    private static int[] Sampled(SelectionRandom random, int source, float[] importance, int h)
    {
        var keys = new double[importance.Length];
        for (int k = 0; k < keys.Length; k++)
        {
            keys[k] = Math.Log(1 - random.Uniform(SelectionRandom.Use.Columns, source, k)) / importance[k];
            keys[k] = double.IsNaN(keys[k]) ? double.NegativeInfinity : keys[k];
        }
        return [.. Enumerable.Range(0, keys.Length).OrderByDescending(k => keys[k]).Take(h).Order()];
    }
}
