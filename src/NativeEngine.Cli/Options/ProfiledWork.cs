using NativeEngine.Data;
using NativeEngine.Devices;
using NativeEngine.Profiling;
using NativeEngine.Selection;
using NativeEngine.Training;

namespace NativeEngine.Cli;

/// <summary>The pieces of work whose kernels profile can look at: each is done once unrecorded, then recorded.</summary>
internal static class ProfiledWork
{
    private const int SelectionRows = 2048, SelectionColumns = 2560, DirectionStream = 77;

    /// <summary>Training steps on the built-in mixture; returns the seconds recorded.</summary>
    public static double Steps(VerbContext context, Device device, KernelRecorder recorder, string model, int steps)
    {
        using var trained = TrainableModel.Open(model, ByteTokenizer.Create, null, context.Seed, device, context.Cancellation);
        var data = TrainingData.Load(
            context, new DataInput(), TrainingData.BuiltIn, trained.Tokenizer, trained.Model.Config.ContextLength, LossOn.Completion);
        var options = new TrainOptions { Steps = steps + 1, Seed = context.Seed };
        MemoryPlan.Of(trained.Model, data, options).RequireFits(context.MaxMemory);
        using var trainer = new Trainer(trained.Model, data, options);
        trainer.Step();
        recorder.Enabled = true;
        long began = recorder.Now;
        for (int i = 0; i < steps; i++)
        {
            context.Cancellation.ThrowIfCancellationRequested();
            long start = recorder.Now;
            var report = trainer.Step();
            long end = recorder.Now;
            recorder.AddPart($"step {report.Step}", start, end);
            AddSelection(recorder, start, end, report.SelectionSeconds);
        }
        recorder.Enabled = false;
        return (recorder.Now - began) * 1e-9;
    }

    /// <summary>Selections of half of 2048 x 2560 normal values by L1, exact greedy; returns the seconds recorded.</summary>
    public static double Selections(VerbContext context, Device device, KernelRecorder recorder, int times)
    {
        using var features = device.Allocate<float>((long)SelectionRows * SelectionColumns, MemoryUse.Selection);
        device.Kernels.Gaussian(context.Seed, DirectionStream, features.View);
        using var normalizer = GradientNormalizer.None();
        var options = new SelectionOptions { Budget = SelectionRows / 2, Seed = context.Seed };
        var selector = new CoresetSelector(device, options, normalizer);
        var plan = selector.Plan(new int[SelectionRows], step: 0);
        var matrix = features.View.Reshape(SelectionRows, SelectionColumns);
        selector.Select(plan, matrix, context.Cancellation);
        recorder.Enabled = true;
        long began = recorder.Now;
        for (int i = 0; i < times; i++)
        {
            long start = recorder.Now;
            selector.Select(plan, matrix, context.Cancellation);
            recorder.AddPart($"select {i + 1}", start, recorder.Now);
        }
        recorder.Enabled = false;
        return (recorder.Now - began) * 1e-9;
    }

    // The step tells how long its selection took from its start. The two clocks differ by some hundred nanoseconds, so the part ends with the last
    // kernel that began within it.
    private static void AddSelection(KernelRecorder recorder, long start, long end, double seconds)
    {
        long until = Math.Min(end, start + (long)(seconds * 1e9));
        foreach (var item in recorder.Events)
        {
            if (item.Size is not null && item.Start >= start && item.Start < until)
            {
                until = Math.Max(until, item.End);
            }
        }
        recorder.AddPart("choose the mini-batch", start, until);
        recorder.AddPart("train on it", until, end);
    }
}
