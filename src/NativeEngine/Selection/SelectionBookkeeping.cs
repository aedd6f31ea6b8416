namespace NativeEngine.Selection;

/// <summary>Whether the lists of a selection fit together: nothing of its distances, and nothing that needs the features.</summary>
internal static class SelectionBookkeeping
{
    /// <summary>The first thing that does not fit, or null. Cost: some passes over the lists.</summary>
    public static string? Problem(SelectionDocument document) => Problems(document).FirstOrDefault();

    /// <summary>Refuses a document of which <see cref="Problem"/> says something.</summary>
    public static void Require(SelectionDocument document)
    {
        if (Problem(document) is { } problem)
        {
            throw new EngineException(ErrorKind.BadInput, $"the selection's lists do not fit together: {problem}", "take the file as select wrote it");
        }
    }

    // Each check may rely on those before it: only the first problem is ever asked for.
    private static IEnumerable<string> Problems(SelectionDocument d)
    {
        if (d.Weights.Count != d.Indices.Count || d.Gains.Count != d.Indices.Count)
        {
            yield return $"{d.Indices.Count} indices have {d.Weights.Count} weights and {d.Gains.Count} gains";
        }
        if (d.Owners.Count != d.N || d.Groups.Count != d.N || (d.Parts ?? d.Owners).Count != d.N)
        {
            yield return $"{d.N} examples have {d.Owners.Count} owners, {d.Groups.Count} groups and {d.Parts?.Count ?? d.N} parts";
        }
        if (d.Indices.Any(i => i < 0 || i >= d.N) || d.Indices.Distinct().Count() < d.Indices.Count)
        {
            yield return "an index is repeated or outside the pool";
        }
        if (d.Owners.Any(o => o < -1 || o >= d.N) || d.Groups.Any(g => g < -1 || g >= d.Sources.Count))
        {
            yield return "an owner or a group is out of range";
        }
        if (d.Indices.Count > d.Budget)
        {
            yield return $"{d.Indices.Count} examples are selected with a budget of {d.Budget}";
        }
        if (!d.Dropped.Select(x => x.Index).Order().SequenceEqual(Enumerable.Range(0, d.N).Where(i => d.Groups[i] < 0)))
        {
            yield return "the dropped examples are not those without a group";
        }
        if (!d.Kept.SequenceEqual(d.Indices.Take(d.Kept.Count)) || !d.Kept.Order().SequenceEqual(d.Kept))
        {
            yield return "the kept examples do not come first in ascending order";
        }
        if (d.Kept.Any(i => d.Groups[i] < 0 || !d.Sources[d.Groups[i]].Kept))
        {
            yield return "a kept example belongs to a source that is not kept";
        }
        int[] order = [.. d.Indices.Skip(d.Kept.Count).Select(i => d.Groups[i])];
        if (!order.Order().SequenceEqual(order) || order.Any(g => g < 0 || d.Sources[g].Kept))
        {
            yield return "the picks are not in the order of the sources";
        }
        int[] represents = Counts(d.N, d.Owners), sizes = Counts(d.Sources.Count, d.Groups), selected = Counts(d.Sources.Count, d.Indices.Select(i => d.Groups[i]));
        for (int t = 0; t < d.Indices.Count; t++)
        {
            int index = d.Indices[t];
            if (d.Owners[index] != index || d.Weights[t] != represents[index])
            {
                yield return $"example {index} has weight {d.Weights[t]} and represents {represents[index]}";
            }
        }
        if (represents.Count(r => r > 0) != d.Indices.Count)
        {
            yield return "an owner is not selected";
        }
        for (int i = 0; i < d.N; i++)
        {
            int group = d.Groups[i], owner = d.Owners[i];
            bool chosen = group >= 0 && !d.Sources[group].Kept && selected[group] > 0;
            if (owner >= 0 ? group < 0 || d.Groups[owner] != group : chosen)
            {
                yield return $"example {i} is represented by {owner}, no pick of its source";
            }
        }
        for (int g = 0; g < d.Sources.Count; g++)
        {
            var source = d.Sources[g];
            if (source.Size != sizes[g] || source.Selected != selected[g] || source.Budget != selected[g])
            {
                yield return $"source {source.Source} is said to have {source.Selected} of {source.Size} selected with a budget of {source.Budget}, it has {selected[g]} of {sizes[g]}";
            }
        }
    }

    private static int[] Counts(int bins, IEnumerable<int> values)
    {
        var counts = new int[bins];
        foreach (int value in values.Where(v => v >= 0))
        {
            counts[value]++;
        }
        return counts;
    }
}
