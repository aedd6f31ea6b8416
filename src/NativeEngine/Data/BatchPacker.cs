namespace NativeEngine.Data;

/// <summary>
/// Examples end to end without padding. Sequence s takes the positions <c>[Offsets[s], Offsets[s + 1])</c>; an example of L tokens
/// takes L − 1, because its last token is only a target.
/// </summary>
public sealed class PackedBatch
{
    internal PackedBatch(int sequences, int tokens)
    {
        Tokens = new int[tokens];
        Positions = new int[tokens];
        Targets = new int[tokens];
        Offsets = new int[sequences + 1];
        LabelCounts = new int[sequences];
        Examples = new int[sequences];
        Sources = new int[sequences];
    }

    /// <summary>Input token ids, [T].</summary>
    public int[] Tokens { get; }

    /// <summary>Position of each token in its sequence from 0, [T].</summary>
    public int[] Positions { get; }

    /// <summary>The token to predict at each position, or -1 where there is no loss, [T].</summary>
    public int[] Targets { get; }

    /// <summary>Where each sequence starts, and T at the end, [S + 1].</summary>
    public int[] Offsets { get; }

    /// <summary>Targets other than -1 of each sequence, [S]; at least 1.</summary>
    public int[] LabelCounts { get; }

    /// <summary>The dataset index of each sequence, [S].</summary>
    public int[] Examples { get; }

    /// <summary>The source id of each sequence, [S].</summary>
    public int[] Sources { get; }

    /// <summary>Sequences S.</summary>
    public int SequenceCount => Examples.Length;

    /// <summary>Positions T.</summary>
    public int TokenCount => Tokens.Length;

    /// <summary>Targets other than -1 of the whole batch.</summary>
    public int LabelCount => LabelCounts.Sum();

    /// <summary>The longest sequence in positions.</summary>
    public int MaxSequenceLength
    {
        get
        {
            int longest = 0;
            for (int s = 0; s < SequenceCount; s++)
            {
                longest = Math.Max(longest, Offsets[s + 1] - Offsets[s]);
            }
            return longest;
        }
    }
}

/// <summary>Packs examples of a dataset into batches without padding.</summary>
public static class BatchPacker
{
    /// <summary>Packs examples in the order given.</summary>
    public static PackedBatch Pack(MixtureDataset data, ReadOnlySpan<int> indices)
    {
        var batch = new PackedBatch(indices.Length, TokenCount(data, indices));
        Fill(data, indices, batch.Tokens, batch.Positions, batch.Targets, batch.Offsets);
        for (int s = 0; s < indices.Length; s++)
        {
            batch.LabelCounts[s] = data.LabelCount(indices[s]);
            batch.Examples[s] = indices[s];
            batch.Sources[s] = data.SourceOf(indices[s]);
        }
        return batch;
    }

    /// <summary>Positions that packed examples take. Errors: WillNotFit for more than an array holds.</summary>
    public static int TokenCount(MixtureDataset data, ReadOnlySpan<int> indices)
    {
        long total = 0;
        foreach (int index in indices)
        {
            total += data.Tokens(index).Length - 1;
        }
        return total <= Array.MaxLength ? (int)total : throw new EngineException(
            ErrorKind.WillNotFit, $"packing {indices.Length} examples: {total} tokens are more than one batch can hold");
    }

    /// <summary>Packs into memory of the caller's: tokens, positions and targets [T], offsets [S + 1].</summary>
    public static void Fill(
        MixtureDataset data, ReadOnlySpan<int> indices, Span<int> tokens, Span<int> positions, Span<int> targets, Span<int> offsets)
    {
        int at = 0;
        offsets[0] = 0;
        for (int s = 0; s < indices.Length; s++)
        {
            var example = data.Tokens(indices[s]);
            int labelStart = data.LabelStart(indices[s]);
            for (int t = 0; t + 1 < example.Length; t++, at++)
            {
                tokens[at] = example[t];
                positions[at] = t;
                targets[at] = t + 1 >= labelStart ? example[t + 1] : -1;
            }
            offsets[s + 1] = at;
        }
    }

    /// <summary>
    /// Cuts a list of examples into consecutive stretches of at most <paramref name="maxTokens"/> positions each; an example longer
    /// than that stands alone. The stretches depend on the lengths alone.
    /// </summary>
    public static List<Range> Split(MixtureDataset data, ReadOnlySpan<int> indices, int maxTokens)
    {
        var stretches = new List<Range>();
        Split(data, indices, maxTokens, stretches);
        return stretches;
    }

    /// <summary>The same into a list of the caller's.</summary>
    public static void Split(MixtureDataset data, ReadOnlySpan<int> indices, int maxTokens, List<Range> stretches)
    {
        stretches.Clear();
        int start = 0;
        long used = 0;
        for (int i = 0; i < indices.Length; i++)
        {
            int length = data.Tokens(indices[i]).Length - 1;
            if (i > start && used + length > maxTokens)
            {
                stretches.Add(start..i);
                (start, used) = (i, 0);
            }
            used += length;
        }
        if (start < indices.Length)
        {
            stretches.Add(start..indices.Length);
        }
    }
}
