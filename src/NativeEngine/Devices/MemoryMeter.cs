namespace NativeEngine.Devices;

/// <summary>What a block of device memory is for. Peaks are told per use.</summary>
public enum MemoryUse
{
    /// <summary>Weights of a model.</summary>
    Parameters,
    /// <summary>Gradients of trained weights.</summary>
    Gradients,
    /// <summary>Moments and velocities of an optimiser.</summary>
    OptimizerState,
    /// <summary>Everything a forward or backward pass keeps or scratches.</summary>
    Activations,
    /// <summary>Features, distances and history of a selection.</summary>
    Selection,
    /// <summary>Tokens, tables and the rest.</summary>
    Data,
    /// <summary>What a GPU's kernels keep for themselves between calls.</summary>
    Scratch,
}

/// <summary>Counts a device's live and peak bytes per use. Thread-safe.</summary>
public sealed class MemoryMeter
{
    private const int Uses = (int)MemoryUse.Scratch + 1;

    private readonly long[] _live = new long[Uses];
    private readonly long[] _peak = new long[Uses];
    private readonly Lock _lock = new();
    private long _total, _peakTotal;

    /// <summary>Live bytes of all uses.</summary>
    public long LiveBytes { get { lock (_lock) { return _total; } } }

    /// <summary>Largest number of live bytes of all uses together since the last <see cref="ResetPeak"/>.</summary>
    public long PeakBytes { get { lock (_lock) { return _peakTotal; } } }

    /// <summary>Live bytes of one use.</summary>
    public long Live(MemoryUse use)
    {
        lock (_lock)
        {
            return _live[(int)use];
        }
    }

    /// <summary>Largest number of live bytes of one use since the last <see cref="ResetPeak"/>.</summary>
    public long Peak(MemoryUse use)
    {
        lock (_lock)
        {
            return _peak[(int)use];
        }
    }

    /// <summary>Sets all peaks to what is live now.</summary>
    public void ResetPeak()
    {
        lock (_lock)
        {
            _live.CopyTo(_peak, 0);
            _peakTotal = _total;
        }
    }

    internal void Add(long bytes, MemoryUse use)
    {
        lock (_lock)
        {
            _live[(int)use] += bytes;
            _total += bytes;
            _peak[(int)use] = Math.Max(_peak[(int)use], _live[(int)use]);
            _peakTotal = Math.Max(_peakTotal, _total);
        }
    }

    internal void Remove(long bytes, MemoryUse use)
    {
        lock (_lock)
        {
            _live[(int)use] -= bytes;
            _total -= bytes;
        }
    }
}
