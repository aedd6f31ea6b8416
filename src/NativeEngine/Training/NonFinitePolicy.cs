namespace NativeEngine.Training;

/// <summary>
/// What a training step does about a value that is NaN or infinite before it has changed anything: a feature in the selection, an example's loss, an
/// element of the gradient, its norm. What has reached the weights or the optimiser's state ends the run under every policy.
/// </summary>
public enum NonFinitePolicy
{
    /// <summary>The run ends, naming it; the weights are as before the step.</summary>
    Stop,
    /// <summary>
    /// Examples with such a feature cannot be chosen; a step with such a loss or gradient is counted, but weights and optimiser stay as they are.
    /// </summary>
    Skip,
    /// <summary>
    /// Examples with such a feature cannot be chosen; examples with such a loss are left out of the step; elements of the gradient that are not
    /// finite count as 0, and a norm past float32's range is scaled down. A step with nothing left is skipped.
    /// </summary>
    Clip,
}

/// <summary>A value that was not finite, and what was done about it under <see cref="NonFinitePolicy.Skip"/> or <see cref="NonFinitePolicy.Clip"/>.</summary>
/// <param name="What">The value: "the loss of example 17 (stories) is NaN".</param>
/// <param name="Done">"left out of the selection", "the step is skipped", …</param>
/// <param name="Example">The example's index in the data file, or -1 where it belongs to none.</param>
public readonly record struct StepFault(string What, string Done, long Example = -1);
