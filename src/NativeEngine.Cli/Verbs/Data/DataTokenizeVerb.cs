using System.CommandLine;
using NativeEngine.Data;

namespace NativeEngine.Cli.Verbs;

/// <summary>Turns a data file into token ids, with a tokenizer that is there or one trained on the file.</summary>
internal sealed class DataTokenizeVerb : Verb
{
    private readonly Argument<string> _file = new("FILE") { Description = "The JSONL file, .gz too; - is standard input." };
    private readonly Option<string> _tokenizer = Opt.Text("--tokenizer", "DIR|bytes", "The tokenizer of a model folder, or raw bytes.", "bytes");
    private readonly Option<int?> _train = Opt.MaybeNumber<int>("--train-bpe", "N", "Train a byte-level BPE of this vocabulary on the file instead.", min: BpeTrainer.MinimumVocabulary);
    private readonly Option<int> _minFrequency = Opt.Number("--min-frequency", "N", "With --train-bpe: the fewest occurrences of a merged pair.", 2, min: 1);
    private readonly Option<string?> _save = Opt.MaybeText("--save-tokenizer", "DIR", "Write tokenizer.json and tokenizer_config.json into this folder.");
    private readonly Option<int> _length = Opt.Number("--seq-len", "N", "The longest sequence in tokens; more is cut off and counted.", 1024, min: 2);
    private readonly Option<string> _lossOn = Opt.Choice("--loss-on", "Which tokens of an example with a prompt are labels.", "completion", "all");
    private readonly DataInput _input = new();

    public DataTokenizeVerb()
        : base("tokenize", "Writes the token ids of a data file as safetensors: tokens, offsets, label_starts, sources.",
            "nengine data tokenize mix.jsonl --train-bpe 1024 --save-tokenizer tok --output mix.safetensors")
    {
        Add(_file);
        Add("options", [_tokenizer, _train, _minFrequency, _save, _length, _lossOn, .. _input.Options]);
    }

    public override int Run(VerbContext context)
    {
        string output = OutputFile.Check(context.NeedOutput(), context.Need(_file));
        OutputFile.RequireEnding(context.NeedOutput(), ".safetensors");
        if (context.Get(_train) is not null && context.IsGiven(_tokenizer))
        {
            throw new EngineException(ErrorKind.Usage, "--tokenizer and --train-bpe exclude each other", "give one of them");
        }
        var reader = _input.Open(context, context.Need(_file));
        var lossOn = context.Need(_lossOn) == "all" ? LossOn.All : LossOn.Completion;
        var examples = reader.Read(context.Cancellation);
        Tokenizer tokenizer;
        if (context.Get(_train) is { } size)
        {
            var kept = examples.ToList();
            tokenizer = BpeTrainer.Train(kept.Select(static e => e.Text), size, context.Need(_minFrequency), context.Cancellation);
            examples = kept;
        }
        else
        {
            tokenizer = DataInput.LoadTokenizer(context.Need(_tokenizer));
        }
        var data = MixtureDataset.Build(examples, tokenizer, DatasetOptions.Training(context.Need(_length), lossOn), context.Cancellation);
        DataInput.WarnOfBadLines(context, reader);
        if (!context.DryRun)
        {
            TokenizedFile.Write(output, data, tokenizer, context.Cancellation);
            if (context.Get(_save) is { } folder)
            {
                Directory.CreateDirectory(folder);
                tokenizer.Save(folder);
            }
        }
        var report = data.Report;
        context.Result.Write(
            text =>
            {
                text.WriteLine(FormattableString.Invariant(
                    $"{report.Kept} of {report.Read} examples, {report.Tokens} tokens ({report.LabelTokens} labels), vocabulary {tokenizer.VocabularySize}"));
                text.WriteLine(FormattableString.Invariant(
                    $"cut off {report.Truncated} ({report.TokensLost} tokens), left out without a label {report.NoLabel}"));
                text.WriteLine(output);
            },
            json =>
            {
                json.WriteNumber("schema", 1);
                json.WriteNumber("read", report.Read);
                json.WriteNumber("examples", report.Kept);
                json.WriteNumber("dropped", report.NoLabel);
                json.WriteNumber("truncated", report.Truncated);
                json.WriteNumber("tokens_lost", report.TokensLost);
                json.WriteNumber("tokens", report.Tokens);
                json.WriteNumber("label_tokens", report.LabelTokens);
                json.WriteNumber("vocabulary", tokenizer.VocabularySize);
                json.WriteNumber("bad_lines", reader.BadLineCount);
                json.WriteString("output", output);
            });
        return 0;
    }
}
