namespace NativeEngine.Tests.Ptx;

internal interface IAtomic { static abstract uint Do(uint memory, uint value); }

internal readonly struct AtomicAdd : IAtomic { public static uint Do(uint memory, uint value) => memory + value; }

internal readonly struct AtomicMaximum : IAtomic { public static uint Do(uint memory, uint value) => Math.Max(memory, value); }

internal readonly struct AtomicMinimum : IAtomic { public static uint Do(uint memory, uint value) => Math.Min(memory, value); }

/// <summary>
/// Loads, stores and atomics, each lane checked: within a buffer, aligned to its own size, and in shared memory written before it is read and
/// not touched by two threads between two barriers unless both only read (or both are atomic).
/// </summary>
internal static unsafe class PtxMemoryAccess
{
    private const int ThreadBits = 10;
    private const uint Many = 0x3FF, AtomicAccess = 0x3FE;

    public static void Load(PtxWarp w, in PtxInstruction i, uint mask)
    {
        int bytes = i.Size * i.Count;
        long previous = 0;
        byte* at = null;
        (long First, long Last) block = default;
        for (int l = 0; l < 32; l++)
        {
            if ((mask >> l & 1) == 0)
            {
                continue;
            }
            long address = Address(w, i, l);
            if (at == null || address != previous)
            {
                // Lanes that follow each other often read the same words.
                bool shared = IsShared(i, ref address);
                at = shared ? SharedAt(w, address, bytes, l) : GlobalAt(w, address, bytes, l, ref block);
                if (shared)
                {
                    bool several = l < 31 && (mask >> (l + 1) & 1) != 0 && Address(w, i, l + 1) == Address(w, i, l);
                    MarkRead(w, address, bytes, l, several);
                }
                previous = Address(w, i, l);
            }
            Put(w, i, i.D, l, at);
            if (i.Count > 1)
            {
                Put(w, i, i.B, l, at + i.Size);
                if (i.Count > 2)
                {
                    Put(w, i, i.C, l, at + (2 * i.Size));
                    Put(w, i, i.E, l, at + (3 * i.Size));
                }
            }
        }
    }

    public static void Store(PtxWarp w, in PtxInstruction i, uint mask)
    {
        int bytes = i.Size * i.Count;
        (long First, long Last) block = default;
        for (int l = 0; l < 32; l++)
        {
            if ((mask >> l & 1) == 0)
            {
                continue;
            }
            long address = Address(w, i, l);
            bool shared = IsShared(i, ref address);
            byte* at = shared ? SharedAt(w, address, bytes, l) : GlobalAt(w, address, bytes, l, ref block);
            if (shared)
            {
                MarkWrite(w, address, bytes, l, (uint)(w.FirstThread + l));
            }
            Take(w, i, i.D, l, at);
            if (i.Count > 1)
            {
                Take(w, i, i.B, l, at + i.Size);
                if (i.Count > 2)
                {
                    Take(w, i, i.C, l, at + (2 * i.Size));
                    Take(w, i, i.E, l, at + (3 * i.Size));
                }
            }
        }
    }

    public static void Atomic<T>(PtxWarp w, in PtxInstruction i, uint mask)
        where T : IAtomic
    {
        (long First, long Last) block = default;
        uint* value = (uint*)(w.Registers + i.B);
        for (int l = 0; l < 32; l++)
        {
            if ((mask >> l & 1) == 0)
            {
                continue;
            }
            long address = Address(w, i, l);
            bool shared = IsShared(i, ref address);
            uint* at = (uint*)(shared ? SharedAt(w, address, 4, l) : GlobalAt(w, address, 4, l, ref block));
            if (shared)
            {
                MarkRead(w, address, 4, l, atomic: true);
                MarkWrite(w, address, 4, l, AtomicAccess);
            }
            uint old;
            do
            {
                old = Volatile.Read(ref *at);
            }
            while (Interlocked.CompareExchange(ref *at, T.Do(old, value[l]), old) != old);
            if (i.D >= 0)
            {
                ((uint*)(w.Registers + i.D))[l] = old;
            }
        }
    }

    public static long Address(PtxWarp w, in PtxInstruction i, int lane) =>
        i.A < 0 ? i.Immediate : ((long*)(w.Registers + i.A))[lane] + i.Immediate;

