using NativeEngine.Data;
using NativeEngine.Model;
using NativeEngine.Selection;

namespace NativeEngine.Training;

/// <summary>How the mini-batch is taken from the pool.</summary>
public enum BatchSelection
{
    /// <summary>The whole pool is trained.</summary>
    Full,
    /// <summary>B examples at random.</summary>
    Random,
    /// <summary>Small sources whole and quotas for the others as CoLM has them, but random examples within a source.</summary>
    Composition,
    /// <summary>CoLM: small sources whole, medoids of normalised, sparsified gradient features for the others.</summary>
    Colm,
}

/// <summary>Everything a training run depends on besides the model and the data.</summary>
public sealed record TrainOptions
{
    /// <summary>Optimizer steps of the whole run.</summary>
    public required long Steps { get; init; }

    /// <summary>Examples N drawn per step.</summary>
    public int Pool { get; init; } = 128;

    /// <summary>Examples B trained per step, at most N; ignored by <see cref="BatchSelection.Full"/>.</summary>
    public int Batch { get; init; } = 64;

    /// <summary>How B are taken from N.</summary>
    public BatchSelection Selection { get; init; } = BatchSelection.Colm;

    /// <summary>What stands for an example in the selection.</summary>
    public FeatureOptions Features { get; init; } = new(FeatureKind.Gradient);

    /// <summary>How medoids are chosen. Budget, kept sources and seed are set from <see cref="Batch"/>, <see cref="SmallSources"/> and <see cref="Seed"/>.</summary>
    public SelectionOptions Coreset { get; init; } = new() { Budget = 1, Top = 512 };

    /// <summary>Which sources are kept whole.</summary>
    public SmallSourceRule SmallSources { get; init; } = SmallSourceRule.BelowMean;

    /// <summary>Turn features into the update the optimiser would make of them before they are compared.</summary>
    public bool NormalizeFeatures { get; init; } = true;

    /// <summary>Weight each chosen example's loss by the number of examples it stands for, instead of uniformly.</summary>
    public bool ClusterWeights { get; init; }

    /// <summary>The optimiser.</summary>
    public OptimizerOptions Optimizer { get; init; } = new();

    /// <summary>Peak learning rate.</summary>
    public double LearningRate { get; init; } = 1e-3;

    /// <summary>Share of the steps that warm up.</summary>
    public double WarmupRatio { get; init; } = 0.03;

    /// <summary>How the learning rate falls.</summary>
    public ScheduleShape Schedule { get; init; } = ScheduleShape.Cosine;

    /// <summary>What a step does about values that are not finite.</summary>
    public NonFinitePolicy OnNonFinite { get; init; }

    /// <summary>Gradients longer than this are scaled down to it; 0 does not clip.</summary>
    public double ClipNorm { get; init; } = 1;

    /// <summary>Most tokens in one forward and backward pass; 0 trains the mini-batch in one pass. The loss does not change.</summary>
    public int MicroBatchTokens { get; init; }

    /// <summary>
    /// Most tokens in one pass for features; besides, such a pass takes no more than <see cref="MicroBatchTokens"/> nor than the batch's share
    /// of the pool's tokens, so that choosing never needs more activations than training. Features do not change.
    /// </summary>
    public int FeatureTokens { get; init; } = 4096;

    /// <summary>Recompute a block's activations in the backward pass.</summary>
    public bool CheckpointActivations { get; init; }

    /// <summary>Seed of the data order, of random choices and of the directions.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>Tokens in one pass for features of a pool.</summary>
    internal int FeaturePassTokens(MixtureDataset data, ReadOnlySpan<int> pool)
    {
        long tokens = 0;
        foreach (int example in pool)
        {
            tokens += data.Tokens(example).Length - 1;
        }
        return (int)Math.Clamp(tokens * Batch / Pool, 1, MicroBatchTokens > 0 ? Math.Min(MicroBatchTokens, FeatureTokens) : FeatureTokens);
    }

    /// <summary>The schedule these options describe.</summary>
    public LearningRateSchedule LearningRates() =>
        new(LearningRate, Steps, (long)Math.Ceiling(WarmupRatio * Steps), Schedule);

    /// <summary>Refuses values no run can have. Errors: Usage with the value.</summary>
    public TrainOptions Validate()
    {
        Check(Steps >= 1, $"the number of steps is {Steps}, it must be at least 1");
        Check(Pool >= 1, $"the pool has {Pool} examples, it must have at least 1");
        Check(Selection == BatchSelection.Full || (Batch >= 1 && Batch <= Pool), $"the batch has {Batch} examples, it must have from 1 to the pool's {Pool}", $"--pool {Math.Max(2L * Batch, 2)} with --batch {Math.Max(Batch, 1)}, or --batch {Math.Max(1, Pool / 2)} with --pool {Math.Max(Pool, 1)}");
        Check(LearningRate > 0 && double.IsFinite(LearningRate), $"the learning rate is {LearningRate}, it must be a positive number", "--lr 1e-3");
        Check(WarmupRatio is >= 0 and <= 1, $"the warm-up ratio is {WarmupRatio}, it must lie between 0 and 1");
        Check(ClipNorm >= 0, $"the clip norm is {ClipNorm}, it must not be negative");
        Check(MicroBatchTokens >= 0 && FeatureTokens >= 1, $"a pass of {MicroBatchTokens} or {FeatureTokens} tokens is impossible");
        return this;

        static void Check(bool ok, string sentence, string? hint = null)
        {
            if (!ok)
            {
                throw new EngineException(ErrorKind.Usage, sentence, hint);
            }
        }
    }
}
