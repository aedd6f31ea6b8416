namespace NativeEngine.Merging;

/// <summary>The reusable buffers of one thread, by slot. A span is valid until its slot is asked for again.</summary>
internal sealed class MergeScratch
{
    private readonly List<double[]> _buffers = [];
    private byte[] _output = [];
    private long[]? _counts;
    private int[]? _keys;

    /// <summary>Bytes held.</summary>
    public long Bytes => _buffers.Sum(buffer => 8L * buffer.Length) + _output.Length + (8L * (_counts?.Length ?? 0)) + (4L * (_keys?.Length ?? 0));

    /// <summary>Counters of a histogram.</summary>
    public long[] Counts => _counts ??= new long[1 << 16];

    /// <summary>The keys of one block.</summary>
    public int[] Keys => _keys ??= new int[TensorScan.Block];

    /// <summary>Stored elements of the result.</summary>
    public Span<byte> Output(int bytes)
    {
        if (_output.Length < bytes)
        {
            _output = GC.AllocateUninitializedArray<byte>(bytes, pinned: true);
        }
        return _output.AsSpan(0, bytes);
    }

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
}
