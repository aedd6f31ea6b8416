using System.CommandLine;
using System.Text.Json;
using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Evaluation;
using NativeEngine.Formats;
using NativeEngine.Model;
using NativeEngine.Native;

namespace NativeEngine.Cli;

/// <summary>The options that say how an ONNX model is run.</summary>
internal sealed class OnnxOptions
{
    private readonly Option<string?> _library =
        Opt.MaybeText("--ort-lib", "PATH", $"The ONNX Runtime library or its folder; else {OnnxRuntimeLibrary.Variable}, else where doctor says it was looked for.");
    private readonly Option<string> _provider = Opt.Choice("--provider", "What ONNX Runtime computes with; never replaced by another.", "cpu", "cuda");
    private readonly Option<string?> _tokenizer = Opt.MaybeText("--tokenizer", "DIR", "The folder of the tokenizer, where it is not beside the .onnx file.");
    private readonly Option<int?> _context = Opt.MaybeNumber<int>("--context", "N", "Longest sequence in tokens, where the .onnx file does not say.", min: 2);

    /// <summary>For <see cref="Verb.Add"/>.</summary>
    public Option[] Options => [_library, _provider, _tokenizer, _context];

    /// <summary>Options that only mean something with an ONNX engine.</summary>
    public void RequireUnused(VerbContext context)
    {
        if (Options.FirstOrDefault(context.IsGiven) is { } option)
        {
            throw new EngineException(ErrorKind.Usage, $"{option.Name} is for ONNX Runtime", "add --engine onnx");
        }
    }

    /// <summary>Opens an .onnx file, the model.onnx of a folder, or a model folder, which is exported in memory.</summary>
    public OnnxEngine Open(VerbContext context, string path, string? adapter, Device device)
    {
        var library = OnnxRuntimeLibrary.Find(context.Get(_library));
        bool isFile = !Directory.Exists(path);
        string file = isFile ? path : Path.Combine(path, "model.onnx");
        bool exported = isFile || File.Exists(file);
        string folder = context.Get(_tokenizer) ?? (isFile ? Path.GetDirectoryName(Path.GetFullPath(path))! : path);
        if (exported && adapter is not null)
        {
            throw new EngineException(ErrorKind.Usage, $"--adapter cannot be put on {file}, whose weights are fixed", "export the model with --adapter, or evaluate the model folder");
        }
        var limits = new OnnxLimits { MaxTensorBytes = context.MaxMemory };
        OnnxModelFile model;
        Tokenizer tokenizer;
        if (exported)
        {
            model = OnnxModelFile.Open(file, limits);
            tokenizer = Tokenizer(folder, file);
        }
        else
        {
            using var source = new OpenModel(path, adapter, device, context.Cancellation);
            source.Model.Adapter?.MergeInto(source.Model.Parameters);
            tokenizer = context.Get(_tokenizer) is null ? source.Tokenizer : TokenizerFile.Load(folder);
            context.Talk.Detail($"{path}: exported to ONNX in memory");
            model = OnnxModelFile.Parse(path, OnnxExporter.ToBytes(source.Config, source.Model.Parameters, cancellation: context.Cancellation), limits);
        }
        try
        {
            OnnxExporter.VerifyWeights(model, context.Cancellation);
            WarnOfOtherTokenizer(context, model, folder);
            RequireMemory(context, model);
            var provider = context.Need(_provider) == "cuda" ? OnnxProvider.Cuda : OnnxProvider.Cpu;
            var session = new OnnxSession(model, library, device, context.Threads.Count, provider, context.Get(_context));
            context.Talk.Detail($"ONNX Runtime {library.Version} from {library.Path}");
            return new OnnxEngine(model, session, tokenizer, library);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    private static Tokenizer Tokenizer(string folder, string file)
    {
        try
        {
            return TokenizerFile.Load(folder);
        }
        catch (EngineException e) when (e.Kind == ErrorKind.BadInput && !File.Exists(Path.Combine(folder, TokenizerFile.FileName)))
        {
            throw new EngineException(ErrorKind.BadInput, $"{file} has no {TokenizerFile.FileName} beside it", "name the folder of its tokenizer with --tokenizer DIR", e);
        }
    }

    private static void WarnOfOtherTokenizer(VerbContext context, OnnxModelFile model, string folder)
    {
        string path = Path.Combine(folder, TokenizerFile.FileName);
        if (model.Metadata.TryGetValue(TokenizerHash.Key, out string? expected) && File.Exists(path) && TokenizerHash.Of(path) != expected)
        {
            context.Talk.Warn($"{path} is not the tokenizer that {model.Path} was exported with");
        }
    }

    // Weights are copied and packed by the runtime; logits come on top as they are needed.
    private static void RequireMemory(VerbContext context, OnnxModelFile model)
    {
        long weights = model.Tensors.Sum(t => t.Bytes);
        if (weights > context.MaxMemory / 2)
        {
            throw new EngineException(ErrorKind.WillNotFit,
                $"{model.Path}: the weights take {ByteSize.Format(weights)}, in ONNX Runtime about twice that, and {ByteSize.Format(context.MaxMemory)} may be used", "raise --max-memory");
        }
    }
}

/// <summary>An ONNX model open in the runtime, with its tokenizer; owns the session and the file.</summary>
internal sealed class OnnxEngine(OnnxModelFile model, OnnxSession session, Tokenizer tokenizer, OnnxRuntimeLibrary library) : IDisposable
{
    public OnnxSession Session => session;

    public Tokenizer Tokenizer => tokenizer;

    /// <summary>The members that say what really computed.</summary>
    public void WriteJson(Utf8JsonWriter json)
    {
        json.WriteString("onnxruntime", library.Version);
        json.WriteString("provider", session.Provider == OnnxProvider.Cuda ? "cuda" : "cpu");
        if (session.Providers.Count > 0)
        {
            json.WriteStartObject("nodes_by_provider");
            foreach (var (name, nodes) in session.Providers)
            {
                json.WriteNumber(name, nodes);
            }
            json.WriteEndObject();
        }
    }

    public void WriteText(TextWriter text)
    {
        string nodes = session.Providers.Count == 0 ? "" : $" ({string.Join(", ", session.Providers.Select(p => FormattableString.Invariant($"{p.Key} {p.Value} nodes")))})";
        text.WriteLine($"engine: ONNX Runtime {library.Version}, provider {(session.Provider == OnnxProvider.Cuda ? "cuda" : "cpu")}{nodes}");
    }

    public void Dispose()
    {
        session.Dispose();
        model.Dispose();
    }
}

/// <summary>The hash that ties an exported model to its tokenizer.</summary>
internal static class TokenizerHash
{
    public const string Key = "tokenizer_sha256";

    public static string Of(string path) => Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(path)));
}
