namespace NativeEngine.Data;

/// <summary>Which side of the generated mixture.</summary>
public enum SynthesisSplit
{
    /// <summary>For training.</summary>
    Train,
    /// <summary>Held out.</summary>
    Valid,
}

/// <summary>A source of the built-in mixture.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Share">Its share of the examples; the shares sum to 1.</param>
/// <param name="Description">What its examples are.</param>
public sealed record SynthesisSource(string Name, double Share, string Description);

/// <summary>
/// The built-in imbalanced mixture: eight sources of short prompts and completions, from 40 % down to 1.5 %, of different
/// difficulty, so that nothing outside is needed for a first run. By the mean rule (smaller than 1/8 of all examples) records,
/// code, dates, roman and json are small sources.
/// <para>A function of (count, seed, split) alone. A prompt belongs to the held-out side when its hash says so, whatever the seed
/// and the count, so no prompt is ever on both sides, of any two runs. Sizes are the shares of the count rounded by largest
/// remainders, at least one example a source. A source gives out different prompts as long as it finds them in 32 attempts; a
/// source with few prompts (roman: about 8,000) repeats itself in very large mixtures.</para>
/// </summary>
public static class MixtureSynthesizer
{
    private const int Attempts = 32;
    private const uint ValidOfSixteen = 2;

    private static readonly Func<SynthesisRandom, (string Prompt, string Completion)>[] _tasks =
    [
        SynthesisTasks.Arithmetic, SynthesisTasks.Stories, SynthesisTasks.Sorting, SynthesisTasks.Records,
        SynthesisTasks.Code, SynthesisTasks.Dates, SynthesisTasks.Roman, SynthesisTasks.Json,
    ];

    /// <summary>The sources, largest first.</summary>
    public static IReadOnlyList<SynthesisSource> Sources { get; } =
    [
        new("arithmetic", 0.40, "sums, differences, products and remainders of numbers up to 999"),
        new("stories", 0.22, "two sentences of a small grammar about the animal, place and thing of the prompt"),
        new("sorting", 0.14, "three to seven numbers or words put in order, up or down"),
        new("records", 0.09, "look up one field of one of two to four people"),
        new("code", 0.07, "what a program of a few assignments prints"),
        new("dates", 0.04, "ISO dates in words, and the day after"),
        new("roman", 0.025, "Roman numerals to and from decimal, up to 3999"),
        new("json", 0.015, "values written as JSON objects"),
    ];

    /// <summary>The number of examples of each source, in the order of <see cref="Sources"/>.</summary>
    public static int[] Sizes(int count)
    {
        if (count < Sources.Count)
        {
            throw new EngineException(ErrorKind.Usage,
                $"generating a mixture: expected at least {Sources.Count} examples, one a source, got {count}", "--count 2000");
        }
        int[] sizes = [.. Sources.Select(s => Math.Max(1, (int)(s.Share * count)))];
        int[] byRemainder = [.. Enumerable.Range(0, sizes.Length).OrderByDescending(i => Sources[i].Share * count - sizes[i]).ThenBy(static i => i)];
        for (int k = 0, missing = count - sizes.Sum(); missing > 0; k++, missing--)
        {
            sizes[byRemainder[k % sizes.Length]]++;
        }
        for (int surplus = sizes.Sum() - count; surplus > 0; surplus--)
        {
            sizes[Array.IndexOf(sizes, sizes.Max())]--;
        }
        return sizes;
    }

    /// <summary>Generates so many examples in random order. Memory: 8 bytes a prompt and 4 an example.</summary>
    public static IEnumerable<Example> Generate(int count, ulong seed, SynthesisSplit split, CancellationToken cancellation = default)
    {
        int[] sizes = Sizes(count);
        var order = new int[count];
        int filled = 0;
        for (int s = 0; s < sizes.Length; s++)
        {
            order.AsSpan(filled, sizes[s]).Fill(s);
            filled += sizes[s];
        }
        int[] shuffled = new CounterRandom(seed, RandomPurpose.Synthesis, 1000 + (uint)split).Permutation(count);
        return Examples(shuffled, order, seed, split, cancellation);
    }

    private static IEnumerable<Example> Examples(int[] shuffled, int[] order, ulong seed, SynthesisSplit split, CancellationToken cancellation)
    {
        var seen = new HashSet<ulong>();
        var attempt = new ulong[_tasks.Length];
        foreach (int at in shuffled)
        {
            cancellation.ThrowIfCancellationRequested();
            int source = order[at];
            uint stream = (uint)((2 * source) + (int)split);
            for (int fresh = 0; ;)
            {
                var (prompt, completion) = _tasks[source](new SynthesisRandom(seed, stream, attempt[source]++));
                ulong hash = TextHash.Of(prompt);
                if (IsValid(hash) != (split == SynthesisSplit.Valid) || (!seen.Add(hash) && ++fresh < Attempts))
                {
                    continue;
                }
                yield return Example.FromPrompt(Sources[source].Name, prompt, completion);
                break;
            }
        }
    }

    private static bool IsValid(ulong hash) => hash >> 60 < ValidOfSixteen;
}
