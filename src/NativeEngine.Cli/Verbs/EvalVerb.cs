using System.CommandLine;
using NativeEngine.Data;
using NativeEngine.Evaluation;
using NativeEngine.Formats;
using NativeEngine.Model;
using NativeEngine.Reporting;

namespace NativeEngine.Cli.Verbs;

/// <summary>Perplexity per source, or the accuracy of multiple choice.</summary>
internal sealed class EvalVerb : Verb
{
    private readonly Option<string> _model = Opt.RequiredText("--model", "DIR|M.onnx", "The model folder, or an ONNX file.");
    private readonly Option<string> _data = Opt.RequiredText("--data", "E.jsonl", "The examples; - is stdin.");
    private readonly Option<string?> _adapter = Opt.MaybeText("--adapter", "DIR", "A LoRA adapter to put on the model.");
    private readonly Option<string> _engine = Opt.Choice("--engine", "What computes the losses.", "native", "onnx");
    private readonly ReportOutput _report = new();
    private readonly Option<string> _task = Opt.Choice("--task", "Losses of texts, or accuracy of multiple choice; auto looks at the first line.", "auto", "loss", "choice");
    private readonly Option<string> _choices = Opt.Text("--choices-field", "NAME", "The JSON field with the choices.", "choices");
    private readonly Option<string> _answer = Opt.Text("--answer-field", "NAME", "The JSON field with the right choice: number from 0, text or letter.", "answer");
    private readonly DataInput _fields = new();
    private readonly OnnxOptions _onnx = new();

    public EvalVerb()
        : base("eval", "Measures perplexity per source, or the accuracy of multiple choice.", "nengine eval --model runs/first --data valid.jsonl --json")
    {
        Add("options", _model, _data, _adapter, _engine, _task, _report.Option);
        Add("data", [.. _fields.Options, _choices, _answer]);
        Add("ONNX Runtime", _onnx.Options);
    }

    public override bool OutputIsResult => true;

    public override string? Table => "sources";

    public override int Run(VerbContext context)
    {
        string? report = _report.Check(context);
        bool native = context.Need(_engine) == "native";
        string model = context.Need(_model);
        if (native)
        {
            _onnx.RequireUnused(context);
            if (model.EndsWith(".onnx", StringComparison.OrdinalIgnoreCase))
            {
                throw new EngineException(ErrorKind.Usage, $"{model} is an ONNX file, which the native engine does not run", "add --engine onnx");
            }
        }
        using var device = context.OpenDevice();
        if (native)
        {
            using var open = new OpenModel(model, context.Get(_adapter), device, context.Cancellation);
            using var losses = new NativeLosses(open.Model);
            return Evaluate(context, losses, open.Tokenizer, null, report, device.Description);
        }
        using var onnx = _onnx.Open(context, model, context.Get(_adapter), device);
        return Evaluate(context, onnx.Session, onnx.Tokenizer, onnx, report, "ONNX Runtime");
    }

    private int Evaluate(VerbContext context, ITokenLosses engine, Tokenizer tokenizer, OnnxEngine? onnx, string? report, string engineName)
    {
        string path = context.Need(_data), field = context.Need(_choices);
        bool choice = context.Need(_task) switch
        {
            "choice" => true,
            "loss" => false,
            // Standard input cannot be looked at twice.
            _ => path != "-" && !InputFile.IsPipe(path) && _fields.Open(context, path).FirstLineHasArray(field),
        };
        return choice ? Choices(context, engine, tokenizer, onnx, path, field, report, engineName) : Losses(context, engine, tokenizer, onnx, path, report, engineName);
    }

    private int Losses(VerbContext context, ITokenLosses engine, Tokenizer tokenizer, OnnxEngine? onnx, string path, string? report, string engineName)
    {
        var data = _fields.Load(context, path, tokenizer, DatasetOptions.Evaluation(engine.ContextLength));
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
            result = new PerplexityEvaluator(engine).Evaluate(data, (done, _) => progress.Report(done), context.Cancellation);
        }
        if (report is not null)
        {
            ReportOutput.Write(context, EvaluationPage.Of(result, context.Need(_model), context.Need(_data), ReportOutput.Origin(context, engineName)), report);
        }
        context.Result.Write(
            text =>
            {
                EvaluationReport.WriteText(text, result);
                onnx?.WriteText(text);
            },
            json =>
            {
                EvaluationReport.WriteJson(json, result, onnx is null ? "native" : "onnx");
                onnx?.WriteJson(json);
            });
        return 0;
    }

    private int Choices(VerbContext context, ITokenLosses engine, Tokenizer tokenizer, OnnxEngine? onnx, string path, string field, string? report, string engineName)
    {
        var reader = _fields.Open(context, path, choicesField: field, answerField: context.Need(_answer));
        var questions = reader.Read(context.Cancellation).ToList();
        DataInput.WarnOfBadLines(context, reader);
        int choices = questions.Sum(q => q.Choices.Count);
        context.Talk.Info($"{reader.Name}: {questions.Count} questions, {choices} choices");
        if (context.DryRun)
        {
            context.Result.Write(
                text => text.WriteLine($"would score {choices} choices of {questions.Count} questions"),
                json =>
                {
                    json.WriteNumber("schema", 1);
                    json.WriteBoolean("dry_run", true);
                    json.WriteNumber("questions", questions.Count);
                    json.WriteNumber("choices", choices);
                });
            return 0;
        }
        ChoiceResult result;
        using (var progress = context.Progress("scoring", choices, "choices"))
        {
            result = new MultipleChoice(engine, tokenizer).Evaluate(questions, (done, _) => progress.Report(done), context.Cancellation);
        }
        if (result.TooLong + result.NoToken > 0)
        {
            context.Talk.Warn($"{result.TooLong + result.NoToken} of {questions.Count} questions left out: {result.TooLong} longer than the context, {result.NoToken} with a choice that has no token of its own");
        }
        if (report is not null)
        {
            ReportOutput.Write(context, EvaluationPage.Of(result, context.Need(_model), path, ReportOutput.Origin(context, engineName)), report);
        }
        context.Result.Write(
            text =>
            {
                ChoiceReport.WriteText(text, result);
                onnx?.WriteText(text);
            },
            json =>
            {
                ChoiceReport.WriteJson(json, result, onnx is null ? "native" : "onnx");
                onnx?.WriteJson(json);
            });
        return 0;
    }
}
