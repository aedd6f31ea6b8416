namespace NativeEngine.Merging;

/// <summary>The reusable buffers of one thread, by slot. A span is valid until its slot is asked for again.</summary>
internal sealed class MergeScratch
{
    private readonly List<double[]> _buffers = [];
    private readonly byte[]?[] _stored = new byte[2][];
    private long[]? _counts;
    private int[]? _keys;

    /// <summary>Bytes held.</summary>
    public long Bytes => _buffers.Sum(buffer => 8L * buffer.Length) + _stored.Sum(buffer => buffer?.Length ?? 0L) + (8L * (_counts?.Length ?? 0)) + (4L * (_keys?.Length ?? 0));

    /// <summary>Counters of a histogram.</summary>
    public long[] Counts => _counts ??= new long[1 << 16];

    /// <summary>The keys of one block.</summary>
    public int[] Keys => _keys ??= new int[TensorScan.Block];

    /// <summary>Stored elements of the inputs; pinned, so that its address stays.</summary>
    public Span<byte> Inputs(int bytes) => Stored(0, bytes);

    /// <summary>Stored elements of the result.</summary>
    public Span<byte> Output(int bytes) => Stored(1, bytes);

    /// <summary>A buffer of undefined contents.</summary>
    public Span<double> Doubles(int slot, int length)
    {
        while (_buffers.Count <= slot)
        {
            _buffers.Add([]);
        }
        if (_buffers[slot].Length < length)
        {
            _buffers[slot] = GC.AllocateUninitializedArray<double>(length);
        }
        return _buffers[slot].AsSpan(0, length);
    }

    private Span<byte> Stored(int slot, int bytes)
    {
        if (_stored[slot] is not { } buffer || buffer.Length < bytes)
        {
            _stored[slot] = buffer = GC.AllocateUninitializedArray<byte>(bytes, pinned: true);
        }
        return buffer.AsSpan(0, bytes);
    }
}
