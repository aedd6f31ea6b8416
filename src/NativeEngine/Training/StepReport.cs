namespace NativeEngine.Training;

/// <summary>What one step did. The arrays and lists are the trainer's: after the next step they hold the next step's.</summary>
/// <param name="Step">The step, counted from 1.</param>
/// <param name="Loss">Mean natural-log loss over the label tokens trained.</param>
/// <param name="LearningRate">The rate used.</param>
/// <param name="GradientNorm">Norm of the gradient before clipping.</param>
/// <param name="Examples">Examples trained.</param>
/// <param name="Kept">Of these, examples of small sources kept whole.</param>
/// <param name="Tokens">Tokens trained.</param>
/// <param name="LabelTokens">Of these, tokens with a loss.</param>
/// <param name="PoolBySource">Examples of the pool per source id.</param>
/// <param name="TrainedBySource">Examples trained per source id.</param>
/// <param name="Objective">Facility-location objective of the selection, or NaN.</param>
/// <param name="SelectionSeconds">Time to choose the batch, features included.</param>
/// <param name="Seconds">Time of the whole step.</param>
public readonly record struct StepReport(
    long Step, double Loss, double LearningRate, double GradientNorm, int Examples, int Kept, long Tokens, long LabelTokens,
    int[] PoolBySource, int[] TrainedBySource, double Objective, double SelectionSeconds, double Seconds)
{
    /// <summary>The certificate's bound: no selection with the same quotas has a larger objective. NaN where there is none.</summary>
    public double Bound { get; init; } = double.NaN;

    /// <summary>Largest number of bytes that activations, features and the selection's matrices took together in this step.</summary>
    public long ActivationBytes { get; init; }

    /// <summary>Fingerprint of the examples drawn, in order: equal pools have equal ones.</summary>
    public ulong Pool { get; init; }

    /// <summary>Fingerprint of the examples trained, in order.</summary>
    public ulong Batch { get; init; }

    /// <summary>Whether the step changed nothing because of a value that was not finite; loss and norm are NaN then.</summary>
    public bool Skipped { get; init; }

    /// <summary>Values that were not finite and what was done about each; empty but under <see cref="NonFinitePolicy.Skip"/> and <see cref="NonFinitePolicy.Clip"/>.</summary>
    public IReadOnlyList<StepFault> Faults { get; init; } = [];

    /// <summary>The examples trained, by their index in the data, in training order; those of all ranks.</summary>
    public IReadOnlyList<int> Chosen { get; init; } = [];
}
