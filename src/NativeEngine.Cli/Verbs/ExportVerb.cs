using System.CommandLine;
using NativeEngine.Data;
using NativeEngine.Evaluation;
using NativeEngine.Formats;
using NativeEngine.Model;

namespace NativeEngine.Cli.Verbs;

/// <summary>A model as ONNX.</summary>
internal sealed class ExportVerb : Verb
{
    private readonly Option<string> _model = Opt.RequiredText("--model", "DIR", "The model folder.");
    private readonly Option<string?> _adapter = Opt.MaybeText("--adapter", "DIR", "A LoRA adapter to merge into the weights.");
    private readonly Option<bool> _cache = Opt.Flag("--kv-cache", "Also take and give the keys and values of earlier tokens, to generate with.");
    private readonly Option<bool> _external = Opt.Flag("--external-data", "Put the weights into a file of their own beside M.onnx.");
    private readonly Option<bool> _weightsOnly = Opt.Flag("--weights-only", "Replace only the file of weights of an M.onnx that is there.");
    private readonly Option<long?> _limit = Opt.MaybeSize("--inline-limit", "Weights above this go into a file of their own; 2GB unless given.");

    public ExportVerb()
        : base("export", "Writes a model as ONNX.", "nengine export --model runs/first --output runs/first.onnx")
    {
        Add("options", _model, _adapter, _cache, _external, _weightsOnly, _limit);
    }

    public override int Run(VerbContext context)
    {
        string output = OutputFile.Check(context.NeedOutput());
        bool weightsOnly = context.Get(_weightsOnly);
        if (weightsOnly && (context.Get(_cache) || context.IsGiven(_limit)))
        {
            throw new EngineException(ErrorKind.Usage, "--weights-only leaves M.onnx as it is, so --kv-cache and --inline-limit do nothing", "leave them out");
        }
        OutputFile.RequireEnding(context.NeedOutput(), ".onnx");
        string folder = context.Need(_model);
        if (File.Exists(Path.Combine(folder, "adapter_config.json")) && !File.Exists(Path.Combine(folder, ConfigJson.FileName)))
        {
            throw new EngineException(ErrorKind.BadInput, $"{folder} is a LoRA adapter without its model", $"nengine export --model BASE --adapter {folder} --output {context.Output}");
        }
        using var device = context.OpenDevice();
        using var model = new OpenModel(folder, context.Get(_adapter), device, context.Cancellation);
        string tokenizer = Path.Combine(folder, TokenizerFile.FileName);
        var options = new OnnxExportOptions
        {
            KeyValueCache = context.Get(_cache),
            ExternalData = context.Get(_external),
            Metadata = new Dictionary<string, string> { [TokenizerHash.Key] = TokenizerHash.Of(tokenizer) },
        };
        options = context.Get(_limit) is { } limit ? options with { InlineLimit = limit } : options;
        if (context.DryRun)
        {
            long bytes = model.Config.ParameterCount * sizeof(float);
            context.Result.Write(
                text => text.WriteLine($"would write {model.Config.ParameterCount:N0} parameters, {ByteSize.Format(bytes)}, to {output}"),
                json =>
                {
                    json.WriteNumber("schema", 1);
                    json.WriteBoolean("dry_run", true);
                    json.WriteNumber("parameters", model.Config.ParameterCount);
                    json.WriteNumber("bytes", bytes);
                });
            return 0;
        }
        model.Model.Adapter?.MergeInto(model.Model.Parameters);
        var report = weightsOnly
            ? OnnxExporter.ExportWeights(output, model.Config, model.Model.Parameters, context.Cancellation)
            : OnnxExporter.Export(output, model.Config, model.Model.Parameters, options, context.Cancellation);
        if (!weightsOnly)
        {
            CopyTokenizer(context, folder, Path.GetDirectoryName(output)!);
        }
        Write(context, report, weightsOnly, options.KeyValueCache);
        return 0;
    }

    // What is needed to use the file; another model's tokenizer is never replaced.
    private static void CopyTokenizer(VerbContext context, string from, string to)
    {
        foreach (string name in new[] { TokenizerFile.FileName, TokenizerFile.ConfigFileName })
        {
            string source = Path.Combine(from, name), target = Path.Combine(to, name);
            if (!File.Exists(source) || Path.GetFullPath(source) == Path.GetFullPath(target))
            {
                continue;
            }
            byte[] bytes = File.ReadAllBytes(source);
            if (!File.Exists(target))
            {
                AtomicFile.WriteAllBytes(target, bytes);
            }
            else if (!File.ReadAllBytes(target).AsSpan().SequenceEqual(bytes))
            {
                context.Talk.Warn($"{target} is another one and stays; use --tokenizer {from} to evaluate this model");
            }
        }
    }

    private static void Write(VerbContext context, OnnxExportReport report, bool weightsOnly, bool cache) => context.Result.Write(
        text =>
        {
            text.WriteLine($"{report.Parameters:N0} parameters, {ByteSize.Format(report.Bytes)}, operator set {OnnxExporter.Opset}{(cache ? ", with key-value cache" : "")}");
            text.WriteLine(weightsOnly ? $"weights replaced: {report.WeightsPath}" : $"wrote {report.Path}{(report.WeightsPath is { } weights ? $" and {weights}" : "")}");
            text.WriteLine($"sha256 of the weights {report.WeightsHash}");
        },
        json =>
        {
            json.WriteNumber("schema", 1);
            json.WriteNumber("parameters", report.Parameters);
            json.WriteNumber("bytes", report.Bytes);
            json.WriteNumber("opset", OnnxExporter.Opset);
            json.WriteString("weights_sha256", report.WeightsHash);
            json.WriteString("weights", report.WeightsPath);
            json.WriteString("output", report.Path);
        });
}
