using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;

namespace NativeEngine.Ablation.Mixtures;

/// <summary>
/// A candidate: a weight for every unit of the pool, none negative, sum 1. Two mixtures are equal when their weights have the same bits.
/// </summary>
public sealed class Mixture : IEquatable<Mixture>
{
    private readonly double[] _weights;

    private Mixture(double[] weights)
    {
        _weights = weights;
        Units = [.. Enumerable.Range(0, weights.Length).Where(u => weights[u] > 0)];
    }

    /// <summary>Weight of every unit, sum 1.</summary>
    public IReadOnlyList<double> Weights => _weights;

    /// <summary>The units with a weight, ascending.</summary>
    public IReadOnlyList<int> Units { get; }

    /// <summary>Units of the pool.</summary>
    public int PoolSize => _weights.Length;

    /// <summary>
    /// A mixture of weights that are divided by their sum, so that proportional lists give the same mixture wherever division is exact.
    /// Errors: a negative or non-finite weight, or none above 0.
    /// </summary>
    public static Mixture Of(ReadOnlySpan<double> weights)
    {
        double sum = 0;
        foreach (double weight in weights)
        {
            if (!(weight >= 0 && weight <= double.MaxValue))
            {
                throw new EngineException(ErrorKind.Usage, FormattableString.Invariant($"a mixture has the weight {weight}"), "weights must be finite and not negative");
            }
            sum += weight;
        }
        if (!double.IsFinite(sum))
        {
            throw new EngineException(ErrorKind.Usage, $"the weights of a mixture of {weights.Length} units sum to more than a number can hold", "only their ratios count: divide them all by the largest");
        }
        if (!(sum > 0))
        {
            throw new EngineException(ErrorKind.Usage, $"a mixture of {weights.Length} units has no weight above 0", "give at least one unit a weight");
        }
        var normal = new double[weights.Length];
        for (int u = 0; u < normal.Length; u++)
        {
            normal[u] = weights[u] / sum;
        }
        return new Mixture(normal);
    }

    /// <summary>A mixture of weights that sum to 1 already and keep their bits, as they were written down.</summary>
    internal static Mixture Exactly(double[] weights) =>
        weights.All(w => w >= 0) && Math.Abs(weights.Sum() - 1) < 1e-9 ? new Mixture(weights) : Of(weights);

    /// <summary>The same weight for the units of a set.</summary>
    public static Mixture Uniform(int poolSize, IEnumerable<int> units)
    {
        var weights = new double[poolSize];
        foreach (int unit in units)
        {
            weights[unit] = 1;
        }
        return Of(weights);
    }

    /// <summary>
    /// The weights as small multiples: divided by their smallest (by their largest where that would exceed 64), with the factor that takes the
    /// multiples back. Mixtures that are whole multiples of one unit share multiples, so that a neighbour differs in few of them.
    /// </summary>
    public (double[] Multiples, double Factor) Multiples()
    {
        double low = double.PositiveInfinity, high = 0;
        foreach (int unit in Units)
        {
            low = Math.Min(low, _weights[unit]);
            high = Math.Max(high, _weights[unit]);
        }
        double by = high <= 64 * low ? low : high;
        var multiples = new double[_weights.Length];
        foreach (int unit in Units)
        {
            double ratio = _weights[unit] / by, whole = Math.Round(ratio);
            multiples[unit] = Math.Abs(ratio - whole) < 1e-12 * whole ? whole : ratio;
        }
        return (multiples, by);
    }

    /// <summary>SHA-256 of the unit names' hashes and the weights' bits: what a cached loss is found by.</summary>
    public string Key(IReadOnlyList<string> unitKeys, ReadOnlySpan<byte> context)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(context);
        Span<byte> bits = stackalloc byte[8];
        // By key, so that the order in which a pool lists its units does not matter.
        foreach (int unit in Units.OrderBy(u => unitKeys[u], StringComparer.Ordinal))
        {
            hash.AppendData(System.Text.Encoding.UTF8.GetBytes(unitKeys[unit]));
            BinaryPrimitives.WriteInt64LittleEndian(bits, BitConverter.DoubleToInt64Bits(_weights[unit]));
            hash.AppendData(bits);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <inheritdoc/>
    public bool Equals(Mixture? other) => other is not null && _weights.AsSpan().SequenceEqual(other._weights);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as Mixture);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var code = default(HashCode);
        foreach (double weight in _weights)
        {
            code.Add(weight);
        }
        return code.ToHashCode();
    }

    /// <summary>"0+2+5" for equal weights, else "0:0.25+2:0.75".</summary>
    public override string ToString() => Describe([.. Enumerable.Range(0, _weights.Length).Select(u => u.ToString(CultureInfo.InvariantCulture))]);

    /// <summary>The same with the units' names.</summary>
    public string Describe(IReadOnlyList<string> names)
    {
        bool equal = Units.All(u => _weights[u] == _weights[Units[0]]);
        return string.Join('+', Units.Select(u => equal ? names[u] : string.Create(CultureInfo.InvariantCulture, $"{names[u]}:{_weights[u]:0.####}")));
    }
}
