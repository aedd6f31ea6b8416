namespace NativeEngine.Ablation;

/// <summary>A window of a document: the tokens [InputStart, InputStart + InputLength) of prefix + document, which predict document tokens.</summary>
/// <param name="InputStart">First input position; position 0 is the prefix token, position t + 1 the document's token t.</param>
/// <param name="InputLength">Input tokens, at most the longest sequence.</param>
/// <param name="PredictStart">First document token that is scored.</param>
/// <param name="PredictLength">Document tokens scored: the last ones that the inputs predict.</param>
public readonly record struct EvaluationWindow(int InputStart, int InputLength, int PredictStart, int PredictLength);

/// <summary>
/// Rolling windows over a document longer than the model's context, as the method's own evaluator cuts them: the first predicts
/// min(longest, n) tokens from the prefix on; each later one predicts up to longest - context + 1 more, with all the context that fits
/// before them. Every token is predicted exactly once.
/// </summary>
public static class EvaluationWindows
{
    /// <summary>
    /// The windows of a document of n tokens. <paramref name="context"/> is the number of already known tokens a later window starts with when
    /// it is full, 1 to <paramref name="longest"/>.
    /// </summary>
    public static List<EvaluationWindow> Cut(int tokens, int longest, int context = 1)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(longest, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(context, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(context, longest);
        var windows = new List<EvaluationWindow>();
        if (tokens <= 0)
        {
            return windows;
        }
        int first = Math.Min(longest, tokens);
        windows.Add(new EvaluationWindow(0, first, 0, first));
        int step = longest - context + 1;
        for (int done = first; done < tokens;)
        {
            int count = Math.Min(step, tokens - done), end = done + count;
            int start = Math.Max(0, end - longest);
            windows.Add(new EvaluationWindow(start, end - start, done, count));
            done = end;
        }
        return windows;
    }
}
