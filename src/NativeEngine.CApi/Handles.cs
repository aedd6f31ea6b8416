namespace NativeEngine.CApi;

/// <summary>
/// Every object the caller holds. A handle is (generation, kind, slot + 1) in 32, 8 and 24 bits, dressed as a pointer and never followed: a slot's generation changes when it is
/// freed, so an old handle finds nothing. Freed slots are used again in the order they were freed, which keeps generations apart as long as possible.
/// </summary>
internal static class Handles
{
    private const int SlotBits = 24;

    private static readonly Lock _lock = new();
    private static readonly List<(Resource? Object, uint Generation)> _slots = [];
    private static readonly Queue<int> _free = new();
    private static long _live;

    public static long Live => Interlocked.Read(ref _live);

    /// <summary>A handle for a new object.</summary>
    public static nint Add(Resource resource)
    {
        lock (_lock)
        {
            if (!_free.TryDequeue(out int slot))
            {
                slot = _slots.Count;
                if (slot + 1 >= 1 << SlotBits)
                {
                    throw new CallException(Status.WillNotFit, $"{slot} objects are alive, more than there are handles for", "free objects that are no longer used");
                }
                _slots.Add((null, 1));
            }
            _slots[slot] = (resource, _slots[slot].Generation);
            _live++;
            return Encode(slot, resource.Kind, _slots[slot].Generation);
        }
    }

    /// <summary>The object of a handle, kept alive until the lease ends.</summary>
    public static Lease<T> Use<T>(nint handle)
        where T : Resource
    {
        lock (_lock)
        {
            if (Find(handle) is T resource)
            {
                resource.Retain();
                return new Lease<T>(resource);
            }
        }
        throw NoSuch<T>(handle);
    }

    /// <summary>The same for an object that may be absent: null for NULL.</summary>
    public static T? Retain<T>(nint handle)
        where T : Resource => handle == 0 ? null : Use<T>(handle).Value;

    /// <summary>Ends a handle; nothing for NULL.</summary>
    public static void Free<T>(nint handle)
        where T : Resource
    {
        if (handle == 0)
        {
            return;
        }
        T? resource;
        lock (_lock)
        {
            resource = Find(handle) as T;
            if (resource is not null)
            {
                int slot = SlotOf(handle);
                uint next = unchecked(_slots[slot].Generation + 1);
                _slots[slot] = (null, next == 0 ? 1 : next);
                _free.Enqueue(slot);
                _live--;
            }
        }
        (resource ?? throw NoSuch<T>(handle)).Release();
    }

    private static nint Encode(int slot, ResourceKind kind, uint generation) =>
        unchecked((nint)(((ulong)generation << 32) | ((ulong)kind << SlotBits) | (uint)(slot + 1)));

    private static int SlotOf(nint handle) => (int)((ulong)handle & ((1 << SlotBits) - 1)) - 1;

    private static Resource? Find(nint handle)
    {
        int slot = SlotOf(handle);
        return slot >= 0 && slot < _slots.Count && _slots[slot] is ({ } resource, var generation) && Encode(slot, resource.Kind, generation) == handle ? resource : null;
    }

    private static CallException NoSuch<T>(nint handle)
        where T : Resource
    {
        string name = typeof(T).Name.Replace("Resource", "", StringComparison.Ordinal).ToLowerInvariant();
        string what = handle == 0 ? "NULL was given" : $"0x{handle:x} is none that is alive";
        return new CallException(Status.Handle, $"a handle of a {name} is needed, {what}", handle == 0 ? "" : "it was freed, is of another type, or was never given out");
    }
}
