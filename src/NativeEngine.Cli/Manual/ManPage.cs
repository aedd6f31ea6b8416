namespace NativeEngine.Cli.Manual;

/// <summary>The command table as a manual page, nengine(1), in the man macros of roff.</summary>
internal static class ManPage
{
    public static void Write(TextWriter writer, CommandTable table, string version)
    {
        writer.WriteLine($".TH NENGINE 1 \"\" \"nengine {version}\" \"User Commands\"");
        writer.WriteLine(".SH NAME");
        writer.WriteLine("nengine \\- " + Text(table.Root.Description.TrimEnd('.')));
        writer.WriteLine(".SH SYNOPSIS");
        writer.WriteLine(".B nengine");
        writer.WriteLine("VERB [options]");
        writer.WriteLine(".SH DESCRIPTION");
        writer.WriteLine("The result goes to standard output, progress and remarks to standard error. What a verb takes is below;");
        writer.WriteLine(".B nengine VERB \\-\\-help");
        writer.WriteLine("shows the same for one of them.");
        writer.WriteLine(".SH OPTIONS OF EVERY VERB");
        Options(writer, table.Common);
        writer.WriteLine(".SH VERBS");
        foreach (var command in table.Root.All.Where(c => c.Example is not null))
        {
            Write(writer, command);
        }
        writer.WriteLine(".SH EXIT STATUS");
        foreach (var (code, meaning) in CommandTable.ExitCodes)
        {
            writer.WriteLine(".TP");
            writer.WriteLine($".B {code}");
            writer.WriteLine(Text(meaning));
        }
        writer.WriteLine(".SH ENVIRONMENT");
        foreach (var (name, meaning) in Variables())
        {
            writer.WriteLine(".TP");
            writer.WriteLine(".B " + Text(name));
            writer.WriteLine(Text(meaning));
        }
    }

    private static void Write(TextWriter writer, CommandEntry command)
    {
        writer.WriteLine($".SS \"{Text(command.Usage)}\"");
        writer.WriteLine(Text(command.Description));
        Options(writer, command.Arguments);
        foreach (var (title, options) in command.Groups)
        {
            writer.WriteLine(".PP");
            writer.WriteLine(".I " + Text(title));
            Options(writer, options);
        }
        writer.WriteLine(".PP");
        writer.WriteLine("Example:");
        writer.WriteLine(".PP");
        writer.WriteLine(".EX");
        writer.WriteLine(Text(command.Example!));
        writer.WriteLine(".EE");
    }

    private static void Options(TextWriter writer, IEnumerable<OptionEntry> options)
    {
        foreach (var option in options)
        {
            string note = option.Required ? " Required." : option.Default is { } text ? $" Default: {text}." : "";
            writer.WriteLine(".TP");
            writer.WriteLine(option.Value.Length == 0 || option.Names is [var only] && only == option.Value
                ? $".B {Text(option.Usage)}" : $".BI \"{Text(string.Join(", ", option.Names))} \" \"{Text(option.Value)}\"");
            writer.WriteLine(Text(option.Description + note));
        }
    }

    private static IEnumerable<(string, string)> Variables() =>
    [
        ("NENGINE_SIMD", "Forces a register width: 512, 256, 128 or scalar."), ("NENGINE_CUDA_LIBRARY, NENGINE_OPENCL_LIBRARY", "The driver library to load."),
        ("NENGINE_ORT_LIB", "The ONNX Runtime library or its folder."), ("NENGINE_MPI_LIB", "The MPI library to load."),
        ("OMP_NUM_THREADS, SLURM_CPUS_PER_TASK", "Threads, unless --threads says otherwise."), ("NO_COLOR", "No colours."),
    ];

    // A line must not begin with a dot or a quote, a minus is not a hyphen, and a quote within quotes is doubled.
    private static string Text(string text)
    {
        string escaped = text.Replace("\\", "\\e", StringComparison.Ordinal).Replace("-", "\\-", StringComparison.Ordinal).Replace("\"", "\\(dq", StringComparison.Ordinal);
        return escaped.StartsWith('.') || escaped.StartsWith('\'') ? "\\&" + escaped : escaped;
    }
}
