using System.Runtime.InteropServices;
using NativeEngine.Data;

namespace NativeEngine.CApi;

/// <summary>Tokenised examples. Nothing of it changes, so calls on different devices may read it at once.</summary>
internal sealed class DataResource(MixtureDataset data, IReadOnlyList<string>? ids) : Resource
{
    public override ResourceKind Kind => ResourceKind.Data;

    public MixtureDataset Data { get; } = data;

    /// <summary>The own names of the examples read, those left out included; null where none were asked for.</summary>
    public IReadOnlyList<string>? Ids { get; } = ids;

    protected override void Destroy()
    {
    }
}

internal static unsafe class DataExports
{
    // What nengine train --data builtin makes.
    private const string BuiltIn = "builtin";
    private const int BuiltInTraining = 6000, BuiltInEvaluation = 800;
    private const ulong BuiltInSeed = 1;

    [UnmanagedCallersOnly(EntryPoint = "ne_data_open")]
    public static int Open(nint model, byte* path, DataOptionsStruct* options, ControlStruct* control, nint* data) => Guard.Call(() =>
    {
        string name = Arguments.NeedText(path, "path");
        var o = Arguments.Read(options, "the data options");
        var lines = Lines(o);
        var ids = lines.IdField is null || name == BuiltIn ? null : new List<string>();
        Build(model, o, control, data, ids, cancellation =>
        {
            if (name == BuiltIn)
            {
                bool training = o.Purpose == 0;
                return MixtureSynthesizer.Generate(training ? BuiltInTraining : BuiltInEvaluation, BuiltInSeed, training ? SynthesisSplit.Train : SynthesisSplit.Valid, cancellation);
            }
            return Read(new JsonlReader(name, lines), ids, o.SourceField is null ? null : lines.SourceField, cancellation);
        });
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_data_from_texts")]
    public static int FromTexts(nint model, byte** prompts, byte** completions, byte** sources, long count, DataOptionsStruct* options, ControlStruct* control, nint* data) => Guard.Call(() =>
    {
        int n = Arguments.Number(count, "the number of texts", 1);
        if (completions is null)
        {
            throw Arguments.Missing("completions");
        }
        var examples = new Example[n];
        for (int i = 0; i < n; i++)
        {
            string source = sources is null ? JsonlReader.DefaultSource : Arguments.NeedText(sources[i], $"source {i}");
            string completion = Arguments.Text(completions[i], $"completion {i}") ?? throw Arguments.Missing($"completion {i}");
            examples[i] = prompts is not null && Arguments.Text(prompts[i], $"prompt {i}") is { } prompt
                ? Example.FromPrompt(source, prompt, completion) : Example.FromText(source, completion);
        }
        Build(model, Arguments.Read(options, "the data options"), control, data, null, _ => examples);
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_data_describe")]
    public static int Describe(nint data, DataInfoStruct* info) => Guard.Call(() =>
    {
        using var lease = Handles.Use<DataResource>(data);
        Arguments.CheckOutput(info, "info");
        var set = lease.Value.Data;
        Arguments.Write(
            info,
            new DataInfoStruct
            {
                Examples = set.Count,
                Read = set.Report.Read,
                LeftOut = set.Report.NoLabel,
                Truncated = set.Report.Truncated,
                Tokens = set.Report.Tokens,
                LabelTokens = set.Report.LabelTokens,
                Sources = set.Sources.Count,
            },
            "info");
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_data_source_name")]
    public static int SourceName(nint data, long source, byte* buffer, ulong capacity, ulong* length) => Guard.Call(() =>
    {
        using var lease = Handles.Use<DataResource>(data);
        var names = lease.Value.Data.Sources;
        Arguments.WriteText(names[Arguments.Number(source, "the source", 0, names.Count - 1)], buffer, capacity, length);
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_data_example_id")]
    public static int ExampleId(nint data, long example, byte* buffer, ulong capacity, ulong* length) => Guard.Call(() =>
    {
        using var lease = Handles.Use<DataResource>(data);
        var set = lease.Value.Data;
        var ids = lease.Value.Ids ?? throw new CallException(Status.Argument, "the examples were read without names of their own", "name their field when the data are opened: id_field");
        Arguments.WriteText(ids[set.InputIndex(Arguments.Number(example, "the example", 0, set.Count - 1))], buffer, capacity, length);
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_data_rows")]
    public static int Rows(nint data, int* sources, long* readIndex, long capacity) => Guard.Call(() =>
    {
        using var lease = Handles.Use<DataResource>(data);
        var set = lease.Value.Data;
        Arguments.Aligned(sources, "sources");
        Arguments.Aligned(readIndex, "read_index");
        if (capacity < set.Count)
        {
            throw new CallException(Status.Buffer, $"there are {set.Count} examples, the arrays have {capacity} elements");
        }
        for (int i = 0; i < set.Count; i++)
        {
            if (sources is not null)
            {
                sources[i] = set.SourceOf(i);
            }
            if (readIndex is not null)
            {
                readIndex[i] = set.InputIndex(i);
            }
        }
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_data_free")]
    public static int Free(nint data) => Guard.Call(() => Handles.Free<DataResource>(data));

    private static JsonlOptions Lines(DataOptionsStruct o)
    {
        var usual = new JsonlOptions();
        return usual with
        {
            TextField = Field(o.TextField, "text_field") ?? usual.TextField,
            PromptField = Field(o.PromptField, "prompt_field") ?? usual.PromptField,
            CompletionField = Field(o.CompletionField, "completion_field") ?? usual.CompletionField,
            SourceField = Field(o.SourceField, "source_field") ?? usual.SourceField,
            IdField = Field(o.IdField, "id_field"),
            OnBadLine = o.SkipBadLines != 0 ? BadLinePolicy.Skip : BadLinePolicy.Fail,
        };
    }

    private static string? Field(byte* name, string member)
    {
        string? field = Arguments.Text(name, member);
        return field is not "" ? field : throw new CallException(Status.Argument, $"{member} is an empty name", "name a field, or leave it out");
    }

    private static IEnumerable<Example> Read(JsonlReader reader, List<string>? ids, string? sourceField, CancellationToken cancellation)
    {
        var distinct = new DistinctIds(reader.Name);
        bool sourced = sourceField is null;
        foreach (var example in reader.Read(cancellation))
        {
            distinct.Add(example);
            sourced |= example.Source != JsonlReader.DefaultSource;
            ids?.Add(example.Id!);
            yield return example;
        }
        if (!sourced)
        {
            Log.Warning($"{reader.Name}: no line has the field \"{sourceField}\", so all examples are of one source");
        }
        if (reader.BadLineCount > 0)
        {
            Log.Warning($"{reader.Name}: {reader.BadLineCount} of {reader.LineCount} lines left out, the first is line {reader.BadLines[0].Line}: {reader.BadLines[0].Reason}");
        }
    }

    private static void Build(nint model, DataOptionsStruct o, ControlStruct* control, nint* data, IReadOnlyList<string>? ids, Func<CancellationToken, IEnumerable<Example>> examples)
    {
        using var lease = Handles.Use<ModelResource>(model);
        Arguments.Need(data, "data");
        int context = lease.Value.Model.Config.ContextLength;
        int length = o.MaxLength == 0 ? context : Arguments.Number(o.MaxLength, "max_length", 2, context);
        var options = Arguments.Choice(o.Purpose, "purpose", 0, 1) == 1
            ? DatasetOptions.Evaluation(length) : DatasetOptions.Training(length, o.LossOnAll != 0 ? LossOn.All : LossOn.Completion);
        using var run = new Control(control);
        // A tokenizer has caches, so it is used like a device: one call at a time.
        using var turn = lease.Value.Parent.Gate.Enter();
        var set = MixtureDataset.Build(examples(run.Token), lease.Value.Tokenizer, options, run.Token);
        Log.Info(set.Report.ToString());
        *data = Handles.Add(new DataResource(set, ids));
    }
}
