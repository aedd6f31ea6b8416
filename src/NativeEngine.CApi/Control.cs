using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace NativeEngine.CApi;

/// <summary>A request for cancellation.</summary>
internal sealed class CancelResource : Resource
{
    private readonly CancellationTokenSource _source = new();

    public override ResourceKind Kind => ResourceKind.Cancel;

    public CancellationToken Token => _source.Token;

    public void Request() => _source.Cancel();

    protected override void Destroy() => _source.Dispose();
}

/// <summary>The ne_control of one call: where progress goes and what cancels.</summary>
internal sealed unsafe class Control : IDisposable
{
    private readonly CancelResource? _cancel;
    private readonly CancellationTokenSource? _own;
    private readonly ControlStruct _given;

    public Control(ControlStruct* given)
    {
        _given = Arguments.Read(given, "the control");
        _cancel = Handles.Retain<CancelResource>(_given.Cancel);
        if (_given.Progress is not null)
        {
            _own = _cancel is null ? new CancellationTokenSource() : CancellationTokenSource.CreateLinkedTokenSource(_cancel.Token);
        }
        Token = _own?.Token ?? _cancel?.Token ?? CancellationToken.None;
        if (Token.IsCancellationRequested)
        {
            Dispose();
            throw new OperationCanceledException(Token);
        }
    }

    public CancellationToken Token { get; }

    /// <summary>Tells the caller how far a piece of work is; the word is a u8 literal. What the callback answers may cancel.</summary>
    public void Report(ReadOnlySpan<byte> work, long done, long total)
    {
        if (_given.Progress is not null)
        {
            // A literal lies in the library's read-only data and ends with a zero.
            if (_given.Progress((byte*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(work)), done, total, _given.User) != 0)
            {
                _own!.Cancel();
            }
        }
        Token.ThrowIfCancellationRequested();
    }

    public void Dispose()
    {
        _own?.Dispose();
        _cancel?.Release();
    }
}

/// <summary>The caller's log.</summary>
internal static unsafe class Log
{
    private const int WarningLevel = 1, InfoLevel = 2;

    private static readonly Lock _lock = new();
    private static delegate* unmanaged[Cdecl]<int, byte*, void*, void> _callback;
    private static void* _user;
    private static int _level;

    public static void Set(delegate* unmanaged[Cdecl]<int, byte*, void*, void> callback, void* user, int level)
    {
        lock (_lock)
        {
            _callback = callback;
            _user = user;
            _level = level;
        }
    }

    public static void Warning(string message) => Write(WarningLevel, message);

    public static void Info(string message) => Write(InfoLevel, message);

    private static void Write(int level, string message)
    {
        delegate* unmanaged[Cdecl]<int, byte*, void*, void> callback;
        void* user;
        lock (_lock)
        {
            callback = _callback;
            user = _user;
            if (callback is null || level > _level)
            {
                return;
            }
        }
        nint text = Marshal.StringToCoTaskMemUTF8(message);
        try
        {
            callback(level, (byte*)text, user);
        }
        finally
        {
            Marshal.FreeCoTaskMem(text);
        }
    }
}
