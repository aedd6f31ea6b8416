using System.CommandLine;
using System.Text.Json;
using NativeEngine.Data;
using NativeEngine.Formats;
using NativeEngine.Model;
using NativeEngine.Training;

namespace NativeEngine.Cli.Verbs;

/// <summary>Per-example gradient features of a model, for select.</summary>
internal sealed class FeaturesVerb : Verb
{
    private readonly Option<string> _model = Opt.RequiredText("--model", "DIR", "The model folder.");
    private readonly Option<string?> _adapter = Opt.MaybeText("--adapter", "DIR", "A LoRA adapter to put on the model.");
    private readonly Option<string> _data = Opt.RequiredText("--data", "D.jsonl", "The examples; - is stdin.");
    private readonly Option<int> _seqLen = Opt.Number("--seq-len", "N", "Longest example in tokens; 0 is the model's context.", 0, min: 0);
    private readonly Option<string> _lossOn = Opt.Choice("--loss-on", "Which tokens have a loss.", "completion", "all");
    private readonly DataInput _fields = new();

    private readonly Option<string> _kind = Opt.Choice("--kind", "Exact gradient of the last block's value projection, its zeroth-order estimate, or the last hidden state.", "grad", "zo", "hidden");
    private readonly Option<int> _directions = Opt.Number("--directions", "M", "Random directions of zo.", 1, min: 1);
    private readonly Option<float> _radius = Opt.Number("--radius", "EPS", "Finite-difference radius of zo.", 1e-3f, min: 1e-8f);
    private readonly Option<string?> _sources = Opt.MaybeText("--sources-output", "S.txt", "Also write the source of every row, for select --sources.");
    private readonly Option<string?> _index = Opt.MaybeText("--index-output", "I.npy", "Also write which example of the data each row is, from 0.");

    public FeaturesVerb()
        : base("features", "Writes per-example gradient features of a model.",
            "nengine features --model runs/first --data train.jsonl --kind grad --output f.npy --sources-output s.txt")
    {
        Add("model and data", [_model, _adapter, _data, _seqLen, _lossOn, .. _fields.Options]);
        Add("features", _kind, _directions, _radius, _sources, _index);
    }

    public override int Run(VerbContext context)
    {
        string output = OutputFile.Check(context.NeedOutput(), context.Need(_data));
        OutputFile.RequireEnding(context.NeedOutput(), ".npy");
        string? sources = context.Get(_sources) is { } s ? OutputFile.Check(s) : null, index = context.Get(_index) is { } i ? OutputFile.Check(i) : null;
        string[] outputs = [.. new[] { output, sources, index }.OfType<string>()];
        if (outputs.Distinct(StringComparer.Ordinal).Count() < outputs.Length)
        {
            throw new EngineException(ErrorKind.Usage, "two outputs have the same name", "name a file of its own for each");
        }
        using var device = context.OpenDevice();
        using var model = new OpenModel(context.Need(_model), context.Get(_adapter), device, context.Cancellation);
        int length = context.Need(_seqLen) is > 0 and int asked ? asked : model.Config.ContextLength;
        if (length > model.Config.ContextLength)
        {
            throw new EngineException(ErrorKind.Usage, $"--seq-len is {length}, the model's context is {model.Config.ContextLength} tokens", $"give --seq-len {model.Config.ContextLength} or less");
        }
        var data = _fields.Load(
            context, context.Need(_data), model.Tokenizer, DatasetOptions.Training(length, context.Need(_lossOn) == "all" ? LossOn.All : LossOn.Completion));
        if (sources is not null && data.Sources.FirstOrDefault(name => name.Length == 0 || name != name.Trim() || name.AsSpan().ContainsAny('\n', '\r')) is { } odd)
        {
            throw new EngineException(ErrorKind.BadInput,
                $"the source name {JsonEncodedText.Encode(odd)} does not fit a line of {sources}", "rename that source, or leave --sources-output out");
        }
        var options = new FeatureOptions(
            FeatureWords.Kind(context.Need(_kind)), context.Need(_directions), context.Need(_radius), context.Seed);
        using var export = new FeatureExport(model.Model, data, options);
        long need = device.Memory.LiveBytes + export.PeakBytes();
        if (need > context.MaxMemory)
        {
            throw new EngineException(ErrorKind.WillNotFit,
                $"these features need {ByteSize.Format(need)} and may use {ByteSize.Format(context.MaxMemory)}", "raise --max-memory, or shorten the examples (--seq-len)");
        }
        if (!context.DryRun)
        {
            using var progress = context.Progress("features", data.Count, "examples");
            export.Write(output, done => progress.Report(done), context.Cancellation);
            WriteRows(data, sources, index);
        }
        context.Result.Write(
            text => text.WriteLine(FormattableString.Invariant(
                $"{(context.DryRun ? "would write " : "")}{data.Count} rows of {export.Dimension} numbers, {export.FileBytes} bytes, to {output}; {data.Report.NoLabel} of {data.Report.Read} examples left out")),
            json =>
            {
                json.WriteNumber("schema", 1);
                if (context.DryRun)
                {
                    json.WriteBoolean("dry_run", true);
                }
                json.WriteString("kind", context.Need(_kind));
                json.WriteNumber("read", data.Report.Read);
                json.WriteNumber("n", data.Count);
                json.WriteNumber("left_out", data.Report.NoLabel);
                json.WriteNumber("dim", export.Dimension);
                json.WriteNumber("bytes", export.FileBytes);
                json.WriteNumber("peak_bytes", context.DryRun ? need : device.Memory.PeakBytes);
                json.WriteString("device", device.Name);
                json.WriteString("output", output);
            });
        return 0;
    }

    private static void WriteRows(MixtureDataset data, string? sources, string? index)
    {
        if (sources is not null)
        {
            AtomicFile.WriteAllText(sources, string.Concat(Enumerable.Range(0, data.Count).Select(i => data.Sources[data.SourceOf(i)] + "\n")));
        }
        if (index is not null)
        {
            NpyWriter.WriteInt64(index, [data.Count], Enumerable.Range(0, data.Count).Select(i => (long)data.InputIndex(i)).ToArray());
        }
    }
}
