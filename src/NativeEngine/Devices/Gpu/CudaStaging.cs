using NativeEngine.Native;

namespace NativeEngine.Devices.Gpu;

/// <summary>
/// Pinned memory between the host's arrays and a device: the driver's copies run beside the host only from such memory. Copies to the device
/// fill a ring of slots and return; the host waits only when the whole ring is under way. Copies from the device go through two slots in turn,
/// the one being filled while the other is emptied. 24 MiB, taken at the first copy.
/// </summary>
internal sealed unsafe class CudaStaging : IDisposable
{
    private const int SlotBytes = 4 << 20, InSlots = 4, OutSlots = 2, Slots = InSlots + OutSlots, Align = 256;

    private readonly CudaApi _api;
    private readonly nint _stream;
    private readonly Action<int, string, string> _check;
    private readonly nint[] _events = new nint[Slots];
    private readonly bool[] _recorded = new bool[Slots];
    private byte* _memory;
    private int _slot, _used;

    /// <summary>Takes the memory. <paramref name="check"/> throws for a code that is no success.</summary>
    public CudaStaging(CudaApi api, nint stream, Action<int, string, string> check)
    {
        (_api, _stream, _check) = (api, stream, check);
        try
        {
            void* memory = null;
            check(api.MemHostAlloc(&memory, (nuint)Slots * SlotBytes, 0), "cuMemHostAlloc", $"{Slots * SlotBytes:N0} bytes");
            _memory = (byte*)memory;
            for (int i = 0; i < Slots; i++)
            {
                const uint NoTiming = 2;
                nint handle = 0;
                check(api.EventCreate(&handle, NoTiming), "cuEventCreate", "");
                _events[i] = handle;
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Copies to the device in order with the stream's work; the source may change on return.</summary>
    public void CopyIn(ulong destination, ReadOnlySpan<byte> source)
    {
        while (!source.IsEmpty)
        {
            if (_used == SlotBytes)
            {
                NextSlot();
            }
            int count = Math.Min(source.Length, SlotBytes - _used);
            byte* from = _memory + ((long)_slot * SlotBytes) + _used;
            source[..count].CopyTo(new Span<byte>(from, count));
            _check(_api.MemcpyHtoDAsync(destination, from, (nuint)count, _stream), "cuMemcpyHtoDAsync", $"{count:N0} bytes");
            _used = Math.Min(SlotBytes, (_used + count + Align - 1) / Align * Align);
            destination += (ulong)count;
            source = source[count..];
        }
    }

    /// <summary>Waits for the work issued so far and copies from the device.</summary>
    public void CopyOut(ulong source, Span<byte> destination)
    {
        int issued = 0, taken = 0;
        while (taken < destination.Length)
        {
            while (issued < destination.Length && issued - taken < OutSlots * SlotBytes)
            {
                int count = Math.Min(SlotBytes, destination.Length - issued), slot = Slot(issued);
                _check(_api.MemcpyDtoHAsync(Memory(slot), source + (ulong)issued, (nuint)count, _stream), "cuMemcpyDtoHAsync", $"{count:N0} bytes");
                _check(_api.EventRecord(_events[slot], _stream), "cuEventRecord", "");
                issued += count;
            }
            int next = Math.Min(SlotBytes, destination.Length - taken), from = Slot(taken);
            _check(_api.EventSynchronize(_events[from]), "cuEventSynchronize", "a copy to the host");
            new ReadOnlySpan<byte>(Memory(from), next).CopyTo(destination.Slice(taken, next));
            taken += next;
        }

        static int Slot(int at) => InSlots + (at / SlotBytes % OutSlots);
    }

    public void Dispose()
    {
        foreach (nint handle in _events)
        {
            if (handle != 0)
            {
                _ = _api.EventDestroy(handle);
            }
        }
        Array.Clear(_events);
        if (_memory is not null)
        {
            _ = _api.MemFreeHost(_memory);
            _memory = null;
        }
    }

    private byte* Memory(int slot) => _memory + ((long)slot * SlotBytes);

    private void NextSlot()
    {
        _check(_api.EventRecord(_events[_slot], _stream), "cuEventRecord", "");
        _recorded[_slot] = true;
        _slot = (_slot + 1) % InSlots;
        _used = 0;
        if (_recorded[_slot])
        {
            _check(_api.EventSynchronize(_events[_slot]), "cuEventSynchronize", "a copy to the device");
        }
    }
}
