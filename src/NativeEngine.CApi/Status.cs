namespace NativeEngine.CApi;

/// <summary>What an export returns; the numbers of include/native_engine.h. Those up to 7 are <see cref="ErrorKind"/>.</summary>
internal enum Status
{
    Ok = 0,
    Argument = ErrorKind.Usage,
    Input = ErrorKind.BadInput,
    WillNotFit = ErrorKind.WillNotFit,
    Device = ErrorKind.DeviceUnavailable,
    Numerical = ErrorKind.Numerical,
    Verification = ErrorKind.VerificationFailed,
    Handle = 8,
    Busy = 9,
    Cancelled = 10,
    Abi = 11,
    Buffer = 12,
    State = 13,
    Internal = 14,
}

/// <summary>A failure of the interface itself, which the library below knows nothing of.</summary>
internal sealed class CallException(Status status, string message, string hint = "") : Exception(message)
{
    public Status Status { get; } = status;

    public string Hint { get; } = hint;
}
