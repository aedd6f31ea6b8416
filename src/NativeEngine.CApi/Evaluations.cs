using System.Runtime.InteropServices;
using NativeEngine.Evaluation;
using NativeEngine.Model;
using NativeEngine.Training;

namespace NativeEngine.CApi;

internal static unsafe class EvaluationExports
{
    [UnmanagedCallersOnly(EntryPoint = "ne_feature_dimension")]
    public static int FeatureDimension(nint model, FeatureOptionsStruct* options, long* dimension) => Guard.Call(() =>
    {
        using var lease = Handles.Use<ModelResource>(model);
        Arguments.Need(dimension, "dimension");
        using var turn = lease.Value.Parent.Gate.Enter();
        using var features = new GradientFeatures(lease.Value.Model, Read(options));
        *dimension = features.Dimension;
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_features")]
    public static int Features(nint model, nint data, FeatureOptionsStruct* options, ControlStruct* control, float* features, long capacity) => Guard.Call(() =>
    {
        using var lease = Handles.Use<ModelResource>(model);
        using var examples = Handles.Use<DataResource>(data);
        nint target = (nint)Arguments.Need(features, "features");
        RequireFits(lease.Value.Model, examples.Value.Data);
        using var run = new Control(control);
        using var turn = lease.Value.Parent.Gate.Enter();
        var set = examples.Value.Data;
        using var export = new FeatureExport(lease.Value.Model, set, Read(options));
        long dimension = export.Dimension;
        if (capacity < set.Count * dimension)
        {
            throw new CallException(Status.Buffer, $"{set.Count} rows of {dimension} elements are {set.Count * dimension}, the array has {capacity}");
        }
        run.Report("features"u8, 0, set.Count);
        export.Compute(
            (first, rows) =>
            {
                rows.CopyTo(new Span<float>((float*)target + (first * dimension), rows.Length));
                run.Report("features"u8, first + (rows.Length / dimension), set.Count);
            },
            run.Token);
    });

    [UnmanagedCallersOnly(EntryPoint = "ne_evaluate")]
    public static int Evaluate(nint model, nint data, ControlStruct* control, LossStruct* total, LossStruct* sources, long capacity) => Guard.Call(() =>
    {
        using var lease = Handles.Use<ModelResource>(model);
        using var examples = Handles.Use<DataResource>(data);
        Arguments.CheckOutput(total, "total");
        var set = examples.Value.Data;
        if (sources is not null && capacity < set.Sources.Count)
        {
            throw new CallException(Status.Buffer, $"there are {set.Sources.Count} sources, the array has {capacity} elements");
        }
        for (int s = 0; sources is not null && s < set.Sources.Count; s++)
        {
            // The elements lie as far apart as the caller's struct is long, which its first size says.
            Arguments.CheckOutput(At(sources, s), $"element {s} of sources");
            if (At(sources, s)->Size != sources->Size)
            {
                throw new CallException(Status.Argument, $"the size of element {s} of sources is {At(sources, s)->Size}, the first one's is {sources->Size}");
            }
        }
        RequireFits(lease.Value.Model, set);
        using var run = new Control(control);
        using var turn = lease.Value.Parent.Gate.Enter();
        var result = new PerplexityEvaluator(lease.Value.Model).Evaluate(set, (done, all) => run.Report("evaluate"u8, done, all), run.Token);
        Write(total, result.Total);
        for (int s = 0; sources is not null && s < result.Sources.Count; s++)
        {
            Write(At(sources, s), result.Sources[s]);
        }
    });

    internal static FeatureKind Kind(int value) => Arguments.Choice(value, "the kind of feature", FeatureKind.Gradient, FeatureKind.ZerothOrder, FeatureKind.Hidden);

    /// <summary>Data of another model may have tokens this one lacks, or more of them than its context.</summary>
    internal static void RequireFits(LlamaModel model, Data.MixtureDataset data)
    {
        int longest = 0, largest = 0;
        for (int i = 0; i < data.Count; i++)
        {
            var tokens = data.Tokens(i);
            longest = Math.Max(longest, tokens.Length);
            foreach (int token in tokens)
            {
                largest = Math.Max(largest, token);
            }
        }
        if (largest >= model.Config.VocabularySize || longest > model.Config.ContextLength)
        {
            throw new CallException(
                Status.Input,
                $"the data has tokens up to {largest} and examples of up to {longest}, the model a vocabulary of {model.Config.VocabularySize} and a context of {model.Config.ContextLength}",
                "make the data with this model's tokenizer");
        }
    }

    private static LossStruct* At(LossStruct* sources, long index) => (LossStruct*)((byte*)sources + (index * (long)sources->Size));

    private static FeatureOptions Read(FeatureOptionsStruct* options)
    {
        var o = Arguments.Read(options, "the feature options");
        return new FeatureOptions(Kind(o.Kind), o.Directions == 0 ? 1 : Arguments.Number(o.Directions, "directions", 1, 1 << 20), (float)Arguments.Real(o.Radius, "radius", 1e-3), o.Seed);
    }

    private static void Write(LossStruct* to, SourceLoss loss) => Arguments.Write(
        to,
        new LossStruct
        {
            Examples = loss.Examples,
            Tokens = loss.Tokens,
            MeanLoss = loss.MeanLoss,
            Perplexity = loss.Perplexity,
            BitsPerByte = loss.BitsPerByte,
            CompletionLoss = loss.CompletionLoss,
        },
        "a loss");
}
