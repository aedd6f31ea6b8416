using System.Text.Json;

namespace NativeEngine.Merging;

/// <summary>Compares the config.json of models that are to be merged. Keys they do not both have are passed over.</summary>
internal static class ConfigurationCheck
{
    /// <summary>Weights of models that differ in one of these mean different things: refused.</summary>
    private static readonly string[] _mustAgree =
        ["model_type", "hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim", "hidden_act", "intermediate_size"];

    /// <summary>Averages across these may still work, and somebody should know: warned of.</summary>
    private static readonly string[] _shouldAgree = ["rope_theta", "rope_scaling", "rms_norm_eps", "layer_norm_eps", "max_position_embeddings"];

    public static void Compare(MergeInput donor, IEnumerable<MergeInput> inputs, List<string> problems, List<string> warnings)
    {
        foreach (var input in inputs.Where(input => input != donor && input.Config is not null && donor.Config is not null))
        {
            foreach (string key in _mustAgree.Where(key => Differ(donor, input, key)))
            {
                problems.Add($"{key} is {Text(donor, key)} in {donor.Reference} and {Text(input, key)} in {input.Reference} ({MergeInput.ConfigName})");
            }
            foreach (string key in _shouldAgree.Where(key => Differ(donor, input, key)))
            {
                warnings.Add($"{key} is {Text(donor, key)} in {donor.Reference} and {Text(input, key)} in {input.Reference}; the result takes the first");
            }
        }
    }

    private static bool Differ(MergeInput a, MergeInput b, string key) =>
        a.Config!.Optional(key) is { } x && b.Config!.Optional(key) is { } y && !JsonElement.DeepEquals(x.Element, y.Element);

    private static string Text(MergeInput input, string key) => input.Config!.Require(key).Element.GetRawText();
}
