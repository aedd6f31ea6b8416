using System.CommandLine;
using NativeEngine.Data;
using NativeEngine.Formats;
using NativeEngine.Model;
using NativeEngine.Training;

namespace NativeEngine.Cli.Verbs;

/// <summary>Trains or fine-tunes a model on mini-batches chosen from pools.</summary>
internal sealed class TrainVerb : Verb
{
    private readonly Option<string> _model = Opt.RequiredText("--model", "DIR|preset:NAME", $"A model folder, or fresh weights of a preset ({string.Join(", ", ModelPresets.Names)}).");
    private readonly Option<string> _tokenizer = Opt.Text("--tokenizer", "DIR|bytes", "Tokenizer of a preset.", "bytes");
    private readonly Option<string> _data = Opt.Text("--data", "D.jsonl|builtin", "Training examples; builtin is the generated mixture.", TrainingData.BuiltIn);
    private readonly Option<string?> _evalData = Opt.MaybeText("--eval-data", "E.jsonl", "Held-out examples; builtin data brings its own.");
    private readonly Option<int> _seqLen = Opt.Number("--seq-len", "N", "Longest example in tokens; 0 is the model's context.", 0, min: 0);
    private readonly Option<string> _lossOn = Opt.Choice("--loss-on", "Which tokens are learnt.", "completion", "all");
    private readonly DataInput _fields = new();

    private readonly Option<int> _pool = Opt.Number("--pool", "N", "Examples drawn per step.", 128, min: 1);
    private readonly Option<int> _batch = Opt.Number("--batch", "B", "Examples trained per step.", 64, min: 1);
    private readonly Option<string> _selection = Opt.Choice("--selection", "How the batch is taken from the pool.", "colm", "composition", "random", "full");
    private readonly Option<string> _feature = Opt.Choice("--feature", "What stands for an example: exact gradient, zeroth-order estimate, hidden state.", "grad", "zo", "hidden");
    private readonly Option<int> _directions = Opt.Number("--directions", "M", "Random directions of zo.", 1, min: 1);
    private readonly Option<float> _radius = Opt.Number("--radius", "EPS", "Finite-difference radius of zo.", 1e-3f, min: 1e-8f);
    private readonly Option<bool> _rawFeatures = Opt.Flag("--raw-features", "Compare features as they are, not as the optimiser would use them.");
    private readonly Option<string> _weights = Opt.Choice("--weights", "Weight of each chosen example's loss.", "uniform", "cluster");
    private readonly CoresetOptions _coreset = new(keepDefault: "small", topDefault: 512);

    private readonly Option<long> _steps = Opt.Number("--steps", "N", "Optimizer steps.", 1000L, min: 1L);
    private readonly Option<string> _optimizer = Opt.Choice("--optimizer", "The optimiser.", "adamw", "sgd", "lion");
    private readonly Option<double> _lr = Opt.Number("--lr", "RATE", "Peak learning rate.", 1e-3, min: 0.0);
    private readonly Option<float> _beta1 = Opt.Number("--beta1", "B", "First moment's decay, or momentum.", 0.9f, min: 0f, max: 1f);
    private readonly Option<float> _beta2 = Opt.Number("--beta2", "B", "Second moment's decay.", 0.999f, min: 0f, max: 1f);
    private readonly Option<float> _weightDecay = Opt.Number("--weight-decay", "W", "Decoupled decay of matrices.", 0f, min: 0f);
    private readonly Option<string> _schedule = Opt.Choice("--schedule", "How the learning rate falls.", "cosine", "linear", "constant");
    private readonly Option<double> _warmup = Opt.Number("--warmup", "SHARE", "Share of the steps that warm up.", 0.03, min: 0.0, max: 1.0);
    private readonly Option<double> _clip = Opt.Number("--clip", "NORM", "Longest gradient; 0 does not clip.", 1.0, min: 0.0);
    private readonly Option<string> _onNonFinite = Opt.Choice("--on-nonfinite", "What a step does about a loss, gradient or feature that is NaN or infinite.", "stop", "skip", "clip");
    private readonly Option<int> _loraRank = Opt.Number("--lora-rank", "R", "Train a low-rank adapter in place of the weights; 0 trains the weights.", 0, min: 0);
    private readonly Option<float?> _loraAlpha = Opt.MaybeNumber<float>("--lora-alpha", "A", "Scale A/R of the adapter (default: 2R).", min: 0f);
    private readonly Option<string> _loraTargets = Opt.Text("--lora-targets", "LIST", "Adapted projections: some of q,k,v,o,gate,up,down.", "q,k,v,o");

