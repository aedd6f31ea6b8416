using System.Runtime.InteropServices;

namespace NativeEngine.CApi;

/// <summary>The wall between C and the library: runs the body of an export and turns whatever it throws into a status and a text.</summary>
internal static partial class Guard
{
    private static readonly int _process = ProcessId();

    // What is an option for the program is a member of ne_data_options here.
    private static readonly (string Option, string Member)[] _members =
    [
        ("--text-field", "text_field"), ("--prompt-field", "prompt_field"), ("--completion-field", "completion_field"), ("--source-field", "source_field"), ("--id-field", "id_field"),
        ("--on-bad-line skip", "skip_bad_lines = 1"), ("--loss-on all", "loss_on_all = 1"), ("--seq-len", "max_length"),
    ];

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
            EngineException x => ((Status)x.Kind, InMembers(x.Message), InMembers(x.Hint ?? "")),
            OperationCanceledException => (Status.Cancelled, "the call was cancelled", ""),
            OutOfMemoryException => (Status.WillNotFit, "the system has no memory left for this call", "make the work smaller"),
            IOException or UnauthorizedAccessException => (Status.Input, e.Message, ""),
            ArgumentException => (Status.Argument, e.Message, ""),
            _ => (Status.Internal, $"{e.GetType().Name}: {e.Message}", "this is a defect of the library"),
        };
        ErrorText.Set(message, hint);
        return status;
    }

    // A command of the program stays as it is.
    private static string InMembers(string text) =>
        text.Contains("nengine ", StringComparison.Ordinal) ? text
            : _members.Aggregate(text, (all, m) => all.Replace(m.Option, m.Member, StringComparison.Ordinal));

    [LibraryImport("libc", EntryPoint = "getpid")]
    [SuppressGCTransition]
    private static partial int ProcessId();
}
