using System.Numerics;
using System.Runtime.InteropServices;

namespace NativeEngine.Tests.Ptx;

/// <summary>
/// Runs groups of one kernel one after the other: the warps' registers, the shared memory, and for each of its words who wrote and who read it
/// since which barrier. One object per thread of the host.
/// </summary>
internal sealed unsafe class PtxGroup : IDisposable
{
    /// <summary>Where generic addresses of shared memory begin.</summary>
    public const long SharedWindow = 0x7E00_0000_0000_0000;

    private readonly byte* _registers;
    private readonly PtxWarp[] _warps;
    private readonly int _threads;
    private readonly byte* _shared;

    public PtxGroup(PtxKernel kernel, PtxMemory memory, int threads)
    {
        (Kernel, Memory, _threads) = (kernel, memory, threads);
        _warps = new PtxWarp[(threads + 31) / 32];
        _registers = (byte*)NativeMemory.AlignedAlloc((nuint)((long)kernel.RegisterBytes * _warps.Length), 4096);
        NativeMemory.Clear(_registers, (nuint)((long)kernel.RegisterBytes * _warps.Length));
        // Words that a thread writes are tagged in two arrays behind the memory itself.
        SharedWords = (kernel.SharedBytes + 3) / 4;
        _shared = (byte*)NativeMemory.AlignedAlloc((nuint)((12 * SharedWords) + 64), 64);
        for (int w = 0; w < _warps.Length; w++)
        {
            var warp = new PtxWarp(this, 32 * w, _registers + ((long)kernel.RegisterBytes * w));
            _warps[w] = warp;
            foreach (var (register, width, bits) in kernel.Constants)
            {
                Set(warp, register, width, bits);
            }
            if (kernel.Special[0] >= 0)
            {
                for (int l = 0; l < 32; l++)
                {
                    ((uint*)(warp.Registers + kernel.Special[0]))[l] = (uint)((32 * w) + l);
                }
            }
        }
    }

    public PtxKernel Kernel { get; }

    public PtxMemory Memory { get; }

    public string Index { get; private set; } = "";

    public byte* Shared => _shared;

    public int SharedWords { get; }

    /// <summary>Of each word of shared memory: epoch and thread of the last write (0: none), and of the last read.</summary>
    public uint* Written => (uint*)_shared + SharedWords;

    public uint* ReadBy => (uint*)_shared + (2 * SharedWords);

    /// <summary>Number of barriers passed, from 1.</summary>
    public uint Epoch { get; private set; }

    /// <summary>Parameters and grid of the launch.</summary>
    public void Prepare(ReadOnlySpan<long> parameters, int groupsX, int groupsY, int groupsZ)
    {
        foreach (var warp in _warps)
        {
            for (int p = 0; p < parameters.Length; p++)
            {
                Set(warp, Kernel.Parameters[p].Register, PtxKernel.WidthOf(Kernel.Parameters[p].Type), parameters[p]);
            }
            Set(warp, Kernel.Special[4], 4, groupsX);
            Set(warp, Kernel.Special[5], 4, groupsY);
            Set(warp, Kernel.Special[6], 4, groupsZ);
        }
    }

    public void Run(int x, int y, int z)
    {
        Index = $"{x},{y},{z}";
        Epoch = 1;
        NativeMemory.Fill(_shared, (nuint)(4 * SharedWords), 0xC5);
        NativeMemory.Clear(Written, (nuint)(8 * SharedWords));
        for (int w = 0; w < _warps.Length; w++)
        {
            Set(_warps[w], Kernel.Special[1], 4, x);
            Set(_warps[w], Kernel.Special[2], 4, y);
            Set(_warps[w], Kernel.Special[3], 4, z);
            int lanes = Math.Min(32, _threads - (32 * w));
            _warps[w].Start(lanes == 32 ? uint.MaxValue : (1u << lanes) - 1);
        }
        while (true)
        {
            int waiting = 0;
            PtxWarp? first = null;
            foreach (var warp in _warps)
            {
                warp.Run();
                waiting += BitOperations.PopCount(warp.Waiting);
                first ??= warp.Waiting != 0 ? warp : null;
                if (first is not null && warp.Waiting != 0 && warp.WaitingAt != first.WaitingAt)
                {
                    throw warp.Fault($"threads wait at different barriers (others at instruction {first.WaitingAt})");
                }
            }
            if (waiting == 0)
            {
                return;
            }
            if (waiting != _threads)
            {
                throw first!.Fault($"{waiting} of {_threads} threads wait at a barrier that the others, which have left, never reach");
            }
            Epoch++;
            foreach (var warp in _warps)
            {
                warp.Release();
            }
        }
    }

    public void Dispose()
    {
        NativeMemory.AlignedFree(_registers);
        NativeMemory.AlignedFree(_shared);
    }

    private static void Set(PtxWarp warp, int register, int width, long bits)
    {
        if (register < 0)
        {
            return;
        }
        if (width == 1)
        {
            *(uint*)(warp.Registers + register) = bits != 0 ? uint.MaxValue : 0;
            return;
        }
        for (int l = 0; l < 32; l++)
        {
            if (width == 8)
            {
                ((long*)(warp.Registers + register))[l] = bits;
            }
            else
            {
                ((uint*)(warp.Registers + register))[l] = (uint)bits;
            }
        }
    }
}
