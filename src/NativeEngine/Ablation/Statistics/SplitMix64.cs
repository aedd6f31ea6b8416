namespace NativeEngine.Ablation.Statistics;

/// <summary>
/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): the generator other programs of this method use for resampling, so that their intervals
/// can be repeated. state += 0x9E3779B97F4A7C15, then two xor-shift-multiply rounds. For everything else see <see cref="CounterRandom"/>.
/// </summary>
public sealed class SplitMix64(ulong seed)
{
    private ulong _state = seed;

    /// <summary>The next 64 bits.</summary>
    public ulong Next()
    {
        ulong z = _state += 0x9E3779B97F4A7C15;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }

    /// <summary>Uniform in [0, 1): the upper 53 bits.</summary>
    public double NextDouble() => (Next() >> 11) * (1.0 / (1UL << 53));

    /// <summary>An integer in [0, bound): the upper 64 bits of bits times bound. Bound must be positive.</summary>
    public int NextBelow(int bound)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(bound);
        return (int)Math.BigMul(Next(), (ulong)bound, out _);
    }
}
