using System.CommandLine;
using NativeEngine.Cli.Manual;
using NativeEngine.Formats;

namespace NativeEngine.Cli.Verbs;

/// <summary>Writes what a shell needs to complete verbs, options and their values.</summary>
internal sealed class CompletionsVerb : Verb
{
    private readonly Argument<string> _shell = new("SHELL") { HelpName = "bash|zsh|fish", Description = "The shell." };

    public CompletionsVerb()
        : base("completions", "Writes completions of verbs, options and their values for a shell.", "nengine completions bash --output nengine.bash") => Add(_shell);

    public override int Run(VerbContext context)
    {
        string shell = context.Need(_shell);
        Action<TextWriter, CommandTable> write = shell switch
        {
            "bash" => BashCompletion.Write,
            "zsh" => ZshCompletion.Write,
            "fish" => FishCompletion.Write,
            _ => throw new EngineException(ErrorKind.Usage, $"completions are made for bash, zsh and fish, not for '{shell}'", "nengine completions bash"),
        };
        GeneratedText.Show(context, text => write(text, VerbList.Table()));
        return 0;
    }
}

/// <summary>Writes the manual page or docs/command-line.md.</summary>
internal sealed class ManVerb : Verb
{
    private readonly Option<string> _format = Opt.Choice("--as", "A manual page, or the same for docs.", "roff", "markdown");

    public ManVerb()
        : base("man", "Writes the manual page of all verbs.", "nengine man --output nengine.1") => Add("options", _format);

    public override int Run(VerbContext context)
    {
        bool roff = context.Need(_format) == "roff";
        GeneratedText.Show(context, text =>
        {
            if (roff)
            {
                ManPage.Write(text, VerbList.Table(), BuildFacts.Version);
            }
            else
            {
                MarkdownPage.Write(text, VerbList.Table());
            }
        });
        return 0;
    }
}

/// <summary>A text that is the whole result: to stdout, into --output, or as the member "text" of --json.</summary>
internal static class GeneratedText
{
    public static void Show(VerbContext context, Action<TextWriter> write)
    {
        using var made = new StringWriter { NewLine = "\n" };
        write(made);
        string text = made.ToString().ReplaceLineEndings("\n");
        if (context.Output is { } path)
        {
            string file = OutputFile.Check(path);
            if (!context.DryRun)
            {
                AtomicFile.WriteAllText(file, text);
            }
        }
        context.Result.Write(
            result => result.Write(context.Output is null ? text : ""),
            json =>
            {
                json.WriteNumber("schema", 1);
                json.WriteString("text", text);
            });
    }
}
