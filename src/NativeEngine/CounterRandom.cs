using System.Numerics;
using System.Runtime.CompilerServices;

namespace NativeEngine;

/// <summary>What a random number is for. Streams of different purposes never share a number, whatever their order of use.</summary>
public enum RandomPurpose : uint
{
    /// <summary>Initial weights of a model.</summary>
    Initialization = 1,
    /// <summary>The order in which examples are visited.</summary>
    Shuffle = 2,
    /// <summary>The direction z of a zeroth-order gradient estimate.</summary>
    Direction = 3,
    /// <summary>Random choice of examples (the random and composition arms, stochastic greedy, overflow).</summary>
    Selection = 4,
    /// <summary>Sampling of the next token.</summary>
    Generation = 5,
    /// <summary>Generated data.</summary>
    Synthesis = 6,
    /// <summary>Anything a test or a benchmark needs.</summary>
    Test = 7,
    /// <summary>Which parameter differences a merge drops.</summary>
    Merging = 8,
    /// <summary>First centres of clusters, and shuffles that test their shares.</summary>
    Clustering = 9,
    /// <summary>Resampled documents and the order in which documents are scored.</summary>
    Resampling = 10,
    /// <summary>Random mixtures.</summary>
    Candidates = 11,
    /// <summary>What befalls a run that is to be disturbed, and when.</summary>
    Chaos = 12,
}

/// <summary>
/// Counter-based random numbers (Philox4x32-10, Salmon et al., SC 2011): a pure function of (seed, purpose, stream, index), so any
/// number can be had without the ones before it, results do not depend on the order or the thread of use, and nothing needs saving
/// but the index. Period: 2^64 indices a stream.
/// </summary>
public readonly struct CounterRandom(ulong seed, RandomPurpose purpose, uint stream = 0)
{
    private readonly ulong _seed = seed;
    private readonly uint _purpose = (uint)purpose;
    private readonly uint _stream = stream;

    /// <summary>The four words of one Philox block: counter (index, purpose, stream), key seed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)] // compiled on this processor, also when published
    public (uint A, uint B, uint C, uint D) Block(ulong index)
    {
        uint c0 = (uint)index, c1 = (uint)(index >> 32), c2 = _purpose, c3 = _stream;
        uint k0 = (uint)_seed, k1 = (uint)(_seed >> 32);
        for (int round = 0; round < 10; round++)
        {
            ulong p0 = 0xD2511F53UL * c0, p1 = 0xCD9E8D57UL * c2;
            (c0, c1, c2, c3) = ((uint)(p1 >> 32) ^ c1 ^ k0, (uint)p1, (uint)(p0 >> 32) ^ c3 ^ k1, (uint)p0);
            k0 += 0x9E3779B9;
            k1 += 0xBB67AE85;
        }
        return (c0, c1, c2, c3);
    }

    /// <summary>The 64 random bits at an index.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong Bits(ulong index)
    {
        var (a, b, _, _) = Block(index);
        return a | ((ulong)b << 32);
    }

    /// <summary>Uniform in [0, 1) with 53 bits.</summary>
    public double Uniform(ulong index) => (Bits(index) >> 11) * (1.0 / (1UL << 53));

    /// <summary>An integer in [0, bound), unbiased to 2^-64 (Lemire's multiplication). Bound must be positive.</summary>
    public long Below(ulong index, long bound)
    {
        if (bound <= 0)
        {
            throw new ArgumentOutOfRangeException(nameof(bound), bound, "a random bound must be positive");
        }
        return (long)Math.BigMul(Bits(index), (ulong)bound, out _);
    }

    /// <summary>
    /// A standard normal value (Box-Muller in double, cosine branch). Cost: one block and three transcendental functions.
    /// </summary>
    public double Normal(ulong index)
    {
        var (a, b, c, d) = Block(index);
        double u = ((((ulong)a << 21) ^ (b >> 11)) + 1.0) * (1.0 / (1UL << 53));
        double v = (((ulong)c << 21) ^ (d >> 11)) * (1.0 / (1UL << 53));
        return Math.Sqrt(-2.0 * Math.Log(u)) * Math.Cos(2.0 * Math.PI * v);
    }

    /// <summary>A permutation of 0..count-1 (Fisher-Yates, one index a swap). The same for the same (seed, purpose, stream, count).</summary>
    public int[] Permutation(int count)
    {
        var order = new int[count];
        Permute(order.AsSpan());
        return order;
    }

    /// <summary>The same permutation into memory of the caller's.</summary>
    public void Permute<T>(Span<T> order)
        where T : struct, INumber<T>
    {
        for (int i = 0; i < order.Length; i++)
        {
            order[i] = T.CreateTruncating(i);
        }
        for (int i = order.Length - 1; i > 0; i--)
        {
            int j = (int)Below((ulong)i, i + 1);
            (order[i], order[j]) = (order[j], order[i]);
        }
    }
}
