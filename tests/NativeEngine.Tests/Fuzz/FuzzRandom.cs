namespace NativeEngine.Tests.Fuzz;

/// <summary>The numbers of one mutant: a function of (seed, format, index), so that any mutant can be made again alone.</summary>
internal sealed class FuzzRandom(ulong seed, uint format, long index)
{
    private readonly CounterRandom _random = new(seed, RandomPurpose.Test, format);
    private ulong _next = (ulong)index << 16;

    public FuzzRandom(ulong seed, string format, long index)
        : this(seed, Stream(format), index)
    {
    }

    /// <summary>A whole number in [0, bound).</summary>
    public int Below(int bound) => (int)_random.Below(_next++, bound);

    /// <summary>True once in <paramref name="times"/>.</summary>
    public bool Once(int times) => Below(times) == 0;

    public T Of<T>(IReadOnlyList<T> items) => items[Below(items.Count)];

    /// <summary>A format's number from its name (FNV-1a): the same in every process.</summary>
    public static uint Stream(string name) => name.Aggregate(2166136261u, (hash, c) => (hash ^ c) * 16777619u);
}
