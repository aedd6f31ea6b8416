using NativeEngine.Model;

namespace NativeEngine.Cli;

/// <summary>The words of --kind and --feature.</summary>
internal static class FeatureWords
{
    /// <summary>The feature that one of the words grad, zo and hidden names.</summary>
    public static FeatureKind Kind(string word) => word switch
    {
        "grad" => FeatureKind.Gradient,
        "zo" => FeatureKind.ZerothOrder,
        "hidden" => FeatureKind.Hidden,
        _ => throw new ArgumentOutOfRangeException(nameof(word), word, "the options take grad, zo or hidden"),
    };
}
