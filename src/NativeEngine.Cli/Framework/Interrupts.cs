using System.Runtime.InteropServices;

namespace NativeEngine.Cli;

/// <summary>
/// Signals, and --max-seconds, as cancellation. Ctrl-C, SIGTERM and SIGUSR1 (the warning batch schedulers send before their limit) ask the work to stop;
/// a second Ctrl-C ends the process at once.
/// </summary>
internal sealed class Interrupts : IDisposable
{
    /// <summary>Stopped by a signal and worth starting again (EX_TEMPFAIL: a batch system may requeue).</summary>
    public const int Resumable = 75;

    /// <summary>Stopped by Ctrl-C with nothing to go on from.</summary>
    public const int Abandoned = 130;

    private readonly CancellationTokenSource _source = new();
    private readonly List<PosixSignalRegistration> _registrations = [];
    private readonly Action<string> _announce;
    private string? _received;
    private Timer? _timer;

    public Interrupts(Action<string> announce)
    {
        _announce = announce;
        Listen(PosixSignal.SIGINT, "Ctrl-C");
        Listen(PosixSignal.SIGTERM, "SIGTERM");
        if (!OperatingSystem.IsWindows())
        {
            Listen((PosixSignal)(OperatingSystem.IsMacOS() ? 30 : 10), "SIGUSR1");
        }
    }

    /// <summary>Asks the work to stop after so many seconds, as a signal would.</summary>
    public void StopAfter(double seconds)
    {
        string name = FormattableString.Invariant($"--max-seconds {seconds}");
        _timer = new Timer(_ => Stop(name), null, TimeSpan.FromSeconds(seconds), Timeout.InfiniteTimeSpan);
    }

    /// <summary>Cancelled by the first signal.</summary>
    public CancellationToken Token => _source.Token;

    /// <summary>The signal that came first, or null.</summary>
    public string? Received => Volatile.Read(ref _received);

    /// <summary>The exit code of work that stopped: 75, or 130 after Ctrl-C when the verb saved nothing.</summary>
    public int ExitCode(bool saved) => Received == "Ctrl-C" && !saved ? Abandoned : Resumable;

    public void Dispose()
    {
        _timer?.Dispose();
        foreach (var registration in _registrations)
        {
            registration.Dispose();
        }
        _source.Dispose();
    }

    private void Listen(PosixSignal signal, string name) => _registrations.Add(PosixSignalRegistration.Create(signal, context =>
    {
        bool first = Stop(name);
        context.Cancel = first || signal != PosixSignal.SIGINT;
    }));

    private bool Stop(string name)
    {
        bool first = Interlocked.CompareExchange(ref _received, name, null) is null;
        if (first)
        {
            _announce(name);
            try
            {
                _source.Cancel();
            }
            catch (ObjectDisposedException)
            {
                // The work ended at this very moment.
            }
        }
        return first;
    }
}
