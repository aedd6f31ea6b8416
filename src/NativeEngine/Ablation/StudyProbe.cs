using System.Diagnostics;
using NativeEngine.Devices;
using NativeEngine.Training;

namespace NativeEngine.Ablation;

/// <summary>What a short trial of a study's training tells before anything is spent.</summary>
/// <param name="TokensPerSecond">Speed of a training step.</param>
/// <param name="Memory">Device memory of a training.</param>
public sealed record StudyProbe(double TokensPerSecond, MemoryPlan Memory)
{
    /// <summary>Trains the first unit with data for a few steps from fresh weights and throws the result away. Cost: up to five steps or two seconds.</summary>
    public static StudyProbe Run(StudyPlan plan, Device device, CancellationToken cancellation = default)
    {
        var training = plan.Study.Training;
        using var model = TrainableModel.Open(plan.Study.Seed.Model, () => plan.Tokenizer, training.Lora, 1, device, cancellation);
        var options = training.Budget.Options(1);
        if (plan.Units.FirstOrDefault(u => u.Import is null) is not { } unit)
        {
            return new StudyProbe(double.NaN, new MemoryPlan(0, 0, 0, 0));
        }
        var data = plan.UnitData(unit.Index);
        var memory = MemoryPlan.Of(model.Model, data, options);
        using var trainer = new Trainer(model.Model, data, options);
        double best = 0;
        for (var clock = Stopwatch.StartNew(); trainer.StepsDone < Math.Min(5, options.Steps) && (best == 0 || clock.Elapsed.TotalSeconds < 2);)
        {
            cancellation.ThrowIfCancellationRequested();
            var step = trainer.Step();
            best = Math.Max(best, step.Tokens / step.Seconds);
        }
        return new StudyProbe(best, memory);
    }
}
