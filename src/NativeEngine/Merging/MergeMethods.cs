using NativeEngine.Merging.Methods;

namespace NativeEngine.Merging;

/// <summary>A merge method for people: its name in recipes, its formula, what it needs.</summary>
/// <param name="Name">merge_method.</param>
/// <param name="Formula">x_i are the models, b is base_model, d_i = x_i - b, w_i the weights.</param>
/// <param name="Base">What base_model is to it.</param>
/// <param name="Parameters">Its parameters.</param>
public sealed record MergeMethodInfo(string Name, string Formula, BaseRule Base, IReadOnlyList<MergeParameter> Parameters);

/// <summary>All merge methods.</summary>
public static class MergeMethods
{
    private static readonly MergeParameter _gamma = new("gamma", 0.01, true, "share of the largest differences that goes, in [0, 1)", 0, 1);
    private static readonly MergeParameter _epsilon = new("epsilon", 0.15, true, "half the spread of the keep probabilities", 0, 1);
    private static readonly MagnitudeSparsifier _trim = new(dropsLargest: false);
    private static readonly MagnitudeSparsifier _breadcrumbs = new(dropsLargest: true);

    internal static IReadOnlyList<MergeMethod> Methods { get; } =
    [
        new Linear(),
        new Slerp(),
        new NuSlerp(),
        new MultiSlerp(),
        new Karcher(),
        new TaskVectors("task_arithmetic", "b + lambda sum w_i d_i", Sparsifier.None, consensus: false, normalize: false, []),
        new TaskVectors("ties", "b + lambda sum w_i trim(d_i) over agreeing signs / sum of agreeing w_i", _trim, consensus: true, normalize: true,
            [TaskVectors.Density, TaskVectors.Rescale(false), TaskVectors.Int8Mask]),
        new TaskVectors("dare_linear", "b + lambda sum w_i drop(d_i)", new RandomSparsifier(), consensus: false, normalize: false,
            [TaskVectors.Density, TaskVectors.Rescale(true), TaskVectors.Int8Mask]),
        new TaskVectors("dare_ties", "b + lambda sum w_i drop(d_i) over agreeing signs", new RandomSparsifier(), consensus: true, normalize: false,
            [TaskVectors.Density, TaskVectors.Rescale(true), TaskVectors.Int8Mask]),
        new TaskVectors("della", "as dare_ties, keep probabilities rising with magnitude", new RankedRandomSparsifier(), consensus: true, normalize: true,
            [TaskVectors.Density, _epsilon, TaskVectors.Rescale(true), TaskVectors.Int8Mask]),
        new TaskVectors("della_linear", "as dare_linear, keep probabilities rising with magnitude", new RankedRandomSparsifier(), consensus: false, normalize: false,
            [TaskVectors.Density, _epsilon, TaskVectors.Rescale(true), TaskVectors.Int8Mask]),
        new TaskVectors("breadcrumbs", "b + lambda sum w_i d_i without its largest and smallest", _breadcrumbs, consensus: false, normalize: false,
            [TaskVectors.Density, _gamma, TaskVectors.Rescale(false), TaskVectors.Int8Mask]),
        new TaskVectors("breadcrumbs_ties", "as breadcrumbs, over agreeing signs", _breadcrumbs, consensus: true, normalize: false,
            [TaskVectors.Density, _gamma, TaskVectors.Rescale(false), TaskVectors.Int8Mask]),
        new ModelStock(),
        new Sce(),
        new NearSwap(),
        new Passthrough(),
    ];

    /// <summary>Every method, in the order of the documentation.</summary>
    public static IReadOnlyList<MergeMethodInfo> All { get; } = [.. Methods.Select(m => new MergeMethodInfo(m.Name, m.Formula, m.Base, m.Parameters))];

    internal static MergeMethod? Find(string name) => Methods.FirstOrDefault(m => m.Name == name);
}
