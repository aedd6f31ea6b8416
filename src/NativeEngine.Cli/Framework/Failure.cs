using System.Text.RegularExpressions;

namespace NativeEngine.Cli;

/// <summary>How a run ended badly: the exit code, a sentence, and what to do.</summary>
internal sealed partial record Failure(int Code, string Message, string? Hint)
{
    /// <summary>A defect of this program: none of the documented codes.</summary>
    public const int Defect = 1;

    /// <summary>The failure that an exception stands for.</summary>
    public static Failure Of(Exception error, Interrupts interrupts, string? resumeHint) => error switch
    {
        OperationCanceledException when interrupts.Received is { } signal => new(
            interrupts.ExitCode(resumeHint is not null),
            resumeHint is null ? $"stopped by {signal}" : $"stopped by {signal}; what was done is saved",
            resumeHint),
        // Another process of the job was, and all stop after the same step.
        OperationCanceledException when resumeHint is not null => new(Interrupts.Resumable, "stopped with the other ranks; what was done is saved", resumeHint),
        AggregateException many when Telling(many) is { } one => Of(one, interrupts, resumeHint),
        EngineException engine => new((int)engine.Kind, engine.Message, engine.Hint),
        OutOfMemoryException => new((int)ErrorKind.WillNotFit, "memory ran out", "give a smaller --batch or --pool, or run with --dry-run to see the need"),
        IOException io when IsDiskFull(io) => new((int)ErrorKind.WillNotFit, Sentence(io), "free some space or choose another --output"),
        FileNotFoundException { FileName: null } when WorkingFolderIsGone() => new((int)ErrorKind.BadInput, "the working folder was deleted, so a relative path leads nowhere", "cd into a folder that is there"),
        FileNotFoundException or DirectoryNotFoundException or PathTooLongException or UnauthorizedAccessException =>
            new((int)ErrorKind.BadInput, Sentence(error), null),
        IOException io => new((int)ErrorKind.BadInput, Sentence(io), null),
        _ => new(Defect, $"this is a defect of nengine: {error.GetType().Name}: {Sentence(error)}",
            "please report it with the output of the same command and --verbose"),
    };

    /// <summary>The same; where the error itself has no advice, with what to type for its kind.</summary>
    public Failure Advised(System.CommandLine.Command command)
    {
        string name = CommandLineReader.Path(command);
        return Hint is not null ? this : this with
        {
            Hint = Code switch
            {
                (int)ErrorKind.BadInput when Place().Match(Message) is { Success: true } at => $"correct line {at.Groups[2].Value} of {at.Groups[1].Value}",
                (int)ErrorKind.BadInput when command is Verb verb => $"for example {verb.Example}",
                (int)ErrorKind.WillNotFit => $"the same command with --dry-run tells what it needs; {name} --help what makes it smaller",
                (int)ErrorKind.DeviceUnavailable => "nengine doctor",
                (int)ErrorKind.Numerical => "look at the model and the data: nengine eval --model DIR --data FILE, nengine data inspect FILE",
                Interrupts.Resumable or Interrupts.Abandoned => "nothing was left to continue from; run the same command again",
                _ => $"{name} --help",
            },
        };
    }

    /// <summary>ENOSPC or EDQUOT, or ERROR_HANDLE_DISK_FULL or ERROR_DISK_FULL on Windows.</summary>
    public static bool IsDiskFull(IOException error)
    {
        int code = error.HResult & 0xFFFF;
        return OperatingSystem.IsWindows() ? code is 39 or 112 : code is 28 or 122;
    }

    [GeneratedRegex(@"^(\S+?):(\d+): ")]
    private static partial Regex Place();

    private static bool WorkingFolderIsGone()
    {
        try
        {
            return Environment.CurrentDirectory.Length == 0;
        }
        catch (IOException)
        {
            return true;
        }
    }

    // Of several workers that failed, the first that did not merely stop because another did.
    private static Exception? Telling(AggregateException many)
    {
        var all = many.Flatten().InnerExceptions;
        return all.FirstOrDefault(error => error is not OperationCanceledException) ?? all.FirstOrDefault();
    }

    private static string Sentence(Exception error) => error.Message.ReplaceLineEndings(" ").Trim();
}
