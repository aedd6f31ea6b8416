using System.Globalization;
using System.Runtime.InteropServices;
using NativeEngine.Selection;
using NativeEngine.Training;

namespace NativeEngine.CApi;

/// <summary>A training session. It keeps its model alive; the data it holds itself.</summary>
internal sealed class TrainerResource : DeviceChild
{
    public TrainerResource(ModelResource model, DataResource data, TrainOptions options)
        : base(model.Parent)
    {
        (Model, Options) = (model, options);
        try
        {
            Identity = Describe(options, data);
            Trainer = new Trainer(model.Model, data.Data, options);
        }
        catch
        {
            Parent.Release();
            throw;
        }
        model.Retain();
    }

    public override ResourceKind Kind => ResourceKind.Trainer;

    public ModelResource Model { get; }

    public Trainer Trainer { get; }

    public TrainOptions Options { get; }

    /// <summary>What decides the result, for a checkpoint to be compared with.</summary>
    public IReadOnlyDictionary<string, string> Identity { get; }

    protected override void DestroyOwn()
    {
        Trainer.Dispose();
        Model.Release();
    }

    private static Dictionary<string, string> Describe(TrainOptions o, DataResource data) => new(StringComparer.Ordinal)
    {
        ["steps"] = Text(o.Steps),
        ["pool"] = Text(o.Pool),
        ["batch"] = Text(o.Batch),
        ["seed"] = Text(o.Seed),
        ["keep"] = o.SmallSources.ToString(),
        ["learning_rate"] = Text(o.LearningRate),
        ["warmup"] = Text(o.WarmupRatio),
        ["clip_norm"] = Text(o.ClipNorm),
        ["optimizer"] = $"{o.Optimizer.Kind} {Text(o.Optimizer.WeightDecay)} {Text(o.Optimizer.Beta1)} {Text(o.Optimizer.Beta2)}",
        ["schedule"] = o.Schedule.ToString(),
        ["selection"] = $"{o.Selection} {o.Coreset.Metric} {o.Coreset.Quota} {o.Coreset.Rounding} {o.Coreset.Overflow} {Text(o.Coreset.Top)} {o.NormalizeFeatures} {o.ClusterWeights}",
        ["feature"] = $"{o.Features.Kind} {Text(o.Features.Directions)}",
        ["micro_batch_tokens"] = Text(o.MicroBatchTokens),
        ["content of the data (sha256)"] = ContentHash.Of(data.Data),
    };

    private static string Text<T>(T value)
        where T : IFormattable => value.ToString(null, CultureInfo.InvariantCulture);
}

