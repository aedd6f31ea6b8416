namespace NativeEngine.Evaluation;

/// <summary>The loss of one source, or of all.</summary>
/// <param name="Source">Name of the source.</param>
/// <param name="Examples">Examples scored.</param>
/// <param name="Tokens">Tokens scored: every token after an example's first.</param>
/// <param name="Bytes">UTF-8 bytes those tokens stand for.</param>
/// <param name="LossSum">Sum of natural-log losses.</param>
/// <param name="CompletionTokens">Of the tokens, those of completions (all of them for texts without a prompt).</param>
/// <param name="CompletionLossSum">Sum of their losses.</param>
public sealed record SourceLoss(string Source, int Examples, long Tokens, long Bytes, double LossSum, long CompletionTokens, double CompletionLossSum)
{
    /// <summary>Mean loss of a completion's token: what training on completions lowers.</summary>
    public double CompletionLoss => CompletionTokens > 0 ? CompletionLossSum / CompletionTokens : double.NaN;

    /// <summary>Mean negative log-likelihood of a token, natural logarithm. NaN when nothing was scored.</summary>
    public double MeanLoss => Tokens > 0 ? LossSum / Tokens : double.NaN;

    /// <summary>
    /// Standard error of <see cref="MeanLoss"/> when other examples of the same kind are drawn: of the ratio of two sums over n examples with losses l and
    /// tokens t, sqrt(n / (n - 1) sum (l - mean t)^2) / sum t. NaN for fewer than two examples.
    /// </summary>
    public double StandardError { get; init; } = double.NaN;

    /// <summary>e^mean loss.</summary>
    public double Perplexity => Math.Exp(MeanLoss);

    /// <summary>Loss in bits for each byte of text.</summary>
    public double BitsPerByte => Bytes > 0 ? LossSum / (Bytes * Math.Log(2)) : double.NaN;
}

/// <summary>Losses per source (in the order of the dataset's source table) and over all examples.</summary>
public sealed record EvaluationResult(SourceLoss Total, IReadOnlyList<SourceLoss> Sources)
{
    /// <summary>The mean of the sources' mean losses: every source counts the same.</summary>
    public double MacroLoss => Sources.Where(s => s.Tokens > 0).Select(s => s.MeanLoss).DefaultIfEmpty(double.NaN).Average();

    /// <summary>The mean of the sources' completion losses.</summary>
    public double MacroCompletionLoss => Sources.Where(s => s.CompletionTokens > 0).Select(s => s.CompletionLoss).DefaultIfEmpty(double.NaN).Average();
}
