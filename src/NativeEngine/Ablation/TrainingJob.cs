using NativeEngine.Data;
using NativeEngine.Training;

namespace NativeEngine.Ablation;

/// <summary>One training of a study: the seed's, a unit's, or the true one of a mixture. Its key says all that its bytes depend on.</summary>
/// <param name="Key">The key.</param>
/// <param name="Data">Makes its sequences; null: nothing is trained, the start is written as it is.</param>
/// <param name="Options">The trainer's options, or null as before.</param>
/// <param name="TokensPerStep">Positions trained in one step: sequences times their tokens less one.</param>
internal sealed record TrainingJob(UnitKey Key, Func<MixtureDataset>? Data, TrainOptions? Options, long TokensPerStep)
{
    /// <summary>The model it starts from; null for the seed's own start.</summary>
    public UnitKey? Start { get; init; }

    /// <summary>A model from elsewhere to be taken in place of a training.</summary>
    public string? Import { get; init; }

    /// <summary>See <see cref="UnitTraining.Pull"/>.</summary>
    public double Pull { get; init; }

    /// <summary>See <see cref="UnitTraining.Lora"/>.</summary>
    public LoraOptions? Lora { get; init; }

    /// <summary>Shares of the budget at which the model is kept besides the end.</summary>
    public IReadOnlyList<double> Fractions { get; init; } = [];

    /// <summary>Steps of the whole training.</summary>
    public long Steps => Options?.Steps ?? 0;

    /// <summary>Tokens of the whole training.</summary>
    public long Tokens => Steps * TokensPerStep;
}