    private readonly Option<int> _microBatch = Opt.Number("--micro-batch-tokens", "N", "Most tokens in one pass; 0 is the whole batch.", 0, min: 0);
    private readonly Option<bool> _checkpointActivations = Opt.Flag("--checkpoint-activations", "Compute activations twice to keep few of them.");
    private readonly Option<int> _checkpointEvery = Opt.Number("--checkpoint-every", "N", "Steps between checkpoints; 0 saves only at the end and when stopped.", 0, min: 0);
    private readonly Option<int> _keepCheckpoints = Opt.Number("--keep-checkpoints", "N", "Checkpoints kept.", 2, min: 1);
    private readonly Option<int> _evalEvery = Opt.Number("--eval-every", "N", "Steps between evaluations; 0 evaluates only at the end.", 0, min: 0);
    private readonly Option<string> _resume = Opt.Switch("--resume", "auto", "Continue from the newest valid checkpoint in --output, from the beginning when there is none.");
    private readonly Option<int> _reclusterEvery = Opt.Number("--recluster-every", "N", "Steps between groupings of the examples by the model's hidden states, which then are the sources; 0: the data's own sources.", 0, min: 0);
    private readonly Option<int> _clusters = Opt.Number("--clusters", "K", "Groups of --recluster-every.", 8, min: 1);
    private readonly Option<string?> _prometheus = Opt.MaybeText("--prometheus", "F.prom", "A text file for node_exporter that always tells how far the run is.");
    private readonly Option<string> _ranks = Opt.Choice("--ranks", "Whether processes train together: auto where mpirun or srun started several.", "auto", "mpi", "one");
    private readonly Option<string> _dtype = Opt.Choice("--dtype", "Type of the weights written.", "float32", "bfloat16");

    public TrainVerb()
        : base("train", "Trains or fine-tunes a model.", "nengine train --model preset:0.2m --data builtin --steps 200 --output runs/first")
    {
        Add("model and data", _model, _tokenizer, _data, _evalData, _seqLen, _lossOn);
        Add("fields", _fields.Options);
        Add("selection", [_pool, _batch, _selection, _feature, _directions, _radius, _rawFeatures, _weights, _reclusterEvery, _clusters, .. _coreset.Options]);
        Add("optimisation", _steps, _optimizer, _lr, _beta1, _beta2, _weightDecay, _schedule, _warmup, _clip, _onNonFinite, _loraRank, _loraAlpha, _loraTargets);
        Add("running", _microBatch, _checkpointActivations, _checkpointEvery, _keepCheckpoints, _evalEvery, _resume, _prometheus, _dtype, _ranks);
    }

    public override string? Table => "eval.sources";

    public override int Run(VerbContext context)
    {
        var ranks = Ranks.Join(context, context.Need(_ranks));
        try
        {
            int code = Run(context, ranks);
            ranks.Leave();
            return code;
        }
        catch (OperationCanceledException) when (ranks.StopsTogether)
        {
            ranks.Leave();
            throw;
        }
    }

    private int Run(VerbContext context, Ranks ranks)
    {
        bool resume = context.Get(_resume) is { Length: > 0 }, first = ranks.Group.Rank == 0;
        var options = ReadOptions(context);
        string? prometheus = context.Get(_prometheus) is { } file && first ? OutputFile.Check(file) : null;
        // The first rank has the folder; the others find it as that one leaves it.
        string checkedOutput = first ? OutputFolder.Check(context.NeedOutput(), resume, resumable: true) : Path.GetFullPath(context.NeedOutput());
        using var device = context.OpenDevice();
        using var model = OpenModel(context, device);
        var data = LoadData(context, model);
        var evaluation = TrainingData.LoadEvaluation(context, _fields, context.Need(_data), context.Get(_evalData), model.Tokenizer, model.Model.Config.ContextLength);
        if (evaluation is not null && data.Sources.Except(evaluation.Sources).ToList() is { Count: > 0 } unseen)
        {
            context.Talk.Warn($"the held-out data has no example of {string.Join(", ", unseen)}");
        }
        var plan = MemoryPlan.Of(model.Model, data, options);
        context.Talk.Info($"{model.Origin}: {model.Model.Config.ParameterCount:N0} parameters; memory about {ByteSize.Format(plan.Total)}, of which activations {ByteSize.Format(plan.Activations)}");
        plan.RequireFits(context.MaxMemory);
        using var trainer = new Trainer(model.Model, data, options, ranks.Group);
        if (context.DryRun)
        {
            TrainReport.WritePlan(context, model, data, evaluation, plan, options, context.Need(_evalEvery), trainer, ranks.Group.Count > 1);
            return 0;
        }
        using var output = first ? OutputFolder.Open(checkedOutput, resume) : null;
        var settings = Settings(context, checkedOutput, model, data) with { Prometheus = prometheus, Reclustering = Reclustering(context) };
        return TrainReport.Run(context, model, evaluation, trainer, options, output, settings, resume, Type(context), Inputs(context), ranks);
    }

    /// <summary>
    /// The trainer of a run as its command line gives it, at its first step, for a replay. The caller owns it; <paramref name="output"/> is only told to the settings.
    /// </summary>
    public PreparedRun Prepare(VerbContext context, string output)
    {
        var options = ReadOptions(context);
        var device = context.OpenDevice();
        TrainableModel? model = null;
        try
        {
            model = OpenModel(context, device);
            var data = LoadData(context, model);
            MemoryPlan.Of(model.Model, data, options).RequireFits(context.MaxMemory);
            var settings = Settings(context, output, model, data) with { Reclustering = Reclustering(context) };
            return new PreparedRun(device, model, new Trainer(model.Model, data, options), settings);
        }
        catch
        {
            model?.Dispose();
            device.Dispose();
            throw;
        }
    }

