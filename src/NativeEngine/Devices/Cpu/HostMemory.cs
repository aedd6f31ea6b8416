using System.Runtime.InteropServices;
using NativeEngine.Native;

namespace NativeEngine.Devices.Cpu;

/// <summary>Memory of the processor's buffers and of its kernels' scratch, aligned to 64 bytes. What is large lies in large pages where the system has them.</summary>
internal static unsafe class HostMemory
{
    // Below, a page of 2 MiB could be half empty; above, faults and address translation cost more than any rounding.
    private const long Large = 4 << 20;

    /// <summary>So many bytes; zeros if that is asked for. 0 when there is no memory.</summary>
    public static nint Allocate(long bytes, bool zeroed)
    {
        if (IsLarge(bytes))
        {
            return LibC.MapLarge(bytes);
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
    public static void Free(nint memory, long bytes)
    {
        if (memory != 0 && IsLarge(bytes))
        {
            LibC.UnmapLarge(memory, bytes);
            return;
        }
        NativeMemory.AlignedFree((void*)memory);
    }

    private static bool IsLarge(long bytes) => bytes >= Large && OperatingSystem.IsLinux();
}
