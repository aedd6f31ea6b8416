using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Model;

namespace NativeEngine.Evaluation;

/// <summary>
/// Perplexity per source with the native engine. Each example is scored alone (packed, but not seen by its neighbours); losses are summed in
/// double in the order of the data, so the result does not depend on how examples are batched.
/// </summary>
public sealed class PerplexityEvaluator(LlamaModel model)
{
    /// <summary>Most tokens in one forward pass.</summary>
    public int TokensPerBatch { get; init; } = 8192;

    /// <summary>
    /// Scores every label token of the data (see <see cref="DatasetOptions.Evaluation"/>). Errors: Numerical naming the example whose loss is
    /// not finite.
    /// </summary>
    public EvaluationResult Evaluate(MixtureDataset data, Action<int, int>? progress = null, CancellationToken cancellation = default)
    {
        var losses = ExampleLosses(data, progress, cancellation);
        var sources = new SourceLoss[data.Sources.Count];
        for (int s = 0; s < sources.Length; s++)
        {
            sources[s] = new SourceLoss(data.Sources[s], 0, 0, 0, 0);
        }
        for (int i = 0; i < data.Count; i++)
        {
            var s = sources[data.SourceOf(i)];
            sources[data.SourceOf(i)] = s with
            {
                Examples = s.Examples + 1,
                Tokens = s.Tokens + data.LabelCount(i),
                Bytes = s.Bytes + data.LabelBytes(i),
                LossSum = s.LossSum + losses[i],
            };
        }
        var total = new SourceLoss("all", sources.Sum(s => s.Examples), sources.Sum(s => s.Tokens), sources.Sum(s => s.Bytes), losses.Sum());
        return new EvaluationResult(total, sources);
    }

    /// <summary>The summed loss of every example.</summary>
    public double[] ExampleLosses(MixtureDataset data, Action<int, int>? progress = null, CancellationToken cancellation = default)
    {
        using var workspace = new Workspace(model.Device);
        var result = new double[data.Count];
        var all = new int[data.Count];
        for (int i = 0; i < all.Length; i++)
        {
            all[i] = i;
        }
        foreach (var range in BatchPacker.Split(data, all, TokensPerBatch))
        {
            cancellation.ThrowIfCancellationRequested();
            using var batch = new TokenBatch(model.Device, model.Config, BatchPacker.Pack(data, all.AsSpan()[range]));
            using var scope = workspace.Open();
            var losses = workspace.Floats(batch.LabelCount);
            model.Loss(batch, losses, workspace);
            var values = model.Device.Download(losses);
            for (int s = 0; s < batch.Sequences; s++)
            {
                double sum = 0;
                for (int r = batch.LabelOffsets[s]; r < batch.LabelOffsets[s + 1]; r++)
                {
                    sum += values[r];
                }
                int example = range.Start.Value + s;
                result[example] = double.IsFinite(sum)
                    ? sum
                    : throw new EngineException(ErrorKind.Numerical, $"the loss of example {data.InputIndex(example)} ({data.Sources[data.SourceOf(example)]}) is {sum}");
            }
            progress?.Invoke(range.End.Value, data.Count);
        }
        return result;
    }
}
