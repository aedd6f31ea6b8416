using System.CommandLine;
using NativeEngine.Cli.Manual;
using NativeEngine.Cli.Verbs;

namespace NativeEngine.Cli;

/// <summary>One run of the program: parse, set up the streams and signals, call the verb, turn every outcome into an exit code.</summary>
internal static class Application
{
    public static int Run(string[] args)
    {
        var common = new CommonOptions();
        // "nengine help train" is "nengine train --help".
        args = args is ["help", .. var rest] ? [.. rest, "--help"] : args;
        var reader = new CommandLineReader(VerbList.Create(common, args), common, static () => VerbList.Create(new CommonOptions()));
        // Until the line is understood these are guesses good enough to report that it is not.
        var line = args.TakeWhile(arg => arg != "--").ToArray();
        var talk = OpenTalk(line.Contains("--no-color"), quiet: false, verbose: line.Contains("--verbose"));
        var result = new ResultWriter(StandardStreams.Output(), IsJson(line) ? ResultForm.Json : ResultForm.Text);
        using var interrupts = new Interrupts(signal => talk.Line(
            signal == "Ctrl-C" ? "stopping (Ctrl-C again to stop at once)" : signal[0] == '-' ? $"stopping: {signal} is over" : $"stopping: {signal} received"));
        VerbContext? context = null;
        try
        {
            if (Information(reader.Parse(args), common, line, result))
            {
                result.Complete();
                return 0;
            }
            var parse = reader.Read(args);
            talk = OpenTalk(parse.GetValue(common.NoColor), parse.GetValue(common.Quiet), parse.GetValue(common.Verbose), parse.GetValue(common.Progress));
            var form = Form(parse, common);
            result = new ResultWriter(StandardStreams.Output(), form, (parse.CommandResult.Command as Verb)?.Table);
            int code = 0;
            if (parse.GetValue(common.PrintConfig))
            {
                result.Write(text => ResolvedConfiguration.WriteYaml(text, parse, common), json => ResolvedConfiguration.WriteJson(json, parse, common));
            }
            else
            {
                if (parse.GetValue(common.MaxSeconds) is { } seconds)
                {
                    interrupts.StopAfter(seconds);
                }
                var verb = (Verb)parse.CommandResult.Command;
                ResultTable.Require(form, verb);
                using var file = verb.OutputIsResult && !parse.GetValue(common.DryRun) && parse.GetValue(common.Output) is { } path ? new ResultFile(path, result, verb) : null;
                context = new VerbContext(parse, common, result, talk, interrupts);
                code = verb.Run(context);
                file?.Write(talk);
            }
            result.Complete();
            return code;
        }
        catch (Exception error)
        {
            var failure = Failure.Of(error, interrupts, context?.ResumeHint).Advised(reader.Parse(args).CommandResult.Command);
            talk.Error(failure.Message, failure.Hint);
            talk.Detail(error.ToString());
            int failed = Report(result, failure);
            context?.OnFailure?.Invoke(failed);
            return failed;
        }
    }

    private static int Report(ResultWriter result, Failure failure)
    {
        try
        {
            result.Fail(failure);
        }
        catch (EngineException)
        {
            // stdout takes nothing more; the exit code and stderr have said it.
        }
        return failure.Code;
    }

    private static bool Information(ParseResult parse, CommonOptions common, string[] line, ResultWriter result)
    {
        var command = parse.CommandResult.Command;
        if (line.Contains("--version") && command.Parents.FirstOrDefault() is null)
        {
            result.Write(
                text => text.WriteLine($"nengine {BuildFacts.Version}, SIMD {BuildFacts.Simd}, {BuildFacts.Runtime}, {BuildFacts.System}"),
                json =>
                {
                    json.WriteString("version", BuildFacts.Version);
                    json.WriteString("simd", BuildFacts.Simd);
                    json.WriteString("runtime", BuildFacts.Runtime);
                    json.WriteString("system", BuildFacts.System);
                });
            return true;
        }
        if (line.Contains("--help") || line.Contains("-h"))
        {
            CommandLineReader.RequireVerb(parse, line);
            result.Write(
                text => HelpText.Write(text, command, common),
                json =>
                {
                    using var text = new StringWriter { NewLine = "\n" };
                    HelpText.Write(text, command, common);
                    json.WriteString("help", text.ToString());
                });
            return true;
        }
        return false;
    }

    // Before the line is understood: what a failure to understand it is told as.
    private static bool IsJson(string[] line) => line.Contains("--json") || line.Contains("--format=json") || line.Zip(line.Skip(1)).Contains(("--format", "json"));

    private static ResultForm Form(ParseResult parse, CommonOptions common)
    {
        var form = parse.GetValue(common.Format) switch { "json" => ResultForm.Json, "csv" => ResultForm.Csv, "md" => ResultForm.Markdown, _ => ResultForm.Text };
        return !parse.GetValue(common.Json) ? form : form is ResultForm.Json or ResultForm.Text ? ResultForm.Json
            : throw new EngineException(ErrorKind.Usage, "--json and --format exclude each other", "--json is --format json: leave one out");
    }

    private static int Columns()
    {
        try
        {
            return Console.WindowWidth is > 0 and var columns ? columns : 80;
        }
        catch (IOException)
        {
            return 80;
        }
    }

    private static TalkWriter OpenTalk(bool noColor, bool quiet, bool verbose, string? progress = null)
    {
        bool terminal = !Console.IsErrorRedirected && Environment.GetEnvironmentVariable("TERM") != "dumb";
        ProgressForm? form = progress switch { "none" => ProgressForm.None, "line" => ProgressForm.Lines, "jsonl" => ProgressForm.Jsonl, _ => null };
        return new TalkWriter(StandardStreams.Error(), terminal, TalkWriter.WantsColor(terminal, noColor), quiet, verbose, form, Columns);
    }
}
