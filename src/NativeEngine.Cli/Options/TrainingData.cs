using NativeEngine.Data;

namespace NativeEngine.Cli;

/// <summary>What a training run reads: files, or the mixture the program brings along.</summary>
internal static class TrainingData
{
    /// <summary>The name of the generated mixture.</summary>
    public const string BuiltIn = "builtin";

    private const int BuiltInTrain = 6000;
    private const int BuiltInValid = 800;
    private const ulong BuiltInSeed = 1;

    public static MixtureDataset Load(VerbContext context, DataInput fields, string path, Tokenizer tokenizer, int length, LossOn lossOn) =>
        path != BuiltIn && !Path.Exists(path) && Suggestion.Nearest(path, [BuiltIn]) is not null
            ? throw new EngineException(ErrorKind.BadInput, $"reading {path}: there is no such file", $"--data {BuiltIn}")
            : path == BuiltIn
            ? Generated(context, BuiltInTrain, fields.Limit(context) ?? BuiltInTrain, SynthesisSplit.Train, tokenizer, DatasetOptions.Training(length, lossOn))
            : fields.Load(context, path, tokenizer, DatasetOptions.Training(length, lossOn));

    /// <summary>The held-out examples, or null when there are none.</summary>
    public static MixtureDataset? LoadEvaluation(VerbContext context, DataInput fields, string trainPath, string? path, Tokenizer tokenizer, int length) =>
        path is not null && path != BuiltIn ? fields.Load(context, path, tokenizer, DatasetOptions.Evaluation(length), whole: true)
        : path == BuiltIn || trainPath == BuiltIn ? Generated(context, BuiltInValid, BuiltInValid, SynthesisSplit.Valid, tokenizer, DatasetOptions.Evaluation(length))
        : null;

    private static MixtureDataset Generated(VerbContext context, int count, int limit, SynthesisSplit split, Tokenizer tokenizer, DatasetOptions options)
    {
        var data = MixtureDataset.Build(
            MixtureSynthesizer.Generate(count, BuiltInSeed, split, context.Cancellation).Take(limit), tokenizer, options, context.Cancellation);
        context.Talk.Info($"built-in mixture ({(split == SynthesisSplit.Train ? "train" : "held out")}): {data.Report}");
        return data;
    }
}
