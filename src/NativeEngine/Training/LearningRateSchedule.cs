namespace NativeEngine.Training;

/// <summary>How the learning rate falls after the warm-up.</summary>
public enum ScheduleShape
{
    /// <summary>Half a cosine from the peak down to the floor.</summary>
    Cosine,
    /// <summary>A straight line from the peak down to the floor.</summary>
    Linear,
    /// <summary>The peak throughout.</summary>
    Constant,
}

/// <summary>
/// Learning rate of a step: rises linearly over the warm-up steps (step s of W uses peak (s+1)/W), then falls towards floor * peak, which it would reach at step = Steps.
/// </summary>
/// <param name="Peak">Largest learning rate.</param>
/// <param name="Steps">Steps of the whole run.</param>
/// <param name="WarmupSteps">Steps of the rise.</param>
/// <param name="Shape">The fall.</param>
/// <param name="Floor">Last rate as a fraction of the peak.</param>
public sealed record LearningRateSchedule(double Peak, long Steps, long WarmupSteps, ScheduleShape Shape, double Floor = 0)
{
    /// <summary>The rate of a step, counted from 0.</summary>
    public double At(long step)
    {
        if (step < WarmupSteps)
        {
            return Peak * (step + 1) / WarmupSteps;
        }
        double progress = Steps > WarmupSteps ? Math.Clamp((double)(step - WarmupSteps) / (Steps - WarmupSteps), 0, 1) : 0;
        double share = Shape switch
        {
            ScheduleShape.Cosine => 0.5 * (1 + Math.Cos(Math.PI * progress)),
            ScheduleShape.Linear => 1 - progress,
            _ => 1,
        };
        return Shape == ScheduleShape.Constant ? Peak : Peak * (Floor + ((1 - Floor) * share));
    }
}
