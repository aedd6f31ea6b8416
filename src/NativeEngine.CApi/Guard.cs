using System.Runtime.InteropServices;

namespace NativeEngine.CApi;

/// <summary>The wall between C and the library: runs the body of an export and turns whatever it throws into a status and a text.</summary>
internal static partial class Guard
{
    private static readonly int _process = ProcessId();

    /// <summary>Runs a body; nothing leaves it but a status.</summary>
    public static int Call(Action body)
    {
        try
        {
            if (ProcessId() != _process)
            {
                // Only the forking thread lives on in a child: no kernel thread, no garbage collector.
                throw new CallException(
                    Status.State, "this process was forked from the one that loaded the library, whose threads did not come along", "start processes by exec or spawn and load the library there");
            }
            body();
            return (int)Status.Ok;
        }
        catch (Exception e)
        {
            return (int)Fail(e);
        }
    }

    private static Status Fail(Exception e)
    {
        // A kernel's failure comes wrapped by the thread team.
        while (e is AggregateException { InnerException: { } inner })
        {
            e = inner;
        }
        var (status, message, hint) = e switch
        {
            CallException c => (c.Status, c.Message, c.Hint),
            EngineException x => ((Status)x.Kind, x.Message, x.Hint ?? ""),
            OperationCanceledException => (Status.Cancelled, "the call was cancelled", ""),
            OutOfMemoryException => (Status.WillNotFit, "the system has no memory left for this call", "make the work smaller"),
            IOException or UnauthorizedAccessException => (Status.Input, e.Message, ""),
            ArgumentException => (Status.Argument, e.Message, ""),
            _ => (Status.Internal, $"{e.GetType().Name}: {e.Message}", "this is a defect of the library"),
        };
        ErrorText.Set(message, hint);
        return status;
    }

    [LibraryImport("libc", EntryPoint = "getpid")]
    [SuppressGCTransition]
    private static partial int ProcessId();
}
