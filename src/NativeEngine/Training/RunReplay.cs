using System.Globalization;
using NativeEngine.Formats;
using NativeEngine.Model;

namespace NativeEngine.Training;

/// <summary>What came of training a stretch of a run again.</summary>
/// <param name="From">Steps done where it began: those of the checkpoint, or 0.</param>
/// <param name="To">The last step trained again.</param>
/// <param name="Difference">Where it parted from what the run wrote (A: recorded, B: trained again), or null: to the bit the same.</param>
/// <param name="Rounding">Whether that difference is of the size of rounding: many values, none off by more than <see cref="RunReplay.RoundingSize"/> of itself.</param>
public sealed record ReplayedStretch(long From, long To, RunDifference? Difference, bool Rounding);

/// <summary>
/// Trains a stretch of a run again from its newest valid checkpoint, or from the beginning, and compares every step, and the checkpoint at the end if the run has
/// it, with what the run wrote. A step is a pure function of what a checkpoint holds, so on the same program and device a difference is a fault.
/// </summary>
public static class RunReplay
{
    /// <summary>Largest relative difference of a loss or a norm that another order of additions explains in the few steps up to the first that differs.</summary>
    public const double RoundingSize = 1e-4;

    /// <summary>The steps of the checkpoint a replay up to <paramref name="to"/> begins from; 0: from the beginning.</summary>
    public static long Begin(string folder, long to) => Checkpoint.Steps(folder).Where(step => step < to && AtomicFolder.Verify(Checkpoint.FolderOf(folder, step)) is null).DefaultIfEmpty(0).Max();

    /// <summary>
    /// Replays. The trainer is fresh, made of the run's own command. Errors: Usage when an option or the content of the data is no longer that of the run, naming it; those of training.
    /// </summary>
    public static ReplayedStretch Run(
        string folder, Trainer trainer, LlamaModel model, RunSettings settings, IReadOnlyDictionary<string, string> recorded, long to, Action<long>? progress = null, CancellationToken cancellation = default)
    {
        RequireSame(folder, recorded, settings.Options);
        long from = Begin(folder, to);
        if (from > 0)
        {
            Checkpoint.Restore(Checkpoint.FolderOf(folder, from), trainer, settings.Options);
        }
        var logged = MetricsHistory.Load(Path.Combine(folder, MetricsHistory.FileName)).Steps.Where(s => s.Step > from && s.Step <= to).ToDictionary(s => s.Step);
        while (trainer.StepsDone < to)
        {
            cancellation.ThrowIfCancellationRequested();
            if (settings.Reclustering is { } clusters && clusters.IsDue(trainer.StepsDone))
            {
                clusters.Apply(trainer, model, cancellation);
            }
            var step = trainer.Step();
            progress?.Invoke(step.Step - from);
            if (logged.TryGetValue(step.Step, out var was) && RunComparison.InStep(was, Logged(step), []) is { } difference)
            {
                return new ReplayedStretch(from, to, Told(difference), IsRounding(difference));
            }
        }
        return AtEnd(folder, trainer, settings, from, to, cancellation);
    }

    private static ReplayedStretch AtEnd(string folder, Trainer trainer, RunSettings settings, long from, long to, CancellationToken cancellation)
    {
        if (!Checkpoint.Steps(folder).Contains(to))
        {
            return new ReplayedStretch(from, to, null, false);
        }
        string again = Directory.CreateTempSubdirectory("nengine-replay-").FullName;
        try
        {
            Checkpoint.Save(again, trainer, settings.Options);
            var difference = RunComparison.InCheckpoint(Checkpoint.FolderOf(folder, to), Checkpoint.FolderOf(again, to), to, cancellation);
            return new ReplayedStretch(from, to, difference, difference is not null && IsRounding(difference));
        }
        finally
        {
            Directory.Delete(again, recursive: true);
        }
    }

