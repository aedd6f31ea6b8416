using System.CommandLine;
using System.Text.Json;
using NativeEngine.Data;
using NativeEngine.Formats;

namespace NativeEngine.Cli.Verbs;

/// <summary>Shows what a data file holds.</summary>
internal sealed class DataInspectVerb : Verb
{
    private readonly Argument<string> _file = new("FILE") { Description = "The JSONL file, .gz too; - is standard input." };
    private readonly Option<string?> _tokenizer = Opt.MaybeText("--tokenizer", "DIR|bytes", "Count tokens too, with this model folder's tokenizer.");
    // A look at a file does not end at its first bad line.
    private readonly DataInput _input = new(BadLinePolicy.Skip);

    public DataInspectVerb()
        : base("inspect", "Shows the sources of a data file, their sizes, lengths, duplicates and bad lines.", "nengine data inspect mix.jsonl")
    {
        Add(_file);
        Add("options", [_tokenizer, .. _input.Options]);
    }

    public override bool OutputIsResult => true;

    public override string? Table => "sources";

    public override int Run(VerbContext context)
    {
        var tokenizer = context.Get(_tokenizer) is { } name ? DataInput.LoadTokenizer(name) : null;
        var reader = _input.Open(context, context.Need(_file));
        var found = DataInspection.Run(reader, tokenizer, context.Cancellation);
        DataInput.WarnOfBadLines(context, reader);
        context.Result.Write(text => WriteText(text, found), json => WriteJson(json, found));
        return 0;
    }

    private static void WriteText(TextWriter text, DataInspection found)
    {
        string unit = found.Tokens is null ? "bytes" : "tokens";
        int width = Math.Max(6, found.Sources.Max(static s => s.Name.Length));
        text.WriteLine($"{"source".PadRight(width)}  examples   share       bytes      tokens    dup  median    p90     p99      max  ({unit})");
        foreach (var source in found.Sources)
        {
            Row(source.Name, source.Examples, source.Share, source.Bytes, source.Tokens, source.Duplicates, source.Lengths, source.Small ? "  small" : "");
        }
        Row("all", found.Examples, 1, found.Bytes, found.Tokens, found.Duplicates, found.Lengths, "");

        void Row(string name, int examples, double share, long bytes, long? tokens, int duplicates, LengthQuantiles l, string mark) =>
            text.WriteLine(FormattableString.Invariant(
                $"{name.PadRight(width)}  {examples,8}  {share,6:P1}  {bytes,10}  {(tokens is { } t ? FormattableString.Invariant($"{t}") : "-"),10}  {duplicates,5}  {l.Median,6}  {l.P90,5}  {l.P99,6}  {l.Maximum,7}{mark}"));
    }

    private static void WriteJson(Utf8JsonWriter json, DataInspection found)
    {
        json.WriteNumber("schema", 1);
        json.WriteString("data", found.Name);
        json.WriteNumber("lines", found.Lines);
        json.WriteNumber("examples", found.Examples);
        json.WriteNumber("bytes", found.Bytes);
        WriteTokens(json, found.Tokens);
        json.WriteNumber("duplicates", found.Duplicates);
        WriteLengths(json, found.Lengths);
        json.WriteNumber("bad_lines", found.BadLineCount);
        json.Objects("bad_line_reasons", found.BadLines, bad =>
        {
            json.WriteNumber("line", bad.Line);
            json.WriteString("reason", bad.Reason);
        });
        json.Objects("sources", found.Sources, source =>
        {
            json.WriteString("source", source.Name);
            json.WriteNumber("examples", source.Examples);
            json.WriteNumber("share", source.Share);
            json.WriteNumber("bytes", source.Bytes);
            WriteTokens(json, source.Tokens);
            json.WriteNumber("duplicates", source.Duplicates);
            json.WriteBoolean("small", source.Small);
            WriteLengths(json, source.Lengths);
        });
    }

    private static void WriteTokens(Utf8JsonWriter json, long? tokens)
    {
        if (tokens is { } count)
        {
            json.WriteNumber("tokens", count);
        }
        else
        {
            json.WriteNull("tokens");
        }
    }

    private static void WriteLengths(Utf8JsonWriter json, LengthQuantiles lengths)
    {
        json.WriteStartObject("lengths");
        json.WriteNumber("min", lengths.Minimum);
        json.WriteNumber("median", lengths.Median);
        json.WriteNumber("p90", lengths.P90);
        json.WriteNumber("p99", lengths.P99);
        json.WriteNumber("max", lengths.Maximum);
        json.WriteEndObject();
    }
}
