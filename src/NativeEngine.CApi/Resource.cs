namespace NativeEngine.CApi;

/// <summary>Which object a handle stands for.</summary>
internal enum ResourceKind : byte
{
    Cancel = 1,
    Device,
    Selector,
    Stream,
    Model,
    Data,
    Trainer,
}

/// <summary>
/// An object behind a handle, counted: by its handle, by every call that is using it, and by the objects made from it. The last to leave destroys it, so freeing in any order, or during a call, is safe.
/// </summary>
internal abstract class Resource
{
    private int _references = 1;

    public abstract ResourceKind Kind { get; }

    /// <summary>One more user. Only for somebody who holds a reference already, or under the table's lock.</summary>
    public void Retain() => Interlocked.Increment(ref _references);

    public void Release()
    {
        if (Interlocked.Decrement(ref _references) == 0)
        {
            Destroy();
        }
    }

    /// <summary>Gives everything back. No call is using the object.</summary>
    protected abstract void Destroy();
}

/// <summary>A use of an object by one call.</summary>
internal readonly ref struct Lease<T>(T value)
    where T : Resource
{
    public T Value { get; } = value;

    public void Dispose() => Value.Release();
}

/// <summary>
/// Lets one call at a time work on a device. A call from a callback of the call that is running is refused instead of waiting for itself.
/// </summary>
internal sealed class Gate
{
    private readonly object _lock = new();

    public Turn Enter()
    {
        if (Monitor.IsEntered(_lock))
        {
            throw new CallException(Status.Busy, "a callback called back into the device that is running it", "do the work after the call has returned, or on another device");
        }
        Monitor.Enter(_lock);
        return new Turn(_lock);
    }

    /// <summary>For destroying an object that no call uses, which a callback may do.</summary>
    public Turn EnterAgain()
    {
        Monitor.Enter(_lock);
        return new Turn(_lock);
    }

    public readonly ref struct Turn(object held)
    {
        public void Dispose() => Monitor.Exit(held);
    }
}
