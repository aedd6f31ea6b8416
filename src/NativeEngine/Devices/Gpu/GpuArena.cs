namespace NativeEngine.Devices.Gpu;

/// <summary>
/// Keeps freed blocks of device memory for the next request, since asking a driver for memory waits for the whole device. Sizes are rounded up
/// (to 512 bytes, from 1 MiB on to 2 MiB); a request takes the smallest kept block that is not larger than it by more than a quarter, cleared in
/// order with the work issued before. What is kept goes back when the driver has no more, or on <see cref="Trim"/>.
/// </summary>
internal sealed class GpuArena(IGpuDriver driver) : IDisposable
{
    private const long Small = 512, Large = 2 << 20, LargeFrom = 1 << 20;

    // Kept blocks by their rounded size; among equals the last one freed is taken first.
    private readonly SortedList<long, Stack<nint>> _kept = [];
    private readonly Dictionary<nint, long> _sizes = [];

    /// <summary>Bytes held from the driver, in use or kept.</summary>
    public long HeldBytes { get; private set; }

    /// <summary>Bytes kept and not in use.</summary>
    public long KeptBytes { get; private set; }

    /// <summary>Blocks asked from the driver so far: what does not grow from step to step.</summary>
    public long DriverAllocations { get; private set; }

    /// <summary>Zeroed bytes, or 0 when the driver has none even after everything kept was given back.</summary>
    public nint TryTake(long bytes)
    {
        long rounded = Round(bytes);
        if (TakeKept(rounded) is var block and not 0)
        {
            try
            {
                driver.Clear(block, 0, bytes);
                return block;
            }
            catch
            {
                Keep(block);
                throw;
            }
        }
        block = driver.TryAllocate(rounded);
        if (block == 0 && KeptBytes > 0)
        {
            Trim();
            block = driver.TryAllocate(rounded);
        }
        if (block != 0)
        {
            _sizes.Add(block, rounded);
            HeldBytes += rounded;
            DriverAllocations++;
        }
        return block;
    }

    /// <summary>Takes a block back. It may be handed out again at once: work is in order.</summary>
    public void Give(nint block) => Keep(block);

    /// <summary>Gives everything that is kept back to the driver.</summary>
    public void Trim()
    {
        foreach (var (size, blocks) in _kept)
        {
            foreach (nint block in blocks)
            {
                driver.Free(block);
                _sizes.Remove(block);
                HeldBytes -= size;
            }
        }
        _kept.Clear();
        KeptBytes = 0;
    }

    /// <summary>Gives everything back, also what somebody still holds.</summary>
    public void Dispose()
    {
        Trim();
        foreach (nint block in _sizes.Keys)
        {
            driver.Free(block);
        }
        _sizes.Clear();
        HeldBytes = 0;
    }

    private static long Round(long bytes)
    {
        long step = bytes < LargeFrom ? Small : Large;
        return checked((bytes + step - 1) / step * step);
    }

    private void Keep(nint block)
    {
        long size = _sizes[block];
        if (!_kept.TryGetValue(size, out var blocks))
        {
            _kept.Add(size, blocks = new Stack<nint>());
        }
        blocks.Push(block);
        KeptBytes += size;
    }

    private nint TakeKept(long rounded)
    {
        int at = FirstNotBelow(rounded);
        for (; at < _kept.Count && _kept.Keys[at] <= rounded + (rounded / 4); at++)
        {
            if (_kept.Values[at].TryPop(out nint block))
            {
                KeptBytes -= _kept.Keys[at];
                return block;
            }
        }
        return 0;
    }

    private int FirstNotBelow(long size)
    {
        int low = 0, high = _kept.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            (low, high) = _kept.Keys[middle] < size ? (middle + 1, high) : (low, middle);
        }
        return low;
    }
}
