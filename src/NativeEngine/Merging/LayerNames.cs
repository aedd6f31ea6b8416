using System.Globalization;
using System.Text.RegularExpressions;

namespace NativeEngine.Merging;

/// <summary>Where a tensor stands in a model: "model.layers." + 3 + ".mlp.up_proj.weight".</summary>
internal readonly record struct LayerName(string Before, int Layer, string After)
{
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Before}{Layer}{After}");
}

/// <summary>Finds layers by tensor names: the first number after layers, h, block or blocks.</summary>
internal static partial class LayerNames
{
    /// <summary>The place of a tensor among the layers, or null outside of them.</summary>
    public static LayerName? Parse(string tensor) => Pattern().Match(tensor) is { Success: true } match
        ? new LayerName(match.Groups[1].Value, int.Parse(match.Groups[2].ValueSpan, CultureInfo.InvariantCulture), match.Groups[3].Value) : null;

    /// <summary>How many layers each container ("model.layers.") of a list of names has.</summary>
    public static Dictionary<string, int> Count(IEnumerable<string> tensors) => tensors.Select(Parse).OfType<LayerName>()
        .GroupBy(name => name.Before, StringComparer.Ordinal).ToDictionary(group => group.Key, group => group.Max(name => name.Layer) + 1, StringComparer.Ordinal);

    /// <summary>Whether a tensor outside the layers comes after them (final norm, output matrix), so that it belongs to the last slice.</summary>
    public static bool IsAfterLayers(string tensor) => tensor.Contains("norm", StringComparison.Ordinal)
        || tensor.Contains("ln_f", StringComparison.Ordinal) || tensor.Contains("lm_head", StringComparison.Ordinal) || tensor.Contains("embed_out", StringComparison.Ordinal);

    [GeneratedRegex(@"^((?:.*?\.)?(?:layers|layer|h|blocks|block)\.)(\d{1,5})(\..+)$", RegexOptions.CultureInvariant)]
    private static partial Regex Pattern();
}
