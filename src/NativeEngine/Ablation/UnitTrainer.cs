using System.Diagnostics;
using System.Globalization;
using NativeEngine.Ablation.Statistics;
using NativeEngine.Devices;
using NativeEngine.Formats;
using NativeEngine.Model;
using NativeEngine.Training;

namespace NativeEngine.Ablation;

/// <summary>What a training in progress tells.</summary>
/// <param name="Label">Which.</param>
/// <param name="Step">Steps done.</param>
/// <param name="Steps">Of.</param>
/// <param name="Loss">Loss of the last step.</param>
public sealed record TrainingProgress(string Label, long Step, long Steps, double Loss);

/// <summary>
/// Trains one model of a study into the cache: from the seed (the seed itself from its own start), the whole batch at every step, optionally as an
/// adapter or pulled toward the seed. Stopped, it saves a checkpoint; continued by whatever process, it ends with the same bytes.
/// </summary>
internal sealed class UnitTrainer(StudyPlan plan, UnitCache cache, Device device)
{
    private const string SecondsName = "seconds.txt";

    /// <summary>Hears of every step.</summary>
    public Action<TrainingProgress>? OnStep { get; init; }

    /// <summary>Hears that a training begins: what it is, and the step it goes on from.</summary>
    public Action<string, long>? OnStart { get; init; }

    /// <summary>Trains and publishes; returns the entry's folder.</summary>
    public string Train(TrainingJob job, UnitWork work, CancellationToken cancellation)
    {
        try
        {
            return TrainAlone(job, work, cancellation);
        }
        catch (Exception e) when (e is IOException or EngineException && cache.Find(job.Key, cancellation) is { } entry)
        {
            // Somebody who had the same claim was first, and tidied up under our feet.
            return entry;
        }
    }

    private string TrainAlone(TrainingJob job, UnitWork work, CancellationToken cancellation)
    {
        if (job.Import is { } import)
        {
            using var imported = ImportedModel.Load(plan, import, device, cancellation);
            return work.Publish(folder => Save(folder, imported, null), new UnitCost(0, 0, 0, 0), cancellation);
        }
        using var model = Open(job, cancellation);
        if (job.Options is not { } options)
        {
            return work.Publish(folder => Save(folder, model.Model.Parameters, null), new UnitCost(0, 0, 0, 0), cancellation);
        }
        var data = job.Data!();
        using var start = job.Pull > 0 ? Copy(model.Model.Parameters) : null;
        using var trainer = new Trainer(model.Model, data, options);
        var due = job.Fractions.Select(f => (Step: Math.Max(1, (long)Math.Round(f * job.Steps)), Name: FractionName(f))).ToList();
        var state = new Dictionary<string, string> { ["key"] = job.Key.Hash };
        double before = 0;
        if (work.TakeOver(due, cancellation) is { } checkpoint)
        {
            Checkpoint.Restore(checkpoint, trainer, state);
            before = Seconds(checkpoint);
        }
        OnStart?.Invoke(job.Key.Label, trainer.StepsDone);
        var clock = Stopwatch.StartNew();
        try
        {
            Run(job, work, model.Model, trainer, start, due, state, () => before + clock.Elapsed.TotalSeconds, cancellation);
        }
        catch (OperationCanceledException)
        {
            SaveCheckpoint(work, trainer, state, before + clock.Elapsed.TotalSeconds);
            throw;
        }
        double flops = TrainingCost.TrainingOperations(plan.Config.ParameterCount, job.Tokens);
        return work.Publish(
            folder =>
            {
                Save(folder, model.Model.Parameters, model.Model.Adapter);
                foreach (var (_, name) in due)
                {
                    string target = Path.Combine(folder, name);
                    Directory.CreateDirectory(target);
                    foreach (string file in Directory.EnumerateFiles(Path.Combine(work.Folder, name)).Where(f => Path.GetFileName(f) != AtomicFolder.ChecksumsName))
                    {
                        File.Copy(file, Path.Combine(target, Path.GetFileName(file)));
                    }
                }
            },
            new UnitCost(job.Steps, job.Tokens, flops, before + clock.Elapsed.TotalSeconds), cancellation);
    }

