using System.CommandLine;
using NativeEngine.Data;
using NativeEngine.Model;
using NativeEngine.Selection;
using NativeEngine.Training;

namespace NativeEngine.Cli;

/// <summary>The options that make features of the examples of a data file, for a verb that otherwise reads them from disk.</summary>
internal sealed class ExampleFeaturesOptions
{
    private readonly Option<string> _model = Opt.Text("--model", "DIR|preset:NAME", "What looks at the examples of DATA.jsonl: a model folder, or fresh weights of a preset.", "preset:0.2m");
    private readonly Option<string> _kind = Opt.Choice("--kind", "Features of DATA.jsonl: last hidden state, exact gradient, its zeroth-order estimate.", "hidden", "grad", "zo");
    private readonly Option<string?> _id = Opt.MaybeText("--id-field", "NAME", "The JSON field with an example's own name: the result then tells the names of the picks.");
    private readonly DataInput _fields = new();

    /// <summary>For <see cref="Verb.Add(string, Option[])"/>.</summary>
    public Option[] Options => [_model, _kind, .. _fields.Options, _id];

    /// <summary>Refuses what only belongs to a data file.</summary>
    public void RequireUnused(VerbContext context)
    {
        if (Options.FirstOrDefault(context.IsGiven) is { } given)
        {
            throw new EngineException(ErrorKind.Usage, $"{given.Name} belongs to DATA.jsonl; --features are read as they are", "leave it out, or name the data in place of --features");
        }
    }

    /// <summary>Reads a file, computes a row of features for every example, and says what it assumed; <paramref name="check"/> hears how many there are before the work.</summary>
    public ExampleFeatures Compute(VerbContext context, string path, Action<int> check)
    {
        string name = context.Need(_model), kind = context.Need(_kind);
        var reader = _fields.Open(context, path, keepLines: true, idField: context.Get(_id));
        var examples = reader.Read(context.Cancellation).ToList();
        examples.ForEach(new DistinctIds(reader.Name).Add);
        DataInput.WarnOfBadLines(context, reader);
        using var device = context.OpenDevice();
        using var model = TrainableModel.Open(name, ByteTokenizer.Create, null, context.Seed, device, context.Cancellation);
        var data = MixtureDataset.Build(examples, model.Tokenizer, DatasetOptions.Training(model.Model.Config.ContextLength, LossOn.All), context.Cancellation);
        check(data.Count);
        string assumed = context.IsGiven(_model) ? "" : ", which has learnt nothing yet (--model names one that has)";
        string sources = data.Sources.Count > 1 ? $"{data.Sources.Count} sources" : data.Sources is [JsonlReader.DefaultSource] ? $"one source, since no line has a field \"{_fields.SourceField(context)}\" (--source-field names another)" : "one source";
        context.Talk.Info($"{reader.Name}: {data.Report}; {sources}");
        context.Talk.Info($"features: {kind switch { "zo" => "zeroth-order estimates of gradients", "grad" => "gradients", _ => "last hidden states" }} of {name}{assumed}");
        var options = new FeatureOptions(FeatureWords.Kind(kind), 1, 1e-3f, context.Seed);
        using var export = new FeatureExport(model.Model, data, options);
        string folder = Directory.CreateTempSubdirectory("nengine-features-").FullName;
        try
        {
            using (var progress = context.Progress("features", data.Count, "examples"))
            {
                export.Write(Path.Combine(folder, "features.npy"), done => progress.Report(done), context.Cancellation);
            }
            return new ExampleFeatures(folder, examples, [.. Enumerable.Range(0, data.Count).Select(data.InputIndex)], [.. Enumerable.Range(0, data.Count).Select(i => data.Sources[data.SourceOf(i)])], reader.Name);
        }
        catch
        {
            Directory.Delete(folder, recursive: true);
            throw;
        }
    }
}

/// <summary>Features of a data file in a temporary folder, which goes when this is disposed.</summary>
/// <param name="folder">The temporary folder.</param>
/// <param name="examples">All examples of the file.</param>
/// <param name="positions">For every row the example it belongs to.</param>
/// <param name="sources">For every row its source.</param>
/// <param name="data">The data file's name.</param>
internal sealed class ExampleFeatures(string folder, IReadOnlyList<Example> examples, int[] positions, string[] sources, string data) : IDisposable
{
    /// <summary>For every row the number of its example in the file.</summary>
    public IReadOnlyList<int> Positions => positions;

    /// <summary>The features' file.</summary>
    public string File => Path.Combine(folder, "features.npy");

    /// <summary>The sources of its rows.</summary>
    public SourceFile Sources { get; } = SourceFile.Of(sources);

    /// <summary>The selection with the numbers of the examples in their file, from 0.</summary>
    public SelectionDocument InFile(SelectionDocument document)
    {
        var whole = document.InPool(examples.Count, positions, "fewer than two tokens");
        return whole with { Data = data, Lines = [.. whole.Indices.Select(i => examples[i].Line)], Ids = examples is [{ Id: not null }, ..] ? [.. whole.Indices.Select(i => examples[i].Id!)] : null };
    }

    /// <summary>Writes what was selected: the lines as they stand, in their order, for a name that ends in .jsonl or .jsonl.gz; else the selection.</summary>
    public void Save(VerbContext context, SelectionDocument document, string path)
    {
        context.Talk.Info($"{document.Indices.Count} of {document.N} examples: {ReportOutput.Shown(path)}");
        if (SelectionOutput.IsLines(path))
        {
            JsonlWriter.WriteLines(path, document.Indices.Order().Select(i => examples[i]));
        }
        else
        {
            SelectionOutput.Save(document, path);
        }
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);
}
