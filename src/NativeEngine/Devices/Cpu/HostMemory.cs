using System.Runtime.InteropServices;
using NativeEngine.Native;

namespace NativeEngine.Devices.Cpu;

/// <summary>
/// Memory of the processor's buffers and of its kernels' scratch, aligned to 64 bytes. What is large lies in large pages where the system has them. Of what is given back a little is kept for the next
/// request, as the C library does with its own: fresh pages cost the system as much as a pass or two over them. Thread-safe.
/// </summary>
/// <param name="kept">Bytes that are kept at most.</param>
internal sealed unsafe class HostMemory(long kept = 0) : IDisposable
{
    // Below, a page of 2 MiB could be half empty; above, faults and address translation cost more than any rounding.
    private const long Large = 4 << 20;

    private readonly List<(nint Memory, long Bytes)> _free = [];
    private bool _closed;

    /// <summary>So many bytes; zeros if that is asked for. 0 when there is no memory.</summary>
    public nint Allocate(long bytes, bool zeroed)
    {
        if (IsLarge(bytes))
        {
            nint again = Kept(bytes);
            if (again != 0 && zeroed)
            {
                NativeMemory.Clear((void*)again, (nuint)bytes);
            }
            return again != 0 ? again : LibC.MapLarge(bytes);
        }
        try
        {
            void* memory = NativeMemory.AlignedAlloc((nuint)bytes, 64);
            if (zeroed)
            {
                NativeMemory.Clear(memory, (nuint)bytes);
            }
            return (nint)memory;
        }
        catch (OutOfMemoryException)
        {
            return 0;
        }
    }

    /// <summary>Gives back what was allocated with so many bytes.</summary>
    public void Free(nint memory, long bytes)
    {
        if (memory == 0 || !IsLarge(bytes))
        {
            NativeMemory.AlignedFree((void*)memory);
            return;
        }
        lock (_free)
        {
            if (!_closed && bytes <= kept)
            {
                _free.Add((memory, bytes));
                while (_free.Sum(block => block.Bytes) > kept)
                {
                    LibC.UnmapLarge(_free[0].Memory, _free[0].Bytes);
                    _free.RemoveAt(0);
                }
                return;
            }
        }
        LibC.UnmapLarge(memory, bytes);
    }

    /// <summary>Keeps nothing any more; what is still in use can be given back later.</summary>
    public void Dispose()
    {
        lock (_free)
        {
            _closed = true;
            foreach (var (memory, bytes) in _free)
            {
                LibC.UnmapLarge(memory, bytes);
            }
            _free.Clear();
        }
    }

    private static bool IsLarge(long bytes) => bytes >= Large && OperatingSystem.IsLinux();

    /// <summary>A kept block of just this size, or 0.</summary>
    private nint Kept(long bytes)
    {
        lock (_free)
        {
            int at = _free.FindLastIndex(block => block.Bytes == bytes);
            if (at < 0)
            {
                return 0;
            }
            nint memory = _free[at].Memory;
            _free.RemoveAt(at);
            return memory;
        }
    }
}
