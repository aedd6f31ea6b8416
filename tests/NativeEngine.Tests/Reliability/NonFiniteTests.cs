using System.Text.Json;
using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Devices.Cpu;
using NativeEngine.Evaluation;
using NativeEngine.Formats;
using NativeEngine.Merging;
using NativeEngine.Model;
using NativeEngine.Selection;
using NativeEngine.Tests.Ablation;
using NativeEngine.Tests.Model;
using NativeEngine.Tests.Support;
using NativeEngine.Tests.Training;
using NativeEngine.Training;

namespace NativeEngine.Tests.Reliability;

/// <summary>
/// NaN and infinity planted where they could enter or arise. Each is noticed within the step in which it is first read, and named; none is passed on in a file, a score or
/// a selection, and no example goes missing without a word.
/// </summary>
public sealed class NonFiniteTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>The places inside a training step: the kernel whose argument is bent, and the words that must come.</summary>
    public static TheoryData<string, string, int, int, float, string[]> PlacesInAStep => new()
    {
        { "feature of a candidate", "RowsFinite", 1, 0, float.NaN, ["step 2: the feature of example", "is not finite"] },
        { "logits of an example", "CrossEntropy", 1, 0, float.PositiveInfinity, ["step 2: the loss of example", "is"] },
        { "loss of an example", "CrossEntropy", -1, 3, float.NaN, ["step 2: the loss of example", "is NaN"] },
        { "loss of an example, infinite", "CrossEntropy", -1, 3, float.PositiveInfinity, ["step 2: the loss of example", "is ∞"] },
        { "gradient of a tensor", "SumOfSquares", 1, 0, float.NaN, ["step 2: element 5 of the gradient of model.embed_tokens.weight is NaN"] },
        { "gradient of a tensor, infinite", "SumOfSquares", 1, 0, float.NegativeInfinity, ["step 2: element 5 of the gradient of model.embed_tokens.weight is -∞"] },
        { "norm of the gradient", "SumOfSquares", 1, 0, 1e30f, ["step 2: the gradient's norm is ∞"] },
        { "weights after the update", "SumOfSquares", 2, 0, float.NaN, ["after step 2: element 5 of model.embed_tokens.weight is NaN"] },
        { "first moment of Adam", "SumOfSquares", 3, 0, float.NaN, ["after step 2: element 5 of the optimiser's m of model.embed_tokens.weight is NaN"] },
        { "second moment of Adam", "SumOfSquares", 4, 0, float.PositiveInfinity, ["after step 2: element 5 of the optimiser's v of model.embed_tokens.weight is ∞"] },
    };

    [Theory]
    [MemberData(nameof(PlacesInAStep))]
    public void Step_PlantedInside_StopsThereAndNamesIt(string place, string kernel, int call, int argument, float value, string[] words)
    {
        var (device, planter) = PlantedKernels.Open();
        using var tiny = new TinyTraining(Options(kernel), device: device);
        tiny.Train(1);
        float[] weights = device.Download(tiny.Trainer.Trained.Flat);
        Bend(planter, kernel, call, argument, value);
        var error = Assert.Throws<EngineException>(() => tiny.Trainer.Step());
        Assert.True(planter.Planted, place);
        Assert.Equal(ErrorKind.Numerical, error.Kind);
        Assert.All(words, w => Assert.Contains(w, Said(error.Message), StringComparison.Ordinal));
        if (error.Message.StartsWith("step", StringComparison.Ordinal))
        {
            Assert.Equal(weights, device.Download(tiny.Trainer.Trained.Flat));
        }
    }

    [Theory]
    [MemberData(nameof(PlacesInAStep))]
    public void Step_PlantedInside_SkipAndClipGoOnAndTellEverything(string place, string kernel, int call, int argument, float value, string[] words)
    {
        foreach (var policy in (NonFinitePolicy[])[NonFinitePolicy.Skip, NonFinitePolicy.Clip])
        {
            var (device, planter) = PlantedKernels.Open();
            using var tiny = new TinyTraining(Options(kernel) with { OnNonFinite = policy }, device: device);
            int usual = tiny.Train(1)[0].Examples;
            float[] weights = device.Download(tiny.Trainer.Trained.Flat);
            Bend(planter, kernel, call, argument, value);
            if (words[0].StartsWith("after", StringComparison.Ordinal))
            {
                // It is in the state already: no policy mends that.
                Assert.Contains(words[0], Said(Assert.Throws<EngineException>(() => tiny.Trainer.Step()).Message), StringComparison.Ordinal);
                continue;
            }
            var step = tiny.Trainer.Step();
            Assert.True(planter.Planted, place);
            Assert.NotEmpty(step.Faults);
            string told = Said(string.Join('\n', step.Faults.Select(f => $"step 2: {f.What}; {f.Done}")));
            Assert.All(words, w => Assert.Contains(w, told, StringComparison.Ordinal));
            bool feature = kernel == "RowsFinite";
            Assert.Equal(policy == NonFinitePolicy.Skip && !feature, step.Skipped);
            float[] after = device.Download(tiny.Trainer.Trained.Flat);
            Assert.Equal(step.Skipped, weights.AsSpan().SequenceEqual(after));
            Assert.DoesNotContain(after, v => !float.IsFinite(v));
            // What was drawn and not trained has a reason, or lost in the selection.
            int leftOut = step.Faults.Count(f => f.Done == "it is left out");
            Assert.Equal(usual, step.Examples + leftOut);
            Assert.Equal(policy == NonFinitePolicy.Clip && kernel == "CrossEntropy", leftOut > 0);
            Assert.All(step.Faults.Where(f => f.Example >= 0), f => Assert.DoesNotContain(step.Chosen, c => tiny.Data.InputIndex(c) == f.Example && !step.Skipped));
            var next = tiny.Trainer.Step();
            Assert.Empty(next.Faults);
            Assert.True(double.IsFinite(next.Loss), place);
        }
    }

    /// <summary>The places outside a training step, each with what stops it.</summary>
    public static TheoryData<string> PlacesElsewhere =>
    [
        "learning rate", "learning rate that overflows the weights", "weights of a model file", "weights of an adapter file", "weights of one model of a merge", "sum of a merge",
        "weight of a merge recipe", "moment in a checkpoint", "moment in a selector's history", "rows to be clustered", "distances of a selection", "norms of a selection by cosine", "loss of the evaluation", "output of another engine",
        "logits of a generated token", "model of an ablation's unit", "certificate of a selection",
    ];

    [Theory]
    [MemberData(nameof(PlacesElsewhere))]
    public void Run_PlantedElsewhere_StopsAndNamesIt(string place)
    {
        using var model = new TinyModelFolder();
        var error = Assert.Throws<EngineException>(() => Do(place, model));
        var (kind, words) = place switch
        {
            "learning rate" => (ErrorKind.Usage, "the learning rate is NaN"),
            "learning rate that overflows the weights" => (ErrorKind.Numerical, "after step 1: element"),
            "weights of a model file" => (ErrorKind.Numerical, "model.safetensors: element 3 of tensor \"model.norm.weight\" is NaN"),
            "weights of an adapter file" => (ErrorKind.Numerical, "adapter_model.safetensors: element 3 of tensor \"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight\" is ∞"),
            "weights of one model of a merge" => (ErrorKind.Numerical, "element 3 of tensor \"model.norm.weight\" is NaN in"),
            "sum of a merge" => (ErrorKind.Numerical, "element 3 of the merged tensor \"model.norm.weight\" is not finite as F16"),
            "weight of a merge recipe" => (ErrorKind.Usage, "NaN"),
            "moment in a checkpoint" => (ErrorKind.Numerical, "optimizer.v.safetensors: element 3 of tensor \"model.embed_tokens.weight\" is NaN"),
            "moment in a selector's history" => (ErrorKind.BadInput, "element 1 of the vector m is NaN"),
            "rows to be clustered" => (ErrorKind.Numerical, "element 1 of row 2 is NaN"),
            "distances of a selection" => (ErrorKind.Numerical, "the largest distance of"),
            "norms of a selection by cosine" => (ErrorKind.Numerical, "the norm of feature 0 of 10 is"),
            "loss of the evaluation" => (ErrorKind.Numerical, "evaluation after step 5: the loss of example"),
            "output of another engine" => (ErrorKind.Numerical, "the loss of example"),
            "logits of a generated token" => (ErrorKind.Numerical, "the logit of token"),
            "model of an ablation's unit" => (ErrorKind.Numerical, "model.safetensors: element 3 of tensor \"model.norm.weight\" is NaN"),
            _ => (ErrorKind.BadInput, "upper_bound"),
        };
        Assert.True(kind == error.Kind, error.Message);
        Assert.Contains(words, Said(error.Message), StringComparison.Ordinal);
        Assert.DoesNotContain(Directory.GetFileSystemEntries(_folder.Path), e => e.EndsWith("result", StringComparison.Ordinal));
    }

    /// <summary>Features on disk are the one place where an example is left out in place of an error: by index and with the reason, so that all are accounted for.</summary>
    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.NegativeInfinity)]
    public void Select_RowsNotFinite_AreDroppedWithTheirReason(float value)
    {
        const int N = 30;
        float[] rows = [.. Enumerable.Range(0, N * 4).Select(i => (float)Math.Sin(i))];
        rows[(7 * 4) + 2] = rows[19 * 4] = value;
        NpyWriter.WriteFloat32(_folder.File("f.npy"), [N, 4], rows);
        var result = NEngine.Run("select", "--features", _folder.File("f.npy"), "--budget", $"{N - 2}", "--json").Expect(0).Json();
        int[] chosen = [.. result.GetProperty("indices").EnumerateArray().Select(i => i.GetInt32())];
        var dropped = result.GetProperty("dropped").EnumerateArray().Select(d => (d.GetProperty("index").GetInt32(), d.GetProperty("reason").GetString())).ToArray();
        Assert.Equal([(7, "non-finite feature"), (19, "non-finite feature")], dropped);
        Assert.Equal(Enumerable.Range(0, N), chosen.Concat(dropped.Select(d => d.Item1)).Order());
    }

    [Fact]
    public void Train_WithSkip_WarnsCountsAndFinishes()
    {
        string data = _folder.File("d.jsonl");
        JsonlWriter.Write(data, MixtureSynthesizer.Generate(60, 5, SynthesisSplit.Train));
        string[] args = ["train", "--model", "preset:0.2m", "--data", data, "--seq-len", "32", "--pool", "8", "--batch", "4", "--steps", "3", "--lr", "1e-3", "--radius", "1e38", "--feature", "zo", "--keep", "none", "--output", _folder.File("run")];
        var stopped = NEngine.Run(args).Expect(6);
        Assert.Contains("step 1: the feature of example", stopped.StdErr, StringComparison.Ordinal);
        Assert.Contains("--on-nonfinite skip", stopped.StdErr, StringComparison.Ordinal);
        var result = NEngine.Run([.. args, "--on-nonfinite", "skip", "--resume", "--json"]).Expect(0);
        Assert.Equal(JsonValueKind.Null, result.Json().GetProperty("train_loss").ValueKind);
        Assert.Contains("warning: step 3: no example is left to train; the step is skipped", result.StdErr, StringComparison.Ordinal);
        string[] lines = File.ReadAllLines(Path.Combine(_folder.File("run"), "metrics.jsonl"));
        Assert.Equal(3, lines.Length);
        using var last = JsonDocument.Parse(lines[^1]);
        Assert.Equal(9, last.RootElement.GetProperty("not_finite").GetArrayLength());
        NEngine.Run("report", _folder.File("run")).Expect(0);
    }

    // The first cross entropy of a step is the training's where no features are computed.
    private static TrainOptions Options(string kernel) => TinyTraining.Options(kernel == "CrossEntropy" ? BatchSelection.Random : BatchSelection.Colm);

    // How infinity is written is the culture's matter.
    private static string Said(string text) => text.Replace("Infinity", "∞", StringComparison.Ordinal);

    private static void Bend(PlantedKernels planter, string kernel, int call, int argument, float value)
    {
        planter.Restart();
        (planter.Kernel, planter.Call, planter.Argument, planter.Value) = (kernel, Math.Abs(call), argument, value);
        (planter.After, planter.Element) = (call < 0, kernel == "CrossEntropy" && call > 0 ? 0 : 5);
    }

    private void Do(string place, TinyModelFolder model)
    {
        switch (place)
        {
            case "learning rate":
                using (new TinyTraining(TinyTraining.Options() with { LearningRate = double.NaN }))
                {
                }
                break;
            case "learning rate that overflows the weights":
                using (var tiny = new TinyTraining(TinyTraining.Options() with { LearningRate = 3e38, Schedule = ScheduleShape.Constant, WarmupRatio = 0, Optimizer = new OptimizerOptions(WeightDecay: 1) }))
                {
                    tiny.Train(1);
                }
                break;
            case "weights of a model file":
                Plant(model.Path, "model.norm.weight", float.NaN);
                ModelFolder.Load(model.Path, model.Device);
                break;
            case "weights of an adapter file":
                using (var adapter = new LoraAdapter(model.Device, model.Config, 2, 4, ["q_proj"], trainable: false))
                {
                    AdapterFolder.Save(_folder.File("adapter"), adapter, "base");
                    Plant(Path.Combine(_folder.File("adapter"), "adapter_model.safetensors"), "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", float.PositiveInfinity);
                    AdapterFolder.Load(_folder.File("adapter"), model.Config, model.Device);
                }
                break;
            case "weights of one model of a merge":
                Merge(model, float.NaN, "F32");
                break;
            case "sum of a merge":
                Merge(model, 1e6f, "float16");
                break;
            case "weight of a merge recipe":
                MergeRecipe.Linear([(model.Path, double.NaN), (model.Path, 1)]);
                break;
            case "moment in a checkpoint":
                Checkpointed();
                break;
            case "moment in a selector's history":
                SafetensorsWriter.WriteFloat32(_folder.File("s.safetensors"), null, ("m", [3], new float[] { 0, float.NaN, 0 }), ("v", [3], new float[3]));
                using (var device = new CpuDevice(1))
                using (var normalizer = GradientNormalizer.Adam(device))
                {
                    SelectorState.Load(_folder.File("s.safetensors"), normalizer, 3);
                }
                break;
            case "rows to be clustered":
                float[] rows = new float[8 * 2];
                rows[5] = float.NaN;
                KMeans.Fit(rows, 2, new KMeansOptions { Clusters = 2, Restarts = 1, Seed = 1, Threads = 1 });
                break;
            case "distances of a selection":
            case "norms of a selection by cosine":
                using (var device = new CpuDevice(1))
                using (var normalizer = GradientNormalizer.None())
                using (var far = device.Allocate<float>([.. Enumerable.Range(0, 40).Select(i => i / 4 % 2 == 0 ? 3e38f : -3e38f)], MemoryUse.Data))
                {
                    var selector = new CoresetSelector(device, new SelectionOptions { Budget = 3, Metric = place.EndsWith("cosine", StringComparison.Ordinal) ? DistanceMetric.Cosine : DistanceMetric.L1 }, normalizer);
                    selector.Select(selector.Plan(new int[10], 0), far.View.Reshape(10, 4));
                }
                break;
            case "loss of the evaluation":
                var (bent, planter) = PlantedKernels.Open();
                using (var tiny = new TinyTraining(TinyTraining.Options(), device: bent))
                {
                    Directory.CreateDirectory(_folder.File("run"));
                    var run = new TrainingRun(tiny.Trainer, tiny.Model, TinyTraining.Mixture(40), TinyTraining.Options(), new RunSettings(_folder.File("run"), 0, 0, 2, new Dictionary<string, string>()))
                    {
                        // The next loss that is computed is the evaluation's.
                        OnCheckpoint = _ => Bend(planter, "CrossEntropy", -1, 3, float.NaN),
                    };
                    run.Run(CancellationToken.None);
                }
                break;
            case "output of another engine":
                new PerplexityEvaluator(new BadEngine()).Evaluate(TinyTraining.Mixture(8));
                break;
            case "logits of a generated token":
                using (var untied = new TinyModelFolder(tied: false))
                {
                    Scale(untied.Path, "lm_head.weight", 3e38f);
                    NEngineResult result = NEngine.Run("generate", "--model", untied.Path, "--prompt", "a", "--max-tokens", "2");
                    throw new EngineException((ErrorKind)result.ExitCode, result.StdErr);
                }
            case "model of an ablation's unit":
                using (var kit = new AblationKit())
                using (var device = new CpuDevice(1))
                {
                    var plan = kit.Plan();
                    var cache = new NativeEngine.Ablation.UnitCache(kit.File("cache"));
                    Plant(kit.File("seed"), "model.norm.weight", float.NaN);
                    AblationKit.Runner(plan, cache, device).TrainUnits();
                }
                break;
            default:
                NpyWriter.WriteFloat32(_folder.File("f.npy"), [4, 1], new float[] { 1, 2, 3, 4 });
                NEngine.Run("select", "--features", _folder.File("f.npy"), "--budget", "2", "--output", _folder.File("s.json")).Expect(0);
                TinyModelFolder.EditJson(_folder.File("s.json"), "certificate", """{"upper_bound":1e999,"ratio":1}""");
                SelectionDocument.Load(_folder.File("s.json"));
                break;
        }
    }

    private void Merge(TinyModelFolder model, float value, string type)
    {
        string other = _folder.File("other");
        Directory.CreateDirectory(other);
        foreach (string file in Directory.GetFiles(model.Path))
        {
            File.Copy(file, Path.Combine(other, Path.GetFileName(file)));
        }
        Plant(other, "model.norm.weight", value);
        File.WriteAllText(_folder.File("r.yaml"), $"merge_method: linear\nmodels:\n  - model: {model.Path}\n    parameters: {{weight: 0.5}}\n  - model: {other}\n    parameters: {{weight: 0.5}}\n" + (type == "F32" ? "" : $"out_dtype: {type}\n"));
        using var merger = new ParameterMerger(MergeRecipe.Load(_folder.File("r.yaml")));
        merger.Run(_folder.File("result"));
    }

    private void Checkpointed()
    {
        var options = new Dictionary<string, string>();
        using var tiny = new TinyTraining(TinyTraining.Options());
        tiny.Train(1);
        string folder = Checkpoint.Save(_folder.Path, tiny.Trainer, options);
        string copy = _folder.File("checkpoint-000009");
        AtomicFolder.Publish(copy, to =>
        {
            foreach (string file in Directory.GetFiles(folder).Where(f => !f.EndsWith(AtomicFolder.ChecksumsName, StringComparison.Ordinal)))
            {
                File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
            }
            Plant(Path.Combine(to, "optimizer.v.safetensors"), "model.embed_tokens.weight", float.NaN);
        });
        using var second = new TinyTraining(TinyTraining.Options());
        Checkpoint.Restore(Checkpoint.FindNewest(_folder.Path, Assert.Fail)!, second.Trainer, options);
    }

    /// <summary>Sets element 3 of a tensor of a model folder or file.</summary>
    private static void Plant(string path, string name, float value) => Rewrite(path, (tensor, values) =>
    {
        if (tensor == name)
        {
            values[3] = value;
        }
    });

    private static void Scale(string path, string name, float factor) => Rewrite(path, (tensor, values) =>
    {
        for (int i = 0; i < values.Length && tensor == name; i++)
        {
            values[i] = values[i] < 0 ? -factor : factor;
        }
    });

    private static void Rewrite(string path, Action<string, float[]> edit)
    {
        var tensors = new List<(string, long[], ReadOnlyMemory<float>)>();
        string file = Directory.Exists(path) ? Path.Combine(path, "model.safetensors") : path;
        bool edited = false;
        using (var model = SafetensorsModel.Open(file))
        {
            foreach (var tensor in model.Tensors)
            {
                float[] values = new float[tensor.ElementCount], before;
                tensor.ReadFloat32(0, values);
                before = [.. values];
                edit(tensor.Name, values);
                edited |= !before.AsSpan().SequenceEqual(values);
                tensors.Add((tensor.Name, tensor.Shape.ToArray(), values));
            }
        }
        Assert.True(edited, "nothing was planted");
        SafetensorsWriter.WriteFloat32(file, null, [.. tensors]);
    }

    private sealed class BadEngine : ITokenLosses
    {
        public int ContextLength => 40;

        public float[] Losses(PackedBatch batch, CancellationToken cancellation = default)
        {
            float[] losses = new float[batch.LabelCounts.ToArray().Sum()];
            losses[1] = float.NaN;
            return losses;
        }
    }
}
