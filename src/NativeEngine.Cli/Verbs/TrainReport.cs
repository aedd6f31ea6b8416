using System.Globalization;
using System.Text.Json;
using NativeEngine.Data;
using NativeEngine.Formats;
using NativeEngine.Training;

namespace NativeEngine.Cli.Verbs;

/// <summary>Runs training with everything a person or a script sees of it: progress, run.json, the final document.</summary>
internal static class TrainReport
{
    public static int Run(
        VerbContext context, TrainableModel model, MixtureDataset? evaluation, Trainer trainer, TrainOptions options,
        OutputFolder? output, RunSettings settings, bool resume, DType type, IReadOnlyList<string> inputs, Ranks ranks)
    {
        string folder = settings.Output;
        if (resume)
        {
            Restore(context, trainer, settings);
        }
        var manifest = output is null ? null
            : new RunManifest(Path.Combine(folder, RunManifest.FileName), context.CommandLine, settings.Options, model.Model.Device, inputs);
        manifest?.Write();
        RunResult result;
        var watch = new StarvationWatch();
        using (var progress = context.Progress("training", options.Steps, "steps"))
        {
            var run = new TrainingRun(trainer, model.Model, evaluation, options, settings)
            {
                Ranks = ranks.Group,
                OnStep = step =>
                {
                    WarnOfStarved(step, watch, trainer.Data.Sources, context.Talk);
                    Report(step, context.Talk, progress, () => string.Create(CultureInfo.InvariantCulture,
                        $"loss {step.Loss:F4}, {step.Tokens / step.Seconds:F0} tokens/s, {step.Examples} trained, {step.Kept} kept, selection {100 * step.SelectionSeconds / step.Seconds:F0} %"));
                },
                OnEvaluation = (step, e) => context.Talk.Info(string.Create(CultureInfo.InvariantCulture,
                    $"after step {step}: held-out loss {e.Total.MeanLoss:F4}, on completions {e.Total.CompletionLoss:F4}")),
                OnReclustered = (step, groups) =>
                {
                    watch.Restart();
                    context.Talk.Info(string.Create(CultureInfo.InvariantCulture,
                        $"after step {step}: examples in {groups.Clusters} clusters, the largest of {groups.Assignment.Count(a => a == 0)}, {100 * groups.Explained:F0} % of the variance between them"));
                },
                OnCheckpoint = saved =>
                {
                    output?.Keep();
                    context.ResumeHint = "run the same command with --resume";
                    context.Talk.Detail($"saved {saved}");
                },
            };
            ranks.StopsTogether = true;
            // The first rank saves for all; it sets its own when it has.
            context.ResumeHint ??= output is null ? "run the same command with --resume" : null;
            result = run.Run(context.Cancellation);
        }
        if (output is null)
        {
            return 0;
        }
        model.Save(output.Path, type, context.Cancellation);
        manifest!.Write(Made(output.Path), json => WriteResult(json, result, output.Path));
        output.Keep();
        WriteReport(context, output.Path);
        context.Result.Write(text => WriteText(text, result, output.Path), json => WriteResult(json, result, output.Path));
        return 0;
    }

    /// <summary>--dry-run: what would happen and what it would take, from a few steps of the model in memory; nothing is written.</summary>
    public static void WritePlan(
        VerbContext context, TrainableModel model, MixtureDataset data, MixtureDataset? evaluation, MemoryPlan plan, TrainOptions options, int evaluateEvery, Trainer trainer, bool together)
    {
        var speed = TrainingSpeed.Measure(trainer, model.Model, evaluation, options, evaluateEvery, together, context.Cancellation);
        context.Result.Write(
            text =>
            {
                text.WriteLine($"would train {model.Origin} ({model.Model.Config.ParameterCount:N0} parameters) for {options.Steps} steps on {data.Count} examples of {data.Sources.Count} sources");
                text.WriteLine($"memory: weights {ByteSize.Format(plan.Parameters)}, gradients {ByteSize.Format(plan.Gradients)}, optimiser {ByteSize.Format(plan.OptimizerState)}, activations about {ByteSize.Format(plan.Activations)}");
                text.WriteLine(FormattableString.Invariant(
                    $"time: about {ProgressLine.Duration(TimeSpan.FromSeconds(speed.Seconds))}: {options.Steps} steps of {speed.StepSeconds:G3} s, of which selection {speed.SelectionSeconds:G3} s{(speed.Evaluations > 0 ? FormattableString.Invariant($", {speed.Evaluations} evaluation{(speed.Evaluations == 1 ? "" : "s")} of {speed.EvaluationSeconds:G3} s") : "")}; checkpoints and the report apart"));
            },
            json =>
            {
                json.WriteNumber("schema", 1);
                json.WriteBoolean("dry_run", true);
                json.WriteNumber("parameters", model.Model.Config.ParameterCount);
                json.WriteNumber("examples", data.Count);
                json.WriteNumber("steps", options.Steps);
                json.WriteNumber("peak_bytes", plan.Total);
                json.WriteNumber("peak_activation_bytes", plan.Activations);
                json.WriteNumber("step_seconds", Math.Round(speed.StepSeconds, 6));
                json.WriteNumber("selection_seconds", Math.Round(speed.SelectionSeconds, 6));
                json.WriteNumber("evaluation_seconds", Math.Round(speed.EvaluationSeconds, 6));
                json.WriteNumber("seconds", Math.Round(speed.Seconds, 6));
            });
    }

