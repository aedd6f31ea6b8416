using System.Runtime.InteropServices;

namespace NativeEngine.Devices;

/// <summary>
/// A stack of scratch tensors on one device: what a forward pass keeps for its backward pass, and what kernels need in between. Memory
/// is taken in blocks and kept, so that after the first step nothing is allocated; <see cref="PeakBytes"/> is the largest sum of live
/// tensors, which is what a training step truly needs. Contents are undefined until written. Not thread-safe.
/// </summary>
/// <param name="device">The device of the tensors.</param>
/// <param name="use">What the memory counts as.</param>
/// <param name="keep">Whether memory is kept for later; if not, every tensor has its own block, given back with its scope.</param>
public sealed class Workspace(Device device, MemoryUse use = MemoryUse.Activations, bool keep = true) : IDisposable
{
    private const long Alignment = 64;
    private readonly List<DeviceBuffer<float>> _blocks = [];
    private int _block;
    private long _offset;
    private long _largest;

    /// <summary>The device of the tensors.</summary>
    public Device Device { get; } = device;

    /// <summary>Bytes of the tensors that are live now.</summary>
    public long LiveBytes { get; private set; }

    /// <summary>Largest <see cref="LiveBytes"/> since the start or the last <see cref="ResetPeak"/>.</summary>
    public long PeakBytes { get; private set; }

    /// <summary>Bytes held from the device, at least <see cref="PeakBytes"/>.</summary>
    public long HeldBytes => _blocks.Sum(block => block.Bytes);

    /// <summary>A float32 tensor that lives until the scope it was made in ends.</summary>
    public Tensor<float> Floats(params ReadOnlySpan<long> extents)
    {
        var shape = new Shape(extents);
        var (block, offset) = Take(shape.Count);
        return new Tensor<float>(block, offset, shape);
    }

    /// <summary>Opens a scope; disposing it frees every tensor made since. Scopes nest like a stack.</summary>
    public Scope Open() => new(this, _block, _offset, LiveBytes);

    /// <summary>Sets the peak to what is live now.</summary>
    public void ResetPeak() => PeakBytes = LiveBytes;

    /// <summary>Frees everything.</summary>
    public void Dispose()
    {
        foreach (var block in _blocks)
        {
            block.Dispose();
        }
        _blocks.Clear();
        (_block, _offset) = (0, 0);
    }

    private (DeviceBuffer<float> Block, long Offset) Take(long count)
    {
        if (!keep)
        {
            var own = Device.Allocate<float>(count, use);
            _blocks.Add(own);
            _block = _blocks.Count;
            LiveBytes += own.Bytes;
            PeakBytes = Math.Max(PeakBytes, LiveBytes);
            return (own, 0);
        }
        const long Step = Alignment / sizeof(float);
        long padded = (count + Step - 1) / Step * Step;
        while (_block < _blocks.Count && _offset + padded > _blocks[_block].Length)
        {
            _block++;
            _offset = 0;
        }
        if (_block == _blocks.Count)
        {
            const long SmallestBlock = 1 << 18;
            long wanted = _blocks.Count == 0 ? _largest / sizeof(float) : 0;
            _blocks.Add(Device.Allocate<float>(Math.Max(padded, Math.Max(wanted, SmallestBlock)), use));
        }
        long offset = _offset;
        _offset += padded;
        LiveBytes += padded * sizeof(float);
        PeakBytes = Math.Max(PeakBytes, LiveBytes);
        _largest = Math.Max(_largest, LiveBytes);
        return (_blocks[_block], offset);
    }

    /// <summary>Without keeping: the blocks of tensors made since there were so many.</summary>
    private void GiveBack(int count)
    {
        for (int i = _blocks.Count - 1; !keep && i >= count; i--)
        {
            _blocks[i].Dispose();
            _blocks.RemoveAt(i);
        }
    }

    /// <summary>Marks a point of the stack to return to.</summary>
    [StructLayout(LayoutKind.Auto)]
    public readonly struct Scope : IDisposable
    {
        private readonly Workspace _workspace;
        private readonly int _block;
        private readonly long _offset, _live;

        internal Scope(Workspace workspace, int block, long offset, long live) =>
            (_workspace, _block, _offset, _live) = (workspace, block, offset, live);

        /// <summary>Frees every tensor made since the scope was opened.</summary>
        public void Dispose()
        {
            _workspace.GiveBack(_block);
            _workspace._block = _block;
            _workspace._offset = _offset;
            _workspace.LiveBytes = _live;
            if (_live == 0 && _workspace._blocks.Count > 1)
            {
                // Several blocks mean the stack outgrew its first one: start again with a single block of the largest size so far.
                _workspace.Dispose();
            }
        }
    }
}