    private static void RequireSame(string folder, IReadOnlyDictionary<string, string> recorded, IReadOnlyDictionary<string, string> now)
    {
        foreach (string name in recorded.Keys.Union(now.Keys).Order(StringComparer.Ordinal))
        {
            string before = recorded.GetValueOrDefault(name, "nothing"), here = now.GetValueOrDefault(name, "nothing");
            if (before != here)
            {
                throw new EngineException(ErrorKind.BadInput, $"{folder} was trained with {name} = {before}, its command now gives {here}", "put back the data and the model that run.json names");
            }
        }
    }

    private static bool IsRounding(RunDifference difference) =>
        difference.Cause == PartingCause.Values && difference.Element < 0
        && double.TryParse(difference.A, CultureInfo.InvariantCulture, out double a) && double.TryParse(difference.B, CultureInfo.InvariantCulture, out double b)
        && Math.Abs(a - b) <= RoundingSize * Math.Max(Math.Abs(a), Math.Abs(b));

    private static RunDifference Told(RunDifference d) => d with
    {
        Sentence = $"step {d.Step}: the run wrote {d.Where.Replace('_', ' ')} {d.A}, trained again it is {d.B}",
    };

    // As the log writes it.
    private static LoggedStep Logged(StepReport step) => new()
    {
        Step = step.Step,
        Loss = step.Loss,
        LearningRate = step.LearningRate,
        GradientNorm = step.GradientNorm,
        Objective = double.IsFinite(step.Objective) ? step.Objective : double.NaN,
        Pool = step.Pool.ToString("x16", CultureInfo.InvariantCulture),
        Batch = step.Batch.ToString("x16", CultureInfo.InvariantCulture),
    };
}

/// <summary>Why two runs part, once both were trained again.</summary>
/// <param name="Cause">Why.</param>
/// <param name="Sentence">In words.</param>
public sealed record ReplayVerdict(PartingCause Cause, string Sentence)
{
    /// <summary>
    /// The verdict on a difference that the files show. <paramref name="sameHereA"/>: whether the first run was made by this program on this device; so for the second.
    /// </summary>
    public static ReplayVerdict Of(RunDifference first, ReplayedStretch a, ReplayedStretch b, bool sameHereA, bool sameHereB) => (a.Difference, b.Difference) switch
    {
        (null, null) when first.Cause is PartingCause.Values => new(PartingCause.Damage,
            $"both runs repeat to the bit, and trained again they agree up to step {a.To}: what differs was changed after it was written"),
        (null, null) => new(first.Cause, "both runs repeat to the bit: they part because of what they were told or read, not by a fault"),
        (null, { } wrong) => One("second", wrong, b, sameHereB),
        ({ } wrong, null) => One("first", wrong, a, sameHereA),
        ({ } wrong, { }) => a.Rounding && b.Rounding && !(sameHereA && sameHereB)
            ? new(PartingCause.ReductionOrder, $"neither repeats here, and both by no more than rounding ({wrong.Sentence}): they added in another order, on another device, other ranks or with another program version")
            : new(PartingCause.Fault, $"neither repeats here ({wrong.Sentence}): this machine, program or data is not what either run had"),
    };

    private static ReplayVerdict One(string which, RunDifference wrong, ReplayedStretch stretch, bool sameHere) => wrong.Cause switch
    {
        PartingCause.DataOrder => new(PartingCause.DataOrder, $"the {which} run does not repeat: {wrong.Sentence}; it drew its data in another order than its options say"),
        PartingCause.Values when stretch.Rounding && !sameHere => new(PartingCause.ReductionOrder,
            $"the {which} run does not repeat by no more than rounding: {wrong.Sentence}; it added in another order, on another device, other ranks or with another program version"),
        _ => new(PartingCause.Fault, $"the {which} run does not repeat: {wrong.Sentence}" + (sameHere
            ? "; the program and device are the same, so a fault of the machine, or a file changed afterwards"
            : "; it was made by another program version or on another device, or by a fault")),
    };
}
