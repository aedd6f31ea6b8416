using NativeEngine.Devices;

namespace NativeEngine.Selection;

/// <summary>
/// Memory of a selection. With a shared workspace its floats come from there and everything else is kept, so that further selections of no larger size allocate nothing; without
/// one all device memory is given back at the end of each selection.
/// </summary>
internal sealed class SelectionScratch(Device device, Workspace? shared = null) : IDisposable
{
    private readonly DeviceBuffer<int>?[] _ints = new DeviceBuffer<int>?[4];
    private DeviceBuffer<double>? _doubles;

    /// <summary>What an int buffer is for.</summary>
    public enum Use
    {
        /// <summary>Rows of features.</summary>
        Rows,
        /// <summary>Columns of features.</summary>
        Columns,
        /// <summary>Picks and owners of a greedy.</summary>
        Greedy,
        /// <summary>Flags of rows, then the rows that were picked.</summary>
        Flags,
    }

    /// <summary>Floats, as a stack.</summary>
    public Workspace Floats { get; } = shared ?? new Workspace(device, MemoryUse.Selection, keep: false);

    /// <summary>Host arrays of picks, owners, gains and what remains; only the first elements are the last greedy's.</summary>
    public int[] Picks = [], Owners = [];

    public double[] Gains = [], Remaining = [];

    public Tensor<int> Ints(Use use, long count) => Take(ref _ints[(int)use], count);

    public Tensor<double> Doubles(long count) => Take(ref _doubles, count);

    /// <summary>The end of a selection.</summary>
    public void Release()
    {
        if (shared is null)
        {
            Dispose();
        }
    }

    public void Dispose()
    {
        for (int i = 0; i < _ints.Length; i++)
        {
            _ints[i]?.Dispose();
            _ints[i] = null;
        }
        _doubles?.Dispose();
        _doubles = null;
        if (shared is null)
        {
            Floats.Dispose();
        }
    }

    private Tensor<T> Take<T>(ref DeviceBuffer<T>? buffer, long count)
        where T : unmanaged
    {
        if (buffer is null || buffer.Length < count)
        {
            long length = Math.Max(count, (buffer?.Length ?? 0) * 3 / 2);
            buffer?.Dispose();
            buffer = device.Allocate<T>(length, MemoryUse.Selection);
        }
        return buffer.View.Slice(0, count);
    }
}
