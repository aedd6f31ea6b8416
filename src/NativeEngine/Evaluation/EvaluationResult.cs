namespace NativeEngine.Evaluation;

/// <summary>The loss of one source, or of all.</summary>
/// <param name="Source">Name of the source.</param>
/// <param name="Examples">Examples scored.</param>
/// <param name="Tokens">Tokens scored: every token after an example's first.</param>
/// <param name="Bytes">UTF-8 bytes those tokens stand for.</param>
/// <param name="LossSum">Sum of natural-log losses.</param>
public sealed record SourceLoss(string Source, int Examples, long Tokens, long Bytes, double LossSum)
{
    /// <summary>Mean negative log-likelihood of a token, natural logarithm. NaN when nothing was scored.</summary>
    public double MeanLoss => Tokens > 0 ? LossSum / Tokens : double.NaN;

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
}