    /// <summary>The folder of a fraction's model inside an entry.</summary>
    public static string FractionName(double fraction) => string.Create(CultureInfo.InvariantCulture, $"at-{fraction:0.####}");

    private void Run(
        TrainingJob job, UnitWork work, LlamaModel model, Trainer trainer, ParameterSet? start, List<(long Step, string Name)> due, Dictionary<string, string> state,
        Func<double> seconds, CancellationToken cancellation)
    {
        var sinceSaved = Stopwatch.StartNew();
        while (trainer.StepsDone < job.Steps)
        {
            cancellation.ThrowIfCancellationRequested();
            var step = trainer.Step();
            if (start is not null)
            {
                // theta = (1 - a) theta + a theta_0 with a = rate pull.
                float a = (float)Math.Min(1, step.LearningRate * job.Pull);
                device.Kernels.Scale(1 - a, model.Parameters.Flat);
                device.Kernels.Axpy(a, start.Flat, model.Parameters.Flat);
            }
            OnStep?.Invoke(new TrainingProgress(job.Key.Label, step.Step, job.Steps, step.Loss));
            // A fraction's model comes before any checkpoint of its step, so whoever continues from there has it.
            foreach (var (_, name) in due.Where(f => f.Step == step.Step))
            {
                trainer.RequireFinite();
                Directory.CreateDirectory(work.Folder);
                AtomicFolder.Publish(Path.Combine(work.Folder, name), folder => Save(folder, model.Parameters, model.Adapter, tokenizer: false), replace: true, cancellation: cancellation);
            }
            if (sinceSaved.Elapsed >= cache.Options.CheckpointEvery && step.Step < job.Steps)
            {
                SaveCheckpoint(work, trainer, state, seconds());
                sinceSaved.Restart();
            }
        }
        trainer.RequireFinite();
    }

    private static void SaveCheckpoint(UnitWork work, Trainer trainer, Dictionary<string, string> state, double seconds)
    {
        if (trainer.StepsDone == 0)
        {
            return;
        }
        Directory.CreateDirectory(work.Folder);
        string folder = Checkpoint.Save(work.Folder, trainer, state);
        // Beside what the checksums cover: time is no part of the result.
        File.WriteAllText(Path.Combine(folder, SecondsName), seconds.ToString("R", CultureInfo.InvariantCulture));
        Checkpoint.Prune(work.Folder, keep: 1, trainer.StepsDone);
    }

    private static double Seconds(string checkpoint)
    {
        string file = Path.Combine(checkpoint, SecondsName);
        return File.Exists(file) && double.TryParse(File.ReadAllText(file), NumberStyles.Float, CultureInfo.InvariantCulture, out double seconds) ? seconds : 0;
    }

    private TrainableModel Open(TrainingJob job, CancellationToken cancellation)
    {
        if (job.Start is { } start)
        {
            string folder = cache.Find(start, cancellation) ?? throw new InvalidOperationException($"the seed model {start} is not in the cache");
            return TrainableModel.FromFolder(folder, job.Lora, job.Options?.Seed ?? 0, device, cancellation);
        }
        return TrainableModel.Open(plan.Study.Seed.Model, () => plan.Tokenizer, null, plan.Study.RngSeed, device, cancellation);
    }

    // An adapter is merged into a copy: the training goes on with the weights apart.
    private void Save(string folder, ParameterSet parameters, LoraAdapter? adapter, bool tokenizer = true)
    {
        using var merged = adapter is null ? null : Copy(parameters);
        adapter?.MergeInto(merged!);
        ModelFolder.Save(folder, plan.Config, merged ?? parameters, tokenizer ? plan.Tokenizer : null);
    }

    private ParameterSet Copy(ParameterSet parameters)
    {
        var copy = new ParameterSet(device, parameters.Layout, MemoryUse.Parameters);
        device.Kernels.Copy(parameters.Flat, copy.Flat);
        return copy;
    }
}