internal static unsafe class TrainerExports
{
    [UnmanagedCallersOnly(EntryPoint = "ne_trainer_create")]
    public static int Create(nint model, nint data, TrainOptionsStruct* options, nint* trainer) => Guard.Call(() =>
    {
        using var lease = Handles.Use<ModelResource>(model);
        using var examples = Handles.Use<DataResource>(data);
        Arguments.Need(trainer, "trainer");
        var read = Read(Arguments.Read(options, "the training options"));
        if (!lease.Value.IsTrainable)
        {
            throw new CallException(Status.Argument, "the model was opened to be used, not to be trained", "set trainable to 1 in its options");
        }
        RequireOpen(lease.Value);
        EvaluationExports.RequireFits(lease.Value.Model, examples.Value.Data);
        using var turn = lease.Value.Parent.Gate.Enter();
        *trainer = Handles.Add(new TrainerResource(lease.Value, examples.Value, read));
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_trainer_step")]
    public static int Step(nint trainer, ControlStruct* control, StepReportStruct* report) => Guard.Call(() =>
    {
        using var lease = Handles.Use<TrainerResource>(trainer);
        if (report is not null)
        {
            Arguments.CheckOutput(report, "the report");
        }
        using var run = new Control(control);
        using var turn = lease.Value.Parent.Gate.Enter();
        RequireOpen(lease.Value.Model);
        var own = lease.Value.Trainer;
        if (own.StepsDone >= lease.Value.Options.Steps)
        {
            throw new CallException(Status.State, $"all {lease.Value.Options.Steps} steps are done", "save the model");
        }
        run.Report("train"u8, own.StepsDone, lease.Value.Options.Steps);
        var step = own.Step();
        if (report is not null)
        {
            Arguments.Write(
                report,
                new StepReportStruct
                {
                    Step = step.Step,
                    Examples = step.Examples,
                    Kept = step.Kept,
                    Tokens = step.Tokens,
                    LabelTokens = step.LabelTokens,
                    Loss = step.Loss,
                    LearningRate = step.LearningRate,
                    GradientNorm = step.GradientNorm,
                    Objective = step.Objective,
                    SelectionSeconds = step.SelectionSeconds,
                    Seconds = step.Seconds,
                },
                "the report");
        }
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_trainer_save")]
    public static int Save(nint trainer, byte* folder) => Guard.Call(() =>
    {
        using var lease = Handles.Use<TrainerResource>(trainer);
        string path = Arguments.NeedText(folder, "the folder");
        using var turn = lease.Value.Parent.Gate.Enter();
        RequireOpen(lease.Value.Model);
        Directory.CreateDirectory(path);
        Checkpoint.Save(path, lease.Value.Trainer, lease.Value.Identity);
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_trainer_resume")]
    public static int Resume(nint trainer, byte* folder, long* steps) => Guard.Call(() =>
    {
        using var lease = Handles.Use<TrainerResource>(trainer);
        string path = Arguments.NeedText(folder, "the folder");
        Arguments.Need(steps, "steps");
        using var turn = lease.Value.Parent.Gate.Enter();
        RequireOpen(lease.Value.Model);
        if (Directory.Exists(path) && Checkpoint.FindNewest(path, Log.Warning) is { } checkpoint)
        {
            Checkpoint.Restore(checkpoint, lease.Value.Trainer, lease.Value.Identity);
        }
        *steps = lease.Value.Trainer.StepsDone;
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_trainer_free")]
    public static int Free(nint trainer) => Guard.Call(() => Handles.Free<TrainerResource>(trainer));

    private static void RequireOpen(ModelResource model)
    {
        if (model.IsFinished)
        {
            throw new CallException(Status.State, "the adapter was merged into the weights when the model was saved, which ended its training", "open the model anew");
        }
    }

    private static TrainOptions Read(TrainOptionsStruct o)
    {
        int batch = o.Batch == 0 ? 64 : Arguments.Number(o.Batch, "the batch", 1);
        return new TrainOptions
        {
            Steps = o.Steps > 0 ? o.Steps : throw new CallException(Status.Argument, $"steps is {o.Steps}; it must be at least 1"),
            Pool = o.Pool == 0 ? 128 : Arguments.Number(o.Pool, "the pool", 1),
            Batch = batch,
            Seed = o.Seed,
            Selection = Arguments.Choice(o.Selection, "selection", BatchSelection.Colm, BatchSelection.Full, BatchSelection.Random, BatchSelection.Composition),
            SmallSources = SmallSourceRule.Parse(Arguments.Text(o.Keep, "keep") ?? "small"),
            Features = new Model.FeatureOptions(EvaluationExports.Kind(o.Feature), o.Directions == 0 ? 1 : Arguments.Number(o.Directions, "directions", 1, 1 << 20), Seed: o.Seed),
            NormalizeFeatures = o.RawFeatures == 0,
            ClusterWeights = o.ClusterWeights != 0,
            Coreset = new SelectionOptions
            {
                Budget = batch,
                Top = o.Top == 0 ? 512 : o.Top < 0 ? 0 : Arguments.Number(o.Top, "top", 1),
                Metric = SelectorExports.Metric(o.Metric),
                Quota = SelectorExports.Quota(o.Quota),
                Rounding = SelectorExports.Rounding(o.Rounding),
                Overflow = Arguments.Choice(o.Overflow, "overflow", OverflowPolicy.First, OverflowPolicy.Random),
                Seed = o.Seed,
            },
            Optimizer = new OptimizerOptions(
                Arguments.Choice(o.Optimizer, "optimizer", OptimizerKind.AdamW, OptimizerKind.Sgd, OptimizerKind.Lion),
                (float)Arguments.Real(o.Beta1, "beta1", 0.9), (float)Arguments.Real(o.Beta2, "beta2", 0.999), WeightDecay: (float)Arguments.Real(o.WeightDecay, "weight_decay", 0)),
            LearningRate = Arguments.Real(o.LearningRate, "learning_rate", 1e-3),
            WarmupRatio = o.Warmup < 0 ? 0 : Arguments.Real(o.Warmup, "warmup", 0.03),
            ClipNorm = o.ClipNorm < 0 ? 0 : Arguments.Real(o.ClipNorm, "clip_norm", 1),
            Schedule = Arguments.Choice(o.Schedule, "schedule", ScheduleShape.Cosine, ScheduleShape.Linear, ScheduleShape.Constant),
            MicroBatchTokens = Arguments.Number(o.MicroBatchTokens, "micro_batch_tokens", 0),
            CheckpointActivations = o.CheckpointActivations != 0,
        }.Validate();
    }
}
