using System.CommandLine;
using NativeEngine.Data;

namespace NativeEngine.Cli.Verbs;

/// <summary>Splits a data file into a training and a held-out file.</summary>
internal sealed class DataSplitVerb : Verb
{
    private readonly Argument<string> _file = new("FILE") { Description = "The JSONL file, .gz too; - is standard input." };
    private readonly Option<string> _valid = Opt.RequiredText("--valid", "V.jsonl", "The held-out file.");
    private readonly Option<double> _fraction = Opt.Number("--fraction", "F", "The held-out share of the prompts.", 0.1, min: 0.0, max: 1.0);
    private readonly DataInput _input = new();

    public DataSplitVerb()
        : base("split", "Splits a data file by a hash of the prompt, so that no prompt is on both sides.",
            "nengine data split mix.jsonl --output train.jsonl --valid valid.jsonl --fraction 0.1")
    {
        Add(_file);
        Add("options", [_valid, _fraction, .. _input.Options]);
    }

    public override int Run(VerbContext context)
    {
        string train = OutputFile.Check(context.NeedOutput(), context.Need(_file));
        string valid = OutputFile.Check(context.Need(_valid), context.Need(_file));
        OutputFile.RequireApart("--output", train, "--valid", valid);
        var reader = _input.Open(context, context.Need(_file), keepLines: true);
        var report = context.DryRun
            ? DataSplit.Count(reader, context.Need(_fraction), context.Seed, context.Cancellation)
            : DataSplit.Write(reader, train, valid, context.Need(_fraction), context.Seed, context.Cancellation);
        DataInput.WarnOfBadLines(context, reader);
        context.Result.Write(
            text => text.WriteLine(FormattableString.Invariant($"train {report.Train}  {train}\nvalid {report.Valid}  {valid}")),
            json =>
            {
                json.WriteNumber("schema", 1);
                json.WriteNumber("train", report.Train);
                json.WriteNumber("valid", report.Valid);
                json.WriteNumber("bad_lines", reader.BadLineCount);
                json.WriteString("output", train);
                json.WriteString("valid_output", valid);
            });
        return 0;
    }
}
