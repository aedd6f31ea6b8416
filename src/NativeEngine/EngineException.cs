namespace NativeEngine;

/// <summary>What went wrong, in the terms a script can act on. The value is the process exit code the command line uses.</summary>
public enum ErrorKind
{
    /// <summary>The request itself is wrong: an unknown option, a budget of 0.</summary>
    Usage = 2,
    /// <summary>A file is missing, malformed, or does not fit the others it is used with.</summary>
    BadInput = 3,
    /// <summary>The work needs more memory or disk than there is or than is allowed.</summary>
    WillNotFit = 4,
    /// <summary>A device that was asked for by name is absent or was lost.</summary>
    DeviceUnavailable = 5,
    /// <summary>NaN or infinity where a finite number is required.</summary>
    Numerical = 6,
    /// <summary>A check that was asked for came out negative.</summary>
    VerificationFailed = 7,
}

/// <summary>
/// The one exception the library throws for anything a user can cause or must know. The message is a sentence with values
/// (operation, expected, got); the hint, when there is one, says what to do next.
/// </summary>
public sealed class EngineException(ErrorKind kind, string message, string? hint = null, Exception? inner = null)
    : Exception(message, inner)
{
    /// <summary>The class of the failure; its number is the exit code.</summary>
    public ErrorKind Kind { get; } = kind;

    /// <summary>What to do about it, or null.</summary>
    public string? Hint { get; } = hint;
}
