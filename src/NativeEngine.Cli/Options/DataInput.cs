using System.CommandLine;
using System.Globalization;
using NativeEngine.Data;

namespace NativeEngine.Cli;

/// <summary>The options that say how a data file is read, the same for every verb that reads one.</summary>
internal sealed class DataInput(BadLinePolicy badLines = BadLinePolicy.Fail)
{
    private readonly Option<string> _prompt = Opt.Text("--prompt-field", "NAME", "The JSON field with the prompt.", "prompt");
    private readonly Option<string> _completion = Opt.Text("--completion-field", "NAME", "The JSON field with the completion.", "completion");
    private readonly Option<string> _text = Opt.Text("--text-field", "NAME", "The JSON field with a plain text.", "text");
    private readonly Option<string> _source = Opt.Text("--source-field", "NAME", "The JSON field with the name of the source.", "source");
    private readonly Option<string> _badLine = Opt.Choice(
        "--on-bad-line", "Whether a bad line is an error or left out and counted.", badLines == BadLinePolicy.Fail ? ["fail", "skip"] : ["skip", "fail"]);

    private readonly Option<int?> _limit = Opt.MaybeNumber<int>("--limit", "N", "Only the first N examples of a data file: to try something out.", min: 1);

    /// <summary>For <see cref="Verb.Add"/>.</summary>
    public Option[] Options => [_prompt, _completion, _text, _source, _badLine, _limit];

    /// <summary>--limit, or null.</summary>
    public int? Limit(VerbContext context) => context.Get(_limit);

    /// <summary>--source-field.</summary>
    public string SourceField(VerbContext context) => context.Need(_source);

    /// <summary>A reader for a path, or for standard input with <c>-</c>. A missing file is an error now.</summary>
    public JsonlReader Open(VerbContext context, string path, bool keepLines = false, string? idField = null, string? choicesField = null, string answerField = "answer", bool whole = false)
    {
        var options = new JsonlOptions
        {
            PromptField = context.Need(_prompt),
            CompletionField = context.Need(_completion),
            TextField = context.Need(_text),
            SourceField = context.Need(_source),
            OnBadLine = context.Need(_badLine) == "skip" ? BadLinePolicy.Skip : BadLinePolicy.Fail,
            KeepLines = keepLines,
            Limit = whole ? null : Limit(context),
            IdField = idField,
            ChoicesField = choicesField,
            AnswerField = answerField,
        };
        return path == "-" ? new JsonlReader("standard input", StandardStreams.Input, options) : new JsonlReader(path, options);
    }

    /// <summary>Reads and tokenises a file, and says on stderr what was left out or cut. <paramref name="whole"/>: --limit does not count.</summary>
    public MixtureDataset Load(VerbContext context, string path, Tokenizer tokenizer, DatasetOptions options, bool whole = false)
    {
        var reader = Open(context, path, whole: whole);
        var data = MixtureDataset.Build(reader.Read(context.Cancellation), tokenizer, options, context.Cancellation);
        WarnOfBadLines(context, reader);
        context.Talk.Info($"{reader.Name}: {data.Report}");
        return data;
    }

    /// <summary>Says on stderr what was left out.</summary>
    public static void WarnOfBadLines(VerbContext context, JsonlReader reader)
    {
        if (reader.BadLineCount == 0)
        {
            return;
        }
        context.Talk.Warn(string.Create(CultureInfo.InvariantCulture, $"{reader.Name}: {reader.BadLineCount} of {reader.LineCount} lines left out"));
        foreach (var bad in reader.BadLines)
        {
            context.Talk.Info(string.Create(CultureInfo.InvariantCulture, $"  line {bad.Line}: {bad.Reason}"));
        }
    }

    /// <summary>The tokenizer of a model folder, or the one of raw bytes for <c>bytes</c>.</summary>
    public static Tokenizer LoadTokenizer(string name) => name == "bytes" ? ByteTokenizer.Create() : TokenizerFile.Load(name);
}