    // A step that is not like the others is said whatever the pace of the progress.
    private static void Report(StepReport step, TalkWriter talk, ProgressLine progress, Func<string> text)
    {
        foreach (var fault in step.Faults)
        {
            talk.Warn($"step {step.Step}: {fault.What}; {fault.Done}");
        }
        progress.Report(step.Step, text);
    }

    /// <summary>Warns of the sources that this step shows to be starved. A step that left examples out because of values that are not finite has told so by itself and does not count.</summary>
    internal static void WarnOfStarved(StepReport step, StarvationWatch watch, IReadOnlyList<string> sources, TalkWriter talk)
    {
        if (step.Skipped || step.Faults.Count > 0)
        {
            return;
        }
        foreach (var starved in watch.Observe(step.PoolBySource, step.TrainedBySource, step.Kept))
        {
            string probability = starved.Probability < 1e-30 ? "less than 1e-30" : starved.Probability.ToString("G2", CultureInfo.InvariantCulture);
            talk.Warn(
                $"step {step.Step}: no example of the source {sources[starved.Source]} was trained in {starved.Steps} step{(starved.Steps == 1 ? "" : "s")} whose pools had {starved.Drawn} of them, which has the probability {probability} by chance; "
                + "--quota proportional gives every source its share, --keep decides which are trained whole");
        }
    }

    // The model is worth more than its page: nobody trains again because a disk was full at the end.
    private static void WriteReport(VerbContext context, string folder)
    {
        try
        {
            ReportOutput.Write(context, ReportVerb.OfRun(context, folder), folder);
        }
        catch (EngineException e)
        {
            context.Talk.Warn($"the report was not written ({e.Message}); nengine report {ReportOutput.Shown(folder)} makes it");
        }
    }

    // The weights (or their shards and the index), the adapter, configuration and tokenizer, and the metrics.
    private static IEnumerable<string> Made(string folder) => Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories)
        .Select(file => Path.GetRelativePath(folder, file).Replace('\\', '/'))
        .Where(name => !name.StartsWith("checkpoint-", StringComparison.Ordinal) && !name.StartsWith("report", StringComparison.Ordinal) && name != RunManifest.FileName && Path.GetExtension(name) is ".safetensors" or ".json" or ".jsonl")
        .Order(StringComparer.Ordinal);

    private static void Restore(VerbContext context, Trainer trainer, RunSettings settings)
    {
        if (Checkpoint.FindNewest(settings.Output, context.Talk.Warn) is not { } folder)
        {
            context.Talk.Info("no checkpoint to resume from: starting from the beginning");
            return;
        }
        Checkpoint.Restore(folder, trainer, settings.Options);
        context.ResumeHint = "run the same command with --resume";
        context.Talk.Info($"resuming from {folder}, {trainer.StepsDone} steps done");
    }

    private static void WriteResult(Utf8JsonWriter json, RunResult result, string output)
    {
        json.WriteNumber("schema", 1);
        json.WriteNumber("steps", result.Steps);
        WriteNumber(json, "train_loss", result.TrainLoss);
        if (result.Evaluation is { } evaluation)
        {
            json.WriteStartObject("eval");
            EvaluationReport.WriteJson(json, evaluation);
            json.WriteEndObject();
        }
        else
        {
            json.WriteNull("eval");
        }
        WriteNumber(json, "tokens_per_second", result.TokensPerSecond);
        json.WriteNumber("peak_activation_bytes", result.PeakActivationBytes);
        WriteNumber(json, "selection_seconds", result.SelectionSeconds);
        json.WriteString("output", output);
    }

    private static void WriteText(TextWriter text, RunResult result, string output)
    {
        if (result.Evaluation is { } evaluation)
        {
            EvaluationReport.WriteText(text, evaluation);
        }
        text.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{result.Steps} steps, last training loss {result.TrainLoss:F4}, {result.TokensPerSecond:F0} tokens/s, peak activations {ByteSize.Format(result.PeakActivationBytes)}, selection {result.SelectionSeconds:F1} s"));
        text.WriteLine($"the model is in {output}");
    }

    // A run that did no step in this process has no rate; JSON has no NaN.
    private static void WriteNumber(Utf8JsonWriter json, string name, double value)
    {
        if (double.IsFinite(value))
        {
            json.WriteNumber(name, value);
        }
        else
        {
            json.WriteNull(name);
        }
    }
}