    private MixtureDataset LoadData(VerbContext context, TrainableModel model)
    {
        int longest = model.Model.Config.ContextLength, length = context.Need(_seqLen) is > 0 and int asked ? asked : longest;
        return length <= longest
            ? TrainingData.Load(context, _fields, context.Need(_data), model.Tokenizer, length, context.Need(_lossOn) == "all" ? LossOn.All : LossOn.Completion)
            : throw new EngineException(ErrorKind.Usage, $"--seq-len is {length}, the model's context is {longest} tokens", $"give --seq-len {longest} or less");
    }

    private TrainableModel OpenModel(VerbContext context, Devices.Device device)
    {
        int rank = context.Need(_loraRank);
        var lora = rank == 0 ? null : new LoraOptions(rank, context.Get(_loraAlpha) ?? 2 * rank, LoraOptions.Projections(context.Need(_loraTargets)));
        return TrainableModel.Open(context.Need(_model), () => DataInput.LoadTokenizer(context.Need(_tokenizer)), lora, context.Seed, device, context.Cancellation);
    }

    private TrainOptions ReadOptions(VerbContext context) => new TrainOptions
    {
        Steps = context.Need(_steps),
        Pool = context.Need(_pool),
        Batch = context.Need(_batch),
        Selection = Enum.Parse<BatchSelection>(context.Need(_selection), ignoreCase: true),
        Features = new FeatureOptions(
            FeatureWords.Kind(context.Need(_feature)), context.Need(_directions), context.Need(_radius), context.Seed),
        NormalizeFeatures = !context.Need(_rawFeatures),
        Coreset = _coreset.Read(context, context.Need(_batch)),
        SmallSources = _coreset.Keep(context),
        ClusterWeights = context.Need(_weights) == "cluster",
        Optimizer = new OptimizerOptions(
            Enum.Parse<OptimizerKind>(context.Need(_optimizer), ignoreCase: true), context.Need(_beta1), context.Need(_beta2), WeightDecay: context.Need(_weightDecay)),
        LearningRate = context.Need(_lr),
        WarmupRatio = context.Need(_warmup),
        Schedule = Enum.Parse<ScheduleShape>(context.Need(_schedule), ignoreCase: true),
        ClipNorm = context.Need(_clip),
        OnNonFinite = Enum.Parse<NonFinitePolicy>(context.Need(_onNonFinite), ignoreCase: true),
        MicroBatchTokens = context.Need(_microBatch),
        CheckpointActivations = context.Need(_checkpointActivations),
        Seed = context.Seed,
    }.Validate();

    // What decides the result: a checkpoint remembers it and refuses to go on with anything else.
    private RunSettings Settings(VerbContext context, string output, TrainableModel model, MixtureDataset data)
    {
        string[] irrelevant =
        [
            "output", "resume", "threads", "device", "json", "quiet", "verbose", "no-color", "dry-run", "max-memory", "max-seconds", "simd", "config", "set", "print-config",
            "checkpoint-every", "keep-checkpoints", "eval-every", "eval-data", "dtype", "ranks", "prometheus", "on-nonfinite",
        ];
        var options = context.ResolvedOptions().Where(o => !irrelevant.Contains(o.Key)).ToDictionary(o => o.Key, o => o.Value);
        options["content of the data (sha256)"] = ContentHash.Of(data);
        if (model.Model.Adapter is not null)
        {
            // A checkpoint holds the adapter only; the weights under it must be the same ones.
            options["content of the model (sha256)"] = ContentHash.Of(model.Model.Parameters);
        }
        return new RunSettings(output, context.Need(_checkpointEvery), context.Need(_evalEvery), context.Need(_keepCheckpoints), options);
    }

    private Reclustering? Reclustering(VerbContext context) => context.Need(_reclusterEvery) is > 0 and int every
        ? new Reclustering(every, context.Need(_clusters), context.Seed, context.Threads.Count)
        : context.IsGiven(_clusters) ? throw new EngineException(ErrorKind.Usage, "--clusters belongs to --recluster-every, which was not given", "add --recluster-every N") : null;

    private DType Type(VerbContext context) => context.Need(_dtype) == "bfloat16" ? DType.BF16 : DType.F32;

    private string[] Inputs(VerbContext context) =>
    [
        context.Need(_data), context.Get(_evalData) ?? "", context.Need(_model), context.Need(_tokenizer),
    ];
}

/// <summary>A trainer before its first step, with all that it stands on.</summary>
internal sealed record PreparedRun(Devices.Device Device, TrainableModel Model, Trainer Trainer, RunSettings Settings) : IDisposable
{
    public void Dispose()
    {
        Trainer.Dispose();
        Model.Dispose();
        Device.Dispose();
    }
}
