using NativeEngine.Data;
using NativeEngine.Model;

namespace NativeEngine.Evaluation;

/// <summary>
/// Perplexity per source. Each example is scored alone (packed, but not seen by its neighbours); losses are summed in
/// double in the order of the data, so the result does not depend on how examples are batched.
/// </summary>
public sealed class PerplexityEvaluator
{
    private readonly ITokenLosses? _engine;
    private readonly LlamaModel? _model;

    /// <summary>With any engine.</summary>
    public PerplexityEvaluator(ITokenLosses engine) => _engine = engine;

    /// <summary>With the native engine.</summary>
    public PerplexityEvaluator(LlamaModel model) => _model = model;

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
            sources[s] = new SourceLoss(data.Sources[s], 0, 0, 0, 0, 0, 0);
        }
        for (int i = 0; i < data.Count; i++)
        {
            var s = sources[data.SourceOf(i)];
            sources[data.SourceOf(i)] = s with
            {
                Examples = s.Examples + 1,
                Tokens = s.Tokens + data.LabelCount(i),
                Bytes = s.Bytes + data.LabelBytes(i),
                LossSum = s.LossSum + losses[i].All,
                CompletionTokens = s.CompletionTokens + data.Tokens(i).Length - CompletionStart(data, i),
                CompletionLossSum = s.CompletionLossSum + losses[i].Completion,
            };
        }
        var squares = new double[sources.Length];
        for (int i = 0; i < data.Count; i++)
        {
            squares[data.SourceOf(i)] += SquaredResidual(data, losses, sources[data.SourceOf(i)].MeanLoss, i);
        }
        for (int s = 0; s < sources.Length; s++)
        {
            sources[s] = sources[s] with { StandardError = StandardError(sources[s], squares[s]) };
        }
        var total = new SourceLoss(
            "all", sources.Sum(s => s.Examples), sources.Sum(s => s.Tokens), sources.Sum(s => s.Bytes), losses.Sum(l => l.All),
            sources.Sum(s => s.CompletionTokens), losses.Sum(l => l.Completion));
        double all = 0;
        for (int i = 0; i < data.Count; i++)
        {
            all += SquaredResidual(data, losses, total.MeanLoss, i);
        }
        return new EvaluationResult(total with { StandardError = StandardError(total, all) }, sources);
    }

    /// <summary>The summed loss of every example, over all its label tokens and over those of its completion.</summary>
    public (double All, double Completion)[] ExampleLosses(MixtureDataset data, Action<int, int>? progress = null, CancellationToken cancellation = default)
    {
        // Over a model the scratch memory is this call's own.
        using var own = _model is null ? null : new NativeLosses(_model);
        var losses = own ?? _engine!;
        var result = new (double All, double Completion)[data.Count];
        var all = new int[data.Count];
        for (int i = 0; i < all.Length; i++)
        {
            all[i] = i;
        }
        foreach (var range in BatchPacker.Split(data, all, TokensPerBatch))
        {
            cancellation.ThrowIfCancellationRequested();
            var batch = BatchPacker.Pack(data, all.AsSpan()[range]);
            var values = losses.Losses(batch, cancellation).AsSpan();
            for (int s = 0; s < batch.SequenceCount; s++)
            {
                int example = range.Start.Value + s;
                result[example] = Sums(data, example, values[..batch.LabelCounts[s]]);
                values = values[batch.LabelCounts[s]..];
            }
            progress?.Invoke(range.End.Value, data.Count);
        }
        return result;
    }

    private static double SquaredResidual(MixtureDataset data, (double All, double Completion)[] losses, double mean, int example)
    {
        double residual = losses[example].All - (mean * data.LabelCount(example));
        return residual * residual;
    }

    private static double StandardError(SourceLoss of, double squares) =>
        of.Examples < 2 ? double.NaN : Math.Sqrt(squares * of.Examples / (of.Examples - 1.0)) / of.Tokens;

    private static int CompletionStart(MixtureDataset data, int example) => Math.Max(data.CompletionStart(example), data.LabelStart(example));

    private static (double All, double Completion) Sums(MixtureDataset data, int example, ReadOnlySpan<float> losses)
    {
        int prompt = CompletionStart(data, example) - data.LabelStart(example);
        double all = 0, completion = 0;
        for (int r = 0; r < losses.Length; r++)
        {
            all += losses[r];
            completion += r >= prompt ? losses[r] : 0;
        }
        return double.IsFinite(all)
            ? (all, completion)
            : throw new EngineException(ErrorKind.Numerical, $"the loss of example {data.InputIndex(example)} ({data.Sources[data.SourceOf(example)]}) is {all}", "its weights may have diverged in training: lower --lr, or look at that example");
    }
}
