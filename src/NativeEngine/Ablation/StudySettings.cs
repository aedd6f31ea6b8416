using NativeEngine.Data;
using NativeEngine.Training;

namespace NativeEngine.Ablation;

/// <summary>Where a study's documents come from.</summary>
/// <param name="Train">JSONL files, or the one word "builtin" for the generated mixture.</param>
/// <param name="Evaluation">JSONL files; empty: a share of every source is held out.</param>
/// <param name="HeldOut">That share.</param>
/// <param name="Fields">Field names; the source field is the metadata that makes the sources (and domains).</param>
/// <param name="OrderBy">A field whose values order a source's documents before it is cut into units; null keeps the order of the file.</param>
/// <param name="Decontaminate">Leave out training documents whose prompt or text is in the evaluation data.</param>
public sealed record StudyData(
    IReadOnlyList<string> Train, IReadOnlyList<string> Evaluation, double HeldOut, JsonlOptions Fields, string? OrderBy, bool Decontaminate)
{
    /// <summary>The name of the generated mixture.</summary>
    public const string BuiltIn = "builtin";

    /// <summary>Whether the generated mixture is used.</summary>
    public bool IsBuiltIn => Train is [BuiltIn];
}

/// <summary>How a training goes, in the terms of a study: one run over packed sequences, the whole batch trained at every step.</summary>
/// <param name="Steps">Optimizer steps.</param>
/// <param name="Batch">Sequences a step.</param>
/// <param name="LearningRate">Peak rate.</param>
/// <param name="Schedule">How the rate falls.</param>
/// <param name="Warmup">Share of the steps that warm up.</param>
/// <param name="ClipNorm">Longest gradient; 0 does not clip.</param>
/// <param name="Optimizer">The optimiser.</param>
public sealed record StudyBudget(
    long Steps, int Batch, double LearningRate, ScheduleShape Schedule, double Warmup, double ClipNorm, OptimizerOptions Optimizer)
{
    /// <summary>The trainer's options for so many times the steps.</summary>
    public TrainOptions Options(ulong seed, long times = 1) => new TrainOptions
    {
        Steps = Steps * times,
        Pool = Batch,
        Batch = Batch,
        Selection = BatchSelection.Full,
        Optimizer = Optimizer,
        LearningRate = LearningRate,
        WarmupRatio = Warmup,
        Schedule = Schedule,
        ClipNorm = ClipNorm,
        Seed = seed,
    }.Validate();
}

/// <summary>The model every unit branches from.</summary>
/// <param name="Model">A model folder, or preset:NAME.</param>
/// <param name="Tokenizer">bytes, bpe:N (trained on the training documents), or a folder; for a preset.</param>
/// <param name="Share">Share of every source that trains the seed and is in no unit; 0 with <paramref name="BuiltIn"/> or without training.</param>
/// <param name="BuiltIn">Train it on the generated mixture instead.</param>
/// <param name="Budget">Its own training; null takes the model as it is.</param>
/// <param name="LossOn">What is learnt: always every token.</param>
public sealed record SeedSettings(string Model, string Tokenizer, double Share, bool BuiltIn, StudyBudget? Budget, LossOn LossOn = LossOn.All);

/// <summary>A unit model that was trained elsewhere.</summary>
/// <param name="Name">The unit's name; a planned unit of this name is not trained, another name adds a unit without data.</param>
/// <param name="Source">The source it belongs to.</param>
/// <param name="Model">Its folder, or MODEL+ADAPTER.</param>
public sealed record UnitImport(string Name, string Source, string Model);

/// <summary>How sources are cut.</summary>
/// <param name="Tokens">Target size of a unit.</param>
/// <param name="Tolerance">Largest relative distance from the target before it is remarked on.</param>
/// <param name="Length">Tokens of a training sequence, and the longest evaluation document.</param>
/// <param name="Imports">Models from elsewhere.</param>
public sealed record UnitSettings(long Tokens, double Tolerance, int Length, IReadOnlyList<UnitImport> Imports);

/// <summary>How a unit model is trained.</summary>
/// <param name="Budget">The run.</param>
/// <param name="Pull">Pull toward the seed: after every step theta -= rate * pull * (theta - theta_0). True trainings have none.</param>
/// <param name="Lora">Train an adapter, merged into the weights at the end; null trains the weights.</param>
/// <param name="Seeds">RNG seeds: every unit is trained once with each.</param>
/// <param name="Fractions">Shares of the budget at which the model is kept, ascending, the last one 1.</param>
public sealed record UnitTraining(
    StudyBudget Budget, double Pull, LoraOptions? Lora, IReadOnlyList<ulong> Seeds, IReadOnlyList<double> Fractions);