    public static byte* SharedAt(PtxWarp w, long address, int bytes, int lane)
    {
        if (address < 0 || address + bytes > 4L * w.Group.SharedWords)
        {
            throw w.Fault($"{bytes} bytes at {address} of {4 * w.Group.SharedWords} bytes of shared memory", lane);
        }
        return (address & (bytes - 1)) == 0 ? w.Group.Shared + address : throw w.Fault($"misaligned access of {bytes} bytes at {address} of shared memory", lane);
    }

    public static byte* GlobalAt(PtxWarp w, long address, int bytes, int lane, ref (long First, long Last) block)
    {
        if ((address < block.First || address + bytes > block.Last) && !w.Group.Memory.TryFind(address, bytes, out block))
        {
            throw w.Fault($"{bytes} bytes outside every buffer: {w.Group.Memory.Describe(address)}", lane);
        }
        return (address & (bytes - 1)) == 0 ? (byte*)address : throw w.Fault($"misaligned access of {bytes} bytes at ...{address & 0xFF:X2}", lane);
    }

    /// <summary>Notes that a thread (or several) reads words of shared memory.</summary>
    public static void MarkRead(PtxWarp w, long address, int bytes, int lane, bool several = false, bool atomic = false)
    {
        var group = w.Group;
        uint epoch = group.Epoch, thread = (uint)(w.FirstThread + lane), tag = (epoch << ThreadBits) | (atomic ? AtomicAccess : several ? Many : thread);
        for (long word = address / 4; word < (address + bytes + 3) / 4; word++)
        {
            uint written = group.Written[word], read = group.ReadBy[word];
            if (written == 0)
            {
                throw w.Fault($"word {word} of shared memory is read before anything is written to it", lane);
            }
            if (written >> ThreadBits == epoch && (written & Many) != thread && !(atomic && (written & Many) == AtomicAccess))
            {
                throw w.Fault($"word {word} of shared memory is read without a barrier after thread {written & Many} wrote it", lane);
            }
            group.ReadBy[word] = read >> ThreadBits == epoch && read != tag ? (epoch << ThreadBits) | Many : tag;
        }
    }

    /// <summary>Notes that a thread writes words of shared memory.</summary>
    public static void MarkWrite(PtxWarp w, long address, int bytes, int lane, uint thread)
    {
        var group = w.Group;
        uint epoch = group.Epoch;
        for (long word = address / 4; word < (address + bytes + 3) / 4; word++)
        {
            uint written = group.Written[word], read = group.ReadBy[word];
            if (written >> ThreadBits == epoch && (written & Many) != thread)
            {
                throw w.Fault($"word {word} of shared memory is written by thread {written & Many} too, without a barrier between", lane);
            }
            if (read >> ThreadBits == epoch && (read & Many) != thread)
            {
                throw w.Fault($"word {word} of shared memory is written without a barrier after {((read & Many) == Many ? "other threads" : $"thread {read & Many}")} read it", lane);
            }
            group.Written[word] = (epoch << ThreadBits) | thread;
        }
    }

    private static bool IsShared(in PtxInstruction i, ref long address)
    {
        bool window = i.Space == PtxSpace.Generic && address >= PtxGroup.SharedWindow;
        address -= window ? PtxGroup.SharedWindow : 0;
        return window || i.Space == PtxSpace.Shared;
    }

    private static void Put(PtxWarp w, in PtxInstruction i, int register, int lane, byte* from)
    {
        ulong value = i.Size switch
        {
            1 => i.Signed ? (ulong)*(sbyte*)from : *from,
            2 => i.Signed ? (ulong)*(short*)from : *(ushort*)from,
            4 => i.Signed ? (ulong)*(int*)from : *(uint*)from,
            _ => *(ulong*)from,
        };
        if (i.Wide)
        {
            ((ulong*)(w.Registers + register))[lane] = value;
        }
        else
        {
            ((uint*)(w.Registers + register))[lane] = (uint)value;
        }
    }

    private static void Take(PtxWarp w, in PtxInstruction i, int register, int lane, byte* to)
    {
        byte* from = w.Registers + register + (lane * (i.Wide ? 8 : i.Size == 8 ? 8 : 4));
        switch (i.Size)
        {
            case 1: *to = *from; break;
            case 2: *(ushort*)to = *(ushort*)from; break;
            case 4: *(uint*)to = *(uint*)from; break;
            default: *(ulong*)to = *(ulong*)from; break;
        }
    }
}
