using System.CommandLine;
using NativeEngine.Data;
using NativeEngine.Evaluation;
using NativeEngine.Model;

namespace NativeEngine.Cli.Verbs;

/// <summary>Perplexity per source.</summary>
internal sealed class EvalVerb : Verb
{
    private readonly Option<string> _model = Opt.RequiredText("--model", "DIR", "The model folder.");
    private readonly Option<string> _data = Opt.RequiredText("--data", "E.jsonl", "The examples; - is stdin.");
    private readonly Option<string?> _adapter = Opt.MaybeText("--adapter", "DIR", "A LoRA adapter to put on the model.");
    private readonly Option<string> _engine = Opt.Choice("--engine", "What computes the losses.", "native");
    private readonly DataInput _fields = new();

    public EvalVerb()
        : base("eval", "Measures perplexity per source.", "nengine eval --model runs/first --data valid.jsonl --json")
    {
        Add("options", _model, _data, _adapter, _engine);
        Add("data", _fields.Options);
    }

    public override int Run(VerbContext context)
    {
        using var device = context.OpenDevice();
        using var model = new OpenModel(context.Need(_model), context.Get(_adapter), device, context.Cancellation);
        var data = _fields.Load(context, context.Need(_data), model.Tokenizer, DatasetOptions.Evaluation(model.Config.ContextLength));
        if (context.DryRun)
        {
            context.Result.Write(
                text => text.WriteLine($"would score {data.Count} examples, {data.Report.LabelTokens} tokens"),
                json =>
                {
                    json.WriteNumber("schema", 1);
                    json.WriteBoolean("dry_run", true);
                    json.WriteNumber("examples", data.Count);
                    json.WriteNumber("tokens", data.Report.LabelTokens);
                });
            return 0;
        }
        EvaluationResult result;
        using (var progress = context.Progress("scoring", data.Count, "examples"))
        {
            result = new PerplexityEvaluator(model.Model).Evaluate(data, (done, _) => progress.Report(done), context.Cancellation);
        }
        context.Result.Write(text => EvaluationReport.WriteText(text, result), json => EvaluationReport.WriteJson(json, result));
        return 0;
    }
}
