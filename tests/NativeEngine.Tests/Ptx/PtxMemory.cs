using System.Runtime.InteropServices;

namespace NativeEngine.Tests.Ptx;

/// <summary>The device's memory: blocks that are far enough apart that running over one's end lands in none.</summary>
internal sealed unsafe class PtxMemory : IDisposable
{
    private const int Gap = 1024;

    private readonly Dictionary<nint, nint> _memoryOf = [];
    private (long First, long Last)[] _blocks = [];

    public int LiveBlocks => _blocks.Length;

    public nint Allocate(long bytes)
    {
        byte* memory = (byte*)NativeMemory.AlignedAlloc((nuint)(bytes + (2 * Gap)), 256);
        NativeMemory.Clear(memory, (nuint)(bytes + (2 * Gap)));
        nint handle = (nint)(memory + Gap);
        _memoryOf.Add(handle, (nint)memory);
        Add(handle, bytes);
        return handle;
    }

    /// <summary>Makes a block known that somebody else owns.</summary>
    public void Add(long address, long bytes) => _blocks = [.. _blocks.Append((address, address + bytes)).Order()];

    /// <summary>Forgets a block of <see cref="Add"/>.</summary>
    public void Remove(long address) => _blocks = [.. _blocks.Where(b => b.First != address)];

    public void Free(nint handle)
    {
        if (!_memoryOf.Remove(handle, out nint memory))
        {
            throw new PtxFaultException($"free of {handle:X}, which is not allocated");
        }
        Remove(handle);
        NativeMemory.AlignedFree((void*)memory);
    }

    /// <summary>The block that holds these bytes.</summary>
    public bool TryFind(long address, int size, out (long First, long Last) block)
    {
        var blocks = _blocks;
        int low = 0, high = blocks.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) / 2;
            block = blocks[middle];
            if (address < block.First)
            {
                high = middle - 1;
            }
            else if (address >= block.Last)
            {
                low = middle + 1;
            }
            else
            {
                return address + size <= block.Last;
            }
        }
        block = default;
        return false;
    }

    /// <summary>Where an address that is in no block lies.</summary>
    public string Describe(long address)
    {
        var near = _blocks.Select(b => (Distance: address >= b.Last ? address - b.Last : b.First - address, b)).OrderBy(b => b.Distance).FirstOrDefault();
        return near.b == default ? "no buffer exists"
            : $"the nearest buffer has {near.b.Last - near.b.First} bytes and {(address >= near.b.Last ? "ends" : "begins")} {near.Distance} bytes {(address >= near.b.Last ? "before" : "after")}";
    }

    public void Dispose()
    {
        foreach (nint memory in _memoryOf.Values)
        {
            NativeMemory.AlignedFree((void*)memory);
        }
        _memoryOf.Clear();
        _blocks = [];
    }
}
