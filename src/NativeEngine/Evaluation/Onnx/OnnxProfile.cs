using NativeEngine.Formats;

namespace NativeEngine.Evaluation;

/// <summary>Reads the profile that ONNX Runtime writes (Chrome trace events).</summary>
internal static class OnnxProfile
{
    /// <summary>How many distinct nodes each execution provider ran.</summary>
    public static IReadOnlyDictionary<string, int> NodesByProvider(string file) => NodesByProvider(StrictJson.Load(file));

    /// <summary>The same of a document.</summary>
    public static IReadOnlyDictionary<string, int> NodesByProvider(StrictJson profile)
    {
        var nodes = new Dictionary<string, HashSet<string>>(StringComparer.Ordinal);
        foreach (var item in profile.Items())
        {
            if (item.OptionalString("cat") != "Node" || item.Optional("args")?.OptionalString("provider") is not { Length: > 0 } provider)
            {
                continue;
            }
            string name = item.OptionalString("name") ?? "";
            if (!nodes.TryGetValue(provider, out var set))
            {
                nodes.Add(provider, set = new HashSet<string>(StringComparer.Ordinal));
            }
            set.Add(name);
        }
        return new SortedDictionary<string, int>(nodes.ToDictionary(p => p.Key, p => p.Value.Count), StringComparer.Ordinal);
    }
}
