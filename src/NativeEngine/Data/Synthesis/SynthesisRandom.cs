namespace NativeEngine.Data;

/// <summary>A sequence of random choices for one generated example: the numbers at (seed, stream, attempt · 64 + k).</summary>
internal sealed class SynthesisRandom(ulong seed, uint stream, ulong attempt)
{
    private readonly CounterRandom _random = new(seed, RandomPurpose.Synthesis, stream);
    private ulong _index = attempt << 6;

    public int Below(int bound) => (int)_random.Below(_index++, bound);

    /// <summary>An integer in [low, high].</summary>
    public int Between(int low, int high) => low + Below(high - low + 1);

    public T Pick<T>(IReadOnlyList<T> items) => items[Below(items.Count)];

    /// <summary>So many different items, in random order.</summary>
    public T[] Distinct<T>(IReadOnlyList<T> items, int count)
    {
        T[] pool = [.. items];
        for (int i = 0; i < count; i++)
        {
            int j = Between(i, pool.Length - 1);
            (pool[i], pool[j]) = (pool[j], pool[i]);
        }
        return pool[..count];
    }
}
