namespace NativeEngine.Data;

/// <summary>A place in the endless sequence of shuffled epochs: two integers are all a checkpoint needs.</summary>
/// <param name="Epoch">The epoch, from 0.</param>
/// <param name="Offset">Examples of this epoch already given out, 0 to the count.</param>
public readonly record struct SamplerPosition(int Epoch, int Offset);

/// <summary>
/// Gives out pools of N examples, consecutive in an epoch's permutation; the permutation of epoch e is a pure function of
/// (seed, e, count). A pool that the end of an epoch would leave partial is filled from the next epoch, so every epoch visits every
/// example exactly once and no example is lost (one may then stand twice in such a pool). Memory: 4 bytes an example.
/// </summary>
public sealed class PoolSampler
{
    private readonly int _count;
    private readonly ulong _seed;
    private int[] _order = [];
    private int _orderEpoch = -1;
    private SamplerPosition _position;

    /// <summary>A sampler over <paramref name="count"/> examples; a pool larger than that is an error.</summary>
    public PoolSampler(int count, int poolSize, ulong seed)
    {
        if (poolSize < 1 || poolSize > count)
        {
            throw new EngineException(ErrorKind.Usage, $"sampling pools: expected a pool size from 1 to {count} (the examples), got {poolSize}", $"give --pool {Math.Max(1, count / 2)} and --batch {Math.Max(1, count / 4)}, or more data");
        }
        _count = count;
        _seed = seed;
        PoolSize = poolSize;
    }

    /// <summary>Examples a pool.</summary>
    public int PoolSize { get; }

    /// <summary>Where the next pool begins. Setting it continues there exactly.</summary>
    public SamplerPosition Position
    {
        get => _position;
        set => _position = value.Epoch >= 0 && value.Offset >= 0 && value.Offset <= _count ? value
            : throw new EngineException(ErrorKind.BadInput,
                $"resuming the data position: expected an offset from 0 to {_count}, got epoch {value.Epoch}, offset {value.Offset}",
                "the checkpoint belongs to other data");
    }

    /// <summary>The next pool's example indices, in order.</summary>
    public int[] Next()
    {
        var pool = new int[PoolSize];
        Next(pool);
        return pool;
    }

    /// <summary>The same into an array of the caller's, of <see cref="PoolSize"/> elements.</summary>
    public void Next(Span<int> pool)
    {
        var (epoch, offset) = _position;
        for (int filled = 0; filled < pool.Length;)
        {
            if (offset == _count)
            {
                epoch++;
                offset = 0;
            }
            int take = Math.Min(pool.Length - filled, _count - offset);
            Order(epoch).AsSpan(offset, take).CopyTo(pool[filled..]);
            filled += take;
            offset += take;
        }
        _position = new SamplerPosition(epoch, offset);
    }

    private int[] Order(int epoch)
    {
        if (_orderEpoch != epoch)
        {
            _order = _order.Length == 0 ? new int[_count] : _order;
            new CounterRandom(_seed, RandomPurpose.Shuffle, (uint)epoch).Permute(_order.AsSpan());
            _orderEpoch = epoch;
        }
        return _order;
    }
}
