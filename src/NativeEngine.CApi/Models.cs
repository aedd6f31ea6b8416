using System.Runtime.InteropServices;
using NativeEngine.Data;
using NativeEngine.Formats;
using NativeEngine.Model;
using NativeEngine.Training;

namespace NativeEngine.CApi;

/// <summary>A model with its tokenizer: opened to be used, or with gradients.</summary>
internal sealed class ModelResource : DeviceChild
{
    private readonly OpenModel? _open;
    private readonly TrainableModel? _trainable;

    public ModelResource(DeviceResource parent, OpenModel open)
        : base(parent) => _open = open;

    public ModelResource(DeviceResource parent, TrainableModel trainable)
        : base(parent) => _trainable = trainable;

    public override ResourceKind Kind => ResourceKind.Model;

    public LlamaModel Model => _open?.Model ?? _trainable!.Model;

    public Tokenizer Tokenizer => _open?.Tokenizer ?? _trainable!.Tokenizer;

    public bool IsTrainable => _trainable is not null;

    /// <summary>Whether an adapter was merged into the weights, after which no step can follow.</summary>
    public bool IsFinished { get; private set; }

    public void Save(string folder, DType type, CancellationToken cancellation)
    {
        if (IsFinished)
        {
            throw new CallException(Status.State, "the adapter was merged into the weights by an earlier save", "open the folder that was written");
        }
        if (_trainable is not null)
        {
            IsFinished = Model.Adapter is not null;
            _trainable.Save(folder, type, cancellation);
        }
        else
        {
            ModelFolder.Save(folder, Model.Config, Model.Parameters, Tokenizer, type, cancellation);
        }
    }

    protected override void DestroyOwn()
    {
        _open?.Dispose();
        _trainable?.Dispose();
    }
}

internal static unsafe class ModelExports
{
    [UnmanagedCallersOnly(EntryPoint = "ne_model_open")]
    public static int Open(nint device, byte* name, ModelOptionsStruct* options, ControlStruct* control, nint* model) => Guard.Call(() =>
    {
        using var lease = Handles.Use<DeviceResource>(device);
        Arguments.Need(model, "model");
        var o = Arguments.Read(options, "the model options");
        string folder = Arguments.NeedText(name, "the name of the model");
        string? adapter = Arguments.Text(o.Adapter, "adapter");
        int rank = Arguments.Number(o.LoraRank, "lora_rank", 0, 1 << 16);
        bool trainable = o.Trainable != 0;
        string? preset = ModelPresets.NameIn(folder);
        if (adapter is not null && (trainable || preset is not null))
        {
            throw new CallException(Status.Argument, "an adapter can be put on a model folder that is not trained", "leave adapter NULL; lora_rank trains a new one");
        }
        if (rank > 0 && !trainable)
        {
            throw new CallException(Status.Argument, $"lora_rank is {rank}, but the model is not trainable", "set trainable to 1");
        }
        string targets = Arguments.Text(o.LoraTargets, "lora_targets") ?? "q,k,v,o";
        var lora = rank == 0 ? null : new LoraOptions(rank, (float)Arguments.Real(o.LoraAlpha, "lora_alpha", 2.0 * rank), LoraOptions.Projections(targets));
        string tokenizer = Arguments.Text(o.Tokenizer, "tokenizer") ?? "bytes";
        using var run = new Control(control);
        using var turn = lease.Value.Gate.Enter();
        run.Report("open"u8, 0, 1);
        var on = lease.Value.Device;
        *model = Handles.Add(
            preset is not null ? new ModelResource(lease.Value, TrainableModel.FromPreset(
                preset, tokenizer == "bytes" ? ByteTokenizer.Create() : TokenizerFile.Load(tokenizer), lora, o.Seed, on))
            : trainable ? new ModelResource(lease.Value, TrainableModel.FromFolder(folder, lora, o.Seed, on, run.Token))
            : new ModelResource(lease.Value, new OpenModel(folder, adapter, on, run.Token)));
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_model_describe")]
    public static int Describe(nint model, ModelInfoStruct* info) => Guard.Call(() =>
    {
        using var lease = Handles.Use<ModelResource>(model);
        Arguments.CheckOutput(info, "info");
        var config = lease.Value.Model.Config;
        Arguments.Write(
            info,
            new ModelInfoStruct
            {
                Parameters = config.ParameterCount,
                Vocabulary = config.VocabularySize,
                Hidden = config.HiddenSize,
                Layers = config.Layers,
                Heads = config.Heads,
                Context = config.ContextLength,
            },
            "info");
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_model_save")]
    public static int Save(nint model, byte* folder, int type, ControlStruct* control) => Guard.Call(() =>
    {
        using var lease = Handles.Use<ModelResource>(model);
        string path = Arguments.NeedText(folder, "the folder");
        var dtype = Arguments.Choice(type, "the type", DType.F32, DType.BF16);
        using var run = new Control(control);
        using var turn = lease.Value.Parent.Gate.Enter();
        lease.Value.Save(path, dtype, run.Token);
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_model_generate")]
    public static int Generate(nint model, byte* prompt, int maxTokens, double temperature, ulong seed, ControlStruct* control, byte* buffer, ulong capacity, ulong* length) => Guard.Call(() =>
    {
        using var lease = Handles.Use<ModelResource>(model);
        string text = Arguments.Text(prompt, "the prompt") ?? "";
        var options = new GenerationOptions(maxTokens, (float)temperature, Seed: seed);
        using var run = new Control(control);
        using var turn = lease.Value.Parent.Gate.Enter();
        int[] ids = lease.Value.Tokenizer.Encode(text).Ids;
        if (ids.Length == 0 && lease.Value.Tokenizer.BosId is { } bos)
        {
            ids = [bos];
        }
        var all = ids.ToList();
        foreach (int token in new TextGenerator(lease.Value.Model).Generate(ids, options, run.Token))
        {
            all.Add(token);
            run.Report("generate"u8, all.Count - ids.Length, maxTokens);
        }
        Arguments.WriteText(lease.Value.Tokenizer.Decode([.. all]), buffer, capacity, length);
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_model_free")]
    public static int Free(nint model) => Guard.Call(() => Handles.Free<ModelResource>(model));
}
