using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Formats;
using NativeEngine.Model;

namespace NativeEngine.Training;

/// <summary>
/// Features of a whole dataset as a .npy file [n, d] of float32: row i is example i, the same bits as in training. Rows are computed and
/// written in pieces, so memory does not grow with n.
/// </summary>
/// <param name="model">The model as it stands.</param>
/// <param name="data">The examples.</param>
/// <param name="options">Which features.</param>
public sealed class FeatureExport(LlamaModel model, MixtureDataset data, FeatureOptions options) : IDisposable
{
    private const long RowBytes = 64L << 20;
    private readonly GradientFeatures _features = new(model, options);

    /// <summary>Most tokens in one pass.</summary>
    public int TokensPerPass { get; init; } = 4096;

    /// <summary>Length d of a row.</summary>
    public long Dimension => _features.Dimension;

    /// <summary>Bytes of the array in the file.</summary>
    public long FileBytes => data.Count * Dimension * sizeof(float);

    /// <summary>Bytes of device memory at the peak, weights excluded.</summary>
    public long PeakBytes()
    {
        long most = 0;
        foreach (var (first, count) in Pieces())
        {
            long tokens = 0, labels = 0;
            for (int i = first; i < first + count; i++)
            {
                tokens += data.Tokens(i).Length - 1;
                labels += data.LabelCount(i);
            }
            most = Math.Max(most, (count * Dimension * sizeof(float)) + MemoryPlan.FeatureBytes(model.Config, options.Kind, tokens, labels, model.Adapter?.Rank ?? 0));
        }
        return most;
    }

    /// <summary>
    /// Writes the file, atomically. Errors: Numerical naming the example whose feature is not finite; WillNotFit for a disk or a device that is
    /// too small.
    /// </summary>
    public void Write(string path, Action<int>? progress = null, CancellationToken cancellation = default) =>
        NpyWriter.Write(path, DType.F32, [data.Count, Dimension], sink => Compute(
            (first, rows) =>
            {
                sink.Write(rows);
                progress?.Invoke(first + (int)(rows.Length / Dimension));
            },
            cancellation));

    /// <summary>
    /// Computes all rows in order and hands them out in pieces: the first example of the piece, and its rows one after the other. Errors: Numerical naming the example whose
    /// feature is not finite; WillNotFit.
    /// </summary>
    public void Compute(Action<int, float[]> rows, CancellationToken cancellation = default)
    {
        using var workspace = new Workspace(model.Device);
        foreach (var (first, count) in Pieces())
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = workspace.Open();
            var features = workspace.Floats(count, Dimension);
            using var batch = new TokenBatch(model.Device, model.Config, BatchPacker.Pack(data, [.. Enumerable.Range(first, count)]));
            _features.Compute(batch, features, workspace);
            float[] values = model.Device.Download(features);
            int bad = FiniteCheck.FirstNotFinite(values);
            if (bad >= 0)
            {
                int example = first + (int)(bad / Dimension);
                throw new EngineException(ErrorKind.Numerical,
                    $"element {bad % Dimension} of the feature of example {data.InputIndex(example)} ({data.Sources[data.SourceOf(example)]}) is {values[bad]}",
                    "look at the model with eval, and at that example");
            }
            rows(first, values);
        }
    }

    /// <summary>The same rows [n, d] in memory. Errors: as <see cref="Compute"/>.</summary>
    public float[] ToArray(Action<int>? progress = null, CancellationToken cancellation = default)
    {
        var all = new float[checked(data.Count * (int)Dimension)];
        Compute(
            (first, rows) =>
            {
                rows.CopyTo(all, first * (int)Dimension);
                progress?.Invoke(first + (int)(rows.Length / Dimension));
            },
            cancellation);
        return all;
    }

    /// <inheritdoc/>
    public void Dispose() => _features.Dispose();

    /// <summary>Consecutive examples that fit one pass and one block of rows.</summary>
    private IEnumerable<(int First, int Count)> Pieces()
    {
        int most = (int)Math.Clamp(RowBytes / (Dimension * sizeof(float)), 1, data.Count);
        int[] all = [.. Enumerable.Range(0, data.Count)];
        foreach (var part in BatchPacker.Split(data, all, TokensPerPass))
        {
            var (first, count) = part.GetOffsetAndLength(data.Count);
            for (int done = 0; done < count; done += most)
            {
                yield return (first + done, Math.Min(most, count - done));
            }
        }
    }
}
