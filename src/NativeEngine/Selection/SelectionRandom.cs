namespace NativeEngine.Selection;

/// <summary>
/// The random choices of one step: disjoint ranges of indices of the stream "step" of purpose Selection, one range per use and group.
/// </summary>
internal readonly struct SelectionRandom(ulong seed, long step)
{
    private readonly CounterRandom _random = new(seed, RandomPurpose.Selection, (uint)step);

    public enum Use : byte
    {
        Overflow = 1,
        Quota = 2,
        Composition = 3,
        Columns = 4,
        Parts = 5,
        Stochastic = 6,
    }

    /// <summary>Uniform in [0, 1).</summary>
    public double Uniform(Use use, int group, int index) => _random.Uniform(Index(use, group, index));

    /// <summary>A generator of its own for a use, where a whole <see cref="CounterRandom"/> is wanted.</summary>
    public CounterRandom Derived(Use use, int group = SelectionPlan.AllSources) => new(_random.Bits(Index(use, group, 0)), RandomPurpose.Selection);

    /// <summary>A sample of <paramref name="count"/> of 0 .. total-1 without replacement, ascending (partial Fisher-Yates).</summary>
    public int[] Sample(Use use, int group, int total, int count)
    {
        int[] sample = Order(use, group, total, count)[..count];
        Array.Sort(sample);
        return sample;
    }

    /// <summary>A permutation of 0 .. total-1 of which at least the first <paramref name="count"/> are drawn (default: all).</summary>
    public int[] Order(Use use, int group, int total, int count = int.MaxValue)
    {
        var order = new int[total];
        Order(use, group, order.AsSpan(), count);
        return order;
    }

    /// <summary>The same into memory of the caller's.</summary>
    public void Order(Use use, int group, Span<int> order, int count = int.MaxValue)
    {
        for (int i = 0; i < order.Length; i++)
        {
            order[i] = i;
        }
        for (int i = 0; i < Math.Min(count, order.Length); i++)
        {
            int j = i + (int)_random.Below(Index(use, group, i), order.Length - i);
            (order[i], order[j]) = (order[j], order[i]);
        }
    }

    private static ulong Index(Use use, int group, int index) => ((ulong)use << 60) | ((ulong)((uint)(group + 1) & 0x0FFF_FFFF) << 32) | (uint)index;
}
