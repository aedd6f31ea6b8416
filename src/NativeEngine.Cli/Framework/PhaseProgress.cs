namespace NativeEngine.Cli;

/// <summary>
/// Progress through phases that become known as they come: each has a line, a count and a remaining time of its own. <paramref name="unit"/> names what a phase counts.
/// </summary>
internal sealed class PhaseProgress(VerbContext context, Func<string, string> unit) : IDisposable
{
    private string? _phase;
    private ProgressLine? _line;

    /// <summary>So many of so many (0: unknown) are done in a phase; another phase ends the one before.</summary>
    public void Report(string phase, long done, long of)
    {
        if (phase != _phase)
        {
            _line?.Dispose();
            (_phase, _line) = (phase, context.Progress(phase, of, unit(phase)));
        }
        _line!.Report(done);
    }

    public void Dispose() => _line?.Dispose();
}
